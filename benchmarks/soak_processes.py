"""Instances that are processes, whose plugin may open few files: its limit is lowered until nothing
can be opened, and raised again.

At every attack every process lives that was not killed here; at every look there are as many as are
wanted.
"""

from __future__ import annotations

import asyncio
import os
import random
import resource
import signal
import socket
from contextlib import ExitStack, suppress
from pathlib import Path

from ikdemo.instance import procfs
from ikdemo.instance.ownership import MARK

from .soak_group import SoakGroup, soak_spec

SIZE = 8
PLUGIN = "instance-process"
ATTACKS = 6
"""Times that its limit is lowered in one round."""
SQUEEZE = 1.0
"""Seconds for which it stays low, on average."""
ROOM = 12
"""Descriptors that it may still open then, at most."""
BARELY = (18, 38)
"""Descriptors with which a plugin is started: from too few to begin to enough for most of what it
looks at.
"""
CALLERS = 20
"""Connections that are opened to it and kept meanwhile."""

Life = tuple[int, int]
"""A process: its pid, and when it began."""


class ProcessesSoak(SoakGroup):
    """A group of processes. ``kills``: its instance plugin is killed, and started again with few
    descriptors, too.
    """

    def __init__(self, root: Path, *, kills: bool = False) -> None:
        program = ["ikdemo", "ikdemo-instance-process", "--dir", str(root / "i"), "--grace", "1s"]
        super().__init__(root, {PLUGIN: program})
        self._kills = kills
        self._known: set[Life] = set()

    async def begin(self) -> None:
        await super().begin()
        wanted = soak_spec(SIZE, PLUGIN, {"Command": ["sleep", "100000"]})
        await self.group.commit_group(wanted)
        await self.look()

    async def round(self, dice: random.Random) -> None:
        """Squeeze the plugin, kill instances meanwhile, let it go, and look; several times."""
        for attack in range(ATTACKS):
            if self._kills and attack % 2:
                await self._restart(dice)
            else:
                with self._squeezed(dice.randint(0, ROOM)):
                    self._kill_some(dice)
                    await self._wait(dice)
            await self.look()

    async def _wait(self, dice: random.Random) -> None:
        await asyncio.sleep(dice.expovariate(1 / SQUEEZE))
        self._count_deaths()

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
        self._kill_some(dice)
        if await self.starts(PLUGIN, descriptors=dice.randint(*BARELY)):
            await self._wait(dice)
            self.kill(PLUGIN)
        else:
            self.counts["starts refused"] += 1
        self._count_deaths()
        await self.start(PLUGIN)

    def _kill_some(self, dice: random.Random) -> None:
        """Kill one or two of the processes, or none."""
        count = min(len(self._known), dice.randint(0, 2))
        for pid, start in dice.sample(sorted(self._known), count):
            procfs.kill(pid, start, signal.SIGKILL)
            self._known.discard((pid, start))
            self.counts["processes killed"] += 1

    async def look(self) -> None:
        """Wait until the group is whole, and compare the processes with those that lived before."""
        await self.calm()
        if await self.whole():
            self._count_deaths()
            self._known = self._living()

    async def converged(self) -> bool:
        """Say whether the group calls itself so and as many live: of a death, its plugin hears a
        moment later.
        """
        return await super().converged() and len(self._living()) == SIZE

    async def end(self) -> None:
        await super().end()
        self.promise("left after destroy", len(self._living()))

    def _count_deaths(self) -> None:
        """Count the processes that are gone and were not killed here."""
        lost = {one for one in self._known if not _lives(*one)}
        self.promise("healthy processes ended", len(lost))
        self._known -= lost

    def _living(self) -> set[Life]:
        """Return every living process that was started for an instance of this group."""
        mine, mark = os.fsencode(self.instances), os.fsencode(MARK)
        pids = [pid for pid, kept in procfs.with_variable(MARK) if kept[mark] == mine]
        found = [(pid, procfs.stat(pid)) for pid in pids]
        living = {(pid, now.start) for pid, now in found if now is not None and now.lives}
        self.promise("more than Size", len(living) > SIZE)
        return living


def _lives(pid: int, start: int) -> bool:
    now = procfs.stat(pid)
    return now is not None and now.lives and now.start == start
