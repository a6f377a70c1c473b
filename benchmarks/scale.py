"""Measures how cost grows with size: to converge, to heal one, to describe, from 10 instances to
50,000, each with its floor.

Run as ``python -m benchmarks.scale [--json FILE]``; needs about four minutes. ``chart`` draws what
it keeps.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from . import asking, keeping
from .bench import Bench, Measured, bench
from .figures import rounded, summary
from .report import about, arguments, heading
from .table import number

SIZES = (10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 50_000)
QUICK_SIZES = (2, 10)
ASPECTS = {"converge": "µs per instance", "heal": "ms", "describe": "ms"}
"""What is measured at each size, and in which unit."""


def rounds(size: int, most: int) -> int:
    """Return how often something is measured: fewer times where it takes long."""
    return max(3, min(most, 20_000 // size))


def measure(run: Bench, size: int) -> dict[str, Any]:
    """Measure one size."""
    found: dict[str, Measured] = {
        "converge": keeping.converge(run, size, rounds(size, 10), 1).scaled(1000 / size),
        "heal": keeping.heal(run, size, 0.0, rounds(size, 30), 1),
        "describe": asking.describe(run, size, rounds(size, 20)),
    }
    return {
        "size": size,
        **{
            name: {"ours": summary(one.ours), "floor": summary(one.floor)}
            for name, one in found.items()
        },
    }


def table(figures: Sequence[Mapping[str, Any]]) -> str:
    """Lay the medians out for people."""
    lines = [
        f"{'instances':>9}"
        + "".join(
            f"{f'{name}, {unit}':>28}{'floor':>9}{'ratio':>8}" for name, unit in ASPECTS.items()
        )
    ]
    for row in figures:
        line = f"{row['size']:>9,}"
        for name in ASPECTS:
            ours, floor = row[name]["ours"]["median"], row[name]["floor"]["median"]
            line += f"{number(ours):>28}{number(floor):>9}{number(rounded(ours / floor)):>7}x"
        lines.append(line)
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and keep the figures where asked to."""
    parser = arguments("how cost grows with size, against what the same work costs by hand")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="two small sizes: tries the benchmark, measures nothing",
    )
    given = parser.parse_args()
    facts = {"kind": "scale", **about(given.seed), "quick": given.quick}
    figures = []
    with bench(given.seed, quick=given.quick) as run:
        for size in QUICK_SIZES if given.quick else SIZES:
            print(f"{size:,} instances ...", file=sys.stderr, flush=True)
            figures.append(measure(run, size))
    print(heading(facts), table(figures), sep="\n\n")
    if given.json is not None:
        given.json.write_text(json.dumps({**facts, "figures": figures}, indent=1) + "\n")


if __name__ == "__main__":
    main()
