"""What the charts show, in words made from the figures: for those who cannot see them, and for the
pages.

Called by ``chart`` and ``pages``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .table import number

FACTOR = 1.5
"""Cost has stopped being linear where an instance costs so many times the least, and healing has
stopped being constant.
"""


class Held(NamedTuple):
    """One figure and the target that it is held to, in the row's unit; ``floor`` and ``infrakit``
    where they are known.

    ``limit``: the target as it was set, or as the ratio to the floor makes it.
    """

    what: str
    unit: str
    value: float
    target: float
    limit: str
    met: bool
    floor: float | None
    infrakit: float | None

    @property
    def label(self) -> str:
        """The figure beside its target."""
        return f"{number(self.value)} of {self.limit} {self.unit}{'' if self.met else ', missed'}"


def held(figures: Sequence[Mapping[str, Any]]) -> list[Held]:
    """Return a line for each target of each row; a ratio is turned into what it allows."""
    lines = []
    for row in figures:
        for name, limit in row["limits"].items():
            figure = "median" if name == "ratio" else name
            what = f"{row['what']}, p99" if name == "p99" else row["what"]
            floor, peer = row["floor"]["median"], row["infrakit"]
            lines.append(
                Held(
                    what,
                    row["unit"],
                    row["ours"][figure],
                    limit * floor if name == "ratio" else limit,
                    number(limit * floor) if name == "ratio" else f"{limit:g}",
                    row["met"][name],
                    floor if figure != "p99" and floor else None,
                    None if peer is None else peer[figure],
                )
            )
    return lines


def of_bench(figures: Sequence[Mapping[str, Any]]) -> str:
    """Say what the chart of the table shows."""
    lines = held(figures)
    missed = [
        f"{line.what} ({number(line.value)} {line.unit}, target {line.limit})"
        for line in lines
        if not line.met
    ]
    best = min(lines, key=lambda line: line.value / line.target)
    said = [
        "A chart with a line for each figure, on a logarithmic scale where 1 is its target.",
        f"{len(lines) - len(missed)} of {len(lines)} targets are met.",
        f"Missed: {'; '.join(missed)}." if missed else "",
        f"Farthest below its target: {best.what}, {number(best.value)} {best.unit} of "
        f"{best.limit}.",
    ]
    slower = [line for line in lines if line.infrakit is not None and line.infrakit > line.value]
    beside = [line for line in lines if line.infrakit is not None]
    if beside:
        most = max(beside, key=lambda line: (line.infrakit or 0) / line.value if line.value else 0)
        said.append(
            f"InfraKit's own programs need more in {len(slower)} of the {len(beside)} lines "
            "where they were measured,"
        )
        said.append(
            f"most in {most.what}: {number(most.infrakit or 0)} {most.unit} where ours need "
            f"{number(most.value)}."
        )
    else:
        said.append("InfraKit's own programs were not measured.")
    return " ".join(part for part in said if part)


class Curve(NamedTuple):
    """One aspect over the sizes; ``each``: what an instance costs, or the whole where one instance
    is the work.
    """

    sizes: list[int]
    ours: list[float]
    floor: list[float]
    each: list[float]

    @property
    def steady(self) -> int:
        """The first size from which on the cost stays within ``FACTOR`` times the least, where it
        does so to the end.
        """
        dear = [
            size
            for size, cost in zip(self.sizes, self.each, strict=True)
            if cost > FACTOR * min(self.each)
        ]
        return next(size for size in self.sizes if not dear or size > dear[-1])

    @property
    def bend(self) -> int | None:
        """The first size, beyond the cheapest, from which on the cost is ``FACTOR`` times the
        least; None if it stays below.
        """
        cheapest = self.each.index(min(self.each))
        dear = [cost > FACTOR * self.each[cheapest] for cost in self.each]
        for place in range(cheapest, len(self.sizes)):
            if all(dear[place:]):
                return self.sizes[place]
        return None


def curve(figures: Sequence[Mapping[str, Any]], aspect: str) -> Curve:
    """Return one aspect of a run over sizes."""
    sizes = [row["size"] for row in figures]
    ours, floor = ([row[aspect][who]["median"] for row in figures] for who in ("ours", "floor"))
    each = (
        [cost / size for cost, size in zip(ours, sizes, strict=True)]
        if aspect == "describe"
        else ours
    )
    return Curve(sizes, ours, floor, each)


def of_scale(figures: Sequence[Mapping[str, Any]]) -> str:
    """Say what the chart of the sizes shows."""
    converge, heal, describe = (
        curve(figures, aspect) for aspect in ("converge", "heal", "describe")
    )
    first, last = f"{converge.sizes[0]:,}", f"{converge.sizes[-1]:,}"
    return " ".join(
        (
            f"Three charts of cost over the number of instances, from {first} to {last}, each "
            "above its floor.",
            f"To converge costs {number(converge.ours[0])} µs an instance at {first} and "
            f"{number(converge.ours[-1])} at {last};",
            f"{_bent(converge, 'an instance costs')}.",
            f"To heal one takes {number(heal.ours[0])} ms at {first} and {number(heal.ours[-1])} "
            f"ms at {last};",
            f"{_bent(heal, 'it takes')}.",
            f"To describe all takes {number(describe.ours[0])} ms at {first} and "
            f"{number(describe.ours[-1])} ms at {last};",
            f"{_bent(describe, 'an instance costs')}.",
        )
    )


def _bent(one: Curve, costs: str) -> str:
    if one.bend is None:
        return f"from {one.steady:,} instances on {costs} at most {FACTOR:g} times the least"
    return f"from {one.bend:,} instances on {costs} more than {FACTOR:g} times the least"
