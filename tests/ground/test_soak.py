"""A short soak: every way to strike is used, no promise is broken, and what it measures is judged
as it says.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from benchmarks.soak import real
from benchmarks.soak_group import Sample, growth

ALWAYS = {
    "commands acknowledged",
    "instances deleted",
    "storms",
    "plugins killed",
    "squeezes",
    "processes killed",
    "changes of leaders",
    "looks",
}


@pytest.mark.timeout(300)
def test_a_short_soak_strikes_in_every_way_and_no_promise_is_broken(short_dir: Path) -> None:
    report = asyncio.run(real(short_dir, 0.0, seed=1))
    assert report["said"] == []
    assert not any(report["broken"].values()), report["broken"]
    looked_for = {
        "more than Size",
        "healthy processes ended",
        "strangers harmed",
        "acts for an older leader",
        "acknowledged sizes lost",
        "groups of managers left behind",
    }
    assert looked_for <= report["broken"].keys()
    assert {what for what in ALWAYS if report["counts"].get(what)} == ALWAYS
    assert {row["verdict"] for row in report["held"] if row["what"] == "memory, KiB"} == {
        "too short to tell"
    }


def verdicts(memory: float, descriptors: float) -> dict[str, str]:
    """Return the verdicts on an hour in which a process grows by so many KiB and descriptors."""
    shares = [at / 3600 for at in range(0, 3601, 5)]
    taken = [
        Sample(3600 * share, 30_000 + int(memory * share), 10 + int(descriptors * share), 1)
        for share in shares
    ]
    return {row["what"]: row["verdict"] for row in growth({"files group": taken})}


@pytest.mark.parametrize(
    ("memory", "descriptors", "said"),
    [
        (0, 0, ("flat", "flat")),
        (900, 5, ("flat", "flat")),
        (1200, 0, ("GROWS", "flat")),
        (0, 60, ("flat", "GROWS")),
    ],
)
def test_what_grows_in_an_hour_is_told_from_what_is_flat(
    memory: float, descriptors: float, said: tuple[str, str]
) -> None:
    found = verdicts(memory, descriptors)
    assert (found["memory, KiB"], found["descriptors"], found["threads"]) == (*said, "flat")


def test_what_grows_at_the_beginning_only_is_flat() -> None:
    taken = [Sample(float(at), 30_000 + min(at, 600) * 10, 9, 1) for at in range(0, 3601, 5)]
    assert growth({"files group": taken})[0]["verdict"] == "flat"
