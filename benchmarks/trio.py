"""Three plugin processes and what is done to them: commit, converge, delete instances, wait for
rest, destroy.

Only here is known how InfraKit's programs differ for a measurement: they heal when their poll
comes, and they are frozen while it is not their turn. Files are not listed while time is taken: the
kernel tells which appear.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

from inotify_simple import INotify, flags

import ikdemo
from ikdemo.lab.teaching.specs import collabnix
from ikdemo.rpc.proxies import InstanceClient
from ikdemo.spi.documents import GroupSpec

from .plugins import PATIENCE, Processes, busy, connect_group, group_spec, is_ours

GROUP = "collabnix"
LOOK, STILL, LOOKS = 0.005, 0.0002, 3
"""A plugin is at rest when it worked for less than ``STILL`` of ``LOOK`` seconds, ``LOOKS`` times
in a row.
"""
MANY, HEAP = 100, 0.002
"""While more files are missing than ``MANY``, notices are read in heaps of so many seconds: the
watcher is not to compete with what it watches.
"""

T = TypeVar("T")


class Arrivals:
    """Notices of the instance files that appear in a directory. ``created``: InfraKit's appear by
    their creation, ours by a rename only; each notice costs the watcher, and the plugin too.
    """

    def __init__(self, directory: Path, *, created: bool) -> None:
        self._inotify, self._names = INotify(), list[str]()
        wanted = flags.MOVED_TO | flags.CREATE if created else flags.MOVED_TO
        self._inotify.add_watch(directory, wanted)

    def wait_for(self, count: int, patience: float) -> tuple[float, list[str]]:
        """Wait until so many files came since the last time; return the time of the last and all
        their names.
        """
        until = time.monotonic() + patience
        while (missing := count - len(self._names)) > 0:
            left = until - time.monotonic()
            if left <= 0:
                raise SystemExit(f"{missing} of {count} files missing after {patience:.0f} s")
            if missing > MANY:
                time.sleep(HEAP)
            for event in self._inotify.read(timeout=int(left * 1000)):
                if event.mask & flags.Q_OVERFLOW:
                    raise SystemExit("more files came at once than the kernel tells of")
                if event.name.startswith("instance-"):
                    self._names.append(event.name)
        at, names, self._names = time.perf_counter(), self._names[:count], self._names[count:]
        return at, names

    def close(self) -> None:
        self._inotify.close()


class Trio:
    """An instance plugin of files, the flavor vanilla and a group plugin, each a process.

    ``poll``: the seconds after which they heal, where only the poll heals; 0 where events do.
    ``content``: that of one file.
    """

    def __init__(self, root: Path, processes: Processes, dice: random.Random, poll: float) -> None:
        self.processes, self.plugins, self.instances = processes, root / "p", root / "i"
        self.pids = {name: process.pid for name, process in processes.items()}
        self.slowest = PATIENCE + 2 * poll  # seconds in which anything has to happen
        self.content = b""
        self._dice, self._poll = dice, poll
        self._names, self._groups = list[str](), list[str]()
        self._loop = asyncio.Runner()
        self._is_ours = is_ours(cast(Sequence[str], processes["group"].args))
        self._arrivals = Arrivals(
            self.instances,
            created=not is_ours(cast(Sequence[str], processes["instance-file"].args)),
        )
        self.group = self.run(connect_group(root))
        files = self.run(ikdemo.connect("instance-file", directory=self.plugins))
        self.files = cast(InstanceClient, files)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Carry out what is asked of a client."""
        return self._loop.run(work)

    def close(self) -> None:
        """Close the connections and stop watching; the processes are not ended here."""
        self.group.close()
        self.files.close()
        self._loop.close()
        self._arrivals.close()

    def converge(self, sizes: Mapping[str, int], note: str = "", patience: float = 0.0) -> float:
        """Commit groups by their sizes, and return the seconds until as many files have come as
        they have instances.
        """
        return self.run(self._converge(sizes, note, patience or self.slowest))

    async def _converge(self, sizes: Mapping[str, int], note: str, patience: float) -> float:
        total = sum(sizes.values())
        waiting = asyncio.create_task(asyncio.to_thread(self._arrivals.wait_for, total, patience))
        began = time.perf_counter()
        for group, size in sizes.items():
            await self.group.commit_group(spec(group, size, note))
        ended, _ = await waiting
        self._groups, self._names = list(sizes), self._there()
        if len(self._names) != total:
            raise SystemExit(f"{len(self._names)} files where {total} were wanted")
        self.content = (self.instances / self._names[0]).read_bytes()
        return ended - began

    def _there(self) -> list[str]:
        return sorted(os.listdir(self.instances))  # noqa: PTH208

    def heal(self, count: int) -> float:
        """Delete so many instances at once, and return the seconds from then until as many new
        files have come.
        """
        self.resume()
        return self.lose(count)

    def resume(self) -> None:
        """Let what was deleted the times before be no storm: our brake is not what is measured."""
        if self._is_ours:
            for group in self._groups:
                self.run(self.group.resume_group(group))
        self.rest()

    def lose(self, count: int) -> float:
        """Do what ``heal`` does, and resume nothing first."""
        time.sleep(self._dice.uniform(0, self._poll))
        places = self._dice.sample(range(len(self._names)), count)
        deleted = [self.instances / self._names[place] for place in places]
        began = time.perf_counter()
        for path in deleted:
            path.unlink()
        ended, names = self._arrivals.wait_for(count, self.slowest)
        for place, name in zip(places, names, strict=True):
            self._names[place] = name
        return ended - began

    def destroy(self) -> None:
        """Destroy the groups once they are at rest, and see that no file is left."""
        self.rest()
        for group in self._groups:
            self.run(self.group.destroy_group(group))
        if left := self._there():
            raise SystemExit(f"{len(left)} files left after the groups were destroyed")

    def rest(self) -> None:
        """Wait until none of the processes works any longer."""
        until, still, before = time.monotonic() + self.slowest, 0, self._busy()
        while still < LOOKS:
            if time.monotonic() > until:
                raise SystemExit(f"the plugins did not come to rest within {self.slowest:.0f} s")
            time.sleep(LOOK)
            now = self._busy()
            still = still + 1 if now - before < STILL else 0
            before = now

    def _busy(self) -> float:
        return sum(map(busy, self.pids.values()))

    def freeze(self, how: signal.Signals = signal.SIGSTOP) -> None:
        """Stop every process where it is."""
        for process in self.processes.values():
            process.send_signal(how)

    @contextmanager
    def thawed(self) -> Iterator[None]:
        """Let every process go on for as long as something is measured."""
        self.freeze(signal.SIGCONT)
        try:
            yield
        finally:
            self.freeze()


def spec(group: str, size: int, note: str) -> GroupSpec:
    """Return the collabnix group; another ``note`` makes another configuration, which rolls by
    ten.
    """
    document = collabnix(size=size, group=group)["Properties"]
    if note:
        document["Instance"]["Properties"]["Note"] = note
        document["Updating"] = {"BatchSize": 10}
    return group_spec(group, document)
