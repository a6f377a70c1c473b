"""A fleet to be struck at: three real plugin processes and one group, what was done to them, and what they hold.

Every broken promise is counted in ``broken``, none is raised. Called by ``soak``.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, cast

from msgspec import Raw

import ikdemo
from ikdemo.rpc.proxies import GroupClient
from ikdemo.spi.documents import GroupSpec
from ikdemo.spi.errors import IkdemoError

from .held import status

SIZE = 20
PATIENCE = 60.0
GROWTH = {"memory_kib": 20 * 1024, "descriptors": 4, "threads": 8}
"""How much more the last quarter may hold than the first."""
SECTIONS = {
    "Instance": {"Plugin": "instance-file", "Properties": {}},
    "Flavor": {"Plugin": "flavor-vanilla", "Properties": {}},
}


class Fleet:
    """Three plugin processes and one group of ``SIZE``, and what was done to them."""

    def __init__(self, root: Path) -> None:
        self.plugins, self.instances = root / "p", root / "i"
        for folder in (root, self.plugins, self.instances):
            folder.mkdir(mode=0o700)
        self.log = root / "log"
        self.counts, self.broken = Counter[str](), Counter[str]()
        self.samples: list[dict[str, tuple[int, int, int]]] = []
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._programs = {
            "instance-file": ["infrakit-instance-file", "--dir", str(self.instances)],
            "flavor-vanilla": ["infrakit-flavor-vanilla"],
            "group": ["infrakit-group-default"],
        }

    async def begin(self) -> None:
        """Start the plugins and commit the group."""
        for name in self._programs:
            await self._start(name)
        self.group = cast(GroupClient, await ikdemo.connect("group", directory=self.plugins))
        properties = json.dumps({"Allocation": {"Size": SIZE}, **SECTIONS})
        await self.group.commit_group(GroupSpec("soak", Raw(properties.encode())))
        await self.look()

    async def _start(self, name: str) -> None:
        self._spawn(name)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            try:
                (await ikdemo.connect(name, directory=self.plugins)).close()
                return
            except IkdemoError:
                await asyncio.sleep(0.02)
        raise SystemExit(f"{name} did not start: {self.log.read_text()}")

    def _spawn(self, name: str) -> None:
        with self.log.open("ab") as log:
            self._running[name] = subprocess.Popen(
                [sys.executable, "-m", "ikdemo", *self._programs[name], "--name", name, "--exit-with-stdin"],
                env={**os.environ, "INFRAKIT_PLUGINS_DIR": str(self.plugins)},
                stdin=subprocess.PIPE,
                stderr=log,
            )

    def unlink(self, dice: random.Random) -> None:
        """Delete one to five instance files; nobody is told."""
        files = sorted(self.instances.glob("instance-*"))
        self.broken["more files than Size"] += len(files) > SIZE
        for path in dice.sample(files, min(len(files), dice.randint(1, 5))):
            path.unlink(missing_ok=True)
            self.counts["instances"] += 1

    async def kill(self, dice: random.Random) -> None:
        """Kill a plugin and start it again."""
        name = dice.choice(sorted(self._running))
        process = self._running.pop(name)
        process.kill()
        process.communicate()
        self.counts["plugins"] += 1
        await asyncio.sleep(dice.random())
        await self._start(name)

    async def calm(self) -> None:
        """End the storm that the deletions are to the group; where its plugin has just been killed, most is forgotten."""
        try:
            await self.group.resume_group("soak")
        except IkdemoError:
            pass

    async def look(self) -> None:
        """Wait until the group is as wanted, and count the files: one in each slot."""
        until = time.monotonic() + PATIENCE
        while not await self._converged():
            if time.monotonic() > until:
                self.broken["not whole in time"] += 1
                return
            await asyncio.sleep(0.01)
        slots = [json.loads(path.read_bytes())["Slot"] for path in self.instances.glob("instance-*")]
        self.broken["not exactly Size"] += sorted(slots) != sorted(map(str, range(SIZE)))
        self.counts["looks"] += 1

    async def _converged(self) -> bool:
        try:
            return (await self.group.describe_group("soak")).converged
        except IkdemoError:
            return False

    def sample(self) -> None:
        """Read what every process holds: memory in KiB, descriptors, threads."""
        self.samples.append({name: held(process.pid) for name, process in self._running.items()})

    async def end(self) -> None:
        """Destroy the group, see that nothing of it comes back, and stop the plugins."""
        await self.look()
        await self.group.destroy_group("soak")
        await asyncio.sleep(1.0)
        self.broken["left after destroy"] += len(list(self.instances.glob("instance-*")))
        self.broken["internal errors in a log"] += self.log.read_text().count("level=error")
        self.group.close()
        await asyncio.gather(*(asyncio.to_thread(process.communicate) for process in self._running.values()))


def held(pid: int) -> tuple[int, int, int]:
    """Return a process's memory in KiB, open descriptors and threads."""
    told = status(pid)
    return int(told["VmRSS"].split()[0]), len(os.listdir(f"/proc/{pid}/fd")), int(told["Threads"])  # noqa: PTH208


def growth(samples: list[dict[str, tuple[int, int, int]]]) -> list[dict[str, Any]]:
    """Compare the medians of the first and the last quarter, for every plugin."""
    quarter = max(1, len(samples) // 4)
    rows = []
    for name in samples[0]:
        for position, what in enumerate(GROWTH):
            first = statistics.median(sample[name][position] for sample in samples[:quarter])
            last = statistics.median(sample[name][position] for sample in samples[-quarter:])
            rows.append({"plugin": name, "what": what, "first": first, "last": last, "flat": last - first <= GROWTH[what]})
    return rows
