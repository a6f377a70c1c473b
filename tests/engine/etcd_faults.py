"""Stands between a client and a member of etcd, and loses or holds back single answers: the request
has happened then, and the client does not know.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from ikdemo.etcd.addresses import Address
from ikdemo.etcd.etcd_connection import EtcdConnection

TXN, GRANT, RENEW = "/v3/kv/txn", "/v3/lease/grant", "/v3/lease/keepalive"


class Between:
    """A server before a member. ``lose``: how many of the next answers to requests of a path are
    lost; ``hold``: what is called before an answer to a path is passed on. No watch passes.
    """

    def __init__(self, member: Address) -> None:
        self._member = member
        self.lose = Counter[str]()
        self.hold: dict[str, Callable[[], None]] = {}
        self.address = Address("", 0, False)
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def __aenter__(self) -> Between:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**22)
        self.address = Address("127.0.0.1", self._server.sockets[0].getsockname()[1], False)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._open.values():
            writer.transport.abort()
        await asyncio.gather(*self._open)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer
        try:
            while await self._pass_on(reader, writer):
                pass
        except (OSError, EOFError):
            pass
        finally:
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split()[1].decode()
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        body = await reader.readexactly(length)
        connection = await EtcdConnection.open(self._member, None)
        try:
            answer = await connection.exchange(path, body)
        finally:
            connection.close()
        if self.lose[path] > 0:
            self.lose[path] -= 1
            return False
        if path in self.hold:
            self.hold[path]()
        length = len(answer.body)
        writer.write(b"HTTP/1.1 %d OK\r\nContent-Length: %d\r\n\r\n" % (answer.status, length))
        writer.write(answer.body)
        return True
