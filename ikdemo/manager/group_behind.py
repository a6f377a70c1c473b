"""The group plugin behind a manager: how it is found, what it has to be, and what it is told.

It keeps groups only on a manager's word: one that keeps what was committed across its own restarts
would go on with it, leader or not, and is refused. Where it offers the extension Fence it is told
the epoch with each commit, and late actions of an older leader are refused by the instance plugins.
"""

from __future__ import annotations

from ..spi.contracts import Found, GroupPlugin, Lookup
from ..spi.documents import GroupSpec
from ..spi.errors import IkdemoError, PluginFailure, UnknownGroup


class GroupBehind:
    """The group plugin called ``name``, asked anew each time, since it may go and come back."""

    def __init__(self, lookup: Lookup, name: str) -> None:
        self.name = name
        self.offers: frozenset[str] = frozenset()
        self._lookup = lookup

    async def find(self) -> Found[GroupPlugin]:
        """Find it.

        Raises as ``Lookup.group`` does, and PluginFailure when it resumes groups by itself.
        """
        found = await self._lookup.group(self.name)
        self.offers = found.offers
        if "Reconcile" in found.offers and "Stateless" not in found.offers:
            raise PluginFailure(
                f"the group plugin {self.name} keeps its groups across restarts, whoever leads; "
                "behind a manager start it as: infrakit-group-default "
                f"--name {self.name} --store none"
            )
        return found

    @property
    def fences(self) -> bool:
        """Whether it was found to pass the leader's epoch on to instance plugins."""
        return "Fence" in self.offers

    async def commit(self, spec: GroupSpec, epoch: int, *, pretend: bool = False) -> str:
        """Commit a group under an epoch and return the Details; raises what it raises."""
        found = await self.find()
        if "Fence" in found.offers:
            return await found.plugin.commit_group(spec, pretend, epoch)
        return await found.plugin.commit_group(spec, pretend)

    async def kept(self) -> dict[str, GroupSpec]:
        """Return the specs of the groups that it keeps, by ID."""
        found = await self._lookup.group(self.name)
        return {spec.id: spec for spec in await found.plugin.inspect_groups()}

    async def free(self, group: str) -> None:
        """Have a group kept no longer; one that is not kept is no error."""
        found = await self._lookup.group(self.name)
        try:
            await found.plugin.free_group(group)
        except IkdemoError as error:
            if not UnknownGroup.is_said_by(error):
                raise
