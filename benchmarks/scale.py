"""Measures how cost grows with size: to converge, to heal one, to describe, from 10 instances to
50,000, each with its floor.

Run as ``python -m benchmarks.scale [--json FILE]``; needs about four minutes.
"""

from __future__ import annotations

from collections.abc import Sequence

from . import measures
from .bench import Bench, arguments, main
from .floors import DOCUMENTS, FILES
from .results import Figure, Measured, Row, number

SIZES = (10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 50_000)
ASPECTS = {"converge": "µs per instance", "heal": "ms", "describe": "ms"}
"""What is measured at each size, and in which unit."""


def rounds(size: int, most: int) -> int:
    """Return how often something is measured: fewer times where it takes long."""
    return max(3, min(most, 20_000 // size))


def converge(bench: Bench, size: int) -> Measured:
    """Converge a group of so many."""
    return measures.converge(bench, size, rounds(size, 10), 1)


def heal(bench: Bench, size: int) -> Measured:
    """Heal one of so many."""
    return measures.heal(bench, size, 0.0, rounds(size, 30), 1)


def describe(bench: Bench, size: int) -> Measured:
    """Describe so many."""
    return measures.describe(bench, size, rounds(size, 20))


FLOORS = {converge: FILES, heal: FILES, describe: DOCUMENTS}
ROWS = [
    Row(f"{name}-{size}", f"{name} {size:,}", ASPECTS[name], size, {}, floor, measure)
    for size in SIZES
    for measure, floor in FLOORS.items()
    for name in (measure.__name__,)
]


def aspect(figures: Sequence[Figure], name: str) -> list[Figure]:
    """Return the figures of one aspect, by size."""
    return [row for row in figures if row["row"].startswith(f"{name}-")]


def table(figures: Sequence[Figure]) -> str:
    """Lay the medians out for people: a line for each size."""
    heads = (f"{f'{name}, {unit}':>28}{'floor':>9}{'ratio':>8}" for name, unit in ASPECTS.items())
    lines = [f"{'instances':>9}{''.join(heads)}"]
    for rows in zip(*(aspect(figures, name) for name in ASPECTS), strict=True):
        line = f"{rows[0]['size']:>9,}"
        for row in rows:
            ours, floor = (number(row[who]["median"]) for who in ("ours", "floor"))
            line += f"{ours:>28}{floor:>9}{number(row['ratio']):>7}x"
        lines.append(line)
    return "\n".join(lines)


if __name__ == "__main__":
    main(
        "scale",
        ROWS,
        arguments("how cost grows with size, against what the same work costs by hand"),
        table,
    )
