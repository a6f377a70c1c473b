"""Measures how fast it is on this machine and prints one table: ours, the floor, the target, and
InfraKit where it is there.

Run as ``python -m benchmarks`` or ``make bench``. With the environment variable ``INFRAKIT_BIN``, a
folder with InfraKit's programs, the same work is done by them in turns. Files are on tmpfs where
there is one. Targets are here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from . import measures, pauses
from .bench import arguments, infrakit_programs, main
from .floors import ALL_OFFERED, DOCUMENTS, FILES, IMPORTS, LOOP, NOTHING
from .results import Row


def _heal(size: int, limits: Mapping[str, float]) -> Row:
    measure = partial(measures.heal, share=0.0, rounds=200, infrakit_rounds=10)
    return Row(f"heal-1-of-{size}", f"heal 1 of {size:,}", "ms", size, limits, FILES, measure)


def _pauses(groups: int, size: int) -> list[Row]:
    what = f"{groups} groups of {size}" if groups > 1 else f"a group of {size:,}"
    kinds = (
        ("converge", "converging", pauses.converging),
        ("heal", "a tenth lost", pauses.healing),
        ("rest", "at rest", pauses.resting),
    )
    return [
        Row(f"pause-{groups}x{size}-{name}", f"longest pause, {what}, {when}", "ms", size,
            {"most": 50}, LOOP, partial(measure, groups=groups, rounds=3))
        for name, when, measure in kinds
    ]  # fmt: skip


SMALL = {"median": 3.0, "p99": 15.0}

# fmt: off
ROWS = (
    Row("converge-1000", "converge 1,000", "ms", 1000, {"ratio": 4}, FILES,
        partial(measures.converge, rounds=15, infrakit_rounds=5)),
    Row("converge-10000", "converge 10,000", "ms", 10_000, {"ratio": 4}, FILES,
        partial(measures.converge, rounds=7, infrakit_rounds=3)),
    *(_heal(size, SMALL) for size in (5, 100, 1000)),
    _heal(10_000, {"median": 8.0, "p99": 25.0}),
    Row("heal-half-of-10000", "heal 5,000 of 10,000", "ms", 10_000, {"median": 800}, FILES,
        partial(measures.heal, share=0.5, rounds=7, infrakit_rounds=3)),
    Row("describe-10000", "describe 10,000 over RPC", "ms", 10_000, {"median": 25}, DOCUMENTS,
        partial(measures.describe, rounds=30)),
    Row("roll-100", "rolling update of 100, 10 at a time", "ms", 100, {"median": 500}, FILES,
        partial(measures.roll, rounds=10)),
    Row("idle-10000", "idle with 10,000, share of a core", "%", 10_000, {"median": 0.5}, NOTHING,
        partial(measures.idle, rounds=3)),
    Row("memory-10000", "memory after 10,000, largest plugin", "MB", 10_000, {"median": 50},
        NOTHING, partial(measures.remembering, rounds=3)),
    Row("start", "start three plugins", "ms", 0, {"median": 150}, IMPORTS,
        partial(measures.start, rounds=20)),
    Row("command", "infrakit group describe of 5", "ms", 5, {"median": 110}, IMPORTS,
        partial(measures.describe_by_command, rounds=30)),
    Row("plain-1000", "converge 1,000 on plain plugins", "ms", 1000, {"ratio": 3}, ALL_OFFERED,
        partial(measures.plain, rounds=10)),
    *_pauses(200, 50),
    *_pauses(1, 10_000),
)
# fmt: on


if __name__ == "__main__":
    parser = arguments("how fast it is, against what the same work costs by hand")
    main("bench", ROWS, parser, infrakit=infrakit_programs())
