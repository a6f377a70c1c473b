"""What time it is: one clock for spans, which no setting of the date moves, and one for stamps,
which people read.

Every wait, age and readiness of a group is measured by ``Clock.now``; only a moment that leaves the
group is turned into seconds since the epoch. A simulation hands the group plugin a clock of its
own.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable
from pathlib import Path

from msgspec import structs

from ..boottime import since_boot
from ..spi.plans import Plan, Reason

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
STEADY = 1.0
"""Seconds by which the two clocks may drift apart before stamps follow; so the same moment keeps
its stamp.
"""


class Clock:
    """The machine's clocks. ``boot``: names this boot of the machine; a moment of another boot
    means nothing in this one.
    """

    def __init__(self) -> None:
        self.boot = _boot()
        self._apart = self.wall() - self.now()

    def now(self) -> float:
        """Return seconds since the boot, time spent suspended included; goes on over restarts of
        the process, never back.
        """
        return since_boot()

    def wall(self) -> float:
        """Return seconds since the epoch, for stamps alone: it jumps whenever the date is set."""
        return time.time()

    def stamp(self, moment: float) -> float:
        """Return a moment of ``now`` as seconds since the epoch, by the date as it is set now."""
        apart = self.wall() - self.now()
        if abs(apart - self._apart) > STEADY:
            self._apart = apart
        return moment + self._apart

    def stamped(self, plan: Plan) -> Plan:
        """Return a plan for people: since when, in seconds since the epoch."""
        return structs.replace(plan, reasons=tuple(self._stamped(plan.reasons)))

    def _stamped(self, reasons: Iterable[Reason]) -> Iterable[Reason]:
        return (structs.replace(r, since=self.stamp(r.since)) for r in reasons)


def _boot() -> str:
    try:
        return BOOT_ID.read_text().strip()
    except OSError:  # then stored moments cannot be compared with those of now
        return uuid.uuid4().hex
