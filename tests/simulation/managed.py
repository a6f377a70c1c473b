"""What managers in simulated time stand between: a store with a lease and guarded writes, and group
plugins that remember nothing. Answers come late, are lost, or come before what was asked happens.

What is sent is looked at as it is sent: nothing is told to a group plugin, and nothing is saved, by
a manager whose term is over, and no group is committed as it was before a later command that had
been acknowledged. What arrives from the leader is what is stored.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, NamedTuple

from msgspec import Raw

from ikdemo.manager.backend import Kept, Leader, Term
from ikdemo.manager.global_spec import GlobalSpec
from ikdemo.spi.contracts import Found
from ikdemo.spi.documents import GroupSpec
from ikdemo.spi.errors import (
    Fenced,
    IkdemoError,
    OutcomeUnknown,
    PluginFailure,
    PluginUnavailable,
    UnknownGroup,
    VersionConflict,
)
from ikdemo.spi.events import EventBatch
from ikdemo.spi.plans import Reason

from .history import History
from .loop import SimulatedLoop, settle
from .model import OK, UNKNOWN, Answer, Command, Record, State

LEASE = 15.0
BROKEN = "a-broken"
"""A group, between the others by its name, that every group plugin refuses at a commit, and not
when it is only pretended.
"""
FORGOTTEN = 60.0
"""Seconds after which a manager has read what it once stored without knowing it."""
NOTHING: Answer = ("nothing",)
"""What a command is answered that did not happen."""


class Fault(NamedTuple):
    """What befalls one call, ``skip`` calls after the fault before. ``kind``: slow; refused (not
    sent); lost (it happens, no answer comes); late (no answer comes, and it happens afterwards);
    gone (no answer comes, and it never happens). ``seconds``: how much later than usual.
    """

    skip: int
    kind: str
    seconds: float


def steps(command: Command, state: State, so_far: Answer | None) -> Iterator[tuple[State, Answer]]:
    """Yield what may become of a command on a managed group, by which only what is stored counts:
    as ``simulation.model.steps``.
    """
    if so_far is not None:
        return
    yield state, NOTHING
    if command.verb == "commit":
        yield Record(command.note, command.size), OK
    elif command.verb == "scale":
        yield (None, UNKNOWN) if state is None else (state._replace(size=command.size), OK)
    elif state is None:
        yield None, UNKNOWN
        yield None, OK
    else:
        yield None, OK


def agrees(said: Answer, modelled: Answer) -> bool:
    return said == modelled


def spec_of(group: str, record: Record) -> GroupSpec:
    """Write what is committed; all but the size stays at a scale."""
    instance = {"Plugin": "instances", "Properties": {"Note": record.note}}
    properties = {"Instance": instance, "Allocation": {"Size": record.size}}
    return GroupSpec(group, Raw(json.dumps(properties).encode()))


def record_of(spec: GroupSpec) -> Record:
    properties = json.loads(bytes(spec.properties))
    note = properties["Instance"]["Properties"]["Note"]
    return Record(note, properties["Allocation"]["Size"])


class ManagedWorld:
    """What all managers share: the store, the lease of the leader, the epochs that were claimed of
    the instance plugins, and how calls fare.
    """

    def __init__(self, loop: SimulatedLoop, faults: list[Fault], groups: tuple[str, ...]) -> None:
        self.loop, self.histories = loop, {group: History(steps, agrees) for group in groups}
        self.spec, self.version, self.epoch = GlobalSpec(), 0, 0
        self.holder, self.until, self.wanted = "", 0.0, "m-0"
        self.store_away = False
        self.awaited = True
        """Whether the answer to the call that happens is waited for still."""
        self.unasked = -math.inf
        """When something was stored last of which the manager does not know."""
        self.claimed: dict[str, int] = {}
        self.wrong: list[str] = []
        self.trace: list[str] = []
        self._faults, self._skipped = list(reversed(faults)), 0

    def end_faults(self) -> None:
        self._faults.clear()
        self.store_away = False

    def say(self, what: str) -> None:
        self.trace.append(f"{self.loop.time():9.3f} {what}")

    def blame(self, what: str) -> None:
        self.wrong.append(what)
        self.say(f"WRONG: {what}")

    def stored(self, group: str) -> State:
        entry = self.spec.groups.get(group)
        return None if entry is None else record_of(entry.properties)

    def may_be(self, group: str, state: State) -> bool:
        """Say whether some order of the commands so far makes a group this."""
        history = self.histories.get(group)
        return history is None or history.lost or state in history.states()

    def put(self, spec: GlobalSpec) -> None:
        """Store; whatever is stored has to be what an order of the commands makes of it."""
        self.spec, self.version = spec, self.version + 1
        for group in self.histories:
            if not self.may_be(group, self.stored(group)):
                self.blame(f"{group} is stored as {self.stored(group)}, which no order explains")

    async def call(self, what: str, effect: Callable[[], Any]) -> Any:
        """Carry out a call, as the next fault has it; its effect does not wait for the process that
        asked for it.
        """
        fault = Fault(0, "well", 0.0)
        if self._faults and self._skipped >= self._faults[-1].skip:
            self._skipped, fault = 0, self._faults.pop()
        else:
            self._skipped += 1
        if fault.kind != "well":
            self.say(f"{what}: {fault.kind} {fault.seconds}")
        answer = self.loop.create_future()

        def happen() -> None:
            result, error = None, None
            self.awaited = not answer.done()
            try:
                result = effect()
            except IkdemoError as refused:
                error = refused
            if fault.kind in ("well", "slow"):
                self.loop.in_world(0.005, settle, answer, result, error)
            elif what.startswith("save"):
                self.unasked = self.loop.time()

        if fault.kind == "refused":
            error = PluginUnavailable("connection refused")
            self.loop.in_world(fault.seconds, settle, answer, None, error)
        elif fault.kind != "gone":
            late = fault.seconds if fault.kind in ("slow", "late") else 0.0
            self.loop.in_world(0.005 + late, happen)
        if fault.kind in ("lost", "late", "gone"):
            wait = fault.seconds / 2 if fault.kind == "late" else fault.seconds
            error = OutcomeUnknown("no answer came")
            self.loop.in_world(0.01 + wait, settle, answer, None, error)
        return await answer


class SimulatedBackend:
    """A lease, and a store with guarded writes, of one life of a manager."""

    name, interval, resigns = "simulated", LEASE / 3, False

    def __init__(self, world: ManagedWorld, machine: str, identity: str) -> None:
        self._world, self._machine, self.identity = world, machine, identity
        self.until = 0.0
        """As the manager was told last."""

    async def start(self) -> None: ...

    async def look(self) -> Term | None:
        world, sent = self._world, self._world.loop.time()

        def campaign() -> Term | None:
            self._check_store()
            now = world.loop.time()
            if now >= world.until:
                world.holder = ""
            if not world.holder and world.wanted == self._machine:
                world.holder, world.epoch = self.identity, world.epoch + 1
                world.say(f"{self.identity} leads, epoch {world.epoch}")
            if world.holder != self.identity or world.wanted != self._machine:
                return None  # the lease of another one runs out
            world.until = max(world.until, sent + LEASE)
            return Term(world.epoch, sent + LEASE)

        term: Term | None = await world.call(f"look of {self.identity}", campaign)
        self.until = term.until if term else 0.0
        return term

    async def changed(self) -> None:
        await asyncio.sleep(3600)

    async def load(self) -> Kept:
        world = self._world

        def read() -> Kept:
            self._check_store()
            return Kept(world.spec, world.version)

        kept: Kept = await world.call(f"load of {self.identity}", read)
        return kept

    async def save(self, spec: GlobalSpec, kept: Kept, term: Term) -> Kept:
        world = self._world
        if world.loop.time() >= self.until:
            world.blame(f"{self.identity} saves after its term")

        def write() -> Kept:
            self._check_store()
            if term.epoch != world.epoch:
                raise Fenced(term.epoch, world.epoch)
            if kept.version != world.version:
                raise VersionConflict("the version has changed")
            world.put(spec)
            return Kept(spec, world.version)

        saved: Kept = await world.call(f"save of {self.identity}", write)
        return saved

    async def leader(self) -> Leader | None:
        return Leader(self._world.holder, self._world.epoch) if self._world.holder else None

    async def stop(self) -> None: ...

    def _check_store(self) -> None:
        if self._world.store_away:
            raise PluginUnavailable("the store does not answer")


class SimulatedGroups:
    """A group plugin that remembers nothing, and is away at times."""

    interface = "Group"
    offers = frozenset({"Reconcile", "Stateless", "Fence"})

    def __init__(self, world: ManagedWorld) -> None:
        self._world = world
        self.backend: SimulatedBackend
        self.kept: dict[str, Record] = {}
        self.away = False
        self.life = 0
        self.restarted = asyncio.Event()

    def restart(self) -> None:
        self.kept.clear()
        self.life += 1
        self.restarted.set()

    async def _call(self, what: str, effect: Callable[[], Any]) -> Any:
        if self.away:
            raise PluginUnavailable("connection refused")
        life = self.life

        def arrive() -> Any:
            if self.away or life != self.life:
                raise OutcomeUnknown("the connection was lost")
            return effect()

        return await self._world.call(f"{what} for {self.backend.identity}", arrive)

    def _check_stored(self, group: str, wanted: Callable[[State], bool]) -> None:
        """See that what arrives from the leader is what is stored, if only it stores. What it has
        given up it makes good later.
        """
        world = self._world
        leads = world.holder == self.backend.identity and world.loop.time() < self.backend.until
        knows = world.loop.time() > world.unasked + FORGOTTEN
        if leads and knows and world.awaited and not wanted(world.stored(group)):
            world.blame(f"{group} is stored as {world.stored(group)}, which is not what comes")

    def _check_leads(self, what: str) -> None:
        if self._world.loop.time() >= self.backend.until:
            self._world.blame(f"{self.backend.identity} {what} after its term")

    async def commit_group(
        self, spec: GroupSpec, pretend: bool = False, epoch: int | None = None
    ) -> str:
        world, record = self._world, record_of(spec)
        if not pretend:
            self._check_leads("commits")
            if not world.may_be(spec.id, record):
                world.blame(f"{record} of {spec.id} is committed, which no order explains")

        def commit() -> str:
            if not record.size:
                raise PluginFailure("Allocation must not be blank")
            if pretend:
                return "fine"
            if spec.id == BROKEN:
                raise PluginFailure("no such instance plugin")
            assert epoch is not None
            if epoch < world.claimed.get(spec.id, 0):
                raise Fenced(epoch, world.claimed[spec.id])
            world.claimed[spec.id] = epoch
            self._check_stored(spec.id, lambda stored: stored == record)
            self.kept[spec.id] = record
            return "committed"

        said: str = await self._call(f"{'pretend' if pretend else 'commit'} {record}", commit)
        return said

    async def scale_group(self, group: str, size: int) -> str:
        self._check_leads("scales")

        def scale() -> str:
            self._check_kept(group)
            self._check_stored(group, lambda stored: stored is not None and stored.size == size)
            self.kept[group] = self.kept[group]._replace(size=size)
            return "scaled"

        said: str = await self._call(f"scale {group} {size}", scale)
        return said

    async def free_group(self, group: str) -> None:
        def free() -> None:
            self._check_kept(group)
            del self.kept[group]

        await self._call(f"free {group}", free)

    async def destroy_group(self, group: str) -> None:
        self._check_leads("destroys")
        await self.free_group(group)

    def _check_kept(self, group: str) -> None:
        if group not in self.kept:
            raise UnknownGroup(group)

    async def inspect_groups(self) -> list[GroupSpec]:
        def inspect() -> list[GroupSpec]:
            return [spec_of(group, record) for group, record in self.kept.items()]

        found: list[GroupSpec] = await self._call("inspect", inspect)
        return found

    async def why_group(self, group: str) -> list[Reason]:
        return []


class OneGroupPlugin:
    """Where a manager finds the group plugin behind it."""

    def __init__(self, groups: SimulatedGroups) -> None:
        self._groups = groups

    async def group(self, name: str) -> Found[Any]:
        if self._groups.away:
            raise PluginUnavailable("connection refused")
        return Found(self._groups, self._groups.offers)

    async def events(self, name: str) -> AsyncIterator[EventBatch]:
        while True:
            self._groups.restarted.clear()
            yield EventBatch("", 0, [], gap=True)
            await self._groups.restarted.wait()
            await asyncio.sleep(0.1)
