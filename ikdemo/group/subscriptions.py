"""Watches the events of plugins: one watch per plugin, not per group; each event wakes only the
supervisors that it can concern.

A watch that ends unexpectedly is begun again. So that no event counts twice, those that were
delivered already are left out, and so are those from before the watch: the first observation shows
what came of them.
"""

from __future__ import annotations

import asyncio
import logging
import time

from ..reconcile.observed_cache import REMOVALS
from ..rpc.event_ring import BATCH
from ..spi.contracts import Lookup
from ..spi.errors import IkdemoError
from ..spi.events import Cursor, Event, EventBatch, news
from .supervisor import Supervisor

RECONNECT_AFTER = 1.0
"""Seconds after which a watch that ended is begun again."""
IN_ONE_TURN = 16
"""Supervisors that are told of a batch, and make a pass, in one turn of the event loop."""

log = logging.getLogger(__name__)


class Subscriptions:
    """Follows the event streams of every plugin that some group uses, and of no other."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._subscribers: dict[str, set[Supervisor]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def follow(self, supervisor: Supervisor) -> None:
        """Deliver to a supervisor the events of the plugins that its group uses now, and no longer
        those of others.
        """
        properties = supervisor.record.properties
        self._subscribe(supervisor, {properties.instance.plugin, properties.flavor.plugin})

    def unsubscribe(self, supervisor: Supervisor) -> None:
        """Deliver no more events to a supervisor."""
        self._subscribe(supervisor, set())

    def _subscribe(self, supervisor: Supervisor, names: set[str]) -> None:
        for name in names:
            self._subscribers.setdefault(name, set()).add(supervisor)
            if name not in self._tasks:
                self._tasks[name] = asyncio.create_task(
                    self._follow(name), name=f"events of {name}"
                )
        for name in self._subscribers.keys() - names:
            self._subscribers[name].discard(supervisor)
            if not self._subscribers[name]:  # no subscriber is left
                del self._subscribers[name]
                self._tasks.pop(name).cancel()

    async def close(self) -> None:
        """Stop following everything."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        self._subscribers.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, name: str) -> None:
        """Follow one plugin for ever; an odd answer must not end that."""
        position, began, catching_up = Cursor(), time.time(), True
        while True:
            try:
                async for batch in self._lookup.events(name):
                    events = news(batch, position)
                    if catching_up:
                        events = [event for event in events if event.time >= began]
                        catching_up = len(batch.events) == BATCH
                    position = Cursor(batch.stream, batch.next)
                    await self._tell(name, batch, events)
            except IkdemoError as error:
                log.info("The events of plugin %s cannot be followed now: %s", name, error)
            except Exception:
                log.exception(
                    "Following the events of plugin %s ended unexpectedly and is begun again", name
                )
            await asyncio.sleep(RECONNECT_AFTER)

    async def _tell(self, name: str, batch: EventBatch, events: list[Event]) -> None:
        """Give each supervisor what concerns it, a few supervisors in each turn of the loop: a
        thousand events for two hundred groups are not two hundred thousand calls in one turn.
        """
        of_group = EventsByGroup(events)
        for number, supervisor in enumerate(list(self._subscribers.get(name, ())), 1):
            if batch.gap:
                supervisor.wake()
            for event in of_group.for_group(supervisor.record.id):
                supervisor.on_event(event)
            if number % IN_ONE_TURN == 0:
                await asyncio.sleep(0)


class EventsByGroup:
    """The events of one batch, found by the group that they concern.

    >>> lost = [Event("lost", group=group, instance=f"i-{group}") for group in "aab"]
    >>> events = EventsByGroup([*lost, Event("changed", instance="untagged")])
    >>> [event.instance for event in events.for_group("b")]
    ['i-b', 'untagged', 'i-a']
    >>> [event.instance for event in events.for_group("c")]
    ['untagged', 'i-b']
    """

    def __init__(self, events: list[Event]) -> None:
        self._events: dict[str, list[Event]] = {}
        self._untagged = [event for event in events if not event.group]
        for event in events:
            if event.group:
                self._events.setdefault(event.group, []).append(event)
        if self._untagged:  # they belong between the others, in the order in which they came
            self._events = {
                group: [event for event in events if event.group in ("", group)]
                for group in self._events
            }
        removals = {event.group: event for event in reversed(events) if event.kind in REMOVALS}
        self._removals = [event for group, event in removals.items() if group][-2:]

    def for_group(self, group: str) -> list[Event]:
        """Return the events about a group's instances or about unknown ones, in their order, and
        one removal from another group, if there is any: it frees room.
        """
        own = self._events.get(group, self._untagged)
        others = next((event for event in self._removals if event.group != group), None)
        return own if others is None else [*own, others]
