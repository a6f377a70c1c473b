"""A file plugin that runs in the test's own loop, and an ear for its events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from ikdemo.instance.file.plugin import FileInstances
from ikdemo.spi.events import Event


class Heard:
    """Every event the plugin told, in order; ``next`` waits for one that was not yet asked for."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._asked = 0
        self._news = asyncio.Event()

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        self._news.set()

    async def next(self, kind: str) -> Event:
        """Return the next event of a kind, passing over others; fails after 5 seconds."""
        async with asyncio.timeout(100):
            while True:
                while self._asked < len(self.events):
                    self._asked += 1
                    if self.events[self._asked - 1].kind == kind:
                        return self.events[self._asked - 1]
                self._news.clear()
                await self._news.wait()

    def facts(self) -> list[tuple[str, str]]:
        """Return kind and instance of everything told so far."""
        return [(event.kind, event.instance) for event in self.events]


Running = Callable[[Path], AbstractAsyncContextManager[tuple[FileInstances, Heard]]]


@pytest.fixture
def running() -> Running:
    """Give a context manager that runs a file plugin on a directory."""

    @asynccontextmanager
    async def run(path: Path) -> AsyncIterator[tuple[FileInstances, Heard]]:
        plugin, heard = FileInstances(path), Heard()
        await plugin.start(heard)
        try:
            yield plugin, heard
        finally:
            await plugin.stop()

    return run
