"""One time for everything in a lab's record, whatever is done to the machine's clock meanwhile.

Plugins stamp their events with the wall clock, which a person, a time server or a machine that wakes up may set. Here a step of
it is noticed against the clock that only runs, and stamps made after a step are set back to the time that had gone on: what was
written down stays in its order, and no recovery lasts an hour. Used by ``Timeline``.
"""

from __future__ import annotations

import time
from collections.abc import Callable

STEP = 0.02
"""Seconds by which the wall clock must differ from what it should show before that is called a step."""
AHEAD = 0.1
"""Seconds that a stamp may lie ahead of now: clocks are not read at the same instant."""
KEPT = 8
"""Steps that are remembered; a stamp made before them is long in the record."""


def boot_time() -> float:
    """Return seconds that nobody sets: they go on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class RecordClock:
    """Seconds since the epoch, as the wall clock showed them when this was made, and steady from there on."""

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = boot_time) -> None:
        self._wall, self._steady = wall, steady
        self._leads = [wall() - steady()]  # of the wall clock over the steady one, from the first on

    def now(self) -> float:
        """Return the time, and notice a step of the wall clock."""
        before, wall, after = self._steady(), self._wall(), self._steady()
        lead = wall - (before + after) / 2
        if abs(lead - self._leads[-1]) > STEP + after - before:  # read slowly, it tells nothing
            self._leads.append(lead)
            del self._leads[1:-KEPT]
        return after + self._leads[0]

    def time_of(self, stamp: float, now: float) -> float:
        """Return when a stamp of the wall clock was made that is read ``now``: the latest moment that is not still to come."""
        if len(self._leads) == 1:
            return stamp
        times = [stamp - lead + self._leads[0] for lead in self._leads]
        return max((time for time in times if time <= now + AHEAD), default=times[-1])
