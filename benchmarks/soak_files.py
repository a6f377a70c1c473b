"""Instances that are files, deleted from outside, by storms and by commands that overlap, beside
files of others.

At every look: exactly as many as the record says, one in each slot, of its configuration; what is
not the group's is as it was. At every attack: never more than was asked for.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from pathlib import Path
from typing import cast

from msgspec import Raw

import ikdemo
from ikdemo.reconcile.backoff import ALLOWANCE
from ikdemo.reconcile.waiting import is_storm
from ikdemo.rpc.proxies import InstanceClient
from ikdemo.spi.documents import GROUP_TAG, SHA_TAG, GroupSpec, InstanceSpec
from ikdemo.spi.errors import IkdemoError

from .soak_clients import Clients, Command, Wanted
from .soak_group import GROUP, PATIENCE, SoakGroup, soak_spec

SIZE = 20
PLUGIN = "instance-file"
PAUSE = 0.1
"""Seconds between two attacks, on average."""
ATTACKS = 40
"""Attacks after which the group is waited for and looked at."""
CALM = 8
"""Attacks after which the group is resumed: without, they are a storm, and the group would rather
wait than be attacked.
"""
COMMANDS, KILL = 0.2, 20
"""Share of attacks that are commands; attacks after which a plugin is killed during some."""
STORMS = 5
"""Rounds after which a storm comes."""
LONGER = 2.0
"""Seconds for which a storm goes on once it is named."""
DOUBLINGS = 8
"""Times that a slot waits in a storm, at most: more do not pass in the time that one takes."""
FOREIGN_TAGS: tuple[dict[str, str], ...] = (
    {},
    {"tier": "web"},
    {GROUP_TAG: "other"},
    {GROUP_TAG: GROUP + "2", SHA_TAG: "sha"},
)
"""Tags of what is not the group's."""


class FilesSoak(SoakGroup):
    """A group of files. ``kills``: its plugins are killed, too; ``unfiltered``: its instance plugin
    shows all that there is.
    """

    def __init__(self, root: Path, *, kills: bool = False, unfiltered: bool = False) -> None:
        module = ["benchmarks.variants", "unfiltered"] if unfiltered else ["ikdemo"]
        program = [*module, "infrakit-instance-file", "--dir", str(root / "i")]
        super().__init__(root, {PLUGIN: program})
        self._kills = kills
        self._clients = Clients(GROUP, spec, self.counts, self.promise)
        self._foreign: dict[Path, bytes] = {}
        self._rounds = 0

    async def begin(self) -> None:
        await super().begin()
        connected = await ikdemo.connect(PLUGIN, directory=self.plugins)
        instances = cast(InstanceClient, connected)
        for tags in FOREIGN_TAGS:
            for slot in (None, "0"):
                made = await instances.provision(InstanceSpec(Raw(b"{}"), tags), slot)
                path = self.instances / str(made)
                self._foreign[path] = path.read_bytes()
        instances.close()
        await self._clients.connect(self.plugins.parent)
        await self._clients.overlap([Command("commit", SIZE, "v1")], random.Random(0))
        await self.look()

    async def round(self, dice: random.Random) -> None:
        """Delete files, send commands, kill plugins; then look. Now and then there is a storm
        first.
        """
        if not self._kills and self._rounds % STORMS == 0:
            await self.storm()
        self._rounds += 1
        for attack in range(ATTACKS):
            if self._kills and attack % KILL == KILL // 2:
                commands = self._clients.drawn(dice, SIZE)
                await asyncio.gather(self._clients.overlap(commands, dice), self._kill(dice))
            elif dice.random() < COMMANDS:
                await self._clients.overlap(self._clients.drawn(dice, SIZE), dice)
            else:
                self.unlink(dice)
            if attack % CALM == 0:
                await self.calm()
            await asyncio.sleep(dice.expovariate(1 / PAUSE))
        await self.look()

    async def calm(self) -> None:
        await self._clients.overlap([Command("resume")], random.Random(0))

    def unlink(self, dice: random.Random) -> None:
        """Delete one to five of the group's files, without a word to a plugin."""
        found = self._own()
        for path in dice.sample(found, min(len(found), dice.randint(1, 5))):
            path.unlink(missing_ok=True)
            self.counts["instances deleted"] += 1

    async def storm(self) -> None:
        """Delete all files as soon as they come: the group names that, makes fewer and fewer, and
        heals when it is resumed.
        """
        await self.calm()
        deleted, named, end = 0, False, time.monotonic() + PATIENCE
        while time.monotonic() < end:
            for path in self._own():
                path.unlink(missing_ok=True)
                deleted += 1
            if not named and await self._names_storm():
                named, end = True, time.monotonic() + LONGER
            await asyncio.sleep(0.005)
        await self.calm()
        self.counts["storms"] += 1
        self.counts["instances deleted"] += deleted
        most = self._clients.most * (1 + ALLOWANCE + DOUBLINGS)
        self.promise("storms not named", not named)
        self.promise("storms not braked", deleted > most)
        self.promise("storms not ended by a resume", await self._names_storm())
        await self.look()

    async def look(self) -> None:
        """Wait until the group is as its record says, and compare the files with that."""
        await self.calm()
        if not await self.whole():
            return
        wanted = self._clients.wanted
        found = [json.loads(path.read_bytes()) for path in self._own()]
        slots = sorted(int(one["Slot"]) for one in found)
        notes = {one["Spec"]["Properties"]["Note"] for one in found}
        self.promise("not exactly Size", len(slots) != wanted.size, f"{slots}, wanted {wanted}")
        self.promise("two in a slot", len(slots) != len(set(slots)), f"{slots}, wanted {wanted}")
        self.promise("not as committed", not notes <= {wanted.note}, f"{notes}, wanted {wanted}")
        self._clients.seen()
        self._compare_foreign()

    async def end(self) -> None:
        await super().end()
        await asyncio.sleep(1.0)
        self.promise("left after destroy", len(self._own()))
        self._compare_foreign()
        self._clients.close()

    async def _kill(self, dice: random.Random) -> None:
        """Kill a plugin and start it again."""
        await asyncio.sleep(dice.uniform(0, PAUSE))
        name = dice.choice(sorted(self.running))
        self.kill(name)
        self.counts["plugins killed"] += 1
        await asyncio.sleep(dice.random())
        await self.start(name)

    def _own(self) -> list[Path]:
        """Return the files of the group, and see that they are not too many."""
        found = sorted(set(self.instances.glob("instance-*")) - self._foreign.keys())
        self.promise("more than Size", len(found) > self._clients.most)
        return found

    def _compare_foreign(self) -> None:
        there = {path: path.read_bytes() for path in self._foreign if path.exists()}
        self.promise("strangers harmed", there != self._foreign)

    async def _names_storm(self) -> bool:
        try:
            return any(map(is_storm, await self.group.why_group(GROUP)))
        except IkdemoError:
            return False


def spec(wanted: Wanted) -> GroupSpec:
    """Return the group of a size and a configuration."""
    return soak_spec(wanted.size, PLUGIN, {"Note": wanted.note}, Updating={"BatchSize": 5})
