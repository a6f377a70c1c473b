"""A whole group inside this process: the same reconciler, handed plugin objects instead of sockets.

For programs that keep instances of their own alive. Decisions are made in ``group``.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self, cast

from .group.plugin import Groups
from .reconcile.plan import sentences
from .rpc.event_ring import EventRing
from .spi.contracts import (
    VERSION,
    FlavorPlugin,
    Found,
    GroupPlugin,
    InstancePlugin,
    Lifecycle,
    Plugin,
)
from .spi.decode import decode
from .spi.documents import Description, GroupSpec
from .spi.errors import NotConverged, PluginNotFound, ProtocolError, SpecError
from .spi.events import Cursor, Event, EventBatch
from .spi.plans import Reason


class _Here:
    """A lookup over plugins in this process, each with a ring for its events."""

    def __init__(self, plugins: Mapping[str, Plugin]) -> None:
        self._plugins = dict(plugins)
        self.rings = {name: EventRing(name) for name in plugins}

    async def instance(self, name: str) -> Found[InstancePlugin]:
        return Found(
            cast(InstancePlugin, self._find(name, "Instance")),
            self._plugins[name].offers | {"Events"},
        )

    async def flavor(self, name: str) -> Found[FlavorPlugin]:
        return Found(
            cast(FlavorPlugin, self._find(name, "Flavor")), self._plugins[name].offers | {"Events"}
        )

    async def group(self, name: str) -> Found[GroupPlugin]:
        return Found(
            cast(GroupPlugin, self._find(name, "Group")), self._plugins[name].offers | {"Events"}
        )

    def events(self, name: str) -> AsyncIterator[EventBatch]:
        if name not in self.rings:
            raise PluginNotFound(name)
        return self.rings[name].follow()

    def _find(self, name: str, interface: str) -> Plugin:
        if name not in self._plugins:
            raise PluginNotFound(name)
        if self._plugins[name].interface != interface:
            raise ProtocolError(f"Plugin does not support interface {{{interface} {VERSION}}}")
        return self._plugins[name]


class Group:
    """One group, kept in this process: the same reconciler without sockets.

    ``spec`` is a group spec as a dict or JSON text; ``plugins`` names the plugin objects that it
    mentions. Use it with ``async with``: on entry the spec is committed, on exit the loop ends and
    the instances stay (``destroy`` ends them).
    """

    def __init__(
        self,
        spec: dict[str, Any] | str,
        plugins: Mapping[str, Plugin],
        *,
        poll_interval: float = 10.0,
    ) -> None:
        self._spec = _spec(spec)
        self._plugins = plugins
        self._here = _Here(plugins)
        self._groups = Groups(self._here, state_dir=None, poll_interval=poll_interval)
        self._ring = EventRing("group")
        self._running = AsyncExitStack()

    async def __aenter__(self) -> Self:
        # what was begun, and nothing else, is ended if the rest cannot begin
        async with AsyncExitStack() as running:
            for name, plugin in self._plugins.items():
                if isinstance(plugin, Lifecycle):
                    await plugin.start(self._here.rings[name].append)
                    running.push_async_callback(plugin.stop)
            await self._groups.start(self._ring.append)
            running.push_async_callback(self._groups.stop)
            await self._groups.commit_group(self._spec)
            self._running = running.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._running.aclose()

    async def commit(self, spec: dict[str, Any] | str) -> str:
        """Commit another spec of the same group; return the Details sentence."""
        decoded = _spec(spec)
        if decoded.id != self._spec.id:
            raise SpecError(
                f"$.ID: expected {self._spec.id!r}, this group's ID",
                path="$.ID",
                expected=self._spec.id,
            )
        return await self._groups.commit_group(decoded)

    async def scale(self, size: int) -> str:
        """Want another number of instances, 0 included; return the Details sentence."""
        return await self._groups.scale_group(self._spec.id, size)

    async def instances(self) -> list[Description]:
        """Describe the instances, live."""
        return (await self._groups.describe_group(self._spec.id)).instances or []

    async def why(self) -> list[Reason]:
        """Say why the group is not as wanted; empty when it is."""
        return await self._groups.why_group(self._spec.id)

    async def wait(self, timeout: float) -> None:
        """Wait until the group is as wanted; raises NotConverged with the reasons after ``timeout``
        seconds.
        """
        try:
            async with asyncio.timeout(timeout):
                await self._until_converged()
        except TimeoutError:
            why = sentences(await self.why())
            raise NotConverged(
                f"group {self._spec.id} is not as wanted after {timeout:g} s", why
            ) from None

    async def destroy(self) -> None:
        """Destroy every instance and forget the group."""
        await self._groups.destroy_group(self._spec.id)

    async def events(self) -> AsyncIterator[Event]:
        """Yield the group's own events from the beginning, for ever."""
        async for batch in self._ring.follow():
            for event in batch.events:
                yield event

    async def _until_converged(self) -> None:
        """Describe the group, and again after every batch of events, until it has converged."""
        at = Cursor()
        while not (await self._groups.describe_group(self._spec.id)).converged:
            batch = await self._ring.watch(at, 1.0, None)
            at = Cursor(batch.stream, batch.next)


def _spec(spec: dict[str, Any] | str) -> GroupSpec:
    return decode((spec if isinstance(spec, str) else json.dumps(spec)).encode(), GroupSpec)
