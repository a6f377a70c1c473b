"""Waits until plugins answer, and records all that they tell, across restarts, for as long as the
session lasts.

Only here is a plugin's stream of events turned into the lab's record; all of it runs in the lab's
loop thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from ...rpc.peers import Peers
from ...rpc.proxies import InstanceClient
from ...spi.errors import IkdemoError, PluginUnavailable
from .child_processes import PluginProcess
from .timeline import Timeline

START_WITHIN = 20.0
"""Seconds a plugin has to answer its first call."""
LOOK_AGAIN = 0.004
"""Seconds between two tries to reach a plugin that is starting."""


class EventCollector:
    """One task per plugin that was started, each reading its events into the record."""

    def __init__(self, peers: Peers, record: Timeline) -> None:
        self._peers, self._record = peers, record
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._followed: dict[str, PluginProcess] = {}

    async def begin(self, processes: Iterable[PluginProcess]) -> None:
        """Wait until every plugin answers and is followed; raises PluginUnavailable with what the
        first dead one said.

        What is followed already goes on as it is.
        """
        processes = [
            process for process in processes if self._followed.get(process.name) is not process
        ]
        await self.wait_for(processes)
        for process in processes:
            if process.name in self._tasks:
                self._tasks[process.name].cancel()  # it followed the process before this one
            followed = asyncio.Event()
            self._tasks[process.name] = asyncio.create_task(self._follow(process.name, followed))
            try:
                async with asyncio.timeout(START_WITHIN):
                    await followed.wait()
            except TimeoutError:
                raise PluginUnavailable(
                    f"{process.name} answers, but tells nothing of what happens in it"
                ) from None
            self._followed[process.name] = process

    async def wait_for(self, processes: Iterable[PluginProcess]) -> None:
        """Wait until every plugin answers; raises PluginUnavailable as ``begin`` does."""
        for process in processes:
            await self._first_answer(process)

    async def close(self) -> None:
        """Follow nothing more."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _first_answer(self, process: PluginProcess) -> None:
        deadline = time.monotonic() + START_WITHIN
        while True:
            try:
                await self._peers.any(process.name)
                return
            except PluginUnavailable as error:
                if not process.running:
                    raise PluginUnavailable(
                        f"{process.name} did not start: {process.complaint()}"
                    ) from error
                if time.monotonic() > deadline:
                    raise PluginUnavailable(
                        f"{process.name} runs, but nobody answers under that name: {error}"
                    ) from error
                await asyncio.sleep(LOOK_AGAIN)

    async def _follow(self, name: str, followed: asyncio.Event) -> None:
        async for batch in self._peers.events(name):
            if batch.gap:
                await self._look(name)
            self._record.add(batch.events)
            followed.set()

    async def _look(self, name: str) -> None:
        """After a gap, write down which instances there are now."""
        since = self._record.now()
        try:
            plugin = await self._peers.any(name)
            if isinstance(plugin, InstanceClient):
                self._record.agree(name, await plugin.describe_instances({}, slots=True), since)
        except IkdemoError:
            pass  # it is gone again: its next stream begins with a gap, too
