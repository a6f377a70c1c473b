"""What an experiment found: every kill as data, and the times to recover beside what theory says of
them.

The arithmetic is in ``reconcile.analysis.theory``, the drawing in ``figures``.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, fields
from functools import cached_property
from statistics import fmean, median
from typing import TYPE_CHECKING, Any, NamedTuple

from ...reconcile.analysis.lives import Life
from ...reconcile.analysis.recovery import expected_availability, expected_recovery
from ...reconcile.analysis.service import NOTICED
from ...spi.errors import IkdemoError
from ..show.recovery_report import Recovery
from ..show.tables import Table, say_seconds
from ..teaching.check import Check, Point
from .results import FigureResult, Measure, measure, p95, say_share, side_by_side

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EACH = 1 - 0.05 / 4
"""Confidence of each interval, so that all four hold with 95 %."""
BY_CHANCE = (
    "if theory is near, it may be chance (1 experiment in 20): take more kills; if it is "
    "far, something else heals"
)


@dataclass(frozen=True, repr=False)
class Findings(FigureResult):
    """One finished experiment. Times are in seconds; ``rate`` is kills per second and instance.

    ``poll`` is what was supposed of the loop, None for nothing. ``shares``: for each slot and slice
    of time, the share of it in which the slot was filled. ``spared``: kills that were due and not
    made, because too few instances were left. ``left`` says in words how the group was left,
    ``whole`` whether that is as wanted.
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
    recovery: Recovery = field(compare=False)

    def times(self) -> list[float]:
        """Return the time to recover of every kill that was healed."""
        return [kill.filled for kill in self.kills if kill.filled is not None]

    @property
    def provision(self) -> float:
        """L: the median time from the first look that saw a loss until its slot was filled."""
        return median(
            [
                k.filled - k.noticed
                for k in self.kills
                if k.filled is not None and k.noticed is not None
            ]
            or [0.0]
        )

    @property
    def availability(self) -> float:
        """The share of time in which a slot was filled."""
        return fmean(self.shares)

    @cached_property
    def measures(self) -> tuple[Measure, ...]:
        """Mean, median and 95th percentile of the times to recover, and the availability, each
        beside its theory.

        The intervals hold the four true values together with 95 % confidence, so each is a little
        wider than a single one. Empty when fewer than two kills were healed.
        """
        times, dice = self.times(), random.Random(self.seed).random
        if len(times) < 2:
            return ()
        mean, most, available = None, None, None
        if self.poll is not None:
            mean, most = expected_recovery(self.poll, self.provision)
            available = expected_availability(self.rate, self.poll, self.provision)
        return (
            measure("mean", times, fmean, dice, mean, confidence=EACH),
            measure("median", times, median, dice, mean, confidence=EACH),
            measure("p95", times, p95, dice, most, confidence=EACH),
            measure("availability", self.shares, fmean, dice, available, say_share, EACH),
        )

    def table(self) -> Table:
        """Set what was measured beside what theory says; there is no row when fewer than two kills
        were healed.
        """
        return side_by_side(self.measures)

    def strikes(self) -> Table:
        """List every kill."""
        rows = [
            (
                f"{k.at:.2f}",
                k.slot or "-",
                k.instance,
                say_seconds(k.noticed),
                say_seconds(k.filled),
            )
            for k in self.kills
        ]
        return Table(
            ["seconds", "slot", "instance", "noticed after", "filled after"],
            rows,
            empty="Nothing was killed.",
        )

    def check(self, kills: int = 50) -> Check:
        """Check that enough was killed, that all of it came back, and that theory agrees; say what
        to do if not.
        """
        done, healed = len(self.kills), sum(kill.filled is not None for kill in self.kills)
        points = [
            Point(
                done >= kills,
                f"at least {kills} instances were killed",
                f"there were {done}: allow more kills",
            ),
            Point(
                healed == done,
                "each of them was replaced",
                f"{healed} of {done} were. Afterwards: {self.left}",
            ),
            Point(self.whole, "the group is as wanted afterwards", self.left),
        ]
        if self.poll is not None:
            points += [
                Point(bool(one.agrees), f"{one.name}: theory is within the interval", BY_CHANCE)
                for one in self.measures
            ]
        return Check(points)

    def to_dict(self) -> dict[str, Any]:
        plain = {
            one.name: getattr(self, one.name) for one in fields(self) if one.name != "recovery"
        }
        kills = [kill._asdict() for kill in self.kills]
        measures = [one.to_dict() for one in self.measures]
        return {**plain, "kills": kills, "shares": list(self.shares), "measures": measures}

    @property
    def title(self) -> str:
        return f"Group {self.group}, {len(self.kills)} kills: how long a slot stayed empty"

    @property
    def words(self) -> str:
        story = f"Group {self.group}, {len(self.kills)} kills."
        if not self.measures:
            return (
                f"{story} {len(self.times())} of them were healed, too few to measure. "
                f"Afterwards: {self.left}"
            )
        return f"{story} Time to recover: {'; '.join(one.words for one in self.measures)}."

    def figure(self) -> Figure:
        """Draw the distribution of the times to recover, with the line of the theory."""
        from .figures import draw_times

        if not self.measures:
            raise IkdemoError("There is no picture of fewer than two recoveries")
        return draw_times(self)


SLICES = 10
"""Parts into which the time is cut for the shares of filled slots, so that there are enough of them
to judge by.
"""


class Kill(NamedTuple):
    """One kill: seconds since the experiment began, what it hit, seconds until it was noticed and
    until its slot was filled.
    """

    at: float
    slot: str
    instance: str
    noticed: float | None
    filled: float | None


def kills_of(recovery: Recovery, began: float, ended: float) -> tuple[Kill, ...]:
    """Return the kills of an experiment in time order, each with the next birth in its slot that
    fills no earlier loss.
    """
    births: dict[str, list[float]] = {}
    for life in recovery.lives:
        births.setdefault(life.slot, []).append(life.born)
    looks = [event.time for event in recovery.events if event.kind in NOTICED]
    found = []
    for fault in recovery.events:
        if fault.kind != "fault" or not began <= fault.time <= ended:
            continue
        slot = births.get(fault.slot, [])
        filled = next((born for born in slot if born >= fault.time), None)
        if filled is not None:
            slot.remove(filled)
        noticed = next(
            (look for look in looks if fault.time <= look and (filled is None or look <= filled)),
            None,
        )
        found.append(
            Kill(
                fault.time - began,
                fault.slot,
                fault.instance,
                _since(fault.time, noticed),
                _since(fault.time, filled),
            )
        )
    return tuple(found)


def filled_shares(recovery: Recovery, began: float, ended: float) -> tuple[float, ...]:
    """Return the share of time (0 to 1) in which each slot was filled, for each slice of the time
    from ``began`` to ``ended``.
    """
    length = (ended - began) / SLICES
    slices = [(began + n * length, began + (n + 1) * length) for n in range(SLICES)]
    slots: dict[str, list[Life]] = {}
    for life in recovery.lives:
        if life.born < ended and (life.died is None or life.died > began):
            slots.setdefault(life.slot, []).append(life)
    return tuple(
        min(1.0, sum(_served(life, *cut) for life in lived) / length)
        for lived in slots.values()
        for cut in slices
    )


def _served(life: Life, start: float, end: float) -> float:
    """Return for how many seconds between two times an instance served: it was there, and neither
    silent nor unhealthy.
    """
    there = _overlap(life.born, life.died, start, end)
    return there - sum(_overlap(down.start, down.end, start, end) for down in life.down)


def _overlap(since: float, until: float | None, start: float, end: float) -> float:
    return max(0.0, (end if until is None else min(until, end)) - max(since, start))


def _since(fault: float, time: float | None) -> float | None:
    return None if time is None else time - fault
