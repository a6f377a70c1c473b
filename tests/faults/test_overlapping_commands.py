"""P9 over real sockets: commands overlap on real plugin programs that are slow, fail and are
killed, and some order explains all.

The schedules are drawn from a number, which is printed; how they interleave is up to the machine.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from asking import until
from desk import Desk
from msgspec import Raw
from profiles import PATIENCE, SOAK
from simulation.history import History
from simulation.model import Answer, Command
from simulation.play import answer_of
from simulation.schedule import Item

from ikdemo.rpc.peers import Peers
from ikdemo.spi.contracts import GroupPlugin
from ikdemo.spi.documents import GroupSpec

pytestmark = pytest.mark.timeout(PATIENCE)

ROUNDS = 200 if SOAK else 12
VERBS = [
    "commit",
    "commit",
    "commit",
    "scale",
    "scale",
    "pause",
    "resume",
    "resume",
    "step",
    "free",
    "destroy",
    "force",
    "inspect",
]
PROGRAMS = Path(__file__).with_name("slow_programs.py")


def spec(group: str, note: str, size: int) -> GroupSpec:
    """Return what is committed: files, of which three configurations look different."""
    properties = {
        "Allocation": {"Size": size},
        "Instance": {"Plugin": "cloud", "Properties": {"Note": note, "Group": group}},
        "Flavor": {"Plugin": "flavor-vanilla", "Properties": {}},
        "Updating": {"BatchSize": 4, "Duration": "0"},
    }
    return GroupSpec(group, Raw(json.dumps(properties).encode()))


class Overlap:
    """The programs, and the history of what was asked of the group ``a`` and answered."""

    def __init__(self, desk: Desk, kind: str, seed: int) -> None:
        self.desk, self._seed, self._chance = desk, seed, random.Random(seed)
        self._history, self._number, self._lives = History(), 0, 0
        self.log = desk.root / "calls.log"
        desk.start("infrakit-flavor-vanilla", "flavor-vanilla")
        self._start(kind, "cloud", desk.instances)
        self.start_group()

    def start_group(self) -> None:
        """Begin another life of the group plugin."""
        self._lives += 1
        self._start("group", "group", self.desk.root / "state")

    def _start(self, kind: str, name: str, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        command = [
            sys.executable,
            str(PROGRAMS),
            kind,
            name,
            str(folder),
            f"{self._seed}/{self._lives}",
        ]
        with (self.desk.root / f"{name}.log").open("a") as log:
            self.desk.processes[name] = subprocess.Popen(
                command, env=self.desk.environment, cwd=self.desk.cwd, stderr=log
            )
        path = str(self.desk.plugins / name)
        until(
            lambda: _answers(path) or self.desk.processes[name].poll() is not None,
            say=lambda: self.desk.log(name),
        )
        assert self.desk.processes[name].poll() is None, self.desk.log(name)

    async def round(self, groups: GroupPlugin) -> None:
        """Ask for some things at almost the same time, and then how things stand; now and then the
        plugin is killed meanwhile.
        """
        asked = [
            self._ask(groups, self._item(), self._chance.uniform(0, 0.05))
            for _ in range(self._chance.randint(2, 5))
        ]
        killed = self._chance.random() < 0.15
        if killed:
            asked.append(self._kill(self._chance.uniform(0, 0.06)))
        await asyncio.gather(*asked)
        if killed:
            self._history.ended()
            await asyncio.to_thread(self.start_group)
        await self._ask(groups, Item(0.0, "inspect"), 0.0)

    def _item(self) -> Item:
        verb = self._chance.choice(VERBS)
        return Item(
            0.0, verb, note=self._chance.choice(["v1", "v2", "v3"]), size=self._chance.randint(1, 4)
        )

    async def _kill(self, after: float) -> None:
        await asyncio.sleep(after)
        await asyncio.to_thread(self.desk.stop, "group", signal.SIGKILL)

    async def _ask(self, groups: GroupPlugin, item: Item, after: float) -> Answer:
        await asyncio.sleep(after)
        self._number += 1
        number, command = self._number, Command(item.verb, item.group, item.note, item.size)
        self._history.called(number, command)
        answer = await answer_of(groups, item, spec)
        if answer[0] != "not known":  # it is open until the process ends
            trouble = self._history.answered(number, answer)
            assert not trouble, f"IKDEMO_SEED={self._seed}: {trouble}"
        return answer

    async def end_well(self, groups: GroupPlugin) -> None:
        """Ask for a last configuration: it comes, and stays."""
        end, committed = time.monotonic() + 100, 0
        # it may be in the middle of being destroyed; and a first commit adopts what is there as it
        # is
        while committed < 2:
            answer = await self._ask(groups, Item(0.0, "commit", note="v1", size=3), 0.0)
            committed += answer[0] == "details"
            await asyncio.sleep(0.05)
            assert time.monotonic() < end, answer
        await self._ask(groups, Item(0.0, "resume"), 0.0)
        while not (await groups.describe_group("a")).converged:
            assert time.monotonic() < end, await groups.why_group("a")
            await asyncio.sleep(0.05)
        assert await self._ask(groups, Item(0.0, "inspect"), 0.0) == ("is", ("v1", 3))

    def calls(self) -> list[str]:
        return self.log.read_text().split()


def _answers(path: str) -> bool:
    """Say whether a plugin listens there: one that was killed leaves its socket."""
    with socket.socket(socket.AF_UNIX) as asked:
        return asked.connect_ex(path) == 0


@pytest.mark.parametrize("kind", ["slots", "plain"])
def test_some_order_explains_every_answer_over_sockets(desk: Desk, kind: str) -> None:
    seed = int(os.environ.get("IKDEMO_SEED", "0")) or random.randrange(1, 10**6)
    print(f"IKDEMO_SEED={seed}")
    overlap = Overlap(desk, kind, seed)

    async def story() -> None:
        peers = Peers(desk.plugins)
        try:
            groups = (await peers.group("group")).plugin
            for _ in range(ROUNDS):
                await overlap.round(groups)
            await overlap.end_well(groups)
        finally:
            await peers.close()

    asyncio.run(story())
    assert len(desk.living()) == 3
    before = overlap.calls()
    until(lambda: overlap.calls()[len(before) :].count("describe") >= 3)
    assert not {"provision", "destroy"} & set(overlap.calls()[len(before) :]), (
        f"IKDEMO_SEED={seed}: there is no rest"
    )
    assert len(desk.living()) == 3
