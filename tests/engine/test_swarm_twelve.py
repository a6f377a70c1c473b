"""Twelve instances over one manager and two workers: a container, a node is lost, a worker is cut
off and comes back. Never more than twelve are counted, and nothing healthy is destroyed.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from desk import Desk
from engine.twelve import SIZE, Twelve, group_of_twelve

from ikdemo.instance.container_labels import INSTANCE


@pytest.fixture
def twelve(desk: Desk) -> Iterator[Twelve]:
    """Give twelve over one manager and two workers."""
    with group_of_twelve(desk, 1) as made:
        yield made


def test_a_container_and_then_a_node_is_lost_and_twelve_run_again(twelve: Twelve) -> None:
    before = twelve.counted()
    for node in (1, 2):
        twelve.swarm.client(node).kill(twelve.swarm.running(INSTANCE)[node][0])
    twelve.until(lambda: len(set(before.values()) - set(twelve.counted().values())) == 2, "2 lost")
    twelve.until_whole()
    before = twelve.counted()
    on_node = len(twelve.swarm.running(INSTANCE)[3])
    twelve.swarm.kill(3)
    twelve.until_whole(1, 2)
    after = twelve.counted()
    assert sum(before[slot] != after[slot] for slot in before) == on_node


def test_a_worker_that_is_cut_off_runs_on_and_is_counted_no_longer(twelve: Twelve) -> None:
    before = twelve.counted()
    there = len(twelve.swarm.running(INSTANCE)[2])
    assert there > 0
    twelve.swarm.cut(2)
    twelve.until_whole(1, 3)
    assert twelve.running(1, 2, 3) == SIZE + there, "those that nobody can see run on"
    after = twelve.counted()
    assert sum(before[slot] != after[slot] for slot in before) == there
    twelve.swarm.heal(2)
    twelve.until_whole()
    assert twelve.counted() == after, "nothing that is counted is ended when it is back"
