"""One life of a group plugin in the simulated world: the real ``GroupCommands`` over simulated
plugins and a simulated disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from unittest import mock

from ikdemo.group import plugin as group_plugin
from ikdemo.group.clock import Clock
from ikdemo.group.plugin import Groups
from ikdemo.spi.contracts import FlavorPlugin, Found, GroupPlugin, InstancePlugin
from ikdemo.spi.errors import PluginNotFound, PluginUnavailable
from ikdemo.spi.events import Event, EventBatch

from .disk import Disk, SimulatedStore
from .loop import Process, SimulatedLoop
from .plugins import SimulatedFlavor, SimulatedInstances, World

EPOCH = 1.7e9
"""Seconds since the epoch at the beginning of every schedule."""


class SimulatedClock(Clock):
    """The clocks of a machine that is never booted again."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop
        super().__init__()
        self.boot = "simulated"

    def now(self) -> float:
        return 1000.0 + self._loop.time()

    def wall(self) -> float:
        return EPOCH + self._loop.time()


@contextlib.contextmanager
def simulated_time(loop: SimulatedLoop) -> Iterator[None]:
    """Let whatever asks the system for the time within a group be told that of the loop."""
    told = SimpleNamespace(
        time=lambda: EPOCH + loop.time(),
        monotonic=loop.time,
        time_ns=lambda: int((EPOCH + loop.time()) * 1e9),
        clock_gettime=lambda which: 1000.0 + loop.time(),
        CLOCK_BOOTTIME=time.CLOCK_BOOTTIME,
    )
    with contextlib.ExitStack() as patched:
        for name, module in list(sys.modules.items()):
            if (name.startswith("ikdemo.group.") or name == "ikdemo.rpc.event_ring") and getattr(
                module, "time", None
            ) is time:
                patched.enter_context(mock.patch.object(module, "time", told))
        yield


class GroupProcess(Process):
    """A group plugin's process, which is also the lookup that its group plugin is handed."""

    def __init__(
        self,
        number: int,
        loop: SimulatedLoop,
        world: World,
        disk: Disk,
        plugins: tuple[SimulatedInstances, SimulatedFlavor],
        *,
        poll: float,
        telling: bool,
    ) -> None:
        super().__init__(number)
        self._loop, self._world, self._telling = loop, world, telling
        self._instances, self._flavor = plugins
        self._extensions = frozenset({"Events"} if telling else ())
        with mock.patch.object(group_plugin, "Store", lambda *_: SimulatedStore(disk)):
            self.groups = Groups(
                self, state_dir=None, poll_interval=poll, clock=SimulatedClock(loop)
            )

    async def instance(self, name: str) -> Found[InstancePlugin]:
        await self._reach(name, "cloud")
        return Found(self._instances, self._instances.offers | self._extensions)

    async def flavor(self, name: str) -> Found[FlavorPlugin]:
        await self._reach(name, "plain")
        return Found(self._flavor, self._flavor.offers | self._extensions)

    async def group(self, name: str) -> Found[GroupPlugin]:
        raise PluginNotFound(name)

    async def events(self, name: str) -> AsyncIterator[EventBatch]:
        """Yield what plugins tell, late; now and then some of it is lost, which is told."""
        if not self._telling:
            yield EventBatch("none", 0, [], gap=True)
            await asyncio.Event().wait()
        dice = self._world.dice("", f"events of {name}")
        async for batch in self._world.rings[name].follow():
            await asyncio.sleep(self._world.weather.seconds(dice))
            if dice.random() < self._world.weather.lost:
                yield EventBatch(batch.stream, batch.next, [], gap=True)
            else:
                yield batch

    async def _reach(self, name: str, known: str) -> None:
        await asyncio.sleep(0)
        if name != known:
            raise PluginNotFound(name)
        if self._loop.ended or self._world.is_down(name):
            raise PluginUnavailable(f"plugin {name} cannot be reached")


def tell(event: Event) -> str:
    """Return an event of a group in words, for the story of a schedule."""
    return f"event {event.kind} {event.group} {event.text}"
