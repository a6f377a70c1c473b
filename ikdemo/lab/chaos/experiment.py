"""A chaos experiment: a steady state, random kills within limits, a way back. Showing it does
nothing; ``run`` does it.

The kills are a Poisson process with a seed: the next one cannot be foreseen, and the same seed
plans the same moments. What is killed, and how, is decided by its ``Subject``.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from ...reconcile.analysis.theory import arrivals
from ...spi.errors import IkdemoError
from ...spi.text import visible
from ..lab import Lab
from ..show.tables import Table, visible_html
from ..teaching.check import Check
from .findings import Findings, filled_shares, kills_of
from .subjects import PATIENCE, LiveGroup, Simulated, Subject

LONGEST = 3.0
"""How often the expected duration an experiment may take."""


class Experiment:
    """Kills in one group: at most ``kills``, at ``rate`` per second and instance, and none while
    ``least`` or fewer are left.

    ``poll`` is the supposition: what the loop is thought to do, in seconds between two looks; a
    simulated group knows its own. ``least`` is half of the group unless given.
    """

    def __init__(
        self,
        where: Lab | Simulated,
        group: str = "collabnix",
        *,
        kills: int,
        rate: float,
        poll: float | None = None,
        least: int | None = None,
        seed: int = 1,
    ) -> None:
        self._subject: Subject = where if isinstance(where, Simulated) else LiveGroup(where, group)
        self.group, self.size = self._subject.group, self._subject.size
        self.kills, self.rate, self.seed = kills, rate, seed
        self.poll = where.poll if isinstance(where, Simulated) else poll
        self.least = self.size // 2 if least is None else least
        if kills < 1 or rate <= 0:
            raise IkdemoError(
                "An experiment needs at least one kill and a rate above 0; it has "
                f"kills={kills}, rate={rate:g}"
            )
        if not 0 <= self.least < self.size:
            raise IkdemoError(
                f"Group {self.group!r} has {self.size} slots, so least={self.least} would allow "
                "no kill or make no sense"
            )

    @property
    def expected(self) -> float:
        """How many seconds the kills take on average, if every slot is filled at once."""
        return self.kills / (self.rate * self.size)

    @property
    def longest(self) -> float:
        """After how many seconds it ends, however few kills were made."""
        return LONGEST * self.expected

    def plan(self) -> Table:
        """Say what would be done. Nothing is."""
        supposed = "nothing is supposed about the time to recover"
        if self.poll is not None:
            supposed = (
                f"time to recover: half a poll, {self.poll / 2:g} s, on average, and the "
                "time to make an instance"
            )
        rows = [
            (
                "steady state",
                f"{self.size} of {self.size} instances live and the group is as wanted; else it "
                "does not begin",
            ),
            (
                "method",
                f"kill instances at random moments; each lives {1 / self.rate:g} s on average",
            ),
            (
                "limit",
                f"{self.kills} kills or {self.longest:g} s; none while {self.least} or fewer live",
            ),
            ("hypothesis", supposed),
            (
                "rollback",
                f"let the loop act, wait until the group is as wanted ({PATIENCE:g} s at most); "
                "after an interrupt, too",
            ),
        ]
        return Table(["part", "what it is"], rows)

    def steady(self) -> Check:
        """Check the steady state now."""
        return self._subject.steady()

    def run(self) -> Findings:
        """Do it, and return what was found; raises IkdemoError, with nothing done, when the steady
        state is not met.

        However it ends, also by an interrupt, the group is left healing.
        """
        if not (check := self.steady()):
            unmet = "; ".join(
                f"{point.fact} ({point.advice})" for point in check.points if not point.good
            )
            raise IkdemoError(
                f"Nothing was done: group {self.group!r} is not in its steady state. Not yet "
                f"true: {unmet}"
            )
        subject, began, spared = self._subject, self._subject.now(), 0
        try:
            spared = self._kill_at_random(began)
        finally:
            ended, left = subject.now(), subject.restore()
        record = subject.recovery(began)
        return Findings(
            self.group,
            self.size,
            self.seed,
            self.rate,
            self.poll,
            ended - began,
            kills_of(record, began, ended),
            filled_shares(record, began, ended),
            spared,
            bool(self.steady()),
            left,
            record,
        )

    def _kill_at_random(self, began: float) -> int:
        """Make the kills; return how many were due and not made, because too few were left."""
        made = spared = 0
        for moment, pick, seed in self._moments():
            if made == self.kills:
                break
            self._subject.wait_until(began + min(moment, self.longest))
            if moment > self.longest:
                break
            filled = self._subject.filled()
            if pick * self.size >= filled:
                continue  # this one falls on a slot that is empty
            if filled <= self.least:
                spared += 1
                continue
            self._subject.kill(seed)
            made += 1
        return spared

    def _moments(self) -> Iterator[tuple[float, float, int]]:
        """Yield seconds since the beginning, a number from 0 to 1 that says which slot is hit, and
        a seed for the choice.
        """
        chance = random.Random(self.seed)
        for moment in arrivals(self.rate * self.size, chance.random):
            yield moment, chance.random(), chance.getrandbits(32)

    @property
    def _head(self) -> str:
        return f"Experiment on group {self.group}, seed {self.seed}."

    def __repr__(self) -> str:
        return f"{visible(self._head)} Nothing has been done; run() does it.\n{self.plan()!r}"

    def _repr_html_(self) -> str:
        return (
            f"<p>{visible_html(self._head)} Nothing has been done; <code>run()</code> does "
            f"it.</p>{self.plan()._repr_html_()}"
        )
