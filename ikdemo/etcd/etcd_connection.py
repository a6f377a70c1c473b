"""One connection to a member: sends a request, reads the answer whole or line by line, and bounds
it.

Deadlines are the caller's. Bytes are parsed by httptools.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator
from typing import NamedTuple

import httptools

from ..spi.errors import ProtocolError
from .addresses import Address

MOST_BYTES = 4 * 2**20
"""Of an answer, and of a line of a watch: a value of etcd's 1.5 MiB, in base64, with room."""


class EtcdAnswer(NamedTuple):
    """A complete answer."""

    status: int
    body: bytes


class EtcdConnection(asyncio.Protocol):
    """A connection that carries one request at a time. ``sent``: a request may have arrived;
    ``answered``: something of its answer has.
    """

    def __init__(self) -> None:
        self.sent = self.answered = self.reusable = False
        self._response: _EtcdResponse | None = None
        self._lost: Exception | None = None
        self._news = asyncio.Event()

    @classmethod
    async def open(cls, address: Address, tls: ssl.SSLContext | None) -> EtcdConnection:
        """Connect; raises OSError, of which ssl.SSLError is one."""
        _, connection = await asyncio.get_running_loop().create_connection(
            cls, address.host, address.port, ssl=tls if address.tls else None
        )
        return connection

    def alive(self) -> bool:
        """Tell whether an idle connection can carry a request, as far as the loop knows."""
        return self.reusable and self._lost is None and not self._transport.is_closing()

    def close(self) -> None:
        """Close at once; what was not written is given up."""
        self.reusable = False
        self._transport.abort()

    async def exchange(self, path: str, body: bytes) -> EtcdAnswer:
        """Send one request and return its answer.

        Raises OSError or EOFError when the connection breaks, ProtocolError for what is no answer.
        If cancelled, the connection cannot be used again.
        """
        response = self._send(path, body)
        while not response.complete:
            await self._more(response)
            if response.size > MOST_BYTES:
                raise ProtocolError(f"the answer is larger than {MOST_BYTES >> 20} MiB")
        self._response = None
        self.reusable = response.keeps_alive and not response.is_followed
        return EtcdAnswer(response.status, b"".join(response.parts))

    async def lines(self, path: str, body: bytes) -> AsyncGenerator[bytes, None]:
        """Send one request and give each line of an answer that never ends; raises as
        ``exchange``.
        """
        response, rest = self._send(path, body), b""
        while not response.complete:
            await self._more(response)
            *whole, rest = (rest + b"".join(response.parts)).split(b"\n")
            response.parts.clear()
            for line in whole:
                if line.strip():
                    yield line
            if len(rest) > MOST_BYTES:
                raise ProtocolError(f"a line is larger than {MOST_BYTES >> 20} MiB")
            response.size = len(rest)
            self._transport.resume_reading()
        if rest.strip():
            yield rest

    def _send(self, path: str, body: bytes) -> _EtcdResponse:
        head = (
            f"POST {path} HTTP/1.1\r\nHost: etcd\r\nContent-Type: application/json\r\n"
            # a member that knows no leader says so, and ends a watch: what it tells may be old
            f"Grpc-Metadata-hasleader: true\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self.sent, self.answered, self.reusable = True, False, False
        self._response = _EtcdResponse()
        self._transport.write(head.encode("ascii") + body)
        return self._response

    async def _more(self, response: _EtcdResponse) -> None:
        """Wait until something has come."""
        await self._news.wait()
        self._news.clear()
        if response.error is not None:
            raise ProtocolError(f"the answer is not HTTP ({response.error})")
        if self._lost is not None and not response.complete:
            raise self._lost

    # what the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        response, self.answered = self._response, True
        if response is None:
            self.close()  # no request is under way
            return
        response.size += len(data)
        if response.size > MOST_BYTES:
            self._transport.pause_reading()
        try:
            response.parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            response.error = error
        self._news.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = exc or EOFError("the connection broke")
        self._news.set()


class _EtcdResponse:
    """What the parser has found so far. ``size``: bytes that are held, the head's too."""

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.parts: list[bytes] = []
        self.size = self.status = 0
        self.complete = self.keeps_alive = self.is_followed = False
        self.error: Exception | None = None

    def on_message_begin(self) -> None:
        self.is_followed = self.complete  # by a second answer to one request

    def on_body(self, body: bytes) -> None:
        if not self.complete:
            self.parts.append(body)

    def on_message_complete(self) -> None:
        if not self.complete:
            self.complete = True
            self.status = self.parser.get_status_code()
            self.keeps_alive = self.parser.should_keep_alive()
