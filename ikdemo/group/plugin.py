"""The group plugin: InfraKit's five methods and the Reconcile extension, over one supervisor per
group.

Here a command becomes a change of a group's record; how a record is changed is in ``registry``,
what is acceptable in ``commit_checks``, how a group ends in ``removal``, how it is healed in
``reconciler``. Plugins are found by the lookup that it is handed: whether one is in this process or
behind a socket it cannot tell.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import UNSET, UnsetType

from ..spi.contracts import Interface, Lookup
from ..spi.decode import encode
from ..spi.documents import SHA_TAG, Allocation, GroupDescription, GroupProperties, GroupSpec
from ..spi.errors import Fenced, PluginFailure, SpecError, UnknownGroup
from ..spi.events import Emit, Event
from ..spi.plans import Freed, Reason, Step
from . import removal
from .clock import Clock
from .commit_checks import (
    CommitSnapshot,
    StaleSnapshot,
    check_group_size,
    checked_properties,
    details_of,
    snapshot_of,
    unknown_members_note,
    validate_with_plugins,
)
from .event_recorder import announce
from .registry import Registry, changeable
from .store import Record, Store
from .supervisor import Supervisor

ATTEMPTS = 5
"""Snapshots that a commit takes at most, should the group begin or end, or change its plugin, each
time.
"""


class Groups:
    """Every group of one group plugin. ``state_dir`` None keeps nothing across restarts, which
    ``offers`` then says.
    """

    interface: Interface = "Group"
    offers = frozenset({"Fence", "Reconcile"})

    def __init__(
        self,
        lookup: Lookup,
        *,
        state_dir: Path | None,
        poll_interval: float = 10.0,
        clock: Clock | None = None,
    ) -> None:
        clock = clock or Clock()
        if state_dir is None:
            self.offers = self.offers | {"Stateless"}
        self._lookup = lookup
        self._store = Store(state_dir, clock.boot)
        self._registry = Registry(self._store, lookup, poll_interval, clock)
        self._supervisors = self._registry.supervisors
        self._emit: Emit = lambda event: None

    async def start(self, emit: Emit) -> None:
        """Resume every stored group. Raises InUse or CorruptState; nothing runs then."""
        self._emit = emit
        await self._registry.open(emit)

    async def stop(self) -> None:
        """End the loops, not the groups: what was begun is finished, the records stay."""
        await self._registry.close()

    async def commit_group(
        self, spec: GroupSpec, pretend: bool = False, epoch: int | None = None
    ) -> str:
        """Validate, store and act on a spec; return InfraKit's Details. See GroupPlugin."""
        properties = checked_properties(spec)
        held = self._supervisors.get(spec.id)
        if held is not None and not held.record.freed:
            # that it is being destroyed comes before what its plugins say, which may be why
            changeable(held.record, spec.id)
            _epoch_after(held, epoch)
        await validate_with_plugins(properties, self._lookup)
        return await self._commit(
            spec.id, lambda before: properties, pretend, epoch
        ) + unknown_members_note(spec)

    async def scale_group(self, group: str, size: int) -> str:
        """Commit another size of a Size group, 0 included; return the Details."""
        if size < 0:
            raise SpecError(
                "$.Size: expected a whole number >= 0",
                path="$.Size",
                expected="a whole number >= 0",
            )
        check_group_size(Allocation(size))

        def scaled(before: Record | None) -> GroupProperties:
            properties = changeable(before, group).properties
            if properties.allocation.logical_ids:
                raise SpecError(
                    f"Group '{group}' has LogicalIDs; only a group with a Size can be scaled"
                )
            return msgspec.structs.replace(properties, allocation=Allocation(size))

        return await self._commit(group, scaled, pretend=False)

    async def free_group(self, group: str) -> None:
        """Forget the group (durable), then let its loop end; the instances stay."""
        await removal.free(self._registry, group)

    async def force_free(self, group: str, force: bool = False) -> Freed:
        """Forget the group as ``free_group`` does, with ``force`` even while it is being destroyed,
        and say what is left.
        """
        return await removal.force_free(self._registry, self._lookup, group, force)

    async def destroy_group(self, group: str) -> None:
        """Mark for destruction (durable), then wait until nothing is left; see
        ``removal.destroy``.
        """
        await removal.destroy(self._registry, self._emit, group)

    async def describe_group(self, group: str) -> GroupDescription:
        """Describe the instances, live; converged means that this observation and the loop's latest
        pass found them as wanted.
        """
        supervisor = self._supervisor_of(group)
        view, todo = await supervisor.reconciler.dry_run(ask_health=False)
        if view.observed.error:
            raise PluginFailure(view.observed.error)
        described = [msgspec.structs.replace(d, slot=UNSET) for d in view.described]
        return GroupDescription(described, todo.converged and supervisor.reconciler.is_converged)

    async def inspect_groups(self) -> list[GroupSpec]:
        """Return the committed specs in the order of their IDs; as in InfraKit, not of groups that
        are being destroyed.
        """
        return self._specs(destroying=False)

    async def list_groups(self) -> list[GroupSpec]:
        """Return the specs in the order of their IDs, those of groups that are being destroyed
        included.
        """
        return self._specs(destroying=True)

    async def plan_group(self, group: str) -> Step:
        """Observe and plan without acting."""
        view, todo = await self._supervisor_of(group).reconciler.dry_run()
        return Step(view.observed.instances, todo)

    async def why_group(self, group: str) -> list[Reason]:
        """Say why the group is not as wanted."""
        return list((await self._supervisor_of(group).reconciler.dry_run())[1].reasons)

    async def pause_group(self, group: str) -> None:
        """Keep the loop from acting (durable)."""

        def paused(before: Record | None) -> Record:
            return msgspec.structs.replace(changeable(before, group), paused=True)

        await self._registry.change(
            group,
            paused,
            lambda *_: announce(self._emit, Event("paused", group=group)),
            by="a pause",
        )

    async def resume_group(self, group: str) -> None:
        """Let the loop act again, and try at once what it waits with or has stopped trying
        (durable).

        Unhealthy instances are replaced, once, also where they are too many to be replaced without
        a person's word.
        """

        def resumed(before: Record | None) -> Record:
            return msgspec.structs.replace(changeable(before, group), paused=False, backoffs={})

        def notify(supervisor: Supervisor, changed: bool) -> None:
            supervisor.reconciler.force_replacement()
            announce(self._emit, Event("resumed", group=group))

        await self._registry.change(group, resumed, notify, by="a resume")

    async def step_group(self, group: str) -> Step:
        """Make one acting pass and return it."""
        supervisor = self._supervisor_of(group)
        changeable(supervisor.record, group)
        return await supervisor.step()

    async def _commit(
        self,
        group: str,
        wanted: Callable[[Record | None], GroupProperties],
        pretend: bool,
        epoch: int | None = None,
    ) -> str:
        """Commit what ``wanted`` makes of the present record, for a leader of an ``epoch``. The
        snapshot that Details need is taken before, without a lock.
        """
        for _ in range(ATTEMPTS):
            await self._registry.wait_until_ended(group)
            seen = await self._take_snapshot(group)
            try:
                if pretend:
                    return self._after_commit(group, seen, wanted, epoch)[1]
                return await self._store_commit(group, seen, wanted, epoch)
            except StaleSnapshot:
                continue
        raise PluginFailure(
            f"Group '{group}' is being changed by others at the same time; try again"
        )

    async def _take_snapshot(self, group: str) -> CommitSnapshot | None:
        supervisor = self._supervisors.get(group)
        if supervisor is None or supervisor.record.freed:
            return None
        record = changeable(supervisor.record, group)
        return snapshot_of(record, await supervisor.reconciler.observe(record, ask_health=False))

    async def _store_commit(
        self,
        group: str,
        seen: CommitSnapshot | None,
        wanted: Callable[[Record | None], GroupProperties],
        epoch: int | None,
    ) -> str:
        said = ""

        def replaced(before: Record | None) -> Record:
            nonlocal said
            after, said = self._after_commit(group, seen, wanted, epoch)
            return after

        def notify(supervisor: Supervisor, changed: bool) -> None:
            desired = supervisor.reconciler.desired
            announce(
                self._emit,
                Event(
                    "committed",
                    group=group,
                    size=len(desired.slots),
                    text=said,
                    tags={SHA_TAG: desired.sha},
                ),
            )

        await self._registry.change(group, replaced, notify, by="a commit")
        return said

    def _after_commit(
        self,
        group: str,
        seen: CommitSnapshot | None,
        wanted: Callable[[Record | None], GroupProperties],
        epoch: int | None,
    ) -> tuple[Record, str]:
        """Return the record after a commit, and its Details; raises StaleSnapshot when another
        snapshot is needed, Fenced when a later leader has committed.
        """
        supervisor = self._supervisors.get(group)
        if supervisor is None:
            properties = wanted(None)
            after = Record(group, properties, epoch=UNSET if epoch is None else epoch)
            return after, details_of(None, seen, properties, is_converged=False)
        before = supervisor.record
        if before.freed:
            raise StaleSnapshot
        changeable(before, group)
        epoch_after = _epoch_after(supervisor, epoch)
        properties = wanted(before)
        said = details_of(before, seen, properties, is_converged=supervisor.reconciler.is_converged)
        backoffs = before.backoffs if properties == before.properties else {}
        good = before.properties if supervisor.reconciler.is_converged else before.good
        after = msgspec.structs.replace(
            before,
            properties=properties,
            rolls=True,
            backoffs=backoffs,
            good=good,
            epoch=epoch_after,
        )
        return after, said

    def _specs(self, *, destroying: bool) -> list[GroupSpec]:
        records = [
            supervisor.record
            for _, supervisor in sorted(self._supervisors.items())
            if not supervisor.record.freed
        ]
        return [
            GroupSpec(r.id, msgspec.Raw(encode(r.properties)))
            for r in records
            if destroying or not r.destroying
        ]

    def _supervisor_of(self, group: str) -> Supervisor:
        supervisor = self._supervisors.get(group)
        if supervisor is None or supervisor.record.freed:
            raise UnknownGroup(group)
        return supervisor


def _epoch_after(supervisor: Supervisor, epoch: int | None) -> int | UnsetType:
    """Return the epoch of a group after a commit of a leader, or of a client without one (None);
    raises Fenced when that of a later leader is known.
    """
    if epoch is None:
        return supervisor.record.epoch
    if epoch < (latest := supervisor.reconciler.claim.latest):
        raise Fenced(epoch, latest)
    return epoch
