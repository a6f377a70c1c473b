"""Everything that plugins told, merged into one record in time order, and told again in words.

Written by the threads that follow event streams, read by the learner's thread; the lock is here. Times are made one by ``clock``,
so that what happened stays in its order though the machine's clock is set. What plugins did not tell but a look at their
instances shows is added as ``found`` and ``lost``, so that the record agrees with the world again after a gap.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from msgspec.structs import replace

from ..reconcile.standing import APPEARED, VANISHED
from ..spi.documents import GROUP_TAG, Description
from ..spi.events import Event
from .clock import RecordClock
from .table import Table

FULL = 100_000
"""Events that are kept; a record that has grown beyond forgets its older half."""


class Timeline:
    """The record of one lab."""

    def __init__(self, clock: RecordClock | None = None) -> None:
        self._clock = clock or RecordClock()
        self._events: list[Event] = []
        self._forgotten = 0
        self._changed = threading.Condition()

    def add(self, events: Iterable[Event]) -> None:
        """Write events down and wake whoever waits."""
        with self._changed:
            now = self._clock.now()
            timed = ((event, self._clock.time_of(event.time, now)) for event in events)
            self._events.extend(event if event.time == time else replace(event, time=time) for event, time in timed)
            if len(self._events) > FULL:
                del self._events[: FULL // 2]
                self._forgotten += FULL // 2
            self._changed.notify_all()

    def now(self) -> float:
        """Return the time as the record counts it: seconds since the epoch that nobody sets back."""
        with self._changed:
            return self._clock.now()

    def events(self, group: str | None = None) -> list[Event]:
        """Return the events of one group, or all, in time order."""
        with self._changed:
            chosen = [event for event in self._events if group is None or event.group == group]
        return sorted(chosen, key=lambda event: event.time)

    def since(self, mark: int) -> tuple[list[Event], int]:
        """Return what was written down after ``mark``, in the order of arrival, and the mark for the next time; begin with 0."""
        with self._changed:
            return self._events[max(0, mark - self._forgotten) :], self._forgotten + len(self._events)

    @property
    def mark(self) -> int:
        """How many events were ever written down."""
        return self._forgotten + len(self._events)

    def __len__(self) -> int:
        return len(self._events)

    def living(self, *, group: str | None = None, plugin: str | None = None) -> dict[str, Event]:
        """Return the instances that live as far as the record knows, each with the event of its appearance."""
        alive = dict[str, Event]()
        for event in self.events(group):
            if plugin in (None, event.plugin) and event.kind in APPEARED:
                alive[event.instance] = event
            elif plugin in (None, event.plugin) and event.kind in VANISHED:
                alive.pop(event.instance, None)
        return alive

    def agree(self, plugin: str, described: Iterable[Description], since: float, group: str | None = None) -> None:
        """Make the record agree with a description of all instances of ``plugin`` (of one group, if given) at time ``since``."""
        seen = {description.id: description for description in described}
        known = self.living(plugin=plugin, group=group)
        found = [_found(plugin, seen[name], since) for name in seen.keys() - known.keys()]
        lost = [
            Event("lost", since, plugin, event.group, name, event.slot, text="no longer there when looked for", tags=event.tags)
            for name, event in known.items()
            if name not in seen and event.time < since
        ]
        self.add(sorted([*found, *lost], key=lambda event: event.instance))

    def wait_for(self, happened: Callable[[], bool], timeout: float) -> bool:
        """Wait until ``happened()`` is true, asking again whenever something is written down; false when the time is up."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while not happened():
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
        return True

    def table(self, group: str | None = None, last: int | None = None, *, since_fault: bool = False) -> Table:
        """Tell the record in words, with times in seconds since its first event, or since the last fault and from there on."""
        events = self.events(group)
        start = events[0].time if events else 0.0
        if since_fault:
            start = max((event.time for event in events if event.kind == "fault"), default=start)
            events = [event for event in events if event.time >= start]
        rows = [(f"{event.time - start:9.4f}", event.plugin, sentence(event)) for event in events]
        return Table(["seconds", "who", "what"], rows[-last:] if last else rows, empty="Nothing has happened yet.")


def _found(plugin: str, description: Description, since: float) -> Event:
    tags = description.tags or {}
    slot = description.slot if isinstance(description.slot, str) else ""
    return Event("found", since, plugin, tags.get(GROUP_TAG, ""), description.id, slot, text="there when looked for", tags=tags)


def sentence(event: Event) -> str:
    """Say an event in plain words.

    >>> sentence(Event("lost", instance="instance-7", slot="3"))
    'instance-7 in slot 3 is gone'
    """
    where = f" in slot {event.slot}" if event.slot else ""
    told = f": {event.text}" if event.text else ""
    match event.kind:
        case "fault":
            return f"FAULT: {event.text} {event.instance}{where}".replace("  ", " ")
        case "mended":
            return f"MENDED: {event.text} {event.instance}{where}".replace("  ", " ")
        case "provisioned":
            return f"made {event.instance}{where}"
        case "destroyed":
            return f"destroyed {event.instance}{where}"
        case "lost":
            return f"{event.instance}{where} is gone"
        case "found":
            return f"{event.instance}{where} was there already"
        case "committed":
            return f"group {event.group} committed{told}"
        case "drifted":
            return f"group {event.group} is not as wanted{told}"
        case "planned":
            return f"plan for group {event.group}{told}"
        case "acted":
            return event.text
        case "converged":
            return f"group {event.group} is as wanted{told}"
        case "paused":
            return f"group {event.group} is paused"
        case "resumed":
            return f"group {event.group} goes on"
        case "halted":
            return f"group {event.group} has stopped{told}"
        case "freed" | "destroying" | "gone":
            said = {"freed": "let go", "destroying": "being destroyed", "gone": "gone"}[event.kind]
            return f"group {event.group} is {said}"
        case _:
            return f"{event.kind} {event.group or event.instance}{told}".replace(" :", ":")
