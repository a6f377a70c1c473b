"""What a run has measured: the JSON that is kept, and the table that people read.

A run is what ``about`` tells and ``figures``, one for each row: our times, those of its floor and
of others, each with its spread and every single value. None stands for never.
"""

from __future__ import annotations

import math
import os
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from string import ascii_lowercase
from typing import Any, NamedTuple

from ikdemo.spi.text import aligned

HEADS = ("", "median", "10 to 90 %", "p99", "most", "floor", "ratio", "target", "", "InfraKit")
LEFT = (0, 8)

Figure = Mapping[str, Any]


@dataclass
class Measured:
    """What one row found, each several times: seconds, or the row's unit; ``math.inf`` is never.

    ``parts``: what our figure is made of. ``peers``: times of others that do the same.
    """

    ours: list[float] = field(default_factory=list)
    floor: list[float] = field(default_factory=list)
    infrakit: list[float] = field(default_factory=list)
    parts: dict[str, float] = field(default_factory=dict)
    peers: dict[str, list[float]] = field(default_factory=dict)


class Row(NamedTuple):
    """One line of a table; ``measure`` is given the run and the number of instances.

    ``limits``: at most how much the median, the p99 or the most of our figures may be, or the ratio
    of the medians to the floor.
    """

    name: str
    what: str
    unit: str
    size: int
    limits: Mapping[str, float]
    floor: str
    measure: Callable[[Any, int], Measured]


def about(seed: int) -> dict[str, Any]:
    """Return what a run is kept with: its day, the machine and how busy it was, Python, the
    seed.
    """
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{system}, {os.cpu_count()} cores",
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
    quick = "\nQUICK: ten instances and two rounds at most; the figures say nothing"
    return line + quick if facts.get("quick") else line


def kept(row: Row, size: int, found: Measured) -> dict[str, Any]:
    """Return one row as it is kept, measured with so many instances."""
    factor = {"ms": 1e3, "µs per instance": 1e6 / max(1, size)}.get(row.unit, 1.0)

    def told(values: list[float]) -> dict[str, Any] | None:
        return summary([factor * value for value in values]) if values else None

    ours, floor = told(found.ours) or {}, told(found.floor)
    ratio = rounded(ours["median"] / floor["median"]) if floor and floor["median"] else None
    figures = {**ours, "ratio": math.inf if ratio is None else ratio}
    return {
        "row": row.name,
        "what": row.what,
        "unit": row.unit,
        "size": size,
        "limits": dict(row.limits),
        "met": {name: figures[name] <= limit for name, limit in row.limits.items()},
        "ours": ours,
        "floor": floor,
        "floor_is": row.floor,
        "ratio": ratio,
        "infrakit": told(found.infrakit),
        "parts": {name: rounded(factor * value) for name, value in found.parts.items()},
        "peers": {name: told(values) for name, values in found.peers.items()},
    }


def summary(values: list[float]) -> dict[str, Any]:
    """Return what is told of one series of figures, and the figures."""
    percentiles = statistics.quantiles(
        values * 2 if len(values) == 1 else values, n=100, method="inclusive"
    )
    return {
        "runs": len(values),
        "median": rounded(statistics.median(values)),
        "tenth": rounded(percentiles[9]),
        "nine_tenths": rounded(percentiles[89]),
        "p99": rounded(percentiles[98]),
        "most": rounded(max(values)),
        "values": [rounded(value) for value in values],
    }


def rounded(value: float) -> float | None:
    """Return a figure to four digits: more were not measured. None stands for never."""
    return float(f"{value:.4g}") if math.isfinite(value) else None


def number(value: float | None) -> str:
    """Write a figure with about three digits.

    >>> number(0.01234), number(2.345), number(45.67), number(3383.2), number(None)
    ('0.012', '2.35', '45.7', '3,383', 'never')
    """
    if value is None:
        return "never"
    places = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 0.1 or value == 0 else 3
    return f"{value:,.{places}f}"


def text(figures: Sequence[Figure]) -> str:
    """Lay the table out for a terminal."""
    right = set(range(len(HEADS))) - set(LEFT)
    return "\n".join([*aligned(_lines(figures), right), "", *notes(figures)])


def markdown(figures: Sequence[Figure]) -> str:
    """Write the table in Markdown."""
    heads, *lines = _lines(figures)
    ruled = ["---" if column in LEFT else "---:" for column in range(len(heads))]
    laid = [f"| {' | '.join(line)} |" for line in (heads, ruled, *lines)]
    return "\n".join([*laid, "", *(f"- {note}" for note in notes(figures))])


def notes(figures: Sequence[Figure]) -> list[str]:
    """Say what each floor is, what a figure is made of, and how others do."""
    floors = [f"Floor {letter}: {floor}." for floor, letter in _letters(figures).items()]
    parts = {
        row["what"]: [f"{name} {number(part)} {row['unit']}" for name, part in row["parts"].items()]
        + [f"{name} {_ranged(peer, row['unit'])}" for name, peer in row.get("peers", {}).items()]
        for row in figures
    }
    return floors + [f"{what}: {'; '.join(said)}." for what, said in parts.items() if said]


def _lines(figures: Sequence[Figure]) -> list[Sequence[str]]:
    letters = _letters(figures)
    return [HEADS, *(_cells(row, letters.get(row["floor_is"], "")) for row in figures)]


def _letters(figures: Sequence[Figure]) -> dict[str, str]:
    """Give each kind of floor a letter, in the order of the rows."""
    floors = dict.fromkeys(row["floor_is"] for row in figures if row["floor"])
    return dict(zip(floors, ascii_lowercase, strict=False))


def _cells(row: Figure, letter: str) -> list[str]:
    """Return what the columns say of one row; ``letter`` is that of its floor."""
    ours, unit, limits, peer = row["ours"], row["unit"], row["limits"], row["infrakit"]
    missed = [name for name, met in row["met"].items() if not met]
    verdict = "met" if not missed else "MISSED"
    return [
        row["what"],
        f"{number(ours['median'])} {unit}",
        f"{number(ours['tenth'])} to {number(ours['nine_tenths'])}",
        number(ours["p99"]) if "p99" in limits else "",
        number(ours["most"]) if "most" in limits else "",
        f"{number(row['floor']['median'])} {letter}" if row["floor"] else "",
        "" if row["ratio"] is None else f"{number(row['ratio'])}x",
        ", ".join(
            f"{name} {limit:g}{'x' if name == 'ratio' else ' ' + unit}"
            for name, limit in limits.items()
        ),
        verdict + f" ({', '.join(missed)})" * (0 < len(missed) < len(limits)) if limits else "",
        "not measured" if peer is None else f"{number(peer['median'])} {unit}",
    ]


def _ranged(one: Figure, unit: str) -> str:
    if one["median"] is None:
        return "never"
    tenth, nine_tenths = number(one["tenth"]), number(one["nine_tenths"])
    return f"{number(one['median'])} {unit} ({tenth} to {nine_tenths})"
