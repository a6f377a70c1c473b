"""The record of a lab: everything that plugins told, in time order.

Written by the lab's loop thread, by faults and by buttons, read by the learner's thread; the lock
is here. Times are made one by ``RecordClock``, so that what happened stays in its order though the
machine's clock is set. What plugins did not tell but a look at their instances shows is added as
``found`` and ``lost``, so that the record agrees with the world again after a gap.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable

from msgspec.structs import replace

from ...boottime import since_boot
from ...spi.documents import GROUP_TAG, Description
from ...spi.events import Event
from ..show.tables import Table, say_event
from .summary import Summary

FULL = 100_000
"""Events that are kept, about; a record that has grown beyond forgets its older half, but for the
state that it led to.
"""
CLOCK_STEP = 0.02
"""Seconds by which the wall clock must differ from what it should show before that is called a
step.
"""
AHEAD = 0.1
"""Seconds that a stamp may lie ahead of now: clocks are not read at the same instant."""
STEPS_KEPT = 8
"""Steps that are remembered; a stamp made before them is long in the record."""


class Timeline:
    """The record of one lab."""

    def __init__(self, clock: RecordClock | None = None) -> None:
        self._clock = clock or RecordClock()
        self._events: list[Event] = []
        self._forgotten = 0
        self._groups: dict[str, Summary] = {}
        self._half = 0  # where the newer half of what is kept begins
        self._led_to: list[Event] = []  # what the forgotten events led to
        self._halfway: list[Event] = []  # what those before the newer half led to
        self._changed = threading.Condition()

    def add(self, events: Iterable[Event]) -> None:
        """Record events and wake what waits for them."""
        with self._changed:
            now = self._clock.now()
            for event in events:
                at = self._clock.time_of(event.time, now)
                timed = event if event.time == at else replace(event, time=at)
                self._events.append(timed)
                if timed.group not in self._groups:
                    self._groups[timed.group] = Summary(timed.time)
                self._groups[timed.group].read(timed)
            self._forget()
            self._changed.notify_all()

    def now(self) -> float:
        """Return the time as the record counts it: seconds since the epoch, never set
        back.
        """
        with self._changed:
            return self._clock.now()

    def events(self, group: str | None = None) -> list[Event]:
        """Return the events of one group, or all, in time order; before them, the few that stand
        for what is forgotten.
        """
        with self._changed:
            led_to, told = self._led_to, self._events.copy()
        if group is not None:
            led_to, told = (
                [event for event in some if event.group == group] for some in (led_to, told)
            )
        return [*led_to, *sorted(told, key=lambda event: event.time)]

    def since(self, mark: int) -> tuple[list[Event], int]:
        """Return what was written down after ``mark``, in the order of arrival, and the mark for
        the next time; begin with 0.
        """
        with self._changed:
            if mark < self._forgotten:
                return [*self._led_to, *self._events], self.mark
            return self._events[mark - self._forgotten :], self.mark

    @property
    def mark(self) -> int:
        """How many events were ever written down."""
        return self._forgotten + len(self._events)

    def __len__(self) -> int:
        return len(self._events)

    def living(self, *, group: str | None = None, plugin: str | None = None) -> dict[str, Event]:
        """Return the instances that live as far as the record knows, each with the event of its
        appearance.
        """
        with self._changed:
            groups = [one for name, one in self._groups.items() if group in (None, name)]
            return {
                n: event
                for one in groups
                for n, event in one.living.items()
                if plugin in (None, event.plugin)
            }

    def last_kind(self, group: str, kinds: Collection[str]) -> str:
        """Return which of these kinds of events was written down last of a group; nothing when
        there was none.
        """
        with self._changed:
            return next(
                (
                    one.kind
                    for one in reversed(self._events)
                    if one.group == group and one.kind in kinds
                ),
                "",
            )

    def agree(
        self, plugin: str, described: Iterable[Description], since: float, group: str | None = None
    ) -> None:
        """Make the record agree with a description of all instances of ``plugin`` (of one group, if
        given) at time ``since``.
        """
        seen = {description.id: description for description in described}
        known = self.living(plugin=plugin, group=group)
        found = [_found(plugin, seen[name], since) for name in seen.keys() - known.keys()]
        lost = [
            Event(
                "lost",
                since,
                plugin,
                event.group,
                name,
                event.slot,
                text="no longer there when looked for",
                tags=event.tags,
            )
            for name, event in known.items()
            if name not in seen and event.time < since
        ]
        self.add(sorted([*found, *lost], key=lambda event: event.instance))

    def wait_for(self, happened: Callable[[], bool], timeout: float) -> bool:
        """Wait until ``happened()`` is true, asking again whenever something is written down; false
        when the time is up.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while not happened():
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
        return True

    def table(
        self, group: str | None = None, last: int | None = None, *, since_fault: bool = False
    ) -> Table:
        """Tell the record in words, with times in seconds since its first event, or since the last
        fault and from there on.
        """
        events = self.events(group)
        start = min(
            (one.began for name, one in self._groups.items() if group in (None, name)), default=0.0
        )
        if since_fault:
            start = max((event.time for event in events if event.kind == "fault"), default=start)
            events = [event for event in events if event.time >= start]
        told = events[-last:] if last else events
        rows = [(f"{event.time - start:9.4f}", event.plugin, say_event(event)) for event in told]
        return Table(["seconds", "who", "what"], rows, empty="Nothing has happened yet.")

    def _forget(self) -> None:
        """When the newer half is full and every group is whole, let it be the older one, and forget
        the one before it.
        """
        newer = len(self._events) - self._half
        if newer < FULL // 2 or (
            newer < FULL * 3 // 4 and not all(one.is_whole for one in self._groups.values())
        ):
            return
        del self._events[: self._half]
        self._forgotten += self._half
        self._half = len(self._events)
        self._led_to = self._halfway
        self._halfway = [event for one in self._groups.values() for event in one.events()]


def _found(plugin: str, description: Description, since: float) -> Event:
    tags = description.tags or {}
    slot = description.slot if isinstance(description.slot, str) else ""
    return Event(
        "found",
        since,
        plugin,
        tags.get(GROUP_TAG, ""),
        description.id,
        slot,
        text="there when looked for",
        tags=tags,
    )


class RecordClock:
    """Seconds since the epoch, as the wall clock showed them when this was made, and steady from
    there on.
    """

    def __init__(
        self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = since_boot
    ) -> None:
        self._wall, self._steady = wall, steady
        # of the wall clock over the steady one, from the first on
        self._leads = [wall() - steady()]

    def now(self) -> float:
        """Return the time, and notice a step of the wall clock."""
        before, wall, after = self._steady(), self._wall(), self._steady()
        lead = wall - (before + after) / 2
        # read slowly, it tells nothing
        if abs(lead - self._leads[-1]) > CLOCK_STEP + after - before:
            self._leads.append(lead)
            del self._leads[1:-STEPS_KEPT]
        return after + self._leads[0]

    def time_of(self, stamp: float, now: float) -> float:
        """Return when a stamp of the wall clock was made that is read ``now``: the latest moment
        that is not still to come.
        """
        if len(self._leads) == 1:
            return stamp
        times = [stamp - lead + self._leads[0] for lead in self._leads]
        return max((time for time in times if time <= now + AHEAD), default=times[-1])
