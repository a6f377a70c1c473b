"""What plugins hold over time, and whether it grows: memory by the slope of a line, descriptors and
threads by their medians.

Called by ``soak``.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .held import status

LIMIT = 1024.0
"""KiB of memory that a process may grow by in an hour: what the kernel and the allocator give and
take is as much.
"""
SHORTEST = 1500.0
"""Seconds that the last half has to have: until the events that a plugin keeps are as many as it
ever keeps, it grows.
"""
MORE = {"descriptors": 4, "threads": 8}
"""How many more the last quarter may hold than the first."""


class Sample(NamedTuple):
    """What one process held at one moment: seconds since any moment, KiB resident, open
    descriptors, threads.
    """

    at: float
    memory: int
    descriptors: int
    threads: int


def sample(pid: int, at: float) -> Sample:
    """Read what a process holds."""
    told = status(pid)
    files = len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208
    return Sample(at, int(told["VmRSS"].split()[0]), files, int(told["Threads"]))


def growth(samples: Mapping[str, Sequence[Sample]]) -> list[dict[str, Any]]:
    """Judge what each process held: medians of the first and the last quarter, and a verdict."""
    rows = []
    for name, taken in samples.items():
        slope = per_hour(taken)
        said = "too short to tell" if slope is None else "flat" if slope <= LIMIT else "GROWS"
        rows.append(
            {
                "plugin": name,
                "what": "memory, KiB",
                **_quarters([one.memory for one in taken]),
                "verdict": said,
            }
        )
        rows[-1]["per_hour"] = None if slope is None else round(slope)
        for what, more in MORE.items():
            quarters = _quarters([getattr(one, what) for one in taken])
            said = "flat" if quarters["last"] - quarters["first"] <= more else "GROWS"
            rows.append({"plugin": name, "what": what, **quarters, "verdict": said})
    return rows


def per_hour(taken: Sequence[Sample]) -> float | None:
    """Return the slope of memory over the last half of the time, in KiB an hour; None when that
    half is too short to tell.

    >>> per_hour([Sample(float(at), 30_000 + at // 36, 9, 1) for at in range(0, 3600, 10)])
    99.99...
    >>> per_hour([Sample(0.0, 30_000, 9, 1), Sample(1200.0, 31_000, 9, 1)]) is None
    True
    """
    middle = (taken[0].at + taken[-1].at) / 2
    half = [one for one in taken if one.at >= middle]
    if half[-1].at - half[0].at < SHORTEST * 0.99:
        return None
    return (
        3600
        * statistics.linear_regression([one.at for one in half], [one.memory for one in half]).slope
    )


def _quarters(values: Sequence[int]) -> dict[str, float]:
    quarter = max(1, len(values) // 4)
    return {
        "first": statistics.median(values[:quarter]),
        "last": statistics.median(values[-quarter:]),
    }
