"""F2 over many schedules: of two leaders the one of the latest epoch gets what it wants, and the
other one comes to rest, whatever is late, lost, killed or repeated.

``IKDEMO_SEED=n`` plays the schedule of one number.
"""

from __future__ import annotations

import os

import pytest
from profiles import DEPTH, PATIENCE
from simulation.leaders import TwoLeaders
from simulation.run import numbers

pytestmark = pytest.mark.timeout(PATIENCE)

SEEDS = numbers(os.environ.get("IKDEMO_SEED", f"0-{DEPTH.plans // 5 - 1}"))
BLOCKS = [SEEDS[first : first + 25] for first in range(0, len(SEEDS), 25)]


@pytest.mark.parametrize("seeds", BLOCKS, ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_the_latest_leader_gets_what_it_wants_and_the_other_one_rests(seeds: range) -> None:
    for seed in seeds:
        played = TwoLeaders(seed).run()
        assert not played.wrong, f"IKDEMO_SEED={seed}: {played.wrong}\n" + "\n".join(played.trace)


def test_leaders_are_seen_to_be_fenced() -> None:
    """Were they not, the schedules would show nothing."""
    fenced = sum("fenced: epoch" in "".join(TwoLeaders(seed).run().trace) for seed in range(20))
    assert fenced > 5
