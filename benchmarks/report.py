"""What was measured, as a table for people and as JSON: medians, spreads, and ratios to the floor
of the same run.

Called by ``processes`` and ``containers``; every benchmark says from here what machine it ran on.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

SEED = 101


def spread(values: list[float]) -> tuple[float, float]:
    """Return what a tenth of the values is below, and above."""
    ordered = sorted(values)
    tenth = (len(ordered) - 1) // 10
    return ordered[tenth], ordered[-1 - tenth]


class Timing(NamedTuple):
    """How long one way of healing took: in seconds, ``math.inf`` where it was given up waiting.

    ``fault``: what was done to ``at_once`` instances. ``is_floor``: the others of the same fault
    are compared with it.
    """

    who: str
    fault: str
    at_once: int
    times: list[float]
    is_floor: bool = False

    @property
    def median(self) -> float:
        return statistics.median_low(self.times)

    @property
    def spread(self) -> tuple[float, float]:
        """The times that a tenth of the runs was below, and above."""
        return spread(self.times)

    def summary(self, floor: Timing) -> dict[str, Any]:
        """Return the figures to print and to keep; None stands for never."""
        ratio = self.median / floor.median
        return {
            "who": self.who,
            "fault": self.fault,
            "at_once": self.at_once,
            "runs": len(self.times),
            "never": self.times.count(math.inf),
            "median_ms": _kept(self.median * 1000),
            "tenth_ms": _kept(self.spread[0] * 1000),
            "nine_tenths_ms": _kept(self.spread[1] * 1000),
            "ratio": _kept(ratio),
            "times_ms": [_kept(seconds * 1000) for seconds in self.times],
        }


def summaries(timings: list[Timing]) -> list[dict[str, Any]]:
    """Return the figures of all, each compared with the floor of its fault and number."""
    floors = {(one.fault, one.at_once): one for one in timings if one.is_floor}
    return [one.summary(floors[one.fault, one.at_once]) for one in timings]


def table(rows: list[dict[str, Any]]) -> str:
    """Lay the figures out for people."""
    lines = [
        f"{'fault':22}{'at once':>8}  "
        f"{'who':34}{'runs':>5}{'median ms':>11}{'10 to 90 %':>16}{'ratio':>7}"
    ]
    before = None
    for row in rows:
        what = (row["fault"], row["at_once"])
        left = f"{'':30}" if what == before else f"{what[0]:22}{what[1]:>8}"
        before = what
        low, high = (_said(row[name]) for name in ("tenth_ms", "nine_tenths_ms"))
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
        lost = f"  never: {row['never']}" if row["never"] else ""
        spread = f"{low} to {high}"
        lines.append(
            f"{left}  {row['who']:34}{row['runs']:>5}{_said(row['median_ms']):>11}{spread:>16}{ratio:>7}{lost}"
        )
    return "\n".join(lines)


def arguments(description: str) -> argparse.ArgumentParser:
    """Return a parser with what every measurement understands."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the figures to this file"
    )
    parser.add_argument(
        "--seed", type=int, default=SEED, help=f"which instances are killed (default {SEED})"
    )
    return parser


def machine() -> str:
    """Name the kind of machine."""
    return f"{platform.system()} {platform.release()} {platform.machine()}, {os.cpu_count()} cores"


def about(seed: int) -> dict[str, Any]:
    """Return what a run is kept with: its day, the machine and how busy it was, Python, the
    seed.
    """
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "python": platform.python_version(),
        "load": [round(load, 2) for load in os.getloadavg()],
        "seed": seed,
    }


def heading(facts: Mapping[str, Any]) -> str:
    """Say in a line or two what ``about`` and a run know of themselves."""
    load = " ".join(f"{load:.2f}" for load in facts["load"])
    line = (
        f"{facts['date']}, {facts['machine']}, Python {facts['python']}, load {load} at the "
        f"beginning, seed {facts['seed']}"
    )
    return (
        f"{line}\nQUICK: ten instances and two rounds at most; the figures say nothing"
        if facts.get("quick")
        else line
    )


def publish(timings: list[Timing], seed: int, where: Path | None, more: Mapping[str, str]) -> None:
    """Print the table with the machine it is of, and keep the figures where asked to."""
    facts = {**about(seed), **more}
    rows = summaries(timings)
    print(
        f"{heading(facts)}{''.join(f', {name} {value}' for name, value in more.items())}\n\n{table(rows)}"
    )
    if where is not None:
        where.write_text(json.dumps({**facts, "figures": rows}, indent=2) + "\n")


def _kept(number: float) -> float | None:
    return None if math.isinf(number) or math.isnan(number) else round(number, 3)


def _said(milliseconds: float | None) -> str:
    return "never" if milliseconds is None else f"{milliseconds:.0f}"
