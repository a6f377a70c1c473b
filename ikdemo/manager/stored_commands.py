"""The commands that change what is stored: the group plugin behind is asked or told, and the store
is changed, in the order in which nothing acknowledged is lost and nothing freed comes back.

A commit is pretended, then stored, then handed over; a group that is freed or destroyed is taken
out of the store first. Each is carried out alone, in its turn, by the manager's queue; whether this
manager leads is made sure of immediately before each act.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from msgspec import Raw, structs

from ..spi.decode import decode, fold
from ..spi.documents import GroupDetails, GroupProperties, GroupSpec
from ..spi.errors import (
    IkdemoError,
    NotLeader,
    OutcomeUnknown,
    PluginFailure,
    PluginUnavailable,
    SpecError,
    UnknownGroup,
)
from ..spi.plans import Freed
from ..spi.text import quote
from .global_spec import GlobalSpec, GroupEntry
from .group_behind import GroupBehind
from .handover import Handover
from .leadership import Leadership
from .stored import StoredSpec

T = TypeVar("T")


class StoredCommands:
    """Commits, scales, frees and destroys, each to be called in its turn. ``reconcile_later`` is
    called when something is stored that the group plugin has not taken in.
    """

    def __init__(
        self,
        leadership: Leadership,
        stored: StoredSpec,
        behind: GroupBehind,
        handover: Handover,
        reconcile_later: Callable[[], None],
    ) -> None:
        self._leadership, self._stored = leadership, stored
        self._behind, self._handover = behind, handover
        self._reconcile_later = reconcile_later

    async def commit(self, specs: Sequence[GroupSpec], pretend: bool) -> list[GroupDetails]:
        epoch = (await self._leadership.ensure()).epoch
        said = []
        for spec in specs:
            details = await self._pretend(spec, epoch)
            said.append(GroupDetails(spec.id, details))
        if pretend:
            return said

        def added(stored: GlobalSpec) -> GlobalSpec:
            for spec in specs:
                stored = stored.with_group(spec, self._behind.name)
            return stored

        await self._store(added, epoch)
        said = []
        for spec in specs:
            details = await self._give(GroupEntry(self._behind.name, spec), epoch)
            said.append(GroupDetails(spec.id, details))
        return said

    async def _pretend(self, spec: GroupSpec, epoch: int) -> str:
        try:
            return await self._leadership.while_leading(
                epoch, lambda: self._behind.commit(spec, epoch, pretend=True)
            )
        except OutcomeUnknown:  # it was only pretended, so that nothing has happened
            await self._leadership.ensure(epoch)
            raise

    async def _store(self, update: Callable[[GlobalSpec], GlobalSpec], epoch: int) -> None:
        """Change what is stored; should it not be known whether it is, find out soon."""
        try:
            await self._stored.change(update, epoch)
        except OutcomeUnknown:
            self._reconcile_later()
            raise

    async def _give(self, entry: GroupEntry, epoch: int) -> str:
        """Hand over what was stored just now."""
        return await self._after_store(
            self._handover.give(entry, epoch), "the group is stored and is committed when it can be"
        )

    async def _after_store(self, call: Awaitable[T], stored: str) -> T:
        """Tell the group plugin what is stored already; should that fail, say both, and make up for
        it later.
        """
        try:
            return await call
        except NotLeader:
            raise OutcomeUnknown(f"leadership was lost meanwhile; {stored}") from None
        except (PluginUnavailable, OutcomeUnknown) as error:
            self._reconcile_later()
            raise OutcomeUnknown(f"{error}; {stored}") from None
        except IkdemoError as error:
            self._reconcile_later()
            raise PluginFailure(f"{error}; {stored}") from None

    async def scale(self, group: str, size: int) -> str:
        epoch = (await self._leadership.ensure()).epoch
        entry = (await self._stored.load()).groups.get(group)
        if entry is None:
            raise UnknownGroup(group)
        scaled = structs.replace(entry, properties=scaled_spec(entry.properties, size))
        given = self._handover.is_given(group, epoch, entry)
        if not given and not size:
            why = self._handover.failed.get(group, "it is not committed yet")
            raise PluginFailure(f"Group '{group}' cannot be scaled yet: {why}")
        if size:  # none is no size for a commit, and needs no instance
            await self._pretend(scaled.properties, epoch)
        plugin = (await self._behind.find()).plugin

        def changed(stored: GlobalSpec) -> GlobalSpec:
            if stored.groups.get(group) not in (entry, scaled):
                raise PluginFailure(f"Group '{group}' was changed by another program; try again")
            return GlobalSpec({**stored.groups, group: scaled})

        await self._store(changed, epoch)
        if not given:  # as of a group of size 0 that an earlier leader stored
            return await self._give(scaled, epoch)
        self._handover.forget(group)

        async def passed_on() -> str:
            try:
                return await plugin.scale_group(group, size)
            except IkdemoError as error:
                if not (size and UnknownGroup.is_said_by(error)):
                    raise
            return await self._behind.commit(scaled.properties, epoch)  # it was started again

        said = await self._after_store(
            self._leadership.while_leading(epoch, passed_on),
            "the size is stored and is wanted as soon as it can be",
        )
        self._handover.note(epoch, scaled)
        return said

    async def remove(self, group: str, verb: str) -> None:
        epoch, was_stored = await self._take_out(group)

        async def passed_on() -> None:
            plugin = (await self._behind.find()).plugin
            try:
                await (plugin.free_group if verb == "free" else plugin.destroy_group)(group)
            except IkdemoError as error:
                if not (was_stored and UnknownGroup.is_said_by(error)):
                    raise

        passing = self._leadership.while_leading(epoch, passed_on)
        await (self._after_store(passing, _left(group, verb)) if was_stored else passing)

    async def force_free(self, group: str, force: bool) -> Freed:
        epoch, was_stored = await self._take_out(group)

        async def passed_on() -> Freed:
            return await (await self._behind.find()).plugin.force_free(group, force)

        passing = self._leadership.while_leading(epoch, passed_on)
        return await (self._after_store(passing, _left(group, "free")) if was_stored else passing)

    async def _take_out(self, group: str) -> tuple[int, bool]:
        """Take a group out of the store, before anything is passed on: what was freed or destroyed
        must not come back, whoever leads next.
        """
        epoch = (await self._leadership.ensure()).epoch
        was_stored = False

        def removed(stored: GlobalSpec) -> GlobalSpec:
            nonlocal was_stored
            was_stored = was_stored or group in stored.groups
            return stored.without(group)

        await self._store(removed, epoch)
        self._handover.forget(group)
        return epoch, was_stored


def _left(group: str, verb: str) -> str:
    """Say what a command leaves that was not answered after the store had changed."""
    left = "" if verb == "free" else "; its instances may be left: commit it and destroy it again"
    return f"group {group} is no longer stored and does not come back{left}"


def scaled_spec(spec: GroupSpec, size: int) -> GroupSpec:
    """Return a spec with another Size; all else keeps its text. Raises SpecError.

    >>> bytes(scaled_spec(GroupSpec("g", Raw(b'{"X":1.0,"allocation":{"Size":2}}')), 3).properties)
    b'{"X":1.0,"allocation":{"Size":3}}'
    """
    if size < 0:
        raise SpecError(
            "$.Size: expected a whole number >= 0", path="$.Size", expected="a whole number >= 0"
        )
    if decode(spec.properties, GroupProperties).allocation.logical_ids:
        raise SpecError(f"Group '{spec.id}' has LogicalIDs; only a group with a Size can be scaled")
    members = decode(spec.properties, dict[str, Raw])
    name = next((name for name in members if fold(name) == "allocation"), "Allocation")
    members[name] = Raw(b'{"Size":%d}' % size)
    written = b",".join(b"%b:%b" % (quote(key).encode(), bytes(members[key])) for key in members)
    return GroupSpec(spec.id, Raw(b"{%b}" % written))
