"""Serves one plugin on one socket: makes a connection of each that is accepted, ends those that are
overdue, and at the end all of them in order.

How long requests in flight have at the end, and what is ended to make room, is decided only here.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from ..spi.contracts import Plugin
from ..spi.durations import CUTTING, REQUESTS
from .dispatch import Dispatcher
from .event_ring import EventRing
from .listener import Listener, listen
from .server_connection import ServerConnection

log = logging.getLogger(__name__)

UNUSED = 0.2
"""Seconds after which a connection on which nothing comes is ended when there is no room for
others.
"""


class Server:
    """One plugin behind one socket."""

    def __init__(self, plugin: Plugin, path: Path, ring: EventRing) -> None:
        self.path = Path(path)
        self._ring = ring
        self._dispatcher = Dispatcher(plugin, ring)
        self._connections: set[ServerConnection] = set()
        self._listener: Listener | None = None
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen. On return the socket exists with mode 0600 and answers.

        Raises InUse when a live plugin has the path, SpecError when the path cannot be a socket's.
        """
        self._listener = await listen(self.path, self._accept, self._make_room)
        loop = asyncio.get_running_loop()
        self._sweeper = loop.create_task(self._sweep(), name=f"deadlines of {self.path.name}")

    async def stop(self, grace: float = REQUESTS) -> None:
        """Stop listening and remove the socket; requests in flight get ``grace`` seconds, then
        their connections are cut.

        The socket is left alone when it is not ours any longer. Safe to call twice.
        """
        if self._listener is None:
            return
        listener, self._listener = self._listener, None
        listener.remove_socket()  # while we still listen, no plugin can take the path as stale
        await listener.close()
        self._ring.close()
        await asyncio.sleep(0)  # read what those accepted last have sent
        await self._drain(grace)
        await self._end_connections()
        if self._sweeper:
            self._sweeper.cancel()

    def _accept(self) -> ServerConnection:
        return ServerConnection(self._dispatcher.answer, self._connections)

    def _make_room(self) -> None:
        """End the connections that are kept for later use: others cannot be accepted for want of
        descriptors.
        """
        for idle in [connection for connection in self._connections if connection.is_idle(UNUSED)]:
            idle.leave()

    async def _drain(self, grace: float) -> None:
        """End what is idle, and let what is at work be answered, for ``grace`` seconds."""
        loop = asyncio.get_running_loop()
        end = loop.time() + grace
        for idle in [connection for connection in self._connections if not connection.busy]:
            idle.leave()
        while tasks := [connection.finish() for connection in self._connections if connection.busy]:
            done, _ = await asyncio.wait(tasks, timeout=max(0.0, end - loop.time()))
            if not done:
                for connection in list(self._connections):
                    connection.abort()
                return

    async def _end_connections(self) -> None:
        """Wait until the last answers are on their way, then cut what is left; on return every
        connection has ended.
        """
        loop = asyncio.get_running_loop()
        for _ in range(2):
            end = loop.time() + CUTTING
            while self._connections and loop.time() < end:  # noqa: ASYNC110, each ends in its own time
                await asyncio.sleep(0.001)
            for connection in list(self._connections):
                connection.abort()

    async def _sweep(self) -> None:
        """Once a second end the waits that have lasted too long."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(1.0)
            now = loop.time()
            for connection in [c for c in self._connections if c.deadline < now]:
                try:
                    connection.overdue()
                except Exception:  # the others still have to end in time
                    log.exception("A connection that is overdue cannot be ended")
