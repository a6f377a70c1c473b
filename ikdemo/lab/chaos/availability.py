"""Availability against the rate of failures and the poll interval: simulated, measured where an
experiment was made, and theory.

Every simulated point is an ``Experiment`` on a ``Simulated`` group, so the real planner heals.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

from ...reconcile.analysis.recovery import expected_availability
from ...reconcile.analysis.theory import Interval, bootstrap
from ...spi.errors import IkdemoError
from ..show.tables import Table
from .experiment import Experiment
from .findings import Findings
from .results import FigureResult, say_agreement, say_share
from .subjects import Simulated

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RARE = 0.2
"""Kills per poll and instance up to which kills are rare enough for the simple theory."""


class SweepPoint(NamedTuple):
    """Availability at one rate (kills per second and instance) and poll (seconds), with its
    interval.
    """

    rate: float
    poll: float
    provision: float
    value: float
    interval: Interval
    kills: int
    simulated: bool

    @property
    def theory(self) -> float:
        """What theory says of rare kills."""
        return expected_availability(self.rate, self.poll, self.provision)

    @property
    def agrees(self) -> bool:
        """Whether theory lies within the interval."""
        return self.interval.holds(self.theory)

    @property
    def rare(self) -> bool:
        """Whether the theory's supposition holds: hardly ever two kills of one slot within one
        poll.
        """
        return self.rate * self.poll <= RARE


@dataclass(frozen=True, repr=False)
class Sweep(FigureResult):
    """Availability at every rate and poll that was tried. In a notebook it shows itself as a
    figure.
    """

    points: tuple[SweepPoint, ...]

    @property
    def polls(self) -> list[float]:
        return sorted({point.poll for point in self.points})

    def table(self) -> Table:
        """Set every point beside its theory, and say where that cannot hold; what is not called
        measured is simulated.
        """
        rows = [
            (
                f"{one.poll:g} s",
                f"{one.rate:g}",
                say_share(one.value) + ("" if one.simulated else ", measured"),
                f"{say_share(one.interval.low)} to {say_share(one.interval.high)}",
                say_share(one.theory),
                say_agreement(one.agrees),
                "yes" if one.rare else f"no, {one.rate * one.poll:.2g} a poll",
            )
            for one in self.points
        ]
        return Table(
            ["poll", "rate", "availability", "95 % interval", "theory", "agrees", "kills are rare"],
            rows,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return every point as plain values, ready for JSON."""
        return {
            "points": [
                {**one._asdict(), "interval": list(one.interval), "theory": one.theory}
                for one in self.points
            ]
        }

    @property
    def title(self) -> str:
        return "The rarer the failures and the quicker the look, the more is up"

    @property
    def words(self) -> str:
        rare = [point for point in self.points if point.rare]
        said = [f"Availability at {len(self.points)} points: theory lies within the interval of"]
        said.append(
            f"{sum(point.agrees for point in rare)} of {len(rare)} where kills are rare, and of"
        )
        often = [point for point in self.points if not point.rare]
        said.append(f"{sum(point.agrees for point in often)} of {len(often)} where they are not.")
        for poll in self.polls:
            line = [point for point in self.points if point.poll == poll]
            first, last = min(line, key=lambda one: one.rate), max(line, key=lambda one: one.rate)
            ends = (
                f"{say_share(first.value)} at rate {first.rate:g}, {say_share(last.value)} at "
                f"{last.rate:g}"
            )
            said.append(f"Look every {poll:g} s: {ends}.")
        return " ".join(said)

    def figure(self) -> Figure:
        """Draw availability against the rate of failures, a line for each poll interval."""
        from .figures import draw_sweep

        return draw_sweep(self)


def availability(
    polls: Sequence[float],
    rates: Sequence[float],
    *,
    provision: float = 1.0,
    kills: int = 200,
    measured: Iterable[Findings] = (),
    seed: int = 1,
) -> Sweep:
    """Try every poll interval (seconds) with every rate on a simulated group of five; ``measured``
    experiments are added.
    """
    points = [point_of(one, simulated=False) for one in measured]
    for poll in polls:
        for rate in rates:
            group = Simulated(poll=poll, provision=provision)
            chaos = Experiment(group, kills=kills, rate=rate, least=0, seed=seed)
            points.append(point_of(chaos.run(), simulated=True))
    if not points:
        raise IkdemoError(
            "There is nothing to show: name some polls and rates, or measured experiments"
        )
    return Sweep(tuple(sorted(points, key=lambda one: (one.poll, one.rate))))


def point_of(found: Findings, *, simulated: bool) -> SweepPoint:
    """Return an experiment as one point; raises IkdemoError when no poll was supposed in it."""
    if found.poll is None:
        raise IkdemoError(
            f"The experiment on {found.group!r} supposed no poll; say Experiment(..., poll=SECONDS)"
        )
    interval = bootstrap(found.shares, fmean, random.Random(found.seed).random)
    return SweepPoint(
        found.rate,
        found.poll,
        found.provision,
        found.availability,
        interval,
        len(found.kills),
        simulated,
    )
