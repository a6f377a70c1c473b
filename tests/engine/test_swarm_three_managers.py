"""Twelve instances over three managers: the one that leads is lost, or cut off and comes back.
Tried only when IKDEMO_SOAK is set, as a raft takes its time.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from desk import Desk
from engine.twelve import SIZE, Twelve, group_of_twelve

from ikdemo.instance.container_labels import INSTANCE

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def three_managers(desk: Desk) -> Iterator[Twelve]:
    """Give twelve over three managers."""
    with group_of_twelve(desk, 3) as made:
        yield made


def test_the_leading_manager_of_three_is_lost(three_managers: Twelve) -> None:
    gone = three_managers.swarm.leader()
    three_managers.swarm.kill(gone)
    three_managers.until_whole(*({1, 2, 3} - {gone}))


def test_a_manager_of_three_is_cut_off_and_comes_back(three_managers: Twelve) -> None:
    cut = three_managers.swarm.leader()
    there = len(three_managers.swarm.running(INSTANCE)[cut])
    three_managers.swarm.cut(cut)
    three_managers.until_whole(*({1, 2, 3} - {cut}))
    assert three_managers.running(1, 2, 3) == SIZE + there
    three_managers.swarm.heal(cut)
    three_managers.until_whole()
