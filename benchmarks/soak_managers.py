"""Two managers, a group plugin behind each, and files that both can reach: the leading one is
killed or stopped at random, and the other one is told to lead and to keep another size.

At every look: as many files as was acknowledged last, which is stored, and none but the leader's
group plugin keeps the group. When the older leader is back, nothing is done for what it wanted.
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import time
from pathlib import Path
from typing import cast

import ikdemo
from ikdemo.rpc.proxies import GroupClient
from ikdemo.spi.documents import GroupSpec
from ikdemo.spi.errors import IkdemoError

from .soak_group import GROUP, PATIENCE, SoakGroup, soak_spec

MANAGERS = ("m-1", "m-2")
LARGEST = 8
POLL = "200ms"
WAYS = ("kill both", "kill the manager", "stop both", "stop the manager", "tell it")
"""What befalls the leader and its group plugin; the last one: only the leader file changes."""


def behind(manager: str) -> str:
    """Return the name of the group plugin behind a manager."""
    return f"{manager}-behind"


def sized(size: int) -> GroupSpec:
    return soak_spec(size, "instance-file", {"Note": "v1"})


class ManagersSoak(SoakGroup):
    """One group, kept by the managers ``m-1`` and ``m-2`` in turn."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, {})
        self._leader_file, self._store = root / "leader", root / "store"
        self._store.mkdir()
        files = ["--leader-file", str(self._leader_file), "--store-dir", str(self._store)]
        self._programs = {
            "instance-file": ["ikdemo", "infrakit-instance-file", "--dir", str(self.instances)],
            "flavor-vanilla": ["ikdemo", "infrakit-flavor-vanilla"],
        }
        for name in MANAGERS:
            group = ["ikdemo", "infrakit-group-default", "--store", "none"]
            flags = ["--proxy-for-group", behind(name), "os", *files, "--poll-interval", POLL]
            self._programs[behind(name)] = group
            self._programs[name] = ["ikdemo", "infrakit-manager", *flags]
        self._leads, self._size = MANAGERS[0], 2

    async def begin(self) -> None:
        """Start all, and commit the group through the first manager."""
        self._leader_file.write_text(self._leads)
        for name in self._programs:
            await self.start(name)
        self.group = await self._connect(self._leads)
        await self._commit(self._size)
        await self.look()

    async def round(self, dice: random.Random) -> None:
        """Strike at the leader, have the other one lead and keep another size, and bring the older
        one back.
        """
        old, new = self._leads, next(name for name in MANAGERS if name != self._leads)
        way = dice.choice(WAYS)
        struck = [behind(old), old] if way.endswith("both") else [old]
        await asyncio.sleep(dice.uniform(0.0, 0.3))
        if way.startswith("kill"):
            for name in struck:
                self.kill(name)
            self.counts["managers killed"] += 1
        elif way.startswith("stop"):
            for name in struck:
                self.running[name].send_signal(signal.SIGSTOP)
            self.counts["managers stopped"] += 1
        if lost := next(self.instances.glob("instance-*"), None):
            lost.unlink(missing_ok=True)
        self._leader_file.write_text(new)
        self.group.close()
        self._leads, self.group = new, await self._connect(new)
        await self._commit(dice.randint(1, LARGEST))
        await self._whole()
        there = self._living()
        for name in struck:
            if way.startswith("kill"):
                await self.start(name)
            elif way.startswith("stop"):
                self.running[name].send_signal(signal.SIGCONT)
        await self.look()
        self.promise("acts for an older leader", self._living() != there, way)

    async def look(self) -> None:
        await self._whole()
        stored = json.loads((self._store / "global.config").read_text())["Groups"]
        size = stored[GROUP]["Properties"]["Properties"]["Allocation"]["Size"]
        self.promise("acknowledged sizes lost", size != self._size, (size, self._size))
        for name in MANAGERS:
            if name != self._leads and not await self._until_freed(name):
                self.promise("groups kept without leadership", 1, name)

    async def end(self) -> None:
        """Destroy the group, and stop all."""
        await self.group.destroy_group(GROUP)
        self.promise("groups of managers left behind", bool(self._living()), self._living())
        self.promise("internal errors in a log", self.log.read_text().count("Traceback"))
        await self.stop()

    async def _connect(self, name: str) -> GroupClient:
        return cast(GroupClient, await ikdemo.connect(name, directory=self.plugins))

    async def _commit(self, size: int) -> None:
        """Commit through the manager that is to lead, as soon as it does."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                await self.group.commit_group(sized(size))
            except IkdemoError as refused:
                if time.monotonic() > until:
                    self.promise("not led in time", 1, refused)
                    return
                await asyncio.sleep(0.05)
            else:
                self._size = size
                self.counts["changes of leaders"] += 1
                return

    async def _whole(self) -> None:
        if await self.whole():
            found = len(self._living())
            self.promise("more or less than was acknowledged", found != self._size, found)

    async def _until_freed(self, name: str) -> bool:
        """Wait until the group plugin behind a manager keeps nothing; say whether that came."""
        until = time.monotonic() + PATIENCE
        client = await self._connect(behind(name))
        try:
            while await client.inspect_groups():
                if time.monotonic() > until:
                    return False
                await asyncio.sleep(0.05)
            return True
        finally:
            client.close()

    def _living(self) -> set[str]:
        return {path.name for path in self.instances.glob("instance-*")}
