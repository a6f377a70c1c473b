"""Managers in simulated time: commands overlap, leadership moves at any moment, stores and group
plugins answer late, twice or never. What was acknowledged is kept, what was freed stays so (P9).

Looked at is the world: what is stored, what the group plugins keep, and when they were told.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest
from msgspec import Raw
from simulation.loop import SimulatedLoop

from ikdemo.manager.backend import Kept, Leader, Term
from ikdemo.manager.global_spec import GlobalSpec, GroupEntry
from ikdemo.manager.plugin import Manager
from ikdemo.spi.contracts import Found
from ikdemo.spi.documents import GroupSpec
from ikdemo.spi.errors import (
    Fenced,
    NotLeader,
    OutcomeUnknown,
    PluginFailure,
    PluginUnavailable,
    UnknownGroup,
    VersionConflict,
)
from ikdemo.spi.events import EventBatch

GROUPS = ("a", "b", "c")
BROKEN = "broken"
"""A group that every group plugin refuses at a commit, and not when it is only pretended."""
LEASE = 2.0


class Op(NamedTuple):
    """A command that ended: when it was asked and answered, what the group is after it, and whether
    it is known to have happened.
    """

    began: float
    ended: float
    after: str | None
    known: bool


class World:
    """What all managers share: the store, the lease of the leader, the epochs claimed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.loop = SimulatedLoop(lambda: (0.0, 0.0))
        self.spec, self.version, self.epoch = GlobalSpec(), 0, 0
        self.holder, self.until = "", 0.0
        self.wanted = "m-0"
        self.ever: set[str] = set()
        self.claimed: dict[str, int] = {}
        self.faults = True
        self.wrong: list[str] = []

    async def delay(self, most: float = 0.2) -> None:
        """Answer after a while, which is long at times."""
        seldom = self.faults and self.random.random() < 0.02
        await asyncio.sleep(self.random.uniform(0.0, 6.0 if seldom else most))

    def fails(self, share: float = 0.1) -> bool:
        return self.faults and self.random.random() < share

    def put(self, spec: GlobalSpec) -> None:
        self.spec, self.version = spec, self.version + 1
        self.ever |= {text(entry.properties) for entry in spec.groups.values()}


def text(spec: GroupSpec) -> str:
    return bytes(spec.properties).decode()


def of_size(size: int) -> str:
    return f'{{"Allocation":{{"Size":{size}}}}}'


class FakeBackend:
    """A lease, and a store with guarded writes, whose answers may be lost."""

    name, interval, resigns = "fake", 0.5, True

    def __init__(self, world: World, identity: str) -> None:
        self.world, self.identity = world, identity
        self.epoch, self.until = 0, 0.0

    async def start(self) -> None:
        pass

    async def look(self) -> Term | None:
        world, sent = self.world, self.world.loop.time()
        if world.fails():
            await world.delay()
            raise PluginUnavailable("the store cannot be reached")
        await world.delay()
        now = world.loop.time()
        free = now >= world.until
        if world.holder != self.identity and not (free and world.wanted == self.identity):
            return None
        if world.holder == self.identity and (free or world.wanted != self.identity):
            if free:
                world.holder = ""
            return None  # the lease runs out
        if world.holder != self.identity:
            world.holder, world.epoch = self.identity, world.epoch + 1
            self.epoch = world.epoch
        world.until = sent + LEASE if sent + LEASE > world.until else world.until
        if world.fails():
            raise OutcomeUnknown("no answer came")
        self.until = sent + LEASE
        return Term(self.epoch, self.until)

    async def changed(self) -> None:
        await asyncio.sleep(self.world.random.uniform(1.0, 9.0))

    async def load(self) -> Kept:
        await self.world.delay()
        if self.world.fails():
            raise PluginUnavailable("the store cannot be reached")
        return Kept(self.world.spec, self.world.version)

    async def save(self, spec: GlobalSpec, kept: Kept, term: Term) -> Kept:
        world = self.world
        if world.loop.time() >= self.until:
            world.wrong.append(f"{self.identity} saves after its deadline")
        lost = world.fails(0.2)
        writing = world.loop.create_task(self._write(spec, kept, term))
        if lost:
            await world.delay()
            writing.add_done_callback(lambda task: task.exception())
            raise OutcomeUnknown("no answer came")
        return await asyncio.shield(writing)

    async def _write(self, spec: GlobalSpec, kept: Kept, term: Term) -> Kept:
        await self.world.delay()
        if term.epoch != self.world.epoch:
            raise Fenced(term.epoch, self.world.epoch)
        if kept.version != self.world.version:
            raise VersionConflict("the version has changed")
        self.world.put(spec)
        return Kept(spec, self.world.version)

    async def leader(self) -> Leader | None:
        return Leader(self.world.holder, self.world.epoch) if self.world.holder else None

    async def stop(self) -> None:
        pass


class FakeGroups:
    """A group plugin that remembers nothing, and is away at times."""

    interface = "Group"
    offers = frozenset({"Reconcile", "Stateless", "Fence"})

    def __init__(self, world: World, backend: FakeBackend) -> None:
        self.world, self.backend = world, backend
        self.kept: dict[str, str] = {}
        self.away = False
        self.life = 0
        self.restarted = asyncio.Event()

    def restart(self) -> None:
        self.kept.clear()
        self.life += 1
        self.restarted.set()

    async def _reach(self) -> None:
        if self.away:
            raise PluginUnavailable("connection refused")
        life = self.life
        await self.world.delay()
        if self.away or life != self.life or self.world.fails(0.03):
            raise OutcomeUnknown("the connection was lost")

    async def commit_group(
        self, spec: GroupSpec, pretend: bool = False, epoch: int | None = None
    ) -> str:
        world = self.world
        if not pretend:
            if world.loop.time() >= self.backend.until:
                world.wrong.append(f"{self.backend.identity} commits after its deadline")
            if text(spec) not in world.ever:
                world.wrong.append(f"{text(spec)} is committed before it is stored")
        await self._reach()
        if pretend:
            return "fine"
        if spec.id == BROKEN:
            raise PluginFailure("no such instance plugin")
        assert epoch is not None
        if epoch < world.claimed.get(spec.id, 0):
            raise Fenced(epoch, world.claimed[spec.id])
        world.claimed[spec.id] = epoch
        self.kept[spec.id] = text(spec)
        if world.fails():
            raise OutcomeUnknown("no answer came")
        return "committed"

    async def scale_group(self, group: str, size: int) -> str:
        await self._reach()
        if group not in self.kept:
            raise UnknownGroup(group)
        self.kept[group] = of_size(size)
        return "scaled"

    async def free_group(self, group: str) -> None:
        await self._reach()
        if self.kept.pop(group, None) is None:
            raise UnknownGroup(group)
        if self.world.fails():
            raise OutcomeUnknown("no answer came")

    destroy_group = free_group

    async def inspect_groups(self) -> list[GroupSpec]:
        await self._reach()
        return [GroupSpec(group, Raw(kept.encode())) for group, kept in self.kept.items()]


class FakeLookup:
    def __init__(self, groups: FakeGroups) -> None:
        self.groups = groups

    async def group(self, name: str) -> Found[Any]:
        if self.groups.away:
            raise PluginUnavailable("connection refused")
        return Found(self.groups, self.groups.offers)

    async def events(self, name: str) -> AsyncIterator[EventBatch]:
        while True:
            self.groups.restarted.clear()
            yield EventBatch("", 0, [], gap=True)
            await self.groups.restarted.wait()
            await asyncio.sleep(0.1)


class Life:
    """Some managers, clients and faults; then peace, and a look at what has become."""

    def __init__(self, seed: int) -> None:
        self.world = World(seed)
        self.ops: dict[str, list[Op]] = {group: [] for group in GROUPS}
        self.numbers = iter(range(1, 10_000))

    def run(self) -> None:
        asyncio.set_event_loop(self.world.loop)
        try:
            self.world.loop.run_until_complete(self._live())
        finally:
            asyncio.set_event_loop(None)
            self.world.loop.close()

    async def _live(self) -> None:
        world = self.world
        backends = [FakeBackend(world, f"m-{number}") for number in range(2)]
        self.behind = [FakeGroups(world, backend) for backend in backends]
        now = world.loop.time
        self.managers = [
            Manager(FakeLookup(groups), backend, "behind", now)  # type: ignore[arg-type]
            for groups, backend in zip(self.behind, backends, strict=True)
        ]
        for manager in self.managers:
            await manager.start(lambda event: None)
            await manager.serving()
        broken = GroupSpec(BROKEN, Raw(b'{"Allocation":{"Size":1}}'))
        world.put(GlobalSpec({BROKEN: GroupEntry("behind", broken)}))
        chaos = world.loop.create_task(self._chaos())
        await asyncio.gather(*(self._client() for _ in range(3)))
        chaos.cancel()
        world.faults, world.wanted = False, "m-0"
        for groups in self.behind:
            groups.away = False
        await asyncio.sleep(120.0)
        self._check()
        for manager in self.managers:
            await manager.stop()

    async def _client(self) -> None:
        world = self.world
        for _ in range(15):
            await asyncio.sleep(world.random.uniform(0.0, 2.0))
            leads = [m for m in self.managers if f"m-{self.managers.index(m)}" == world.holder]
            manager = world.random.choice([*self.managers, *leads * 4])
            group = world.random.choice(GROUPS)
            await self._command(manager, group, world.random.choice("ccsfd"))

    async def _command(self, manager: Manager, group: str, kind: str) -> None:
        size = next(self.numbers)
        after = None if kind in "fd" else of_size(size)
        began, known = self.world.loop.time(), True
        try:
            if kind == "c":
                await manager.commit_group(GroupSpec(group, Raw(str(after).encode())))
            elif kind == "s":
                await manager.scale_group(group, size)
            else:
                await (manager.free_group if kind == "f" else manager.destroy_group)(group)
        except (NotLeader, UnknownGroup, PluginUnavailable, VersionConflict):
            return  # said not to have happened
        except OutcomeUnknown:
            known = False
        except PluginFailure as refused:
            if "cannot be scaled yet" in str(refused) or "another program" in str(refused):
                return
            assert "stored" in str(refused), refused  # refused, and not undone
            known = False
        ended = self.world.loop.time() if known else float("inf")
        self.ops[group].append(Op(began, ended, after, known))

    async def _chaos(self) -> None:
        world = self.world
        while True:
            await asyncio.sleep(world.random.uniform(1.0, 8.0))
            groups = world.random.choice(self.behind)
            match world.random.randrange(4):
                case 0 | 1:
                    world.wanted = world.random.choice(("m-0", "m-1", ""))
                case 2:
                    groups.restart()
                case _:
                    groups.away = not groups.away
                    groups.life += 1
                    groups.restart()

    def _check(self) -> None:
        stored = {group: text(entry.properties) for group, entry in self.world.spec.groups.items()}
        assert self.world.wrong == []
        kept = {group: spec for group, spec in stored.items() if group != BROKEN}
        assert self.behind[0].kept == kept, "the leader's group plugin keeps what is stored"
        assert self.behind[1].kept == {}, "the other one keeps nothing"
        assert list(self.managers[0]._handover.failed) == [BROKEN]
        for group, ops in self.ops.items():
            final = stored.get(group)
            last = [op for op in ops if op.after == final]
            if final is None:
                last.append(Op(-1.0, -1.0, None, True))  # as it was at the beginning
            possible = any(
                not any(other.known and other.began > op.ended for other in ops) for op in last
            )
            assert possible, f"{group} is {final}, which no order of these gives: {ops}"


@pytest.fixture(autouse=True)
def quiet() -> Any:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("seed", range(40))
def test_whatever_overlaps_acknowledged_commands_stay(seed: int) -> None:
    Life(seed).run()


def test_the_checker_sees_a_value_that_was_never_acknowledged() -> None:
    life = Life(0)
    checked = life._check

    def change() -> None:
        strange = GroupSpec("a", Raw(b'{"Allocation":{"Size":77777}}'))
        life.world.put(life.world.spec.with_group(strange, "behind"))
        life.behind[0].kept["a"] = text(strange)
        checked()

    life._check = change  # type: ignore[method-assign]
    with pytest.raises(AssertionError, match="which no order of these gives"):
        life.run()


def test_the_lives_are_eventful() -> None:
    """Leadership changes often, and most commands have an answer that says what became of them."""
    lives = [Life(seed) for seed in range(10)]
    for life in lives:
        life.run()
    assert sum(life.world.epoch for life in lives) > 20
    ops = [op for life in lives for group in life.ops.values() for op in group]
    assert sum(op.known for op in ops) > 50
    assert sum(not op.known for op in ops) > 20
