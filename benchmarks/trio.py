"""Three plugin processes and what is done to them: commit, converge, delete instances, wait for
rest, destroy.

The only place that knows how InfraKit's programs differ for a measurement: they heal when their
poll comes, and they are frozen while it is not their turn. Made by ``bench``; used by every row
that needs a group.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

from msgspec import Raw

import ikdemo
from ikdemo.lab.teaching.specs import collabnix
from ikdemo.rpc.proxies import GroupClient, InstanceClient
from ikdemo.spi.documents import GroupSpec

from .arrivals import Arrivals
from .held import busy
from .plugins import PATIENCE, is_ours, plugins

GROUP = "collabnix"
LOOK, STILL, LOOKS = 0.005, 0.0002, 3
"""A plugin is at rest when it worked for less than ``STILL`` of ``LOOK`` seconds, ``LOOKS`` times
in a row.
"""

T = TypeVar("T")


class Trio:
    """An instance plugin of files, the flavor vanilla and a group plugin, each a process.

    ``poll``: the seconds after which they heal, where only the poll heals; 0 where events do.
    ``content``: that of one file.
    """

    def __init__(
        self,
        root: Path,
        processes: Mapping[str, subprocess.Popen[bytes]],
        arrivals: Arrivals,
        dice: random.Random,
        poll: float,
    ) -> None:
        self.processes, self.instances = processes, root / "i"
        self.plugins = root / "p"
        self._dice, self._poll = dice, poll
        self._names: list[str] = []
        self._groups: list[str] = []
        self.content = b""
        self._loop = asyncio.Runner()
        self._arrivals = arrivals
        self.group = cast(GroupClient, self.run(ikdemo.connect("group", directory=self.plugins)))
        self.files = cast(
            InstanceClient, self.run(ikdemo.connect("instance-file", directory=self.plugins))
        )

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Carry out what is asked of a client."""
        return self._loop.run(work)

    def close(self) -> None:
        """Close the connections and stop watching; the processes are not ended here."""
        self.group.close()
        self.files.close()
        self._loop.close()
        self._arrivals.close()

    @property
    def pids(self) -> dict[str, int]:
        return {name: process.pid for name, process in self.processes.items()}

    @property
    def slowest(self) -> float:
        """Seconds in which anything has to happen."""
        return PATIENCE + 2 * self._poll

    def converge(
        self, sizes: Mapping[str, int], note: str = "", patience: float | None = None
    ) -> float:
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
        self._groups = list(sizes)
        self._names = sorted(os.listdir(self.instances))  # noqa: PTH208
        if len(self._names) != total:
            raise SystemExit(f"{len(self._names)} files where {total} were wanted")
        self.content = (self.instances / self._names[0]).read_bytes()
        return ended - began

    def heal(self, count: int) -> float:
        """Delete so many instances at once, and return the seconds from then until as many new
        files have come.

        What was deleted the times before is no storm: ours are resumed first, as their brake is not
        what is measured.
        """
        if is_ours(cast(Sequence[str], self.processes["group"].args)):
            for group in self._groups:
                self.run(self.group.resume_group(group))
        self.rest()
        time.sleep(self._dice.uniform(0, self._poll))
        places = self._dice.sample(range(len(self._names)), count)
        victims = [self.instances / self._names[place] for place in places]
        began = time.perf_counter()
        for victim in victims:
            victim.unlink()
        ended, names = self._arrivals.wait_for(count, self.slowest)
        for place, name in zip(places, names, strict=True):
            self._names[place] = name
        return ended - began

    def destroy(self, groups: Sequence[str] = (GROUP,)) -> None:
        """Destroy groups that are at rest, and see that no file is left."""
        self.rest()
        self.run(self._destroy(groups))
        if left := os.listdir(self.instances):  # noqa: PTH208
            raise SystemExit(f"{len(left)} files left after the groups were destroyed")

    async def _destroy(self, groups: Sequence[str]) -> None:
        for group in groups:
            await self.group.destroy_group(group)

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

    def freeze(self) -> None:
        """Stop every process where it is."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let every process go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        for process in self.processes.values():
            process.send_signal(number)


def spec(group: str, size: int, note: str) -> GroupSpec:
    """Return the collabnix group; another ``note`` makes another configuration, which rolls by
    ten.
    """
    document = collabnix(size=size, group=group)["Properties"]
    if note:
        document["Instance"]["Properties"]["Note"] = note
        document["Updating"] = {"BatchSize": 10}
    return GroupSpec(group, Raw(json.dumps(document).encode()))


@contextmanager
def trio(
    root: Path, programs: Mapping[str, Sequence[str]], dice: random.Random, poll: float
) -> Iterator[Trio]:
    """Run three plugins in a new directory, to which ``{root}`` in their commands leads; all is
    gone afterwards.
    """
    for folder in (root, root / "p", root / "i"):
        folder.mkdir(mode=0o700)
    try:
        with plugins(root, programs) as processes:
            arrivals = Arrivals(root / "i", created=not is_ours(programs["instance-file"]))
            made = Trio(root, processes, arrivals, dice, poll)
            try:
                yield made
            finally:
                made.close()
    finally:
        shutil.rmtree(root)  # ten thousand files on tmpfs are memory
