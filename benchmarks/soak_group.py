"""A group under attack for a soak: its plugin processes, what was done to them, what they promise,
and what they hold over time.

Every broken promise is counted in ``broken``, none is raised. What the instances are, and how they
are attacked, is in ``soak_files`` and ``soak_processes``.
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ikdemo
from ikdemo.spi.documents import GroupSpec
from ikdemo.spi.errors import IkdemoError

from .plugins import connect_group, group_spec, status

GROUP = "soak"
PATIENCE = 60.0
"""Seconds after which a wait has failed."""
SAID = 10
"""Broken promises of one group that are told one by one."""
LIMIT = 1024.0
"""KiB of memory that a process may grow by in an hour: what the kernel and the allocator give and
take is as much.
"""
SHORTEST = 1500.0
"""Seconds that the last half has to have: until the events that a plugin keeps are as many as it
ever keeps, it grows.
"""
MORE = {"descriptors": 4, "threads": 8}
"""How many more the last quarter may hold than the first."""


class Sample(NamedTuple):
    """What one process held at one moment: seconds since any moment, KiB resident, open
    descriptors, threads.
    """

    at: float
    memory: int
    descriptors: int
    threads: int


class SoakGroup:
    """Some plugin processes and one group. ``programs``: the words after ``python -m`` that start
    each of them.
    """

    def __init__(self, root: Path, programs: Mapping[str, Sequence[str]]) -> None:
        self.name = root.name
        self.plugins, self.instances, self.log = root / "p", root / "i", root / "log"
        for folder in (root, self.plugins, self.instances):
            folder.mkdir(mode=0o700)
        self.counts, self.broken, self.said = Counter[str](), Counter[str](), list[str]()
        self.samples: dict[str, list[Sample]] = {}
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self._programs = {
            **programs,
            "flavor-vanilla": ["ikdemo", "infrakit-flavor-vanilla"],
            "group": ["ikdemo", "infrakit-group-default"],
        }

    async def begin(self) -> None:
        """Start the plugins, and commit the group."""
        for name in self._programs:
            await self.start(name)
        self.group = await connect_group(self.plugins.parent)

    async def round(self, dice: random.Random) -> None:
        """Attack a few times, then look."""
        raise NotImplementedError

    async def look(self) -> None:
        """Wait until the group is whole, and compare the world with what was promised."""
        raise NotImplementedError

    async def attack(self, seed: int, end: float) -> None:
        """Attack until the end, at seeded moments, and once at least."""
        dice = random.Random(f"{self.name} {seed}")
        await self.round(dice)
        while time.monotonic() < end:
            await self.round(dice)
        await self.end()

    def promise(self, what: str, broken: int, found: object = "") -> None:
        """Count how often a promise was broken, if it was; ``found`` is what was found then."""
        self.broken[what] += broken
        if broken and len(self.said) < SAID:
            self.said.append(f"{self.name}: {what} {found}".strip())

    async def start(self, name: str) -> None:
        """Start a plugin, and wait until it answers."""
        if not await self.starts(name):
            raise SystemExit(f"{name} did not start: {self.log.read_text()}")

    async def starts(self, name: str, descriptors: int = 0) -> bool:
        """Start a plugin, with so many descriptors if there is a number; say whether it answers."""
        command = [sys.executable, "-m", *self._programs[name], "--name", name, "--exit-with-stdin"]
        if descriptors:
            command = ["sh", "-c", f'ulimit -S -n {descriptors}; exec "$@"', "sh", *command]
        variables = {**os.environ, "INFRAKIT_PLUGINS_DIR": str(self.plugins)}
        with self.log.open("ab") as log:
            process = subprocess.Popen(  # noqa: ASYNC220
                command, env=variables, stdin=subprocess.PIPE, stderr=log
            )
        self.running[name] = process
        until = time.monotonic() + PATIENCE
        while process.poll() is None and time.monotonic() < until:
            try:
                (await ikdemo.connect(name, directory=self.plugins)).close()
                return True
            except IkdemoError:
                await asyncio.sleep(0.02)
        self.kill(name)
        return False

    def kill(self, name: str) -> None:
        """Kill a plugin."""
        process = self.running.pop(name)
        process.kill()
        process.communicate()

    async def calm(self) -> None:
        """End the storm that the attacks are to the group; where its plugin has just been killed,
        most is forgotten.
        """
        try:
            await self.group.resume_group(GROUP)
        except IkdemoError:
            pass

    async def whole(self) -> bool:
        """Wait until the group is as wanted; count it where it does not become so."""
        until = time.monotonic() + PATIENCE
        while not await self.converged():
            if time.monotonic() > until:
                self.promise("not whole in time", 1)
                return False
            await asyncio.sleep(0.01)
        self.counts["looks"] += 1
        return True

    async def converged(self) -> bool:
        """Say whether the group calls itself as wanted."""
        try:
            return (await self.group.describe_group(GROUP)).converged
        except IkdemoError:
            return False

    def sample(self) -> None:
        """Read what every process holds."""
        for name, process in self.running.items():
            told, files = status(process.pid), os.listdir(f"/proc/{process.pid}/fd")  # noqa: PTH208
            memory, threads = int(told["VmRSS"].split()[0]), int(told["Threads"])
            taken = self.samples.setdefault(f"{self.name} {name}", [])
            taken.append(Sample(time.monotonic(), memory, len(files), threads))

    async def end(self) -> None:
        """Destroy the group, and stop the plugins."""
        await self.look()
        await self.group.destroy_group(GROUP)
        errors = [line for line in self.log.read_text().splitlines() if "level=error" in line]
        self.promise("internal errors in a log", len(errors), errors[:1])
        await self.stop()

    async def stop(self) -> None:
        """Stop the plugins."""
        self.group.close()
        running, self.running = self.running, {}
        await asyncio.gather(
            *(asyncio.to_thread(process.communicate) for process in running.values())
        )


def soak_spec(size: int, plugin: str, properties: Mapping[str, Any], **more: Any) -> GroupSpec:
    """Return the group of a size, an instance plugin and what that is to make."""
    document = {
        "Allocation": {"Size": size},
        "Instance": {"Plugin": plugin, "Properties": properties},
        "Flavor": {"Plugin": "flavor-vanilla", "Properties": {}},
        **more,
    }
    return group_spec(GROUP, document)


def growth(samples: Mapping[str, Sequence[Sample]]) -> list[dict[str, Any]]:
    """Judge what each process held: medians of the first and the last quarter, and a verdict."""
    rows = []
    for name, taken in samples.items():
        slope, quarter = per_hour(taken), max(1, len(taken) // 4)
        for what, held in (
            ("memory, KiB", [one.memory for one in taken]),
            ("descriptors", [one.descriptors for one in taken]),
            ("threads", [one.threads for one in taken]),
        ):
            first, last = statistics.median(held[:quarter]), statistics.median(held[-quarter:])
            row = {"plugin": name, "what": what, "first": first, "last": last}
            if what in MORE:
                verdict = "GROWS" if last - first > MORE[what] else "flat"
            elif slope is None:
                verdict = "too short to tell"
            else:
                verdict = "GROWS" if slope > LIMIT else "flat"
                row["per_hour"] = round(slope)
            rows.append({**row, "verdict": verdict})
    return rows


def per_hour(taken: Sequence[Sample]) -> float | None:
    """Return the slope of memory over the last half of the time, in KiB an hour; None when that
    half is too short to tell.

    >>> round(per_hour([Sample(float(at), 30_000 + at // 36, 9, 1) for at in range(0, 3600, 10)]))
    100
    >>> per_hour([Sample(0.0, 30_000, 9, 1), Sample(1200.0, 31_000, 9, 1)]) is None
    True
    """
    middle = (taken[0].at + taken[-1].at) / 2
    half = [one for one in taken if one.at >= middle]
    if half[-1].at - half[0].at < SHORTEST * 0.99:
        return None
    at, memory = [one.at for one in half], [one.memory for one in half]
    return 3600 * statistics.linear_regression(at, memory).slope
