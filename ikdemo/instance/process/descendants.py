"""All that an instance started, also what left its process group and its session: found in one scan
of all processes.

An instance's process belongs to it by any of these: its environment says so; it is in the session
that the leader began, or in one begun by a process that belongs to it; its parent belongs to it.
What cannot be found: a process that has cleared its environment, began a session of its own AND
lost its parent before the scan; nothing that the kernel keeps leads from it to its instance.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from .. import procfs
from ..ownership import MARK, OWNER
from ..procfs import Stat
from .descriptors import SpareDescriptors

PART = 64
"""Processes that are looked at before others get their turn: a few milliseconds."""


class Marks(NamedTuple):
    """Whose a process is, by its environment: the instance it was started for, and the
    plugin's directory.

    ``owner`` is the directory's mark, empty where a former version started the process;
    ``directory`` is where it was then.
    """

    instance: str
    owner: str
    directory: Path


def marks_of(variables: Mapping[bytes, bytes]) -> Marks | None:
    """Read the marks in an environment; None where there are none."""
    if (directory := variables.get(os.fsencode(MARK))) is None:
        return None
    instance, owner = (
        os.fsdecode(variables.get(name, b"")) for name in (b"INSTANCE_ID", os.fsencode(OWNER))
    )
    return Marks(instance, owner, Path(os.fsdecode(directory)))


class Processes:
    """The living processes as they were at one look: ``stats`` by pid, and the ``marks`` of those
    that have any.
    """

    def __init__(self) -> None:
        self.stats: dict[int, Stat] = {}
        self.marks: dict[int, Marks] = {}

    def scan(self, since: int) -> Iterator[None]:
        """Look at every process that began no earlier than ``since`` (clock ticks), one at each
        step; raises PluginFailure.
        """
        for pid in procfs.pids():
            now = procfs.stat(pid)
            if now is not None and now.lives and now.start >= since and pid != os.getpid():
                self.stats[pid] = now
                if (found := marks_of(procfs.environment(pid))) is not None:
                    self.marks[pid] = found
            yield

    def of_instance(self, instance: str, owner: str, leader: int, start: int) -> dict[int, int]:
        """Return pid and start time of all that belongs to an instance by the mark of its directory
        and by its leader.
        """
        roots = {
            pid
            for pid, marks in self.marks.items()
            if marks.instance == instance and marks.owner in ("", owner)
        }
        if self._is_free_or(leader, start):
            roots |= {
                pid for pid, one in self.stats.items() if one.session == leader or pid == leader
            }
        return {pid: begun for pid, begun in self.descendants(roots).items() if begun >= start}

    def descendants(self, roots: Iterable[int]) -> dict[int, int]:
        """Return pid and start time of these processes, of all their descendants, and of the
        sessions that any of them began.
        """
        below: dict[int, list[int]] = {}
        for pid, one in self.stats.items():
            below.setdefault(one.parent, []).append(pid)
            if one.session != pid:
                below.setdefault(one.session, []).append(pid)
        found: dict[int, int] = {}
        waiting = [pid for pid in roots if pid in self.stats]
        while waiting:
            pid = waiting.pop()
            if pid in found:
                continue
            found[pid] = self.stats[pid].start
            waiting += [one for one in below.get(pid, ()) if self.stats[one].start >= found[pid]]
        return found

    def _is_free_or(self, pid: int, start: int) -> bool:
        """Say whether a pid is free, or of the process that began at ``start``: then a session
        of its name is that one's.
        """
        return pid not in self.stats or self.stats[pid].start == start


def scan(since: int = 0) -> Processes:
    """Look at all processes at once; raises PluginFailure when that cannot be done."""
    processes = Processes()
    for _ in processes.scan(since):
        pass
    return processes


class ProcessScans:
    """Looks at all processes: those who ask at the same time are answered by one look, which lets
    others have their turn.
    """

    def __init__(self) -> None:
        self.spare_descriptors = SpareDescriptors()
        self._since: list[int] = []
        self._next: asyncio.Task[Processes] | None = None
        self._present: asyncio.Task[Processes] | None = None

    async def scan(self, since: int) -> Processes:
        """Return what a look that begins from now on sees of processes no older than ``since``;
        raises PluginFailure.
        """
        self._since.append(since)
        if self._next is None:
            self._next = asyncio.create_task(
                self._look(self._present), name="look at all processes"
            )
        return await asyncio.shield(self._next)

    def close(self) -> None:
        """Give the spare descriptors back."""
        self.spare_descriptors.close()

    async def _look(self, before: asyncio.Task[Processes] | None) -> Processes:
        if before is not None:
            await asyncio.wait([before])
        await asyncio.sleep(0)  # who asks in the same moment is served as well
        self._present, self._next = self._next, None
        since, self._since = min(self._since), []
        processes = Processes()
        steps = processes.scan(since)
        while not self._part(steps):  # noqa: ASYNC110  it is this that does the work
            await asyncio.sleep(0)
        return processes

    def _part(self, steps: Iterator[None]) -> bool:
        """Make some steps, with the spare descriptors if need be; say whether those were the last
        ones.
        """
        with self.spare_descriptors:
            for _ in range(PART):
                try:
                    next(steps)
                except StopIteration:
                    return True
        return False


def alive_of(known: Mapping[int, int]) -> Collection[int]:
    """Return those of some processes (pid and start time) that still live; raises PluginFailure."""
    found = ((pid, procfs.stat(pid)) for pid in known)
    return [pid for pid, now in found if now is not None and now.lives and now.start == known[pid]]
