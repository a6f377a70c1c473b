"""Instances that are files, struck at from outside, by storms and by commands that overlap, beside
files of others.

At every look: exactly as many as the record says, one in each slot, of its configuration; what is
not the group's is as it was. At every blow: never more than was asked for. Made by ``soak``.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from pathlib import Path

from msgspec import Raw

import ikdemo
from ikdemo.reconcile.backoff import ALLOWANCE
from ikdemo.rpc.proxies import InstanceClient
from ikdemo.spi.documents import GROUP_TAG, SHA_TAG, GroupSpec, InstanceSpec
from ikdemo.spi.errors import IkdemoError

from .clients import Clients, Command, Wanted
from .fleet import GROUP, PATIENCE, Fleet

SIZE = 20
PAUSE = 0.1
"""Seconds between two blows, on average."""
BLOWS = 40
"""Blows after which the group is waited for and looked at."""
CALM = 8
"""Blows after which the group is resumed: without, they are a storm, and the group would rather
wait than be struck.
"""
COMMANDS, KILL = 0.2, 20
"""Share of blows that are commands; blows after which a plugin is killed while there are some."""
STORMS = 5
"""Rounds after which a storm comes."""
LONGER = 2.0
"""Seconds for which a storm goes on once it is named."""
DOUBLINGS = 8
"""Times that a slot waits in a storm, at most: more do not pass in the time that one takes."""
STRANGERS: tuple[dict[str, str], ...] = (
    {},
    {"tier": "web"},
    {GROUP_TAG: "other"},
    {GROUP_TAG: GROUP + "2", SHA_TAG: "sha"},
)
"""Tags of what is not the group's."""


class Files(Fleet):
    """A group of files. ``kills``: its plugins are killed, too; ``unfiltered``: its instance plugin
    shows all that there is.
    """

    def __init__(self, root: Path, *, kills: bool = False, unfiltered: bool = False) -> None:
        program = (
            [str(Path(__file__).with_name("unfiltered.py"))]
            if unfiltered
            else ["-m", "ikdemo", "infrakit-instance-file"]
        )
        super().__init__(root, {"instance-file": [*program, "--dir", str(root / "i")]})
        self._kills = kills
        self._clients = Clients(GROUP, spec, self.counts, self.promise)
        self._strangers: dict[Path, bytes] = {}
        self._rounds = 0

    async def begin(self) -> None:
        await super().begin()
        instances = await ikdemo.connect("instance-file", directory=self.plugins)
        assert isinstance(instances, InstanceClient)
        for tags in STRANGERS:
            for slot in (None, "0"):
                path = self.instances / str(
                    await instances.provision(InstanceSpec(Raw(b"{}"), tags), slot)
                )
                self._strangers[path] = path.read_bytes()
        instances.close()
        await self._clients.connect(self.plugins)
        await self._clients.overlap([Command("commit", SIZE, "v1")], random.Random(0))
        await self.look()

    async def round(self, dice: random.Random) -> None:
        """Delete files, send commands, kill plugins; then look. Now and then there is a storm
        first.
        """
        if not self._kills and self._rounds % STORMS == 0:
            await self.storm()
        self._rounds += 1
        for blow in range(BLOWS):
            if self._kills and blow % KILL == KILL // 2:
                commands = self._clients.drawn(dice, SIZE)
                await asyncio.gather(self._clients.overlap(commands, dice), self._kill(dice))
            elif dice.random() < COMMANDS:
                await self._clients.overlap(self._clients.drawn(dice, SIZE), dice)
            else:
                self.unlink(dice)
            if blow % CALM == 0:
                await self.calm()
            await asyncio.sleep(dice.expovariate(1 / PAUSE))
        await self.look()

    async def calm(self) -> None:
        await self._clients.overlap([Command("resume")], random.Random(0))

    def unlink(self, dice: random.Random) -> None:
        """Delete one to five of the group's files; nobody is told."""
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
            if not named and await self._says("ended from outside"):
                named, end = True, time.monotonic() + LONGER
            await asyncio.sleep(0.005)
        await self.calm()
        self.counts["storms"] += 1
        self.counts["instances deleted"] += deleted
        self.promise("storms not named", not named)
        self.promise(
            "storms not braked", deleted > self._clients.most * (1 + ALLOWANCE + DOUBLINGS)
        )
        self.promise("storms not ended by a resume", await self._says("ended from outside"))
        await self.look()

    async def look(self) -> None:
        """Wait until the group is as its record says, and compare the files with that."""
        await self.calm()
        if not await self.whole():
            return
        wanted = self._clients.wanted
        found = [json.loads(path.read_bytes()) for path in self._own()]
        slots, notes = (
            sorted(int(one["Slot"]) for one in found),
            {one["Spec"]["Properties"]["Note"] for one in found},
        )
        self.promise("not exactly Size", len(slots) != wanted.size, f"{slots}, wanted {wanted}")
        self.promise("two in a slot", len(slots) != len(set(slots)), f"{slots}, wanted {wanted}")
        self.promise("not as committed", not notes <= {wanted.note}, f"{notes}, wanted {wanted}")
        self._clients.seen()
        self._count_strangers()
        self.counts["looks"] += 1

    async def end(self) -> None:
        await self.look()
        await super().end()
        await asyncio.sleep(1.0)
        self.promise("left after destroy", len(self._own()))
        self._count_strangers()
        self._clients.close()

    async def _kill(self, dice: random.Random) -> None:
        """Kill a plugin and start it again."""
        await asyncio.sleep(dice.uniform(0, PAUSE))
        name = dice.choice(sorted(self.running))
        self.kill(name)
        self.counts["plugins killed"] += 1
        await asyncio.sleep(dice.random())
        if not await self.start(name):
            raise SystemExit(f"{name} did not start: {self.log.read_text()}")

    def _own(self) -> list[Path]:
        found = sorted(
            path for path in self.instances.glob("instance-*") if path not in self._strangers
        )
        self.promise("more than Size", len(found) > self._clients.most)
        return found

    def _count_strangers(self) -> None:
        there = {path: path.read_bytes() for path in self._strangers if path.exists()}
        self.promise("strangers harmed", there != self._strangers)

    async def _says(self, words: str) -> bool:
        try:
            return any(words in reason.text for reason in await self.group.why_group(GROUP))
        except IkdemoError:
            return False


def spec(wanted: Wanted) -> GroupSpec:
    """Return the group of a size and a configuration."""
    properties = {
        "Allocation": {"Size": wanted.size},
        "Instance": {"Plugin": "instance-file", "Properties": {"Note": wanted.note}},
        "Flavor": {"Plugin": "flavor-vanilla", "Properties": {}},
        "Updating": {"BatchSize": 5},
    }
    return GroupSpec(GROUP, Raw(json.dumps(properties).encode()))
