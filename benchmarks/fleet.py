"""A fleet to be struck at: real plugin processes and one group, what was done to them, and what
they hold.

Every broken promise is counted in ``broken``, none is raised. What the instances are, and how they
are struck at, is in ``files`` and ``starved``.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import ikdemo
from ikdemo.rpc.proxies import GroupClient
from ikdemo.spi.errors import IkdemoError

from .growth import Sample, sample

GROUP = "soak"
PATIENCE = 60.0
"""Seconds after which a wait has failed."""
SAID = 10
"""Broken promises of one fleet that are told one by one."""


class Fleet:
    """Some plugin processes and one group. ``programs``: the words after ``python`` that start each
    of them.
    """

    def __init__(self, root: Path, programs: Mapping[str, Sequence[str]]) -> None:
        self.name = root.name
        self.plugins, self.instances = root / "p", root / "i"
        for folder in (root, self.plugins, self.instances):
            folder.mkdir(mode=0o700)
        self.log = root / "log"
        self.counts, self.broken, self.said = Counter[str](), Counter[str](), list[str]()
        self.samples: dict[str, list[Sample]] = {}
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self._programs = {
            **programs,
            "flavor-vanilla": ["-m", "ikdemo", "infrakit-flavor-vanilla"],
            "group": ["-m", "ikdemo", "infrakit-group-default"],
        }

    async def begin(self) -> None:
        """Start the plugins, and commit the group."""
        for name in self._programs:
            if not await self.start(name):
                raise SystemExit(f"{name} did not start: {self.log.read_text()}")
        self.group = cast(GroupClient, await ikdemo.connect("group", directory=self.plugins))

    def promise(self, what: str, broken: int, found: object = "") -> None:
        """Count how often a promise was broken, if it was; ``found`` is what was found then."""
        self.broken[what] += broken
        if broken and len(self.said) < SAID:
            self.said.append(f"{self.name}: {what} {found}".strip())

    async def round(self, dice: random.Random) -> None:
        """Strike a few times, then look."""
        raise NotImplementedError

    async def start(self, name: str, descriptors: int = 0) -> bool:
        """Start a plugin, with so many descriptors if there is a number; say whether it answers."""
        command = [sys.executable, *self._programs[name], "--name", name, "--exit-with-stdin"]
        if descriptors:
            command = ["sh", "-c", f'ulimit -S -n {descriptors}; exec "$@"', "sh", *command]
        with self.log.open("ab") as log:
            process = subprocess.Popen(  # noqa: ASYNC220
                command,
                env={**os.environ, "INFRAKIT_PLUGINS_DIR": str(self.plugins)},
                stdin=subprocess.PIPE,
                stderr=log,
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
        """End the storm that the blows are to the group; where its plugin has just been killed,
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
            self.samples.setdefault(f"{self.name} {name}", []).append(
                sample(process.pid, time.monotonic())
            )

    async def end(self) -> None:
        """Destroy the group, and stop the plugins."""
        await self.group.destroy_group(GROUP)
        errors = [line for line in self.log.read_text().splitlines() if "level=error" in line]
        self.promise("internal errors in a log", len(errors), errors[:1])
        self.group.close()
        running, self.running = self.running, {}
        await asyncio.gather(
            *(asyncio.to_thread(process.communicate) for process in running.values())
        )
