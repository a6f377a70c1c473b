"""The rows of the benchmark: what is measured, at which size and how often, what it is held to, and
what its floor is.

Targets are here and nowhere else. Called by ``__main__``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from . import asking, keeping, pauses, resting
from .bench import Bench, Measured

FILES = (
    "as many files of the same content, each written under a temporary name and renamed, in "
    "one loop"
)
DOCUMENTS = "the same documents encoded, sent through a pair of sockets and decoded, in one process"
IMPORTS = "as many interpreters that only import asyncio, msgspec and httptools"
NOTHING = "a Python interpreter that has imported nothing and waits"
LOOP = "a bare event loop beside the plugins, with a turn every 5 ms"
ALL_OFFERED = "the same group on plugins that offer every extension"

Limits = Mapping[str, float]
"""At most how much the median, the p99 or the most of our figures may be, or the ratio of the
medians to the floor.
"""


class Row(NamedTuple):
    """One line of the table; ``measure`` is given the run and the number of instances."""

    name: str
    what: str
    unit: str
    size: int
    limits: Limits
    floor: str
    measure: Callable[[Bench, int], Measured]


def _heal(size: int, limits: Limits) -> Row:
    measure = partial(keeping.heal, share=0.0, rounds=200, infrakit_rounds=10)
    return Row(f"heal-1-of-{size}", f"heal 1 of {size:,}", "ms", size, limits, FILES, measure)


def _pauses(groups: int, size: int) -> list[Row]:
    what = f"{groups} groups of {size}" if groups > 1 else f"a group of {size:,}"
    whens = {
        "converge": ("converging", pauses.converging),
        "heal": ("a tenth lost", pauses.healing),
        "rest": ("at rest", pauses.resting),
    }
    return [
        Row(
            f"pause-{groups}x{size}-{name}",
            f"longest pause, {what}, {when}",
            "ms",
            size,
            {"most": 50},
            LOOP,
            partial(measure, groups=groups, rounds=3),
        )
        for name, (when, measure) in whens.items()
    ]


SMALL = {"median": 3.0, "p99": 15.0}

# fmt: off
ROWS = (
    Row("converge-1000", "converge 1,000", "ms", 1000, {"ratio": 4}, FILES,
        partial(keeping.converge, rounds=15, infrakit_rounds=5)),
    Row("converge-10000", "converge 10,000", "ms", 10_000, {"ratio": 4}, FILES,
        partial(keeping.converge, rounds=7, infrakit_rounds=3)),
    *(_heal(size, SMALL) for size in (5, 100, 1000)),
    _heal(10_000, {"median": 8.0, "p99": 25.0}),
    Row("heal-half-of-10000", "heal 5,000 of 10,000", "ms", 10_000, {"median": 800}, FILES,
        partial(keeping.heal, share=0.5, rounds=7, infrakit_rounds=3)),
    Row("describe-10000", "describe 10,000 over RPC", "ms", 10_000, {"median": 25}, DOCUMENTS,
        partial(asking.describe, rounds=30)),
    Row("roll-100", "rolling update of 100, 10 at a time", "ms", 100, {"median": 500}, FILES,
        partial(keeping.roll, rounds=10)),
    Row("idle-10000", "idle with 10,000, share of a core", "%", 10_000, {"median": 0.5}, NOTHING,
        partial(resting.idle, rounds=3)),
    Row("memory-10000", "memory after 10,000, largest plugin", "MB", 10_000, {"median": 50}, NOTHING,
        partial(resting.remembering, rounds=3)),
    Row("start", "start three plugins", "ms", 0, {"median": 150}, IMPORTS,
        partial(asking.start, rounds=20)),
    Row("command", "infrakit group describe of 5", "ms", 5, {"median": 110}, IMPORTS,
        partial(asking.describe_by_command, rounds=30)),
    Row("plain-1000", "converge 1,000 on plain plugins", "ms", 1000, {"ratio": 3}, ALL_OFFERED,
        partial(keeping.plain, rounds=10)),
    *_pauses(200, 50),
    *_pauses(1, 10_000),
)
# fmt: on
