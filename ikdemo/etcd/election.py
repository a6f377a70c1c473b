"""Who leads: the one that made the leader key, until its lease is over.

The key is made by a transaction that demands that there is none, and goes with the lease of its
maker. The epoch is the key's create revision: etcd counts every write, so it is greater than that
of every earlier leader, and a write that compares it happens only while its leader leads. A leader
may act until its lease could be over at the earliest: counted from the moment at which the last
confirmed renewal was sent, by a clock that goes on while the machine is suspended.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import NamedTuple

from ..boottime import since_boot
from ..spi.errors import CorruptState, IkdemoError
from .endpoints import EtcdRefusal
from .etcd_client import EtcdClient, KeyValue, created_at, get, put

PAUSE = 0.25
"""Seconds to let pass when no change can be waited for, until a look is worth it."""
RENEWALS = 3
"""Looks in the time of a lease."""
SHORTEST, LONGEST = 2, 3600
"""Seconds of a lease: etcd grants no less, since it has to outlive an election of etcd's own; for
longer nothing should be without a leader.
"""
_log = logging.getLogger(__name__)


class Elected(NamedTuple):
    """This candidate leads. ``until``: seconds of CLOCK_BOOTTIME before which it may act."""

    epoch: int
    until: float


class Election:
    """One candidate. ``value``: makes what the leader key is to hold, for people. ``seconds``: how
    long a leader that is not heard of goes on leading. ``within``: seconds for a request.
    """

    def __init__(
        self,
        client: EtcdClient,
        key: bytes,
        value: Callable[[], bytes],
        seconds: int,
        within: float,
        now: Callable[[], float] = since_boot,
    ) -> None:
        self.epoch = 0
        """Of the key that this candidate made; 0 while it does not lead."""
        self.renewed = 0.0
        """When the last confirmed renewal was sent, by ``now``."""
        self._client, self._key, self._value = client, key, value
        self._seconds, self._within, self._now = seconds, within, now
        self.interval = seconds / RENEWALS
        self._lease = 0  # ours; one whose grant was not answered is not known, and ends by itself
        self._until = 0.0
        self._revision = 0  # at which the key was last looked at
        self._doubt = ""  # why no change of it can be waited for

    async def look(self) -> Elected | None:
        """Campaign or renew, once; None: another candidate leads.

        Raises what ``Endpoints.ask`` raises: then the last answer holds, for as long as it said.
        """
        elected = await self._renew() if self.epoch else None
        return elected or await self._campaign()

    async def changed(self) -> None:
        """Return when the leader key has changed since the last look, or a moment after that cannot
        be waited for any longer, as when the member that was asked is gone.
        """
        try:
            await self._client.changed(self._key, self._revision + 1, self._within)
            self._doubt = ""
        except IkdemoError as doubt:
            if str(doubt) != self._doubt:  # said once, however often it is tried
                _log.info("no change of the leader can be waited for: %s", doubt)
            self._doubt = str(doubt)
            await asyncio.sleep(PAUSE)

    async def resign(self) -> None:
        """Give leadership up; when that cannot be told to etcd, it ends with its lease."""
        lease, self._lease, self.epoch = self._lease, 0, 0
        try:
            if lease:
                await self._client.revoke(lease)
        except IkdemoError as doubt:
            _log.info("a lease could not be revoked, and ends by itself: %s", doubt)

    async def _campaign(self) -> Elected | None:
        """Make the leader key, if there is none."""
        had_lease = self._lease != 0  # then an earlier answer was lost
        if not had_lease:
            seen = await self._client.look(self._key)
            self._revision = seen.revision
            if seen.found is not None:
                _check_lease(seen.found)
                return None
            sent = self._now()
            self._lease, seconds = await self._client.grant(self._seconds)
            self._confirm(sent, seconds)
        leader = await self._make_key()
        if leader is None or leader.lease != self._lease:
            await self.resign()
            return None
        self.epoch = leader.create_revision
        return await self._renew() if had_lease else Elected(self.epoch, self._until)

    async def _make_key(self) -> KeyValue | None:
        """Make the leader key, or leave the one that is there; return it.

        It may happen twice: the key says whose it is, whichever answer was lost.
        """
        try:
            decided = await self._client.decide(
                [created_at(self._key, 0)],
                [put(self._key, self._value(), self._lease), get(self._key)],
                [get(self._key)],
                again=True,
            )
        except EtcdRefusal:
            self._lease = 0  # it is over
            raise
        self._revision = decided.revision
        return decided.found[0]

    async def _renew(self) -> Elected | None:
        """Renew the lease and see that the key is still the one that we made; None: we do not
        lead any longer.
        """
        sent = self._now()
        left = self._until - sent
        within = min(left, self._within) if left > 0 else self._within
        seconds = await self._client.renew(self._lease, within)
        if seconds == 0:
            self._lease = self.epoch = 0
            return None
        seen = await self._client.look(self._key)
        self._revision = seen.revision
        if seen.found is None or self._is_foreign(seen.found):
            await self.resign()  # another hand has removed or replaced the key
            return None
        self._confirm(sent, seconds)
        return Elected(self.epoch, self._until)

    def _confirm(self, sent: float, seconds: float) -> None:
        """Note that our lease lives, at the least, for so long after a request was sent."""
        self.renewed, self._until = sent, sent + seconds

    def _is_foreign(self, key: KeyValue) -> bool:
        return key.create_revision != self.epoch or key.lease != self._lease


def _check_lease(leader: KeyValue) -> None:
    """Raise CorruptState for a leader key that would stay for ever."""
    if leader.lease == 0:
        raise CorruptState(
            f"the key {leader.key.decode('utf-8', 'replace')} in etcd has no lease, so no other "
            "leader will ever be elected; no manager writes that: remove it"
        )
