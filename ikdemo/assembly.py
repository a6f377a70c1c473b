"""Serves a plugin on a socket, connects to one, runs one as a program.

Only this file knows both a plugin and how it travels.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from .disk import check_name
from .rpc.discovery import ensure_dir, plugin_dir
from .rpc.event_ring import EventRing
from .rpc.peers import Peers
from .rpc.proxies import FlavorClient, GroupClient, InstanceClient
from .rpc.server import Server
from .spi.contracts import BeginsWhenServed, Lifecycle, Lookup, Plugin
from .spi.errors import SpecError

log = logging.getLogger(__name__)


class Serving:
    """A plugin being served; ``path`` is its socket. Stop it once, or use it with ``async
    with``.
    """

    def __init__(self, plugin: Plugin, server: Server, path: Path) -> None:
        self._plugin, self._server, self.path = plugin, server, path

    async def stop(self) -> None:
        """Stop listening, remove the socket, let requests at hand finish (for
        ``durations.REQUESTS`` seconds), end the plugin.
        """
        await self._server.stop()
        if isinstance(self._plugin, Lifecycle):
            await self._plugin.stop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()


async def serve(plugin: Plugin, *, name: str, directory: Path | None = None) -> Serving:
    """Serve a plugin under ``name`` in the plugin directory (by default the one every InfraKit
    program uses).

    On return it answers. Raises SpecError for a name that cannot be a file's, InUse when a live
    plugin has the name or owns what this one needs.
    """
    directory = ensure_dir(directory or plugin_dir())
    path = directory / check_name(name)
    ring = EventRing(name)
    server = Server(plugin, path, ring)
    if isinstance(plugin, Lifecycle):
        await plugin.start(ring.append)
    try:
        await server.start()
        if isinstance(plugin, BeginsWhenServed):
            await plugin.serving()
    except BaseException:
        await server.stop(grace=0.0)
        if isinstance(plugin, Lifecycle):
            await plugin.stop()
        raise
    return Serving(plugin, server, path)


async def connect(
    name: str, *, directory: Path | None = None
) -> GroupClient | InstanceClient | FlavorClient:
    """Return a client of the plugin called ``name``, of whatever interface it says it is; close it
    when done.

    Raises PluginNotFound, PluginUnavailable, or ProtocolError when it speaks none of the three.
    """
    return await Peers(directory or plugin_dir()).any(name)


def run(
    make: Callable[[Lookup], Plugin],
    *,
    name: str,
    directory: Path | None = None,
    exit_with_stdin: bool = False,
) -> int:
    """Serve a plugin in the foreground until a signal ends it, or (if asked) until standard input
    does; return the exit status.

    Errors at the start are raised as they are, before anything is served.
    """
    return asyncio.run(_run(make, name, directory or plugin_dir(), exit_with_stdin))


def ending_signals() -> set[signal.Signals]:
    """Return the signals that are an orderly end: Ctrl-C, SIGTERM, and, without ``nohup``, a closed
    terminal.
    """
    ending = {signal.SIGTERM, signal.SIGINT}
    return ending if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else ending | {signal.SIGHUP}


async def _run(
    make: Callable[[Lookup], Plugin], name: str, directory: Path, exit_with_stdin: bool
) -> int:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in ending_signals():
        loop.add_signal_handler(number, ended.set)
    if exit_with_stdin:
        try:
            loop.add_reader(sys.stdin.fileno(), _watch_stdin, ended)
        except PermissionError:  # a file, or /dev/null: it has no end that could be waited for
            raise SpecError(
                "--exit-with-stdin needs a pipe or a terminal as standard input"
            ) from None
    peers = Peers(directory)
    try:
        async with await serve(make(peers), name=name, directory=directory) as serving:
            log.info("Listening at: %s", serving.path)
            await ended.wait()
    finally:
        await peers.close()
    return 0


def _watch_stdin(ended: asyncio.Event) -> None:
    """End with the process that holds the other end of standard input, however it ends."""
    try:
        ends = not os.read(sys.stdin.fileno(), 4096)
    except BlockingIOError:
        return
    except OSError:  # as of a terminal that was closed
        ends = True
    if ends:
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        ended.set()
