"""Puts the parts together: serve a plugin on a socket, connect to one, run a whole group inside this process.

The only place that knows both a plugin and how it travels. Called by the command line's programs and by programs that embed
the reconciler.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from .group.plugin import Groups
from .reconcile.plan import sentences
from .rpc.discovery import ensure_dir, plugin_dir
from .rpc.peers import Peers
from .rpc.proxies import FlavorClient, GroupClient, InstanceClient
from .rpc.ring import Ring
from .rpc.server import Server
from .spi.contracts import FlavorPlugin, Found, InstancePlugin, Lifecycle, Lookup, Plugin
from .spi.decode import decode
from .spi.documents import Description, GroupSpec
from .spi.errors import IkdemoError, NotConverged, PluginNotFound, ProtocolError, SpecError
from .spi.events import Cursor, Event, EventBatch
from .spi.plans import Reason


class Serving:
    """A plugin being served; ``path`` is its socket. Stop it once, or use it with ``async with``."""

    def __init__(self, plugin: Plugin, server: Server, path: Path) -> None:
        self._plugin, self._server, self.path = plugin, server, path

    async def stop(self) -> None:
        """Stop listening, let requests in flight finish (up to 10 s), remove the socket, end the plugin."""
        await self._server.stop()
        if isinstance(self._plugin, Lifecycle):
            await self._plugin.stop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.stop()


async def serve(plugin: Plugin, *, name: str, directory: Path | None = None) -> Serving:
    """Serve a plugin under ``name`` in the plugin directory (by default the one every InfraKit program uses).

    On return it answers. Raises InUse when a live plugin has the name or owns what this one needs.
    """
    directory = ensure_dir(directory or plugin_dir())
    path = directory / name
    ring = Ring(name)
    server = Server(plugin, path, ring)
    if isinstance(plugin, Lifecycle):
        await plugin.start(ring.append)
    try:
        await server.start()
    except BaseException:
        if isinstance(plugin, Lifecycle):
            await plugin.stop()
        raise
    return Serving(plugin, server, path)


async def connect(name: str, *, directory: Path | None = None) -> GroupClient | InstanceClient | FlavorClient:
    """Return a client of the plugin called ``name``, of whatever interface it says it is; close it when done.

    Raises PluginNotFound, PluginUnavailable, or ProtocolError when it speaks none of the three.
    """
    return await Peers(directory or plugin_dir()).any(name)


def run(make: Callable[[Lookup], Plugin], *, name: str, directory: Path | None = None, exit_with_stdin: bool = False) -> int:
    """Serve a plugin in the foreground until SIGTERM or SIGINT, or (if asked) until standard input ends; return the exit status.

    Errors at the start are raised as they are, before anything is served.
    """
    return asyncio.run(_run(make, name, directory or plugin_dir(), exit_with_stdin))


async def _run(make: Callable[[Lookup], Plugin], name: str, directory: Path, exit_with_stdin: bool) -> int:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    if exit_with_stdin:
        loop.add_reader(sys.stdin.fileno(), _watch_stdin, ended)
    peers = Peers(directory)
    try:
        async with await serve(make(peers), name=name, directory=directory) as serving:
            print_listening(serving.path)
            await ended.wait()
    finally:
        await peers.close()
    return 0


def print_listening(path: Path) -> None:
    """Say where the plugin listens, in the log."""
    import logging

    logging.getLogger("ikdemo").info("Listening at: %s", path)


def _watch_stdin(ended: asyncio.Event) -> None:
    """End with the process that holds the other end of standard input, however it ends."""
    if not os.read(sys.stdin.fileno(), 4096):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        ended.set()


class _Here:
    """A lookup over plugins in this process, each with a ring for its events."""

    def __init__(self, plugins: Mapping[str, Plugin]) -> None:
        self._plugins = dict(plugins)
        self.rings = {name: Ring(name) for name in plugins}

    async def instance(self, name: str) -> Found[InstancePlugin]:
        return Found(cast(InstancePlugin, self._find(name, "Instance")), self._plugins[name].offers)

    async def flavor(self, name: str) -> Found[FlavorPlugin]:
        return Found(cast(FlavorPlugin, self._find(name, "Flavor")), self._plugins[name].offers)

    async def events(self, name: str) -> AsyncIterator[EventBatch]:
        if name not in self.rings:
            raise PluginNotFound(name)
        at = Cursor()
        while True:
            batch = await self.rings[name].watch(at, 60.0, None)
            at = Cursor(batch.stream, batch.next)
            yield batch

    def _find(self, name: str, interface: str) -> Plugin:
        if name not in self._plugins:
            raise PluginNotFound(name)
        if self._plugins[name].interface != interface:
            raise ProtocolError(f"Plugin does not support interface {{{interface} 0.1.0}}")
        return self._plugins[name]


class Group:
    """One group, kept in this process: the same reconciler without sockets.

    ``spec`` is a group spec as a dict or JSON text; ``plugins`` names the plugin objects that it mentions. Use it with
    ``async with``: on entry the spec is committed, on exit the loop ends and the instances stay (``destroy`` ends them).
    """

    def __init__(self, spec: dict[str, Any] | str, plugins: Mapping[str, Plugin], *, poll_interval: float = 10.0) -> None:
        self._spec = _spec(spec)
        self._plugins = plugins
        self._here = _Here(plugins)
        self._groups = Groups(self._here, state_dir=None, poll_interval=poll_interval)
        self._ring = Ring("group")

    async def __aenter__(self) -> Self:
        await self._groups.start(self._ring.append)
        for name, plugin in self._plugins.items():
            if isinstance(plugin, Lifecycle):
                await plugin.start(self._here.rings[name].append)
        try:
            await self._groups.commit_group(self._spec)
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._groups.stop()
        for plugin in self._plugins.values():
            if isinstance(plugin, Lifecycle):
                await plugin.stop()

    async def commit(self, spec: dict[str, Any] | str) -> str:
        """Commit another spec of the same group; return the Details sentence."""
        decoded = _spec(spec)
        if decoded.id != self._spec.id:
            raise SpecError(f"$.ID: expected {self._spec.id!r}, this group's ID", path="$.ID", expected=self._spec.id)
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
        """Wait until the group is as wanted; raises NotConverged with the reasons after ``timeout`` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._until_converged()
        except TimeoutError:
            why = sentences(await self.why())
            raise NotConverged(f"group {self._spec.id} is not as wanted after {timeout:g} s", why) from None

    async def destroy(self) -> None:
        """Destroy every instance and forget the group."""
        await self._groups.destroy_group(self._spec.id)

    async def events(self) -> AsyncIterator[Event]:
        """Yield the group's own events from the beginning, for ever."""
        at = Cursor()
        while True:
            batch = await self._ring.watch(at, 60.0, None)
            at = Cursor(batch.stream, batch.next)
            for event in batch.events:
                yield event

    async def _until_converged(self) -> None:
        """Look once, and again after every batch of events."""
        at = Cursor()
        while not (await self._groups.describe_group(self._spec.id)).converged:
            batch = await self._ring.watch(at, 1.0, None)
            at = Cursor(batch.stream, batch.next)


def _spec(spec: dict[str, Any] | str) -> GroupSpec:
    return decode((spec if isinstance(spec, str) else json.dumps(spec)).encode(), GroupSpec)


__all__ = ["Group", "IkdemoError", "Serving", "connect", "run", "serve"]
