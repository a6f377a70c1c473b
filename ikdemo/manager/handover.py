"""Handing groups over: the group plugin behind keeps what is stored, under this leader's epoch; it
keeps nothing while this manager does not lead.

Both are states to be reached, not events to be passed on: what the group plugin keeps is asked, and
only the difference is done. So whatever was missed (a restart, a lost answer, a manager that was
killed half-way) is made up for at the next time. One group that fails keeps no other one back.
"""

from __future__ import annotations

import logging
from functools import partial

import msgspec

from ..spi.decode import decode, encode
from ..spi.documents import GroupProperties, GroupSpec
from ..spi.errors import Fenced, IkdemoError, NotLeader, SpecError
from .global_spec import GroupEntry
from .group_behind import GroupBehind
from .leadership import Leadership
from .stored import StoredSpec

log = logging.getLogger(__name__)


class Handover:
    """What the group plugin behind was given in this process, and what of it failed.

    ``failed``: why a stored group could not be committed, by ID; it is tried again.
    """

    def __init__(self, behind: GroupBehind, stored: StoredSpec, leadership: Leadership) -> None:
        self.failed: dict[str, IkdemoError] = {}
        self._given: dict[str, tuple[int, GroupEntry]] = {}
        self._behind, self._stored, self._leadership = behind, stored, leadership

    def is_given(self, group: str, epoch: int, entry: GroupEntry) -> bool:
        """Say whether a group was committed in this term as it is stored."""
        return self._given.get(group) == (epoch, entry)

    def note(self, epoch: int, entry: GroupEntry) -> None:
        """Note that the group plugin has a group as it is stored."""
        group = entry.properties.id
        self._given[group] = (epoch, entry)
        if self.failed.pop(group, None):
            log.info("Group %s is kept", group)

    def forget(self, group: str) -> None:
        """Forget a group that is no longer stored."""
        self._given.pop(group, None)
        self.failed.pop(group, None)

    async def give(self, entry: GroupEntry, epoch: int) -> str:
        """Commit a stored group and return the Details.

        Raises what the group plugin raises, NotLeader, OutcomeUnknown; it is in ``failed`` then.
        """
        spec: GroupSpec = entry.properties
        try:
            said = await self._leadership.while_leading(
                epoch, lambda: self._behind.commit(spec, epoch)
            )
        except IkdemoError as error:
            self._given.pop(spec.id, None)
            if isinstance(error, Fenced):
                self._leadership.ask_soon()
            if not isinstance(error, NotLeader):
                self._note_failure(spec.id, error)
            raise
        if entry.plugin != self._behind.name:
            log.info(
                "Group %s, stored for %s, is kept by %s", spec.id, entry.plugin, self._behind.name
            )
        self.note(epoch, entry)
        return said

    async def keep_stored(self, epoch: int) -> None:
        """Have all that is stored kept, and nothing else; go on past what fails.

        Raises NotLeader when the term is over, and what keeps all of it from being done:
        CorruptState for a store that cannot be read, or that the group plugin does not answer.
        """
        stored = (await self._stored.load()).groups
        for group in set(self._given) - set(stored):
            self.forget(group)
        kept = await self._behind.kept()
        for group in sorted(set(kept) - set(stored)):
            log.warning(
                "Group %s is not stored, so that it is no longer kept by %s; its instances stay",
                group,
                self._behind.name,
            )
            await self._leadership.while_leading(epoch, partial(self._behind.free, group))
        for group, entry in sorted(stored.items()):
            given = self.is_given(group, epoch, entry)
            if given and group in kept and means_the_same(kept[group], entry.properties):
                continue
            try:
                await self.give(entry, epoch)
            except NotLeader:
                raise
            except IkdemoError:
                continue

    async def keep_nothing(self) -> None:
        """Have nothing kept, so that no instance is made or destroyed; the instances stay.

        Raises the first error after all has been tried.
        """
        failed: IkdemoError | None = None
        self.failed.clear()
        self._given.clear()
        for group in await self._behind.kept():
            try:
                await self._behind.free(group)
            except IkdemoError as error:
                failed = error
            else:
                log.info("Group %s is kept no longer: this manager does not lead", group)
        if failed is not None:
            raise failed

    def _note_failure(self, group: str, error: IkdemoError) -> None:
        before = self.failed.get(group)
        self.failed[group] = error
        if str(before) != str(error):
            log.error(
                "Group %s is stored and could not be committed; it is tried again: %s", group, error
            )


def means_the_same(one: GroupSpec, other: GroupSpec) -> bool:
    """Say whether two specs wish the same, however they are written.

    >>> from msgspec import Raw
    >>> stored = GroupSpec("g", Raw(b'{"allocation":{"Size":2},"X":1}'))
    >>> kept = GroupSpec("g", Raw(b'{"Allocation":{"Size":2,"LogicalIDs":null}}'))
    >>> means_the_same(stored, kept), means_the_same(stored, GroupSpec("g", Raw(b"{}")))
    (True, False)
    """
    try:
        return _meant(one) == _meant(other)
    except SpecError:
        return bytes(one.properties) == bytes(other.properties)


def _meant(spec: GroupSpec) -> object:
    return msgspec.json.decode(encode(decode(spec.properties, GroupProperties)))
