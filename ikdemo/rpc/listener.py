"""Accepts connections on a bound socket, also when files run out: then it rests, says so once, and goes on when there is room.

The event loop's own server would try again a thousand times a second, each time with a page in the log. Made by ``server``.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

BACKLOG = 4096
"""Connections the kernel keeps for us; InfraKit's group opens one for every parallel call."""
AT_ONCE = 128
"""Connections accepted before anything else has its turn."""
REST = 0.2
"""Seconds until the next try when no connection can be accepted."""

log = logging.getLogger(__name__)


class Listener:
    """One listening socket, from construction to ``close``; each connection gets a protocol from ``make``.

    ``make_room`` is called when no further connection can be had: it ends those that nobody uses.
    """

    def __init__(self, bound: socket.socket, make: Callable[[], asyncio.Protocol], make_room: Callable[[], None]) -> None:
        self._socket, self._make, self._make_room = bound, make, make_room
        self._loop = asyncio.get_running_loop()
        self._beginning: set[asyncio.Task[Any]] = set()
        self._resting: asyncio.TimerHandle | None = None
        self._said = False
        bound.listen(BACKLOG)
        self._listen()

    async def close(self) -> None:
        """Accept who has connected already, then listen no more. On return every connection has its protocol."""
        if self._resting is not None:
            self._resting.cancel()
        self._loop.remove_reader(self._socket.fileno())
        while self._accept():
            pass
        if self._resting is not None:
            self._resting.cancel()
        self._socket.close()
        if self._beginning:
            await asyncio.wait(self._beginning)

    def _listen(self) -> None:
        self._resting = None
        self._loop.add_reader(self._socket.fileno(), self._ready)

    def _ready(self) -> None:
        for _ in range(AT_ONCE):
            if not self._accept():
                return

    def _accept(self) -> bool:
        """Accept one connection; false when nobody waits or none can be had now."""
        try:
            accepted, _ = self._socket.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False
        except OSError as error:
            self._rest(error)
            return False
        self._said = False
        accepted.setblocking(False)
        beginning = self._loop.create_task(self._begin(accepted))
        self._beginning.add(beginning)
        beginning.add_done_callback(self._beginning.discard)
        return True

    async def _begin(self, accepted: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make, accepted)
        except Exception:
            log.exception("A connection cannot be served")
            accepted.close()

    def _rest(self, error: OSError) -> None:
        if not self._said:
            reason = (error.strerror or str(error)).lower()
            log.warning("No further connection can be accepted now: %s; those that wait are served when there is room", reason)
        self._said = True
        self._make_room()
        self._loop.remove_reader(self._socket.fileno())
        self._resting = self._loop.call_later(REST, self._listen)
