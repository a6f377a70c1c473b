"""One client's connection to us: requests in, refusals or answers out, in order, every wait with an
end.

``http`` has the rules, this file the order of things. A connection is in one of these states, each
with its own deadline:

- idle: nothing has come yet; IDLE seconds.
- head: a request has begun; HEAD seconds for the whole head.
- body: its head is complete; STALL seconds without a byte, BODY seconds for the whole.
- at work: it is being answered, and further requests wait; no deadline, the method has its own.
- unread: the answer is written, and the client does not read it; BODY seconds.
- closing: the last answer is written; LINGER seconds for the client to read it.

Bytes are parsed by httptools.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from math import inf

import httptools

from . import http
from .http import Request


class ServerConnection(asyncio.Protocol):
    """One client's connection. ``answer`` turns a body into a reply; ``connections`` is where the
    server finds this one.
    """

    def __init__(
        self, answer: Callable[[bytes], Awaitable[bytes]], connections: set[ServerConnection]
    ) -> None:
        self._answer = answer
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[Request] = deque()
        self._task: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._ignores_input = False  # nothing more is read: refused, upgraded or being closed
        self._in_message = False
        self._ended = False  # nothing more is expected from the client
        self._lost = False
        self.deadline = self._loop.time() + http.IDLE

    # what the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._ignores_input = self._lost = True
        self._waiting.clear()
        self._writable.set()
        # it leads back here: thousands of dead connections would wait for the collector
        del self._parser
        if not self.busy:
            self._connections.discard(self)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        if self._ignores_input:
            return
        if not self._in_message and not self.busy:
            self.deadline = self._loop.time() + http.HEAD
        try:
            self._feed(data)
        except httptools.HttpParserInvalidMethodError:
            self._refuse(http.refuse_garbage(data))
        except httptools.HttpParserError:
            self._refuse(http.GARBAGE)
        if not self._in_message or self._ignores_input:
            return
        if not self._has_head:
            self._head_bytes += len(data)
            if self._head_bytes > http.HEAD_LIMIT:
                self._refuse(http.HEAD_TOO_LARGE)
        elif not self.busy:
            self.deadline = min(self._body_deadline, self._loop.time() + http.STALL)

    def _feed(self, data: bytes) -> None:
        """Parse; a request that asks for another protocol is read as if it did not, which the
        parser has to be told.
        """
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._ignores_input:
                return
            kept = [
                b"%b: %b\r\n" % (name, value)
                for name, value in self._headers.items()
                if name not in (b"upgrade", b"connection")
            ]
            self._parser = httptools.HttpRequestParser(self)
            self._parser.feed_data(
                b"POST / HTTP/1.1\r\nConnection: close\r\n"
                + b"".join(kept)
                + b"\r\n"
                + data[upgrade.args[0] :]
            )

    def eof_received(self) -> bool:
        self._ignores_input = self._ended = True
        return self.busy  # keep the other direction open until the answer is written

    # what the parser calls

    def on_message_begin(self) -> None:
        self._in_message = True
        self._has_head = False
        self._head_bytes = 0
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._body_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._has_head:  # after the body come trailers, which mean nothing here
            self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        self._has_head = True
        self._body_deadline = self._loop.time() + http.BODY
        version = self._parser.get_http_version()
        refusal = http.check_head(self._parser.get_method(), version, self._headers)
        if refusal:
            self._refuse(refusal)
        elif (
            version == "1.1"
            and not self.busy
            and self._headers.get(b"expect", b"").lower() == b"100-continue"
        ):
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        if self._ignores_input:
            return
        self._body_bytes += len(body)
        if self._body_bytes > http.BODY_LIMIT:
            self._refuse(http.TOO_LARGE)
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        self._in_message = False
        if not self._ignores_input and not self._parser.should_upgrade():
            old = self._parser.get_http_version() != "1.1"
            self._enqueue(Request(200, b"".join(self._body), self._parser.should_keep_alive(), old))
            self._body = []

    # answering, one request after the other

    @property
    def busy(self) -> bool:
        """Whether a request is being answered."""
        return self._task is not None

    def _refuse(self, refusal: Request) -> None:
        """Answer a request with a plain sentence and read no more from this client."""
        if not self._ignores_input:
            self._ignores_input = True
            self._enqueue(refusal)

    def _enqueue(self, request: Request) -> None:
        self._waiting.append(request)
        if self._task is None:
            self.deadline = inf
            self._task = self._loop.create_task(self._work())
        else:
            self._transport.pause_reading()

    async def _work(self) -> None:
        """Answer what waits, in order; afterwards the connection is idle or closing."""
        try:
            keep_alive = await self._answer_waiting()
        except BaseException:
            self._transport.abort()
            raise
        finally:
            self._task = None
            if self._lost:
                self._connections.discard(self)
        if not keep_alive or self._ended:  # it may have ended while the answer was on its way
            self.close()
        elif not self._lost:
            now = self._loop.time()
            self._body_deadline = now + http.BODY
            self.deadline = now + (http.HEAD if self._in_message else http.IDLE)
            self._transport.resume_reading()

    async def _answer_waiting(self) -> bool:
        """Answer every waiting request; False when the connection is to end after that."""
        keep_alive = True
        while self._waiting and keep_alive:
            request = self._waiting.popleft()
            reply = await self._answer(request.body) if request.status == 200 else request.body
            keep_alive = request.keep_alive and (bool(self._waiting) or not self._ignores_input)
            if self._lost:
                break
            self._transport.write(http.response(request, reply, keep_alive))
            if not self._writable.is_set():
                self.deadline = self._loop.time() + http.BODY
                await self._writable.wait()
                self.deadline = inf
        return keep_alive

    # what the server calls

    def overdue(self) -> None:
        """End a wait that has lasted too long: with a word when a request was half received,
        without one otherwise.
        """
        if self._ignores_input or self.busy or not self._in_message:
            self._transport.abort()
        else:
            self._refuse(http.TOO_SLOW)

    def finish(self) -> asyncio.Task[None]:
        """Take no further requests; return the task that answers those at hand."""
        assert self._task
        self._ignores_input = self._ended = True
        return self._task

    def is_idle(self, seconds: float) -> bool:
        """Say whether nothing is at work here, and nothing has come for so long."""
        return (
            not (self.busy or self._ignores_input or self._in_message)
            and self.deadline - http.IDLE + seconds <= self._loop.time()
        )

    def leave(self) -> None:
        """End an idle connection."""
        self._ignores_input = True
        self._transport.close()

    def abort(self) -> None:
        """End the connection now; what is at work for it is given up."""
        if self._task:
            self._task.cancel()
        self._transport.abort()

    def close(self) -> None:
        """End the connection once what was written is on its way, leaving the client time to read
        it.

        Bytes that lie unread would cut the answer short, so they are read and forgotten for a
        moment.
        """
        self._ignores_input = True
        if self._ended or not self._transport.can_write_eof():
            self._transport.close()
        elif not self._transport.is_closing():
            self.deadline = self._loop.time() + http.LINGER
            self._transport.resume_reading()
            self._transport.write_eof()
