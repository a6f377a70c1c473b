"""Keeps one owner's containers true to what the engine says: events as they happen, a comparison
now and then, and a new beginning after an engine was away.

A stream of events can end at any moment, and an engine forgets its events when it restarts; so
after every beginning, and every few seconds, what is known is compared with what is there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from ...engine import Row
from ...spi.errors import IkdemoError
from ...spi.events import Emit, Event
from .containers import Containers
from .provisioning import Provisioner

LOOK_EVERY = 10.0
"""Seconds between two looks at what no event told."""
SOON, LATER = 0.1, 2.0
"""Seconds between two attempts to reach an engine: the first, and the most after doubling."""

log = logging.getLogger(__name__)


class EngineWatch:
    """The connection of one owner's containers to their engine, from construction to ``stop``.

    ``first_sync`` is set once the first look succeeded or failed.
    """

    def __init__(self, containers: Containers, provisioner: Provisioner, emit: Emit) -> None:
        self.first_sync = asyncio.Event()
        self._containers = containers
        self._provisioner = provisioner
        self._engine = containers.engine
        self._emit = emit
        self._last_error = ""
        self._is_first = True
        self._task = asyncio.create_task(self._watch(), name="engine watch")

    async def stop(self) -> None:
        """Follow no events any longer."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        wait = SOON
        while True:
            try:
                await self._follow()
                wait = SOON
            except IkdemoError as error:
                self._disconnected(error)
            except Exception:  # a bug in taking one event must not end the stream of all others
                log.exception("An event of the engine could not be taken")
            self.first_sync.set()
            await asyncio.sleep(wait)
            wait = min(LATER, 2 * wait)

    async def _follow(self) -> None:
        """Follow events until the stream ends; raises what the engine raises."""
        self._engine.disconnect()
        self._provisioner.has_init = _has_init(await self._engine.info())
        stream = await self._engine.follow(
            self._containers.owner_filter, self._containers.latest_event, self._containers.on_event
        )
        try:
            await self._containers.resync(first=self._is_first)
            self._connected()
            while not stream.over.done():
                await asyncio.wait([stream.over], timeout=LOOK_EVERY)
                await self._containers.resync()
        finally:
            stream.close()

    def _connected(self) -> None:
        if self._last_error:
            self._report(f"the Docker engine answers again at {self._engine.host}")
        self._last_error, self._is_first = "", False
        self.first_sync.set()

    def _disconnected(self, error: IkdemoError) -> None:
        if not self._last_error:
            self._report(str(error))
        self._last_error = str(error)

    def _report(self, text: str) -> None:
        log.warning("%s", text)
        self._emit(Event("reported", text=text))


def _has_init(info: Row) -> bool:
    """Say whether an engine has a first process for containers, by what it says of itself."""
    commit = info.get("InitCommit")
    return not isinstance(commit, Mapping) or commit.get("ID") != "N/A"
