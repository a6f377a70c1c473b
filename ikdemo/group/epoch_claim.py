"""Whether a group's loop may act: it does so for the leader who committed the group, until a later
one begins.

Made anew before each pass that acts, since an instance plugin may have been replaced by another one
or have lost its directory. That a later leader has begun is final: only a commit of a leader who is
later still ends it, so that this loop never comes in between when the plugin forgets.
"""

from __future__ import annotations

import logging

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from ..spi.contracts import Fencing, Found, InstancePlugin, Lookup
from ..spi.errors import Fenced, IkdemoError
from ..spi.plans import Plan, Reason

log = logging.getLogger(__name__)


class EpochClaim:
    """The claim of one loop on its group. ``epoch``: that of the leader, 0 where none has committed
    the group; nothing is claimed then.
    """

    def __init__(self, group: str) -> None:
        self.epoch = 0
        self._group = group
        self._fenced: Fenced | None = None
        self._fenced_at: float | None = None
        self._made: tuple[int, str] | None = None

    @property
    def is_fenced(self) -> bool:
        """Whether a later leader has begun."""
        return self._fenced is not None

    @property
    def latest(self) -> int:
        """The latest epoch that is known of."""
        return max(self.epoch, self._fenced.begun if self._fenced else 0)

    def set_epoch(self, epoch: int | UnsetType) -> None:
        """Act for the leader of another epoch from now on, or for none."""
        self.epoch = 0 if epoch is UNSET else epoch
        if self._fenced is not None and self.epoch >= self._fenced.begun:
            self._fenced = self._fenced_at = None

    def on_refusal(self, error: Fenced) -> None:
        """Take in that a plugin refused an action, unless it was one of an epoch before."""
        if error.begun > self.epoch:
            self._fenced = error

    async def make_first(self, lookup: Lookup, plugin: str) -> bool:
        """Claim the group at an instance plugin, for an epoch that has not claimed there yet; say
        whether that was done just now, so that it has to be observed what older leaders left.

        What fails is tried again before something is done.
        """
        made = self.epoch, plugin
        if not self.epoch or self.is_fenced or self._made == made:
            return False
        try:
            found = await lookup.instance(plugin)
            if await self.make(found, self.epoch) is None:
                log.warning(
                    "Plugin %s does not offer Fence: a leader of group %s that was stopped and "
                    "wakes up is not kept from acting there",
                    plugin,
                    self._group,
                )
        except IkdemoError:
            return False
        self._made = made
        return True

    async def make(self, instance: Found[InstancePlugin], epoch: int) -> Fencing | None:
        """Claim the group, and return the plugin to act with; None where nothing is fenced. Raises
        Fenced, and what the plugin raises.
        """
        plugin = instance.plugin
        if not epoch or "Fence" not in instance.offers or not isinstance(plugin, Fencing):
            return None
        try:
            await plugin.claim(self._group, epoch)
        except Fenced as error:
            self.on_refusal(error)
            raise
        return plugin

    def marked(self, todo: Plan, now: float) -> Plan:
        """Return a plan as it may be carried out: without any action when a later leader has
        begun, and with the reason, which holds from when it is given first.
        """
        if self._fenced is None:
            return todo
        self._fenced_at = now if self._fenced_at is None else self._fenced_at
        text = f"{self._fenced}: a later leader acts on this group, so nothing is done here"
        awaits = "a commit of a leader who is later still"
        reason = Reason("fenced", text, since=self._fenced_at, awaits=awaits)
        reasons = (reason, *todo.reasons)
        return replace(todo, actions=(), reasons=reasons, converged=False, wake_after=None)
