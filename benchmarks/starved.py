"""Instances that are processes, whose plugin may open few files: it is squeezed until nothing can
be opened, and let go again.

At every blow every process lives that was not killed here; at every look there are as many as are
wanted. Made by ``soak``.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import resource
import signal
import socket
from contextlib import ExitStack, suppress
from pathlib import Path

from msgspec import Raw

from ikdemo.instance.process import procfs
from ikdemo.instance.process.spawn import MARK
from ikdemo.spi.documents import GroupSpec

from .fleet import GROUP, Fleet

SIZE = 8
PLUGIN = "instance-process"
BLOWS = 6
"""Times that it is squeezed in one round."""
SQUEEZE = 1.0
"""Seconds for which a plugin is squeezed, on average."""
ROOM = 12
"""Descriptors that it may still open then, at most."""
BARELY = (18, 38)
"""Descriptors with which a plugin is started: from too few to begin to enough for most of what it
looks at.
"""
CALLERS = 20
"""Connections that are opened to it and kept while it is squeezed."""

Life = tuple[int, int]
"""A process: its pid, and when it began."""


class Processes(Fleet):
    """A group of processes. ``kills``: its instance plugin is killed, and started again with few
    descriptors, too.
    """

    def __init__(self, root: Path, *, kills: bool = False) -> None:
        program = [
            "-m",
            "ikdemo",
            "ikdemo-instance-process",
            "--dir",
            str(root / "i"),
            "--grace",
            "1s",
        ]
        super().__init__(root, {PLUGIN: program})
        self._kills = kills
        self._known: set[Life] = set()

    async def begin(self) -> None:
        await super().begin()
        properties = {
            "Allocation": {"Size": SIZE},
            "Instance": {"Plugin": PLUGIN, "Properties": {"Command": ["sleep", "100000"]}},
            "Flavor": {"Plugin": "flavor-vanilla", "Properties": {}},
        }
        await self.group.commit_group(GroupSpec(GROUP, Raw(json.dumps(properties).encode())))
        await self.look()

    async def round(self, dice: random.Random) -> None:
        """Squeeze the plugin, kill instances meanwhile, let it go, and look; several times."""
        for blow in range(BLOWS):
            if self._kills and blow % 2:
                await self._restart(dice)
            else:
                with self._squeezed(dice.randint(0, ROOM)):
                    self._slay(dice)
                    await asyncio.sleep(dice.expovariate(1 / SQUEEZE))
                    self._count_deaths()
            await self.look()

    def _squeezed(self, room: int) -> ExitStack:
        """Let the plugin open only so many files more, and keep connections to it open."""
        stack = ExitStack()
        pid = self.running[PLUGIN].pid
        held = max(int(name) for name in os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        stack.callback(resource.prlimit, pid, resource.RLIMIT_NOFILE, limits)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (held + 1 + room, limits[1]))
        for _ in range(CALLERS):
            caller = stack.enter_context(socket.socket(socket.AF_UNIX))
            caller.setblocking(False)
            with suppress(BlockingIOError):
                caller.connect(str(self.plugins / PLUGIN))
        self.counts["squeezes"] += 1
        return stack

    async def _restart(self, dice: random.Random) -> None:
        """Kill the plugin and start it with hardly any descriptors: it refuses, or it knows every
        process.
        """
        self.kill(PLUGIN)
        self.counts["plugins killed"] += 1
        self._slay(dice)
        if await self.start(PLUGIN, descriptors=dice.randint(*BARELY)):
            await asyncio.sleep(dice.expovariate(1 / SQUEEZE))
            self._count_deaths()
            self.kill(PLUGIN)
        else:
            self.counts["starts refused"] += 1
        self._count_deaths()
        if not await self.start(PLUGIN):
            raise SystemExit(f"{PLUGIN} did not start: {self.log.read_text()}")

    def _slay(self, dice: random.Random) -> None:
        """Kill one or two of the processes, or none."""
        for pid, start in dice.sample(
            sorted(self._known), min(len(self._known), dice.randint(0, 2))
        ):
            procfs.kill(pid, start, signal.SIGKILL)
            self._known.discard((pid, start))
            self.counts["processes killed"] += 1

    async def look(self) -> None:
        """Wait until the group is whole, and compare the processes with those that lived before."""
        await self.calm()
        if await self.whole():
            self._count_deaths()
            self._known = self._living()
            self.counts["looks"] += 1

    async def converged(self) -> bool:
        """Say whether the group calls itself so and as many live: of a death, its plugin hears a
        moment later.
        """
        return await super().converged() and len(self._living()) == SIZE

    async def end(self) -> None:
        await self.look()
        await super().end()
        self.promise("left after destroy", len(self._living()))

    def _count_deaths(self) -> None:
        """Count the processes that are gone and were not killed here."""
        lost = {(pid, start) for pid, start in self._known if not _lives(pid, start)}
        self.promise("healthy processes ended", len(lost))
        self._known -= lost

    def _living(self) -> set[Life]:
        """Return every living process that was started for an instance of this fleet."""
        mine = os.fsencode(self.instances)
        found = (
            (pid, procfs.stat(pid))
            for pid, kept in procfs.with_variable(MARK)
            if kept[os.fsencode(MARK)] == mine
        )
        living = {(pid, now.start) for pid, now in found if now is not None and now.lives}
        self.promise("more than Size", len(living) > SIZE)
        return living


def _lives(pid: int, start: int) -> bool:
    now = procfs.stat(pid)
    return now is not None and now.lives and now.start == start
