"""What an experiment found: every kill as data, and the times to recover beside what theory says of them.

The arithmetic is ``reconcile.theory``, the drawing ``chaos_figure``. Made by ``Experiment.run``.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, fields
from functools import cached_property
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from ..reconcile.recovery import expected_availability, expected_recovery
from ..spi.errors import IkdemoError
from .chaos_kills import Kill
from .chaos_measure import Measure, measure, p95, say_share, side_by_side
from .check import Check, Point
from .picture import faces, svg_text
from .recovery import Recovery
from .table import Table, say_seconds

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EACH = 1 - 0.05 / 4
"""Confidence of each interval, so that all four hold with 95 %."""
BY_CHANCE = "if theory is near, it may be chance (1 experiment in 20): take more kills; if it is far, something else heals"


@dataclass(frozen=True)
class Findings:
    """One finished experiment. Times are in seconds; ``rate`` is kills per second and instance.

    ``poll`` is what was supposed of the loop, None for nothing. ``shares``: for each slot and slice of time, the share of it in
    which the slot was filled. ``spared``: kills that were due and not made, because too few instances were left. ``left`` says
    in words how the group was left, ``whole`` whether that is as wanted.
    """

    group: str
    size: int
    seed: int
    rate: float
    poll: float | None
    seconds: float
    kills: tuple[Kill, ...]
    shares: tuple[float, ...]
    spared: int
    whole: bool
    left: str
    recovery: Recovery = field(repr=False, compare=False)

    def times(self) -> list[float]:
        """Return the time to recover of every kill that was healed; raises IkdemoError if there are fewer than two."""
        found = [kill.filled for kill in self.kills if kill.filled is not None]
        if len(found) < 2:
            raise IkdemoError(f"{len(found)} of {len(self.kills)} kills were healed, too few to measure. Afterwards: {self.left}")
        return found

    @property
    def provision(self) -> float:
        """L: the median time from the first look that saw a loss until its slot was filled."""
        return median([k.filled - k.noticed for k in self.kills if k.filled is not None and k.noticed is not None] or [0.0])

    @property
    def availability(self) -> float:
        """The share of time in which a slot was filled."""
        return fmean(self.shares)

    @cached_property
    def measures(self) -> tuple[Measure, ...]:
        """Mean, median and 95th percentile of the times to recover, and the availability, each beside its theory.

        The intervals hold the four true values together with 95 % confidence, so each is a little wider than a single one.
        """
        mean, most, available = None, None, None
        if self.poll is not None:
            mean, most = expected_recovery(self.poll, self.provision)
            available = expected_availability(self.rate, self.poll, self.provision)
        times, dice = self.times(), random.Random(self.seed).random
        return (
            measure("mean", times, fmean, dice, mean, confidence=EACH),
            measure("median", times, median, dice, mean, confidence=EACH),
            measure("p95", times, p95, dice, most, confidence=EACH),
            measure("availability", self.shares, fmean, dice, available, say_share, EACH),
        )

    def table(self) -> Table:
        """Set what was measured beside what theory says."""
        return side_by_side(self.measures)

    def strikes(self) -> Table:
        """List every kill."""
        rows = [(f"{k.at:.2f}", k.slot or "-", k.instance, say_seconds(k.noticed), say_seconds(k.filled)) for k in self.kills]
        return Table(["seconds", "slot", "instance", "noticed after", "filled after"], rows, empty="Nothing was killed.")

    def check(self, kills: int = 50) -> Check:
        """Check that enough was killed, that all of it came back, and that theory agrees; say what to do if not."""
        done, healed = len(self.kills), sum(kill.filled is not None for kill in self.kills)
        points = [
            Point(done >= kills, f"at least {kills} instances were killed", f"there were {done}: allow more kills"),
            Point(healed == done, "each of them was replaced", f"{healed} of {done} were. Afterwards: {self.left}"),
            Point(self.whole, "the group is as wanted afterwards", self.left),
        ]
        if self.poll is not None and healed > 1:
            points += [Point(bool(one.agrees), f"{one.name}: theory is within the interval", BY_CHANCE) for one in self.measures]
        return Check(points)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, ready for JSON."""
        plain = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "recovery"}
        kills, measures = [kill._asdict() for kill in self.kills], [one.to_dict() for one in self.measures]
        return {**plain, "kills": kills, "shares": list(self.shares), "measures": measures}

    @property
    def title(self) -> str:
        """What stands above the picture."""
        return f"Group {self.group}, {len(self.kills)} kills: how long a slot stayed empty"

    @property
    def words(self) -> str:
        """The picture, told in words."""
        return f"Group {self.group}, {len(self.kills)} kills. Time to recover: {'; '.join(one.words for one in self.measures)}."

    def figure(self) -> Figure:
        """Draw the distribution of the times to recover, with the line of the theory."""
        from .chaos_figure import draw_times

        return draw_times(self)

    def svg(self) -> str:
        """Return the figure as SVG text with title and description."""
        return svg_text(self)

    def __repr__(self) -> str:
        return self.words

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return faces(self)
