"""Asks one of several members, under one deadline for all of them, and says honestly what became of
the request.

``PluginUnavailable`` when it surely did not happen, ``OutcomeUnknown`` when it may have. Only what
may be sent twice is: every other request goes to one member, to which a connection could be made.
A member that fails is left for the next one.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import msgspec

from ..spi.errors import OutcomeUnknown, PluginFailure, PluginUnavailable, ProtocolError
from ..spi.text import visible
from .addresses import Address
from .etcd_connection import EtcdAnswer, EtcdConnection

AT_ONCE = 16
"""Requests in flight, watches not counted; further ones wait within their own deadline."""
IDLE = 4
"""Connections that are kept for the next requests."""
NOT_FOUND = 5
"""gRPC's code, in the answer of a member that knows no such lease."""
_LONGEST = 500


class _StreamError(msgspec.Struct, frozen=True):
    message: str = ""
    grpc_code: int = 0
    http_code: int = 0


class EtcdError(msgspec.Struct, frozen=True):
    """What a member says in place of an answer: its sentence, and gRPC's code. Where an answer is a
    stream, they are inside ``error``, and the status may be 200.
    """

    error: str | _StreamError = ""
    code: int = 0


class EtcdRefusal(PluginFailure):
    """A member understood the request and refused it; ``etcd_code`` is gRPC's."""

    def __init__(self, message: str, etcd_code: int) -> None:
        super().__init__(message)
        self.etcd_code = etcd_code


class _Attempt(Exception):
    """One member gave no answer; ``sent``: it may have got the request."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class Endpoints:
    """The connections to the members of one etcd, for one event loop. ``within``: seconds for a
    request.
    """

    def __init__(
        self, addresses: Sequence[Address], tls: ssl.SSLContext | None, within: float
    ) -> None:
        self._addresses, self._tls, self._within = tuple(addresses), tls, within
        self._at = 0
        self._idle: list[EtcdConnection] = []
        self._open: set[EtcdConnection] = set()
        self._streams: dict[EtcdConnection, int] = {}
        self._room = asyncio.Semaphore(AT_ONCE)

    async def ask(
        self, path: str, body: bytes, *, within: float | None = None, again: bool = False
    ) -> bytes:
        """Return a member's answer to a request, at the latest after ``within`` seconds.

        ``again``: the request may be sent to a second member when the first one gives no answer.
        Raises PluginUnavailable, OutcomeUnknown, EtcdRefusal, ProtocolError.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (self._within if within is None else within)
        failed: list[str] = []
        sent = False
        for left in range(len(self._addresses), 0, -1):
            at = self._at
            now = loop.time()
            share = now + max(0.0, deadline - now) / left
            try:
                return await self._attempt(path, body, share, deadline, again)
            except _Attempt as attempt:
                self._leave(at)
                failed.append(str(attempt))
                sent = sent or attempt.sent
                if attempt.sent and not again:
                    break
        what = f"etcd gives no answer: {'; '.join(failed)}"
        if sent:
            raise OutcomeUnknown(f"{what}; it may have happened")
        raise PluginUnavailable(what)

    async def lines(self, path: str, body: bytes) -> AsyncGenerator[bytes, None]:
        """Give the lines of an answer that never ends, from the member in use; a connection has
        the seconds of a request to be made.

        Raises PluginUnavailable when none is made, OutcomeUnknown when it breaks, or when another
        request has found that this member does not answer.
        """
        at = self._at
        address = self._addresses[at]
        try:
            async with asyncio.timeout(self._within):
                connection = await EtcdConnection.open(address, self._tls)
        except (OSError, TimeoutError) as error:
            self._leave(at)
            raise PluginUnavailable(f"{address}: {_why(error)}") from None
        self._open.add(connection)
        self._streams[connection] = at
        try:
            async with aclosing(connection.lines(path, body)) as lines:
                async for line in lines:
                    yield line
        except (OSError, EOFError) as error:
            self._leave(at)
            raise OutcomeUnknown(f"{address}: {_why(error)}") from None
        finally:
            del self._streams[connection]
            self._discard(connection)

    def close(self) -> None:
        """Close every connection; requests under way end with an error."""
        self._idle.clear()
        for connection in list(self._open):
            connection.close()
        self._open.clear()

    async def _attempt(
        self, path: str, body: bytes, share: float, deadline: float, again: bool
    ) -> bytes:
        """Ask the member in use, until the moment ``share``; what must not be sent twice has until
        ``deadline`` once there is a connection.
        """
        address, connection = self._addresses[self._at], None
        complete = False
        try:
            async with asyncio.timeout_at(share) as limit, self._room:
                connection = await self._acquire(address)
                if not again:
                    limit.reschedule(deadline)
                answer = await connection.exchange(path, body)
            complete = True
        except (OSError, EOFError, TimeoutError) as error:
            sent = connection is not None and connection.sent and not _refused(connection, error)
            late = isinstance(error, TimeoutError)
            why = "no answer in time" if late and sent else _why(error)
            raise _Attempt(f"{address}: {why}", sent=sent) from None
        finally:
            if connection is not None:
                self._release(connection, complete)
        return _body(answer, address)

    async def _acquire(self, address: Address) -> EtcdConnection:
        while self._idle:
            connection = self._idle.pop()
            if connection.alive():
                return connection
            self._discard(connection)
        connection = await EtcdConnection.open(address, self._tls)
        self._open.add(connection)
        return connection

    def _release(self, connection: EtcdConnection, complete: bool) -> None:
        kept = complete and connection.alive() and connection in self._open
        if kept and len(self._idle) < IDLE:
            self._idle.append(connection)
        else:
            self._discard(connection)

    def _discard(self, connection: EtcdConnection) -> None:
        self._open.discard(connection)
        connection.close()

    def _leave(self, at: int) -> None:
        """Use the next member, unless another request has seen to that."""
        if at != self._at:
            return
        self._at = (self._at + 1) % len(self._addresses)
        while self._idle:
            self._discard(self._idle.pop())
        for connection, member in self._streams.items():
            if member == at:
                connection.close()


def _body(answer: EtcdAnswer, address: Address) -> bytes:
    """Return what an answer holds, or raise what it says."""
    if answer.status == 200 and not answer.body.startswith(b'{"error"'):
        return answer.body
    try:
        said = msgspec.json.decode(answer.body, type=EtcdError)
    except (msgspec.DecodeError, UnicodeDecodeError):
        text = visible(answer.body[:_LONGEST].decode("utf-8", "replace").strip())
        raise ProtocolError(
            f"{address} is no etcd of 3.4 or newer: it answers {answer.status} {text}"
        ) from None
    if isinstance(said.error, str):
        status, code, text = answer.status, said.code, said.error
    else:
        status, code, text = said.error.http_code, said.error.grpc_code, said.error.message
    text = visible(text[:_LONGEST])
    if status >= 500:  # no leader, a deadline of its own: another member may know better
        raise _Attempt(f"{address}: {text}", sent=True)
    raise EtcdRefusal(f"etcd refuses: {text}", code)


def _refused(connection: EtcdConnection, error: BaseException) -> bool:
    """Say whether a member ended a connection by an alert of TLS before it answered anything: it
    read no request then.
    """
    return isinstance(error, ssl.SSLError) and not connection.answered


def _why(error: BaseException) -> str:
    """Put what went wrong with a connection into words.

    >>> _why(ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 1)"))
    'connection refused'
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS fails: {(error.reason or str(error)).replace('_', ' ').lower()}"
    if isinstance(error, TimeoutError):
        return "no connection in time"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, OSError):
        return (error.strerror or str(error)).lower()
    return str(error)
