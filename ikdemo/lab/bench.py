"""The work bench under a lab: plugin processes that are started, stopped and killed, and a record of all they tell.

Owns the lab's directory, its processes, its background thread and its record, and ends them together. ``Lab`` puts the
verbs of groups on top.
"""

from __future__ import annotations

import asyncio
import atexit
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Self, TypeVar

from ..rpc.peers import Peers
from ..rpc.ring import Ring
from ..rpc.server import Server
from ..spi.errors import IkdemoError, InUse, PluginUnavailable
from .background import Background
from .mute import Mute
from .place import Place
from .process import PluginProcess
from .table import Table
from .timeline import Timeline

T = TypeVar("T")
PROGRAMS = {
    "group": "infrakit-group-default",
    "instance-file": "infrakit-instance-file",
    "flavor-vanilla": "infrakit-flavor-vanilla",
}
START_WITHIN = 20.0
"""Seconds a plugin has to answer its first call."""


class Bench:
    """A directory with plugins in it. Close it, or leave the ``with`` block, and nothing of it is left."""

    def __init__(self) -> None:
        self._place = Place()
        self._processes: dict[str, PluginProcess] = {}
        self._kinds: dict[str, str] = {}
        self._ended: dict[str, str] = {}
        self._followers: dict[str, asyncio.Task[None]] = {}
        self._mutes: dict[str, tuple[Server, str]] = {}
        self._record = Timeline()
        self._background: Background | None = Background()
        self._peers = self._call(self._open())
        atexit.register(self.close)

    @property
    def root(self) -> Path:
        """The lab's own directory; it is removed with the lab."""
        return self._place.root

    @property
    def plugin_dir(self) -> Path:
        """Where the sockets are: what INFRAKIT_PLUGINS_DIR must say for programs that are to see this lab."""
        return self._place.plugins

    def socket(self, name: str) -> Path:
        """Return the socket of a plugin, for ``curl --unix-socket``."""
        return self.plugin_dir / name

    def directory(self, name: str) -> Path:
        """Return the directory in which the file plugin ``name`` keeps its instances, one file each."""
        name = self._mutes[name][1] if name in self._mutes else name
        if self._kinds.get(name) != "instance-file":
            raise IkdemoError(f"{name!r} is not a file plugin of this lab, so it keeps no instance files")
        return self._place.instances(name)

    def start(self, *kinds: str) -> Table:
        """Start plugins under their usual names and wait until they answer; without arguments the three that a group needs."""
        kinds = kinds or ("instance-file", "flavor-vanilla", "group")
        for kind in kinds:
            self._launch(kind, kind, {})
        self._call(self._answering(kinds))
        return self.plugins()

    def start_plugin(self, kind: str, name: str | None = None, **flags: str) -> Table:
        """Start one plugin, under another name or with flags such as ``poll_interval="2s"``, and wait until it answers."""
        self._launch(kind, name or kind, flags)
        self._call(self._answering([name or kind]))
        return self.plugins()

    def mute(self, name: str, *, under: str) -> Table:
        """Serve the instance plugin ``name`` once more as ``under``: a plugin in between passes on every call and no event."""
        if under in self._kinds:
            raise InUse(f"{under!r} is already a plugin of this lab")
        self._mutes[under] = (self._call(self._serve_mute(name, under)), name)
        self._kinds[under] = "mute"
        return self.plugins()

    def stop_plugin(self, name: str) -> Table:
        """Stop a plugin gracefully, as Ctrl-C does; its socket goes away."""
        self._end(name, PluginProcess.stop, "stopped")
        return self.plugins()

    def kill_plugin(self, name: str) -> Table:
        """Kill a plugin as ``kill -9`` does; its socket stays behind and nobody answers there."""
        self._end(name, PluginProcess.kill, "killed")
        return self.plugins()

    def plugins(self) -> Table:
        """List the plugins of this lab."""
        rows = [(name, PROGRAMS.get(kind, "passes calls on, no events"), self._state(name)) for name, kind in self._kinds.items()]
        return Table(["plugin", "program", "state"], sorted(rows), empty="No plugin was started yet.")

    def close(self) -> None:
        """Stop every plugin, the group plugins first, and remove the directory; a second call does nothing."""
        if self._background is None:
            return
        atexit.unregister(self.close)
        for name in sorted(self._processes, key=lambda name: self._kinds[name] != "group"):
            self._end(name, PluginProcess.stop, "stopped")
        self._call(self._shut())
        self._background.close()
        self._background = None
        self._place.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        if self._background is None:
            work.close()
            raise IkdemoError("This lab is closed. Make a new one: lab = Lab()")
        return self._background.call(work)

    async def _open(self) -> Peers:
        return Peers(self.plugin_dir)

    async def _shut(self) -> None:
        for follower in self._followers.values():
            follower.cancel()
        await asyncio.gather(*self._followers.values(), return_exceptions=True)
        for server, _ in self._mutes.values():
            await server.stop(grace=1.0)
        await self._peers.close()

    def _launch(self, kind: str, name: str, flags: dict[str, str]) -> None:
        if kind not in PROGRAMS:
            raise IkdemoError(f"There is no plugin {kind!r} to start; there are: {', '.join(PROGRAMS)}")
        if name in self._mutes or (name in self._processes and self._processes[name].running):
            raise InUse(f"{name!r} is already running in this lab")
        if name in self._processes:
            self._processes[name].kill()  # it has ended by itself; this closes what is left of it
        words = [word for flag, value in flags.items() for word in (f"--{flag.replace('_', '-')}", value)]
        if kind == "instance-file":
            words += ["--dir", str(self._place.instances(name))]
        log = self._place.logs / f"{name}.log"
        self._processes[name] = PluginProcess(PROGRAMS[kind], name, words, plugin_dir=self.plugin_dir, log=log)
        self._kinds[name] = kind
        self._ended.pop(name, None)

    def _end(self, name: str, how: Callable[[PluginProcess], None], state: str) -> None:
        if name not in self._processes:
            raise IkdemoError(
                f"There is no plugin process {name!r} in this lab; there are: {', '.join(self._processes) or 'none'}"
            )
        how(self._processes[name])
        self._ended[name] = state

    def _state(self, name: str) -> str:
        if name in self._mutes or self._processes[name].running:
            return "running"
        return self._ended.get(name) or f"ended: {self._processes[name].complaint()}"

    async def _answering(self, names: tuple[str, ...] | list[str]) -> None:
        """Wait until every plugin answers and is followed; raises PluginUnavailable with what the first dead one said."""
        for name in names:
            await self._first_answer(name)
        for name in names:
            if name in self._followers:
                self._followers[name].cancel()  # it followed the process before this one
            followed = asyncio.Event()
            self._followers[name] = asyncio.create_task(self._follow(name, followed))
            await asyncio.wait_for(followed.wait(), START_WITHIN)

    async def _first_answer(self, name: str) -> None:
        process, deadline = self._processes[name], time.monotonic() + START_WITHIN
        while True:
            try:
                await self._find(name)
                return
            except PluginUnavailable as error:
                if not process.running or time.monotonic() > deadline:
                    raise PluginUnavailable(f"{name} did not start: {process.complaint()}") from error
                await asyncio.sleep(0.02)

    async def _find(self, name: str) -> object:
        find = {"group": self._peers.group, "flavor-vanilla": self._peers.flavor}.get(self._kinds[name], self._peers.instance)
        return await find(name)

    async def _follow(self, name: str, followed: asyncio.Event) -> None:
        """Write down all that a plugin tells, for as long as the lab lives; after a gap, look."""
        async for batch in self._peers.events(name):
            if batch.gap and self._kinds[name] == "instance-file":
                await self._look(name)
            self._record.add(batch.events)
            followed.set()

    async def _look(self, name: str) -> None:
        since = time.time()
        try:
            plugin = (await self._peers.instance(name)).plugin
            self._record.agree(name, await plugin.describe_instances({}, slots=True), since)
        except IkdemoError:
            pass  # it is gone again: its next stream begins with a gap, too

    async def _serve_mute(self, name: str, under: str) -> Server:
        server = Server(Mute(self._peers, name), self.socket(under), Ring(under))
        await server.start()
        return server
