"""Calls one plugin: a bounded pool of kept-alive connections, and an honest word about what became
of each call.

Whether a request was sent, and so whether it may have happened, is known only here:
``PluginUnavailable`` when it surely did not happen, ``OutcomeUnknown`` when it may have. Nothing
that changes the world is ever sent twice. Accepts all that InfraKit's own clients accept, and asks
little of plugins without our extensions: simple ones serve one connection after the other, and say
that they keep one which they then close.
"""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import socket
from pathlib import Path
from typing import Annotated, TypeVar

from msgspec import Meta, Raw, Struct

from ..spi.decode import decode, encode
from ..spi.documents import NULL, Document
from ..spi.errors import (
    Fenced,
    IkdemoError,
    OutcomeUnknown,
    PluginUnavailable,
    ProtocolError,
    RemoteFailure,
    SpecError,
)
from ..spi.text import compact
from .batcher import Batcher, PendingCall, Reply
from .client_connection import Broken, ClientConnection, Response
from .discovery import SocketIdentity, check_length, identity
from .methods import FINAL, holds_text

R = TypeVar("R")

LIMIT = 64
"""Connections to one plugin; further calls wait within their own deadline."""
SPARE = 5.0
"""Seconds after which all idle connections but one are closed: many calls at once are over then."""
LONGEST_ERROR = 2**14
"""Characters of a plugin's error that are passed on: it is kept, and shown, in many places."""
FIRST_ID = 2**52
"""IDs of requests begin at random below this and rise from there: all that JavaScript can hold,
too.
"""


class RemoteError(Struct, frozen=True, forbid_unknown_fields=True):
    code: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] = -32000
    message: str = ""
    data: Raw = NULL


class Client:
    """The connections to one plugin. ``lost`` counts those that ended without our doing: then the
    plugin may be another one.
    """

    def __init__(self, path: Path, limit: int = LIMIT) -> None:
        self.path = Path(path)
        self.name = self.path.name
        self.lost = 0
        self._batcher = Batcher(self._exchange, limit)
        self._idle: list[ClientConnection] = []  # the one used last comes last
        self._spare_timer: asyncio.TimerHandle | None = None
        self._open: set[ClientConnection] = set()
        self._abandoned: set[ClientConnection] = set()
        self._socket: SocketIdentity | None = None
        # some plugins name their instances by them
        self._ids = itertools.count(1 + int.from_bytes(os.urandom(8)) % FIRST_ID)
        self._closed = False

    async def call(
        self,
        method: str,
        params: Document,
        result: type[R],
        deadline: float,
        *,
        reads: bool = False,
        batch: bool = False,
    ) -> R:
        """Call ``method`` and return its result, or raise what became of it, after ``deadline``
        seconds at the latest.

        ``reads`` says that the method changes nothing: if a kept-alive connection breaks, it is
        asked again on a new one. ``batch`` says that the plugin takes several calls at once; to any
        other what changes something goes on a new connection. Raises PluginUnavailable,
        OutcomeUnknown, RemoteFailure, Fenced, ProtocolError.
        """
        number = next(self._ids)
        body = b'{"jsonrpc":"2.0","method":"%b","params":%b,"id":%d}' % (
            method.encode(),
            encode(params),
            number,
        )
        what = f"plugin {self.name}: {method}"
        call = PendingCall(method, number, body, deadline, reads=reads, batch=batch)
        try:
            reply = await self._batcher.send(call)
        except ProtocolError as error:
            raise ProtocolError(f"{what}: {error}") from None
        except TimeoutError:
            if call.sent:
                raise OutcomeUnknown(
                    f"{what}: no answer within {deadline:g} s; it may have happened"
                ) from None
            raise PluginUnavailable(f"{what}: could not be sent within {deadline:g} s") from None
        except Broken as broken:
            if broken.unsent:
                raise PluginUnavailable(f"{what}: {broken} before the request was sent") from None
            raise OutcomeUnknown(f"{what}: {broken}; it may have happened") from None
        return _read(reply, result, what)

    def close(self) -> None:
        """Close every connection; calls under way end with OutcomeUnknown."""
        self._closed = True
        if self._spare_timer is not None:
            self._spare_timer.cancel()
        for connection in list(self._open):
            connection.close()

    def check_socket(self) -> None:
        """Leave a plugin whose socket has been replaced by another one's, even if it still holds
        our connections.
        """
        if self._socket is None or identity(self.path) == self._socket:
            return
        self._socket = None
        self.lost += 1
        self._abandoned = set(self._open)  # calls under way may end
        self._close_idle()

    async def _exchange(
        self, body: bytes, reads: bool, batch: bool, sent: list[ClientConnection]
    ) -> Response:
        """Send a body and return the answer; once more on a new connection when that is surely
        harmless.
        """
        while True:
            if not (reads or batch):
                self._close_idle()  # what serves one connection after the other would wait for it
            connection = await self._acquire()
            fresh = connection.fresh
            sent.append(connection)
            try:
                answer = await connection.exchange(body)
            except Broken as broken:
                if fresh or not (reads or broken.unsent):
                    raise
                sent.clear()
                continue
            finally:
                self._release(connection, keep=batch or (reads and len(self._open) == 1))
            return answer

    async def _acquire(self) -> ClientConnection:
        """Take the connection used last, if it still lives, or open one."""
        if self._closed:
            raise PluginUnavailable(f"plugin {self.name}: this client is closed")
        while self._idle:
            connection = self._idle.pop()
            if connection.alive():
                return connection
            self.lost += 1
            connection.close()
        loop = asyncio.get_running_loop()
        served = identity(self.path)
        if self._socket not in (None, served):
            self.lost += 1
        self._socket = served
        connected = await _connect(self.path)
        _, connection = await loop.create_unix_connection(
            lambda: ClientConnection(self._on_lost), sock=connected
        )
        self._open.add(connection)
        return connection

    def _release(self, connection: ClientConnection, *, keep: bool) -> None:
        """Keep a connection whose answer is complete, if that is asked for; drop any other."""
        if keep and connection.reusable and not self._closed and connection not in self._abandoned:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)
            self._keep_one_idle()
        else:
            connection.close()

    def _keep_one_idle(self) -> None:
        """See to it that of several idle connections the last one alone stays."""
        if len(self._idle) > 1 and self._spare_timer is None:
            loop = asyncio.get_running_loop()
            self._spare_timer = loop.call_at(self._idle[0].idle_since + SPARE, self._close_spare)

    def _close_spare(self) -> None:
        self._spare_timer = None
        overdue = asyncio.get_running_loop().time() - SPARE
        while len(self._idle) > 1 and self._idle[0].idle_since <= overdue:
            self._idle.pop(0).close()
        self._keep_one_idle()

    def _close_idle(self) -> None:
        for connection in self._idle[:]:
            self._idle.remove(connection)
            connection.close()

    def _on_lost(self, connection: ClientConnection, ours: bool) -> None:
        self._open.discard(connection)
        self._abandoned.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if not ours:
            self.lost += 1


async def _connect(path: Path) -> socket.socket:
    """Connect, waiting while the plugin's queue of connections is full; the caller's deadline ends
    that.
    """
    try:
        check_length(path)
        connecting = socket.socket(socket.AF_UNIX)
    except SpecError as error:
        raise PluginUnavailable(str(error)) from None
    except OSError as error:  # as when this process has too many files open
        raise PluginUnavailable(
            f"plugin {path.name} cannot be reached: {str(error.strerror).lower()}"
        ) from None
    connecting.setblocking(False)
    try:
        while (outcome := connecting.connect_ex(os.fspath(path))) == errno.EAGAIN:  # noqa: ASYNC110, no event tells
            await asyncio.sleep(0.005)
    except BaseException:
        connecting.close()
        raise
    if outcome == 0:
        return connecting
    connecting.close()
    why = os.strerror(outcome).lower()
    hint = {
        errno.ECONNREFUSED: "; its process is gone, start it again",
        errno.ENOENT: "; it is not running",
    }.get(outcome, "")
    raise PluginUnavailable(f"plugin {path.name} cannot be reached at {path}: {why}{hint}")


def _read(reply: Reply, result: type[R], what: str) -> R:
    """Return the result that a reply holds, or raise what it says."""
    if reply.error != NULL:
        raise _remote(reply.error)
    if reply.result == NULL:
        raise ProtocolError("result is null")
    try:
        return decode(compact(bytes(reply.result)) if holds_text(result) else reply.result, result)
    except SpecError as error:
        raise ProtocolError(f"{what}: the result is not what it should be: {error}") from None


def _remote(error: Raw) -> IkdemoError:
    """Turn an error object into the error it stands for; one of another shape is its own
    message.
    """
    try:
        said = decode(error, RemoteError)
        if fenced := Fenced.said_by(said.message):
            return fenced
        return RemoteFailure(_cut(said.message), remote_code=said.code, final=said.data == FINAL)
    except SpecError:
        return RemoteFailure(_cut(bytes(error).decode("utf-8", "replace")))


def _cut(text: str) -> str:
    return (
        text
        if len(text) <= LONGEST_ERROR
        else f"{text[:LONGEST_ERROR]}... ({len(text)} characters)"
    )
