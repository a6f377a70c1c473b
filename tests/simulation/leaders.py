"""Two leaders in the simulated world, each with a group plugin of its own over one instance plugin:
they follow one another, repeat what they once committed, crash and come back.

What arrives late arrives with the epoch with which it was sent. So whatever befalls calls, plugins
and processes, the leader of the latest epoch ends up with what it wants, and the other one at rest.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

from ikdemo.spi.documents import GROUP_TAG, InstanceSpec
from ikdemo.spi.errors import Fenced, IkdemoError, PluginFailure

from .disk import Disk
from .life import GroupProcess, simulated_time
from .loop import SimulatedLoop, Stuck
from .play import spec
from .plugins import Instance, SimulatedFlavor, SimulatedInstances, World
from .weather import CALM
from .weather import draw as draw_weather

GAPS = (0.0, 0.0, 0.005, 0.05, 0.5, 3.0, 12.0)
VERBS = {"elect": 4, "repeat": 3, "kill": 4, "crash": 2, "down": 1}
PATIENCE = 600.0
"""Seconds within which the latest leader has what it wants once nothing fails any longer."""
ARRIVAL = 40.0
"""Seconds after which whatever was sent while there were faults has arrived."""


class Unwatched:
    """Looks at no call: what is wrong shows in the world."""

    def begins(self, kind: str, group: str, instance: str) -> None: ...
    def ends(self, call: Any) -> None: ...
    def made(self, call: Any, instance: Instance) -> None: ...
    def destroyed(self, call: Any, instance: Instance | None, name: str) -> None: ...


class FencedInstances(SimulatedInstances):
    """An instance plugin with Fence: what arrives is looked at as it arrives. ``asked`` counts
    claims and actions, also those that were refused.
    """

    def __init__(self, world: World, blame: Callable[[str], None]) -> None:
        super().__init__(world, slots=True, lag=0.0)
        self.offers |= {"Fence"}
        self.claimed = self.asked = 0
        self._blame = blame

    async def claim(self, group: str, epoch: int) -> None:
        self.asked += 1
        await self._world.call("cloud", group, "claim", lambda: self._claim(epoch), changing=True)

    def _claim(self, epoch: int) -> None:
        if epoch < self.claimed:
            raise Fenced(epoch, self.claimed)
        self.claimed = epoch

    async def provision(
        self, spec: InstanceSpec, slot: str | None = None, epoch: int | None = None
    ) -> str | None:
        tags = dict(spec.tags or {})
        self.asked += 1

        def make() -> str:
            self._check(epoch)
            return self._make(None, tags[GROUP_TAG], tags, spec, slot)

        made: str = await self._world.call("cloud", "a", "provision", make, changing=True)
        return made

    async def destroy(self, instance: str, epoch: int | None = None) -> None:
        self.asked += 1

        def end() -> None:
            self._check(epoch)
            self._end(None, instance)

        await self._world.call("cloud", "a", "destroy", end, changing=True)

    def _check(self, epoch: int | None) -> None:
        if epoch is None or epoch > self.claimed:
            self._blame(f"an action of epoch {epoch} came, and {self.claimed} was claimed last")
            raise PluginFailure("not claimed")
        if epoch < self.claimed:
            raise Fenced(epoch, self.claimed)


class Leader:
    """One leader: its epoch, what it wants, and its group plugin's disk and process."""

    def __init__(self, disk: Disk) -> None:
        self.disk, self.epoch, self.size = disk, 0, 0
        self.process: GroupProcess


class TwoLeaders:
    """One schedule, drawn from a number, being played; ``wrong`` holds what it broke, ``trace`` its
    story.
    """

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(f"{seed}/leaders")
        self.wrong: list[str] = []
        self.trace: list[str] = []
        weather = draw_weather(self._dice)
        self._poll = self._dice.choice((1.0, 5.0, 20.0))
        self._keeps, self._telling = self._dice.random() < 0.5, self._dice.random() < 0.8
        self._loop = SimulatedLoop(lambda: self._leaders[0].disk.thread_time())
        self._loop.set_exception_handler(lambda _, said: self._blame(f"{said}"))
        self._world = World(self._loop, weather, seed, Unwatched())
        self._instances = FencedInstances(self._world, self._blame)
        self._flavor = SimulatedFlavor(self._world, constant=True)
        self._leaders = [
            Leader(Disk(self._loop, weather, random.Random(f"{seed}/disk {number}")))
            for number in range(2)
        ]
        self._processes: list[GroupProcess] = []
        self._commits: list[asyncio.Task[None]] = []

    def run(self) -> TwoLeaders:
        """Play, and end whatever is left afterwards."""
        with simulated_time(self._loop):
            try:
                self._loop.run_until_complete(self._play())
            except Stuck as error:
                self._blame(str(error))
            self._loop.remove_ended(list(self._processes))
        self._loop.close()
        return self

    async def _play(self) -> None:
        for leader in self._leaders:
            await self._start(leader)
        verbs = ["elect", *self._dice.choices(list(VERBS), list(VERBS.values()), k=14)]
        for verb in verbs:
            await asyncio.sleep(self._dice.choice(GAPS))
            await self._do(verb, self._dice.choice(self._leaders))
        self._say("the faults end")
        self._world.weather = CALM
        for leader in self._leaders:
            leader.disk.weather = CALM
        self._world.down.clear()
        await asyncio.wait(self._commits)
        await asyncio.sleep(ARRIVAL)
        await self._end_well(max(self._leaders, key=lambda leader: leader.epoch))

    async def _do(self, verb: str, leader: Leader) -> None:
        if verb == "elect":
            leader.epoch = 1 + max(one.epoch for one in self._leaders)
            leader.size = self._dice.randint(1, 5)
        if verb in ("elect", "repeat") and leader.epoch:
            self._commits.append(asyncio.create_task(self._commit(leader)))
        elif verb == "kill":
            self._world.kill("a", self._dice.random())
        elif verb == "down":
            self._world.down["cloud"] = self._loop.time() + self._dice.uniform(0.0, 20.0)
        elif verb == "crash":
            self._say(f"{self._name(leader)} crashes")
            self._loop.freeze(leader.process)
            if not self._keeps:
                leader.disk.files.clear()
            await asyncio.sleep(self._dice.choice(GAPS))
            await self._start(leader)
            if not self._keeps and leader.epoch:
                self._commits.append(asyncio.create_task(self._commit(leader)))

    async def _start(self, leader: Leader) -> None:
        leader.process = GroupProcess(
            len(self._processes) + 1,
            self._loop,
            self._world,
            leader.disk,
            (self._instances, self._flavor),
            poll=self._poll,
            telling=self._telling,
        )
        self._processes.append(leader.process)
        name = self._name(leader)
        starting = leader.process.groups.start(
            lambda event: self._say(f"    {name}: {event.kind} {event.text}")
        )
        await self._loop.spawn(leader.process, starting, origin=0)

    async def _commit(self, leader: Leader) -> bool:
        """Have a leader commit what it wants; say whether that was acknowledged."""
        process, epoch, wanted = leader.process, leader.epoch, spec("a", "v1", leader.size)
        self._say(f"{self._name(leader)} commits {leader.size} with epoch {epoch}")
        committing = process.groups.commit_group(wanted, False, epoch)
        task = self._loop.spawn(process, committing, origin=0)
        await asyncio.wait([task], timeout=240.0)
        error = task.exception() if task.done() else "no answer"
        self._say(f"{self._name(leader)} with epoch {epoch}: {error or 'committed'}")
        if error is not None and not isinstance(error, IkdemoError | str):
            self._blame(f"a commit ended with {error!r}")
        return error is None

    async def _end_well(self, latest: Leader) -> None:
        """The leader of the latest epoch commits once more, as one does whose group plugin came
        back: it gets what it wants, and then there is rest.
        """
        if not await self._commit(latest):
            self._blame("the latest leader cannot commit")
        end = self._loop.time() + PATIENCE
        while not (await latest.process.groups.describe_group("a")).converged:
            if self._loop.time() > end:
                why = await latest.process.groups.why_group("a")
                self._blame(f"the latest leader does not get what it wants: {why}")
                return
            await asyncio.sleep(1.0)
        await asyncio.sleep(self._poll + 5.0)
        asked, before = self._instances.asked, set(self._world.living)
        await asyncio.sleep(3 * self._poll + 1.0)
        if (asked, before) != (self._instances.asked, set(self._world.living)):
            self._blame("there is no rest")
        if self._instances.claimed != latest.epoch:
            self._blame(f"epoch {latest.epoch} did not claim, but {self._instances.claimed}")
        # in another slot than it was made for, too: a smaller group goes on with what there is
        slots = [one.slot for one in self._world.members("a")]
        if len(slots) != latest.size or len(set(slots)) != latest.size:
            self._blame(f"{latest.size} were wanted, and there are {slots}")

    def _name(self, leader: Leader) -> str:
        return "AB"[self._leaders.index(leader)]

    def _say(self, text: str) -> None:
        self.trace.append(f"{self._loop.time():10.3f}  {text}")

    def _blame(self, text: str) -> None:
        if not self._loop.ended:
            self.wrong.append(text)
            self._say(f"WRONG: {text}")
