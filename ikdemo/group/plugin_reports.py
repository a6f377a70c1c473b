"""What plugins have reported of a group's instances since the last pass: exits, unhealthy ones, and
room that became free.

A report is kept until a pass takes it. Instances of other groups matter only when they end, as what
a plugin refused for lack of room may then be tried again.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..reconcile.model import ReportedExit
from ..reconcile.observed_cache import REMOVALS
from ..spi.events import Event
from .clock import Clock

RETRY_EVERY = 1.0
"""Seconds between two passes, at least, that try again what was refused, because instances of other
groups have ended.
"""


class PluginReports:
    """The reports on one group that no pass has taken yet."""

    def __init__(self, group: str, clock: Clock) -> None:
        self._group, self._clock = group, clock
        self._exits: list[ReportedExit] = []
        self._unhealthy: set[str] = set()
        self._room_freed, self._retried_at = False, -RETRY_EVERY

    def is_about_others(self, event: Event) -> bool:
        """Say whether an event is about an instance of another group."""
        return event.group not in ("", self._group)

    def add(self, event: Event) -> None:
        """Take in an event about an instance of this group, or of an unknown one."""
        if event.group and event.kind == "lost" and event.code in ("died", "early"):
            own_doing = event.code == "died"
            cause = f"died: {event.text}"
            self._exits.append(
                ReportedExit(event.slot, event.instance, cause, self._clock.now(), own_doing)
            )
        if event.kind == "health" and event.code == "unhealthy":
            self._unhealthy.add(event.instance)
        elif event.kind == "health":
            self._unhealthy.discard(event.instance)

    def frees_room(self, event: Event, *, wanted: bool) -> bool:
        """Take in an event about another group; say whether it is the first one since that frees
        room, where room is ``wanted``.
        """
        if not wanted or self._room_freed or event.kind not in REMOVALS:
            return False
        self._room_freed = True
        return True

    def take_exits(self) -> list[ReportedExit]:
        """Return the exits reported since the last time."""
        taken, self._exits = self._exits, []
        return taken

    def take_unhealthy(self) -> set[str]:
        """Return the IDs of the instances that were reported unhealthy since the last time."""
        taken, self._unhealthy = self._unhealthy, set()
        return taken

    def put_back(self, unhealthy: Iterable[str]) -> None:
        """Keep reports of unhealthy instances for the next pass, as this one came to nothing."""
        self._unhealthy |= set(unhealthy)

    def take_freed_room(self) -> bool:
        """Say whether room has become free, but not more often than every ``RETRY_EVERY``."""
        now = self._clock.now()
        if not self._room_freed or now < self._retried_at + RETRY_EVERY:
            return False
        self._room_freed, self._retried_at = False, now
        return True

    def seconds_to_retry(self) -> float | None:
        """Return after how many seconds freed room may be taken; None if there is none."""
        if not self._room_freed:
            return None
        return self._retried_at + RETRY_EVERY - self._clock.now()
