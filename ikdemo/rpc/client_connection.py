"""One connection to a plugin: sends a request, reads the answer, and knows whether either came
through.

How answers are delimited, and how large they may be, is decided only here. Bytes are parsed by
httptools.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from typing import NamedTuple

import httptools

from ..spi.errors import ProtocolError

REPLY_LIMIT = 64 * 2**20
"""Bytes of an answer: 100,000 instances described."""
HEAD_LIMIT = 2**20
"""Bytes of an answer's head."""


class Response(NamedTuple):
    """A complete answer."""

    status: int
    body: bytes


class Broken(Exception):
    """The connection ended before the answer was complete. ``unsent``: the plugin surely has not
    got the whole request.
    """

    def __init__(self, message: str, *, unsent: bool = False) -> None:
        super().__init__(message)
        self.unsent = unsent


class ClientConnection(asyncio.Protocol):
    """A connection that carries one request at a time; ``fresh`` until it has carried one.
    ``idle_since`` is its client's.
    """

    def __init__(self, on_lost: Callable[[ClientConnection, bool], None]) -> None:
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[Response] | None = None
        self._poll = select.poll()
        self._ours = False
        self.gone: asyncio.Future[None] = self._loop.create_future()
        self.fresh = True
        self.reusable = False
        self.idle_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._poll.register(
            transport.get_extra_info("socket").fileno(), select.POLLIN | select.POLLRDHUP
        )

    def connection_lost(self, exc: Exception | None) -> None:
        self.reusable = False
        if not self.gone.done():
            self.gone.set_result(None)
        if self._answer and not self._answer.done():
            if self._until_end and exc is None:
                self._answer.set_result(
                    Response(self._parser.get_status_code(), b"".join(self._body))
                )
            else:
                self._answer.set_exception(
                    Broken("the connection broke", unsent=isinstance(exc, BrokenPipeError))
                )
        vars(self).pop("_parser", None)  # it leads back here, and would wait for the collector
        self._on_lost(self, self._ours)

    def alive(self) -> bool:
        """Tell whether the other side still holds an idle connection, asking the kernel: the loop
        may not know yet.
        """
        return not self._transport.is_closing() and not self._poll.poll(0)

    def close(self) -> None:
        """Close at once."""
        self._ours = self._ours or not self._transport.is_closing()
        self.reusable = False
        self._transport.abort()

    async def exchange(self, body: bytes) -> Response:
        """Send one request and return its answer; raises Broken, or ProtocolError for an answer
        that is none.

        If cancelled, the connection cannot be used again.
        """
        if self.gone.done() or self._transport.is_closing():
            raise Broken("the connection broke", unsent=True)
        self.fresh = self.reusable = False
        self._parser = httptools.HttpResponseParser(self)
        # plugins in C put ctime() into the head
        self._parser.set_dangerous_leniencies(lenient_optional_cr_before_lf=True)
        self._body: list[bytes] = []
        self._size = 0
        self._has_head = self._delimited = self._until_end = False
        self._answer = self._loop.create_future()
        head = (
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: "
            b"%d\r\n\r\n" % len(body)
        )
        self._transport.write(head + body)
        try:
            return await self._answer
        finally:
            # an answer may be large, and this connection idle for long
            self._answer, self._body = None, []

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._answer.done():
            self.close()  # no request is under way
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if self._answer.done():
                self.reusable = False  # it said more than it should
            else:
                self._fail(f"the answer is not HTTP ({error})")
            return
        self._size += len(data)
        if not self._answer.done() and self._size > (REPLY_LIMIT if self._has_head else HEAD_LIMIT):
            what, limit = (
                ("answer", REPLY_LIMIT) if self._has_head else ("answer's head", HEAD_LIMIT)
            )
            self._fail(f"the {what} is larger than {limit >> 20} MiB")

    # what the parser calls

    def on_message_begin(self) -> None:
        if self._answer and self._answer.done():
            self.reusable = False  # a second answer to one request

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self._delimited = True

    def on_headers_complete(self) -> None:
        self._has_head = self._parser.get_status_code() >= 200
        self._until_end = self._has_head and not self._delimited

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status >= 200 and self._answer and not self._answer.done():
            self.reusable = self._parser.should_keep_alive()
            self._answer.set_result(Response(status, b"".join(self._body)))

    def _fail(self, sentence: str) -> None:
        assert self._answer
        self._answer.set_exception(ProtocolError(sentence))
        self.close()
