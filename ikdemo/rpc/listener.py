"""Takes a socket's path, listens there and accepts connections.

Decided only here: how a path is taken (a stale socket is replaced, a live one never, and what is
there listens already) and given back, and what happens when no connection can be accepted (idle
ones are ended, then it is tried again).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import logging
import os
import socket
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from ..spi.errors import InUse, SpecError
from .discovery import UNREADY, check_length, ensure_dir

log = logging.getLogger(__name__)

LOCK_WAIT = 5.0
"""Seconds that a plugin waits for the lock of the plugin directory."""
BACKLOG = 4096
"""Connections the kernel keeps for us; InfraKit's group opens one for every parallel call."""
AT_ONCE = 128
"""Connections accepted before anything else has its turn."""
PAUSE = 0.2
"""Seconds until the next try when no connection can be accepted."""


async def listen(
    path: Path, make: Callable[[], asyncio.Protocol], make_room: Callable[[], None]
) -> Listener:
    """Listen at a path. On return the socket exists with mode 0600 and answers.

    Raises InUse when a live plugin has the path, SpecError when the path cannot be a socket's.
    """
    check_length(path)
    ensure_dir(path.parent)
    async with _lock(path.parent):
        _check_free(path)
        return Listener(path, _bind(path), make, make_room)


class Listener:
    """One listening socket, from construction to ``close``; each connection gets a protocol from
    ``make``.

    ``make_room`` is called when no further connection can be had: it ends idle ones.
    """

    def __init__(
        self,
        path: Path,
        bound: socket.socket,
        make: Callable[[], asyncio.Protocol],
        make_room: Callable[[], None],
    ) -> None:
        self._path, self._socket, self._make, self._make_room = path, bound, make, make_room
        self._loop = asyncio.get_running_loop()
        self._accepting: set[asyncio.Task[Any]] = set()
        self._pausing: asyncio.TimerHandle | None = None
        self._has_warned = False
        found = path.lstat()
        self._identity = found.st_dev, found.st_ino
        self._listen()

    def remove_socket(self) -> None:
        """Remove the socket's file; it is left alone when another one is at its path."""
        with contextlib.suppress(FileNotFoundError):
            found = self._path.lstat()
            if (found.st_dev, found.st_ino) == self._identity:
                self._path.unlink()

    async def close(self) -> None:
        """Accept the clients that have connected already, then listen no more. On return every
        connection has its protocol.
        """
        if self._pausing is not None:
            self._pausing.cancel()
        self._loop.remove_reader(self._socket.fileno())
        while self._accept():
            pass
        if self._pausing is not None:
            self._pausing.cancel()
        self._socket.close()
        if self._accepting:
            await asyncio.wait(self._accepting)

    def _listen(self) -> None:
        self._pausing = None
        self._loop.add_reader(self._socket.fileno(), self._ready)

    def _ready(self) -> None:
        for _ in range(AT_ONCE):
            if not self._accept():
                return

    def _accept(self) -> bool:
        """Accept one connection; false when no client waits or none can be had now."""
        try:
            accepted, _ = self._socket.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False
        except OSError as error:
            self._pause(error)
            return False
        self._has_warned = False
        accepted.setblocking(False)
        beginning = self._loop.create_task(self._begin(accepted))
        self._accepting.add(beginning)
        beginning.add_done_callback(self._accepting.discard)
        return True

    async def _begin(self, accepted: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make, accepted)
        except Exception:
            log.exception("A connection cannot be served")
            accepted.close()

    def _pause(self, error: OSError) -> None:
        if not self._has_warned:
            reason = (error.strerror or str(error)).lower()
            log.warning(
                "No further connection can be accepted now: %s; those that wait are served when "
                "there is room",
                reason,
            )
        self._has_warned = True
        self._make_room()
        self._loop.remove_reader(self._socket.fileno())
        self._pausing = self._loop.call_later(PAUSE, self._listen)


@contextlib.asynccontextmanager
async def _lock(directory: Path) -> AsyncIterator[None]:
    """Hold the plugin directory's lock: of two plugins that want one name at once, the second sees
    the first alive.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + LOCK_WAIT
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if loop.time() > end:
                    sentence = (
                        f"the plugin directory {directory} is locked by another process; "
                        "is it an instance directory, too?"
                    )
                    raise InUse(sentence) from None
                await asyncio.sleep(0.01)
        yield
    finally:
        os.close(descriptor)


def _check_free(path: Path) -> None:
    """Say that a path can be taken, as nothing is there or a stale socket; raises InUse when
    something lives behind it, SpecError when it is something else.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise SpecError(f"{path} is not a socket; remove it, or give the plugin another name")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        outcome = probe.connect_ex(os.fspath(path))
    if outcome in (0, errno.EAGAIN):  # EAGAIN: alive, with a full queue
        raise InUse(f"{path.name} is already served by a live plugin")
    if outcome not in (errno.ECONNREFUSED, errno.ENOENT):
        raise InUse(f"whether {path} is in use cannot be told: {os.strerror(outcome)}")


def _bind(path: Path) -> socket.socket:
    """Put a socket at a path, in the place of a stale one, that has mode 0600 and listens from its
    first moment there.

    Until then it has another name, no longer than its own, so that no client can come too early.
    """
    unready = path.with_name(path.name[:-1] + UNREADY)
    bound = socket.socket(socket.AF_UNIX)
    try:
        bound.setblocking(False)
        os.fchmod(bound.fileno(), 0o600)  # Linux gives the file the mode of the socket
        if unready.is_socket():  # of a plugin that was killed just here
            unready.unlink()
        bound.bind(os.fspath(unready))
        bound.listen(BACKLOG)
        unready.rename(path)
    except OSError as error:
        bound.close()
        raise SpecError(f"the socket {path} cannot be made: {error.strerror}") from None
    return bound
