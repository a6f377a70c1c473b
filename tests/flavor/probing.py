"""A probe flavor that runs in the test's own loop, what it told, and a web server that it can
check.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from msgspec import Raw

from ikdemo.flavor.probe import Probe
from ikdemo.spi.documents import Description
from ikdemo.spi.events import Event

QUICK = {"Interval": "20ms", "Timeout": "200ms", "Threshold": 3}


class Server:
    """A web server that does as it is told: ``status`` is what it answers, None lets callers wait
    for ever.
    """

    def __init__(self) -> None:
        self.status: int | None = 200
        self.visits = self.inside = self.most = 0
        self._came, self._left = asyncio.Event(), asyncio.Event()

    async def visited(self, times: int) -> None:
        """Wait until it was asked so many times in all."""
        while self.visits < times:
            self._came.clear()
            await self._came.wait()

    async def deserted(self) -> None:
        """Wait until every answer has ended."""
        while self.inside:
            self._left.clear()
            await self._left.wait()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.visits += 1
        self._came.set()
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            await reader.readuntil(b"\r\n\r\n")
            if self.status is None:
                await reader.read()
            writer.write(b"HTTP/1.1 %d Well\r\n\r\nbody" % (self.status or 200))
            await writer.drain()
        except (OSError, EOFError):
            pass
        finally:
            self.inside -= 1
            writer.close()
            self._left.set()


def properties(check: Any, **more: Any) -> Raw:
    return Raw(json.dumps({"Check": check, **QUICK, **more}).encode())


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 100))


def checking() -> int:
    """Return how many instances are being checked in this loop."""
    return sum("MonitoredInstance" in repr(task.get_coro()) for task in asyncio.all_tasks())


@asynccontextmanager
async def probing(**options: float) -> AsyncIterator[tuple[Probe, asyncio.Queue[Event]]]:
    probe, told = Probe(**options), asyncio.Queue[Event]()
    await probe.start(told.put_nowait)
    try:
        yield probe, told
    finally:
        await probe.stop()


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[Server, Description]]:
    server = Server()
    async with await asyncio.start_server(server, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        yield server, Description("i-1", None, {"port": str(port), "infrakit.group": "g"})
        await server.deserted()


async def codes(told: asyncio.Queue[Event], *wanted: str) -> None:
    """Wait for the next events and compare their codes."""
    for code in wanted:
        event = await told.get()
        assert (event.kind, event.group, event.instance, event.code) == (
            "health",
            "g",
            "i-1",
            code,
        ), event
