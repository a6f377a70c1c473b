"""Keeps a plugin's latest events and lets readers wait for the next: the bounded ring behind
``Events.Watch``.

Time, plugin name and numbers are stamped only here. A reader that fell behind, or that read from an
earlier process, is told so (``gap``) and never silently skips. ``append`` is the ``Emit`` that a
plugin is started with; the server serves ``watch``.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping

from msgspec.structs import replace

from ..spi.events import Cursor, Event, EventBatch

LONGEST_WAIT = 60.0
"""Seconds that one call may wait, whatever it asks for."""
BATCH = 512
"""Events in one answer; the reader asks again for the rest."""
BATCH_CHARACTERS, HELD_CHARACTERS = 2**20, 2**24
"""Characters in one answer, unless a single event has more; and in all events that are kept."""
LONGEST_TEXT, LONGEST_TAGS = 4096, 2**16
"""Characters of each text of an event, which is cut, and of all its tags, without which it goes to
all readers.
"""


class EventRing:
    """The latest ``capacity`` events of one plugin process, and the readers that wait for more.

    Of its own event loop only: ``append`` is called in the loop's thread. At most ``watchers``
    readers wait; a further one sends the one that has waited longest home with an empty answer.
    """

    def __init__(self, plugin: str, capacity: int = 4096, watchers: int = 1024) -> None:
        self._plugin = plugin
        self._events: deque[Event] = deque()
        self._sizes: deque[int] = deque()
        self._size = 0
        self._tags: Mapping[str, str] | None = None
        self._size_of_tags = 0
        self._capacity = capacity
        # not by secrets, which would bring hashes and ciphers to every command line
        self._stream = os.urandom(8).hex()
        # microseconds, so that no number of an earlier process comes again, and JavaScript can
        # still hold them
        self._next = time.time_ns() // 1000
        self._waiting: dict[asyncio.Future[bool], None] = {}
        self._watchers = watchers
        self._closed = False

    def append(self, event: Event) -> None:
        """Stamp an event, keep it and wake all that wait; the oldest event is forgotten when
        the ring is full.
        """
        # the instances of a group have theirs in common, and ten thousand may come at once
        if event.tags is not self._tags:
            self._tags, self._size_of_tags = event.tags, _size_of_tags(event.tags)
        size = _size(event) + self._size_of_tags
        if size > LONGEST_TEXT:
            event = _cut(event)
            size = _size(event) + _size_of_tags(event.tags)
        self._events.append(replace(event, time=time.time(), plugin=self._plugin))
        self._sizes.append(size)
        self._size += size
        while len(self._events) > self._capacity or self._size > HELD_CHARACTERS:
            self._events.popleft()
            self._size -= self._sizes.popleft()
        self._next += 1
        self._release(more=True)

    async def watch(
        self, since: Cursor, timeout: float, tags: Mapping[str, str] | None = None
    ) -> EventBatch:
        """Return the events since ``since``, waiting up to ``timeout`` seconds (60 at most) for the
        first.

        Events that carry tags are left out unless they carry all of ``tags``. A cursor of another
        stream, or one that the ring has moved past, is answered at once with ``gap`` and what is
        held. An empty answer moves the cursor on, too.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + min(max(timeout, 0.0), LONGEST_WAIT)
        while True:
            batch = self._since(since, tags or {})
            left = deadline - loop.time()
            if batch.events or batch.gap or left <= 0 or self._closed or not await self._more(left):
                return batch
            since = Cursor(batch.stream, batch.next)

    async def follow(self) -> AsyncIterator[EventBatch]:
        """Yield batches for ever, from the oldest event held; for a reader in this process, which
        needs no cursor of its own.
        """
        at = Cursor()
        while True:
            batch = await self.watch(at, LONGEST_WAIT)
            at = Cursor(batch.stream, batch.next)
            yield batch

    def close(self) -> None:
        """Answer all that wait, and let no reader wait from now on; for the end of the
        process.
        """
        self._closed = True
        self._release(more=False)

    def _since(self, since: Cursor, tags: Mapping[str, str]) -> EventBatch:
        """Pick the events from a cursor on, as many as fit into one answer."""
        oldest = self._next - len(self._events)
        gap = since.stream != self._stream or not oldest <= since.next <= self._next
        first = oldest if gap else since.next
        last = min(self._next, first + BATCH)
        sizes = itertools.accumulate(self._sizes[n - oldest] for n in range(first, last))
        last = first + max(sum(size <= BATCH_CHARACTERS for size in sizes), min(1, last - first))
        picked = [self._events[n - oldest] for n in range(first, last)]
        events = [e for e in picked if e.tags is None or tags.items() <= e.tags.items()]
        return EventBatch(self._stream, last, events, gap)

    async def _more(self, seconds: float) -> bool:
        """Wait until an event is appended; False when the time is up or the place is needed."""
        if len(self._waiting) >= self._watchers:
            longest = next(iter(self._waiting))
            del self._waiting[longest]
            # one that was cancelled in this turn of the loop still stands here
            _resolve(longest, False)
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[bool] = loop.create_future()
        self._waiting[waiter] = None
        timer = loop.call_later(seconds, _resolve, waiter, False)
        try:
            return await waiter
        finally:
            timer.cancel()
            self._waiting.pop(waiter, None)

    def _release(self, *, more: bool) -> None:
        waiting, self._waiting = self._waiting, {}
        for waiter in waiting:
            _resolve(waiter, more)


def _size(event: Event) -> int:
    """Return how many characters of an event are not its own, its tags aside."""
    return (
        len(event.group) + len(event.instance) + len(event.slot) + len(event.code) + len(event.text)
    )


def _size_of_tags(tags: Mapping[str, str] | None) -> int:
    return sum(len(key) + len(tag) for key, tag in tags.items()) if tags else 0


def _cut(event: Event) -> Event:
    """Return an event that can be sent: what a plugin tells may hold whatever it found."""
    texts = {
        name: getattr(event, name)[:LONGEST_TEXT]
        for name in ("kind", "group", "instance", "slot", "code", "text")
    }
    return replace(
        event, **texts, tags=event.tags if _size_of_tags(event.tags) <= LONGEST_TAGS else None
    )


def _resolve(waiter: asyncio.Future[bool], more: bool) -> None:
    if not waiter.done():
        waiter.set_result(more)
