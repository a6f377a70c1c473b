"""Passes the events of the group plugin behind a manager on, and says when that plugin was started
anew.

What came before it was reached the first time is left out: the manager's own ring begins there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from ..spi.contracts import Lookup
from ..spi.events import Cursor, Emit, news

FOLLOW_AGAIN = 1.0
"""Seconds after which following the group plugin's events is begun again."""

log = logging.getLogger(__name__)


class EventRelay:
    """Follows the plugin ``name``, from construction to ``stop``. ``emit`` is given its events;
    ``on_new_stream`` is awaited when it is reached the first time, or was started again.
    """

    def __init__(
        self, lookup: Lookup, name: str, emit: Emit, on_new_stream: Callable[[], Awaitable[None]]
    ) -> None:
        self._lookup, self._name = lookup, name
        self._emit, self._on_new_stream = emit, on_new_stream
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._follow(), name=f"events of {name}")

    async def stop(self) -> None:
        """Follow no longer."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _follow(self) -> None:
        """Pass events on for ever; an odd answer must not end that."""
        while True:
            try:
                await self._pass_on_events()
            except Exception:
                log.exception("Following the group plugin ended unexpectedly and is begun again")
            await asyncio.sleep(FOLLOW_AGAIN)

    async def _pass_on_events(self) -> None:
        position, first = Cursor(), True
        async for batch in self._lookup.events(self._name):
            events = news(batch, position)
            if batch.gap and (batch.stream != position.stream or not batch.stream):
                events = [] if first else events
                await self._on_new_stream()
            first, position = False, Cursor(batch.stream, batch.next)
            for event in events:
                self._emit(event)
