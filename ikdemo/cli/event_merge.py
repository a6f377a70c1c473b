"""Puts what several plugins tell into one order, that of time, so that a cause is read before its
effect.

Each event is held back for a moment, in which an earlier one of another plugin may still arrive.
One that arrives later than that is not lost: it comes at once, and is said to be late. What time it
is, is an argument; only ``as_due`` waits.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..rpc import discovery
from ..spi.events import Event

if TYPE_CHECKING:
    from ..rpc.peers import Peers
    from ..spi.events import EventBatch

HOLD = 0.2
"""Seconds for which an event is held back: much longer than one takes to arrive, too short to be
noticed.
"""
MOST = 20_000
"""Events that are held back at most; beyond, the oldest do not wait."""


class MergedEvent(NamedTuple):
    """One event in its turn; ``late``: a later one was told before."""

    event: Event
    late: bool


class _Held(NamedTuple):
    at: float
    order: int
    event: Event


class EventMerge:
    """Events of several plugins, from ``add`` until they are ``due``.

    The events of one plugin keep their order, also where its clock was set back in between.
    """

    def __init__(self, hold: float = HOLD) -> None:
        self._hold = hold
        self._held: list[_Held] = []
        self._arrivals: deque[tuple[float, float]] = deque()  # when each came, and its time
        self._latest: dict[str, float] = {}
        self._released = self._told = float("-inf")
        self._order = 0
        self._arrived = asyncio.Event()

    def add(self, plugin: str, events: Iterable[Event], now: float) -> None:
        """Take in what one plugin has told, in its order; ``now`` is in seconds of a monotonic
        clock.
        """
        for event in events:
            at = self._latest[plugin] = max(event.time, self._latest.get(plugin, event.time))
            self._order += 1
            heapq.heappush(self._held, _Held(at, self._order, event))
            self._arrivals.append((now, at))
        if self._arrivals:
            self._arrived.set()

    def due(self, now: float) -> Iterator[MergedEvent]:
        """Yield, in the order of time, what was held back long enough, and what is earlier than
        that.
        """
        while self._arrivals and (
            self._arrivals[0][0] + self._hold <= now or len(self._arrivals) > MOST
        ):
            self._released = max(self._released, self._arrivals.popleft()[1])
        while self._held and self._held[0].at <= self._released:
            yield self._tell()

    def rest(self) -> Iterator[MergedEvent]:
        """Yield all that is still held back: there will be no more."""
        self._arrivals.clear()
        while self._held:
            yield self._tell()

    def next_due(self) -> float | None:
        """Return when something will be due; None while nothing is held back."""
        return self._arrivals[0][0] + self._hold if self._arrivals else None

    async def as_due(self) -> AsyncIterator[list[MergedEvent]]:
        """Yield, for ever, what has become due, as soon as it is."""
        while True:
            if events := list(self.due(time.monotonic())):
                yield events
            due = self.next_due()
            if due is None:
                self._arrived.clear()
                await self._arrived.wait()
            else:
                await asyncio.sleep(max(0.0, due - time.monotonic()))

    def _tell(self) -> MergedEvent:
        held = heapq.heappop(self._held)
        late, self._told = held.at < self._told, max(held.at, self._told)
        return MergedEvent(held.event, late)


LOOK_AGAIN = 0.5
"""Seconds between two looks for plugins that have come."""

log = logging.getLogger(__name__)


async def follow(found: Peers, directory: Path, take: Callable[[str, EventBatch], None]) -> None:
    """Hand every batch of every plugin to ``take``, for ever; the first one of each connection has
    ``gap``.
    """
    following: set[str] = set()
    if not discovery.listing(directory):
        log.info("No plugin runs in %s yet; waiting for the first", directory)
    async with asyncio.TaskGroup() as tasks:
        while True:
            for name, _ in discovery.listing(directory):
                if name not in following:
                    following.add(name)
                    tasks.create_task(_follow(found, name, take))
            await asyncio.sleep(LOOK_AGAIN)


async def _follow(found: Peers, name: str, take: Callable[[str, EventBatch], None]) -> None:
    async for batch in found.events(name):
        take(name, batch)


def cause(several: BaseExceptionGroup) -> BaseException:
    """Return what ended a group of tasks: one of them ended the others, and that is the news."""
    first = several.exceptions[0]
    return cause(first) if isinstance(first, BaseExceptionGroup) else first
