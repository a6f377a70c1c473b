"""From what was measured to what is kept: medians, spreads, ratios, and whether a target was met.

The JSON of a run is made here and nowhere else. Called by ``__main__``; the results are read by
``table`` and ``chart``.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from .bench import Measured
from .report import spread
from .rows import Row

DIGITS = 4


def kept(row: Row, size: int, found: Measured) -> dict[str, Any]:
    """Return one row as it is kept, measured with so many instances."""
    ours, floor = summary(found.ours), summary(found.floor)
    ratio = rounded(ours["median"] / floor["median"]) if floor["median"] else None
    return {
        "row": row.name,
        "what": row.what,
        "unit": row.unit,
        "size": size,
        "limits": dict(row.limits),
        "met": met(row.limits, ours, ratio),
        "ours": ours,
        "floor": floor,
        "floor_is": row.floor,
        "ratio": ratio,
        "infrakit": summary(found.infrakit) if found.infrakit else None,
        "parts": {name: rounded(value) for name, value in found.parts.items()},
    }


def summary(values: list[float]) -> dict[str, Any]:
    """Return what is told of one series of figures, and the figures."""
    ordered = sorted(values)
    tenth, nine_tenths = spread(values)
    p99 = (
        statistics.quantiles(ordered, n=100, method="inclusive")[98]
        if len(ordered) > 1
        else ordered[0]
    )
    told = {
        "median": statistics.median(ordered),
        "tenth": tenth,
        "nine_tenths": nine_tenths,
        "p99": p99,
        "most": ordered[-1],
    }
    figures: dict[str, Any] = {
        "runs": len(values),
        **{name: rounded(value) for name, value in told.items()},
    }
    return {**figures, "values": [rounded(value) for value in values]}


def met(
    limits: Mapping[str, float], ours: Mapping[str, float], ratio: float | None
) -> dict[str, bool]:
    """Say of each limit whether it was kept."""
    figures = {**ours, "ratio": float("inf") if ratio is None else ratio}
    return {name: figures[name] <= limit for name, limit in limits.items()}


def rounded(value: float) -> float:
    """Return a figure to four digits: more were not measured."""
    return float(f"{value:.{DIGITS}g}")
