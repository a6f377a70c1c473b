"""What the charts show, in words made from the figures: for those who cannot see them, and for the
pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .results import Figure, number
from .scale import ASPECTS, aspect

FACTOR = 1.5
"""Cost has stopped being linear where an instance costs so many times the least, and healing has
stopped being constant.
"""


class Target(NamedTuple):
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


def targets(figures: Sequence[Figure]) -> list[Target]:
    """Return a line for each target of each row; a ratio is turned into what it allows."""
    lines = []
    for row in figures:
        for name, limit in row["limits"].items():
            figure = "median" if name == "ratio" else name
            floor, peer = row["floor"]["median"], row["infrakit"]
            target = limit * floor if name == "ratio" else limit
            lines.append(
                Target(
                    f"{row['what']}, p99" if name == "p99" else row["what"],
                    row["unit"],
                    row["ours"][figure],
                    target,
                    number(target) if name == "ratio" else f"{limit:g}",
                    row["met"][name],
                    floor if figure != "p99" and floor else None,
                    peer and peer[figure],
                )
            )
    return lines


def of_bench(figures: Sequence[Figure]) -> str:
    """Say what the chart of the table shows."""
    lines = targets(figures)
    missed = [
        f"{line.what} ({number(line.value)} {line.unit}, target {line.limit})"
        for line in lines
        if not line.met
    ]
    best = min(lines, key=lambda line: line.value / line.target)
    beside = [(line.infrakit, line) for line in lines if line.infrakit is not None]
    told = f"Missed: {'; '.join(missed)}. " if missed else ""
    peer = "InfraKit's own programs were not measured."
    if beside:
        most, line = max(beside, key=lambda one: one[0] / (one[1].value or 1))
        slower = sum(their > one.value for their, one in beside)
        peer = (
            f"InfraKit's own programs need more in {slower} "
            f"of the {len(beside)} lines where they were measured, most in {line.what}: "
            f"{number(most)} {line.unit} where ours need {number(line.value)}."
        )
    return (
        "A chart with a line for each figure, on a logarithmic scale where 1 is its target. "
        f"{len(lines) - len(missed)} of {len(lines)} targets are met. {told}"
        f"Farthest below its target: {best.what}, {number(best.value)} {best.unit} of "
        f"{best.limit}. {peer}"
    )


class Curve(NamedTuple):
    """One aspect over the sizes; ``each``: what an instance costs, or the whole where one instance
    is the work.
    """

    sizes: list[int]
    ours: list[float]
    floor: list[float]
    each: list[float]

    @property
    def steady(self) -> int | None:
        """The first size from which on the cost stays within ``FACTOR`` times the least."""
        return self._from(dear=False)

    @property
    def bend(self) -> int | None:
        """The first size from which on the cost is more; None if it is not at the end."""
        return self._from(dear=True)

    def _from(self, *, dear: bool) -> int | None:
        least = FACTOR * min(self.each)
        found = [(cost > least) == dear for cost in self.each]
        return next((size for place, size in enumerate(self.sizes) if all(found[place:])), None)


def curve(figures: Sequence[Figure], name: str) -> Curve:
    """Return one aspect of a run over sizes."""
    rows = aspect(figures, name)
    ours, floor = ([row[who]["median"] for row in rows] for who in ("ours", "floor"))
    sizes = [row["size"] for row in rows]
    each = [cost / size for cost, size in zip(ours, sizes, strict=True)]
    return Curve(sizes, ours, floor, each if name == "describe" else ours)


def of_scale(figures: Sequence[Figure]) -> str:
    """Say what the chart of the sizes shows."""
    curves = {name: curve(figures, name) for name in ASPECTS}
    first, last = (f"{curves['converge'].sizes[place]:,}" for place in (0, -1))
    said = {
        "converge": ("To converge costs", " µs an instance", "", "an instance costs"),
        "heal": ("To heal one takes", " ms", " ms", "it takes"),
        "describe": ("To describe all takes", " ms", " ms", "an instance costs"),
    }
    return " ".join(
        [
            f"Three charts of cost over the number of instances, from {first} to {last}, each "
            "above its floor."
        ]
        + [
            f"{costs} {number(one.ours[0])}{unit} at {first} and {number(one.ours[-1])}{again} at "
            f"{last}; {_bent(one, each)}."
            for one, (costs, unit, again, each) in zip(curves.values(), said.values(), strict=True)
        ]
    )


def _bent(one: Curve, costs: str) -> str:
    if one.bend is None:
        return f"from {one.steady:,} instances on {costs} at most {FACTOR:g} times the least"
    return f"from {one.bend:,} instances on {costs} more than {FACTOR:g} times the least"
