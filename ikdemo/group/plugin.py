"""The group plugin: InfraKit's five methods and the Reconcile extension, over one supervisor per group.

Here a spec becomes a durable record and a running supervisor; how a group is healed is not decided here. Served by
``assembly``; handed a lookup, it does not know where its plugins live.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from ..reconcile.explain import explain
from ..spi.contracts import Interface, Lookup
from ..spi.decode import encode
from ..spi.documents import SHA_TAG, Allocation, GroupDescription, GroupProperties, GroupSpec
from ..spi.errors import PluginFailure, PluginUnavailable, SpecError, UnknownGroup
from ..spi.events import Emit, Event
from ..spi.plans import Freed, Reason, Step
from .clock import Clock
from .commit import ask_plugins, check_size, read
from .listen import Listeners
from .observe import observe
from .store import Record, Store
from .supervisor import Supervisor

DESTROY_WAIT = 60.0
"""Seconds for which DestroyGroup waits for the last instance to go; afterwards the work goes on without the caller."""


class Groups:
    """Every group of one group plugin. ``state_dir`` None keeps nothing across restarts."""

    interface: Interface = "Group"
    offers = frozenset({"Reconcile"})

    def __init__(
        self, lookup: Lookup, *, state_dir: Path | None, poll_interval: float = 10.0, clock: Clock | None = None
    ) -> None:
        self._lookup, self._poll, self._clock = lookup, poll_interval, clock or Clock()
        self._store = Store(state_dir, self._clock.boot)
        self._saving = asyncio.Lock()
        self._supervisors: dict[str, Supervisor] = {}
        self._listeners = Listeners(lookup)
        self._emit: Emit = lambda event: None

    async def start(self, emit: Emit) -> None:
        """Resume every stored group. Raises InUse or CorruptState; nothing runs then."""
        self._emit = emit
        for record in await asyncio.to_thread(self._store.open):
            self._supervise(record, resumed=True)

    async def stop(self) -> None:
        """End the loops, not the groups: what was begun is finished, the records stay."""
        await self._listeners.close()
        await asyncio.gather(*(supervisor.stop() for supervisor in self._supervisors.values()))
        self._store.close()

    async def commit_group(self, spec: GroupSpec, pretend: bool = False) -> str:
        """Validate, store and act on a spec; return InfraKit's Details. See GroupPlugin."""
        properties = read(spec)
        await ask_plugins(properties, self._lookup)
        return await self._commit(spec.id, properties, pretend)

    async def scale_group(self, group: str, size: int) -> str:
        """Commit another size of a Size group, 0 included; return the Details."""
        before = self._known(group).record.properties
        if before.allocation.logical_ids:
            raise SpecError(f"Group '{group}' has LogicalIDs; only a group with a Size can be scaled")
        if size < 0:
            raise SpecError("$.Size: expected a whole number >= 0", path="$.Size", expected="a whole number >= 0")
        check_size(Allocation(size))
        return await self._commit(group, msgspec.structs.replace(before, allocation=Allocation(size)), pretend=False)

    async def free_group(self, group: str) -> None:
        """Forget the group (durable), then let its loop end; the instances stay."""
        supervisor = self._watched(group)
        await self._forget(group)
        await supervisor.stop()
        self._emit(Event("freed", group=group))

    async def force_free(self, group: str, force: bool = False) -> Freed:
        """Forget the group as ``free_group`` does, and say what is left."""
        await self.free_group(group)
        return Freed()

    async def destroy_group(self, group: str) -> None:
        """Mark for destruction (durable), then wait until nothing is left, for at most a minute or until a pass fails.

        Raises PluginUnavailable when the instances cannot be destroyed now; the mark stays and the work goes on.
        """
        supervisor = self._known(group)
        if not supervisor.record.destroying:
            await self._save(msgspec.structs.replace(supervisor.record, destroying=True, paused=False))
            self._emit(Event("destroying", group=group))
        if not await supervisor.gone(DESTROY_WAIT):
            _, todo = await supervisor.look(ask_health=False)
            if not todo.converged:
                why = todo.reasons[0].error or todo.reasons[0].text if todo.reasons else "instances are left"
                raise PluginUnavailable(f"Group '{group}' is marked for destruction and being worked on: {why}")

    async def describe_group(self, group: str) -> GroupDescription:
        """Describe the instances, live; converged means that this look and the loop's latest pass found them as wanted."""
        supervisor = self._known(group)
        view, todo = await supervisor.look(ask_health=False)
        if view.observed.error:
            raise PluginFailure(view.observed.error)
        described = [msgspec.structs.replace(d, slot=msgspec.UNSET) for d in view.described]
        return GroupDescription(described, todo.converged and supervisor.at_rest)

    async def inspect_groups(self) -> list[GroupSpec]:
        """Return the committed specs in the order of their IDs."""
        records = (s.record for _, s in sorted(self._supervisors.items()) if not s.record.destroying)
        return [GroupSpec(record.id, msgspec.Raw(encode(record.properties))) for record in records]

    async def plan_group(self, group: str) -> Step:
        """Observe and plan without acting."""
        view, todo = await self._known(group).look()
        return Step(view.observed.instances, todo)

    async def why_group(self, group: str) -> list[Reason]:
        """Say why the group is not as wanted."""
        return list((await self._known(group).look())[1].reasons)

    async def pause_group(self, group: str) -> None:
        """Keep the loop from acting (durable)."""
        await self._save(msgspec.structs.replace(self._watched(group).record, paused=True))
        self._emit(Event("paused", group=group))

    async def resume_group(self, group: str) -> None:
        """Let the loop act again, and try at once what it waits with or has stopped trying (durable)."""
        await self._save(msgspec.structs.replace(self._watched(group).record, paused=False, troubled={}))
        self._emit(Event("resumed", group=group))

    async def step_group(self, group: str) -> Step:
        """Make one acting pass and return it."""
        return await self._watched(group).step()

    async def _commit(self, group: str, properties: GroupProperties, pretend: bool) -> str:
        known = self._supervisors.get(group)
        if known is None:
            details = explain(None, (), properties)
        else:
            before = self._watched(group).record.properties
            view = await observe(group, before, self._lookup, ask_health=False)
            if view.observed.error:
                raise PluginFailure(view.observed.error)
            details = explain(before, (seen.sha for seen in view.observed.instances), properties)
        if not pretend:
            record = Record(group, properties, rolls=known is not None)
            if known is not None:
                same = properties == known.record.properties
                troubled = known.record.troubled if same else {}
                record = msgspec.structs.replace(record, paused=known.record.paused, troubled=troubled)
            await self._save(record)
            aim = self._supervisors[group].aim
            self._emit(Event("committed", group=group, size=len(aim.slots), text=details, tags={SHA_TAG: aim.sha}))
        return details

    async def _save(self, record: Record) -> None:
        """Make a record durable, then what is wanted; in this order, and one record at a time."""
        async with self._saving:
            held = self._supervisors.get(record.id)
            if held is not None and held.record.destroying:
                raise PluginFailure(f"Group '{record.id}' is being destroyed")
            await asyncio.to_thread(self._store.save, record)
            if held is None:
                self._supervise(record, resumed=False)
            else:
                held.want(record)
                self._listeners.follow(held)

    async def _keep(self, record: Record) -> None:
        """Make what a loop remembers durable, unless something else is wanted meanwhile."""
        async with self._saving:
            held = self._supervisors.get(record.id)
            if held is not None and held.record is record:
                await asyncio.to_thread(self._store.save, record)

    def _supervise(self, record: Record, *, resumed: bool) -> None:
        supervisor = Supervisor(record, self._lookup, self._emit, self._poll, self._keep, resumed=resumed, clock=self._clock)
        self._supervisors[record.id] = supervisor
        self._listeners.follow(supervisor)
        supervisor.start(lambda: self._end(record.id))

    async def _end(self, group: str) -> None:
        """The last instance of a group marked for destruction is gone: now its record may go."""
        await self._forget(group)
        self._emit(Event("gone", group=group))

    async def _forget(self, group: str) -> None:
        async with self._saving:
            await asyncio.to_thread(self._store.remove, group)
            supervisor = self._supervisors.pop(group, None)
            if supervisor is not None:
                self._listeners.leave(supervisor)

    def _known(self, group: str) -> Supervisor:
        supervisor = self._supervisors.get(group)
        if supervisor is None:
            raise UnknownGroup(group)
        return supervisor

    def _watched(self, group: str) -> Supervisor:
        supervisor = self._known(group)
        if supervisor.record.destroying:
            raise PluginFailure(f"Group '{group}' is being destroyed")
        return supervisor
