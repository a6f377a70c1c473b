"""Leadership and the global spec in etcd: the keys, and the transaction that guards a save.

``infrakit/configs/groups.json`` holds the document as InfraKit v0.5 writes it there: plain JSON.
``infrakit/leader`` is ours: v0.5 asks whether the member beside it leads etcd, which fences
nothing. A save is one transaction that demands of both keys what this manager believes of them. A
version is the document's mod revision, 0 where there is none.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence

from msgspec import DecodeError, Struct
from msgspec.json import Decoder, encode

from ...boottime import since_boot
from ...etcd.addresses import NO_FILES, TlsFiles, read_addresses, read_tls
from ...etcd.election import LONGEST, SHORTEST, Election
from ...etcd.endpoints import Endpoints
from ...etcd.etcd_client import EtcdClient, KeyValue, created_at, get, modified_at, put
from ...spi.errors import Fenced, IkdemoError, LeaseLost, VersionConflict
from ...spi.text import visible
from ..backend import Kept, Leader, Term
from ..global_spec import GlobalSpec, as_json, from_json

GROUPS, LEADER = b"infrakit/configs/groups.json", b"infrakit/leader"


class LeaderRecord(Struct, frozen=True, rename="pascal"):
    """What the leader key holds, for people: no decision is made by it."""

    name: str
    host: str
    pid: int
    since: float


_records = Decoder(LeaderRecord)


class EtcdBackend:
    """One manager's part in an etcd. ``name``: what it is called; ``endpoints``: where the members
    are. ``within``: seconds for a request, over all members; ``lease``: seconds; ``poll``: seconds
    between two looks at most.
    """

    name = "etcd"
    resigns = True

    def __init__(
        self,
        name: str,
        endpoints: Sequence[str],
        tls: TlsFiles = NO_FILES,
        *,
        within: float = 1.0,
        lease: float = 5.0,
        poll: float = 5.0,
    ) -> None:
        """Look over what was given, without asking etcd; raises IkdemoError."""
        if within <= 0 or poll <= 0:
            raise IkdemoError("the request timeout and the poll interval must be longer than 0")
        if not (SHORTEST <= lease <= LONGEST and lease == int(lease)):
            raise IkdemoError(f"a lease of etcd has whole seconds, {SHORTEST} to {LONGEST}")
        files = bool(tls.authority or tls.certificate or tls.key)
        addresses = read_addresses(endpoints, files)
        context = read_tls(tls) if any(address.tls for address in addresses) else None
        self._client = EtcdClient(Endpoints(addresses, context, within))
        self._manager = name
        self._election = Election(self._client, LEADER, self._record, int(lease), within)
        self.interval = min(poll, self._election.interval)

    async def start(self) -> None:
        """Nothing more is to be got ready: members may come later."""

    async def look(self) -> Term | None:
        """Campaign or renew; see ``Election.look``."""
        elected = await self._election.look()
        return None if elected is None else Term(elected.epoch, elected.until)

    async def changed(self) -> None:
        """Return when the leader key has changed; see ``Election.changed``."""
        await self._election.changed()

    async def load(self) -> Kept:
        """Return what a majority of the members has; raises CorruptState for what is no global
        spec.
        """
        found = (await self._client.look(GROUPS)).found
        if found is None:
            return Kept(GlobalSpec(), 0)
        where = f"the key {GROUPS.decode()} in etcd"
        return Kept(from_json(found.value, where), found.mod_revision)

    async def save(self, spec: GlobalSpec, kept: Kept, term: Term) -> Kept:
        """Store the document if the leader key is that of ``term`` and the document that of
        ``kept``.

        Raises SpecError when it is too large, LeaseLost, VersionConflict, OutcomeUnknown; see
        ``Backend.save``.
        """
        assert isinstance(kept.version, int)
        decided = await self._client.decide(
            [created_at(LEADER, term.epoch), modified_at(GROUPS, kept.version)],
            [put(GROUPS, as_json(spec)), get(GROUPS, value=False)],
            [get(LEADER), get(GROUPS, value=False)],
        )
        if decided.succeeded:
            (stored,) = decided.found
            return Kept(spec, stored.mod_revision if stored else decided.revision)
        leader = decided.found[0]
        if leader is None or leader.create_revision != term.epoch:
            raise _over(term.epoch, leader)
        raise VersionConflict(
            f"the key {GROUPS.decode()} in etcd was changed by another program meanwhile; try again"
        )

    async def leader(self) -> Leader | None:
        """Say who leads by the leader key, whichever manager asks."""
        found = (await self._client.look(LEADER)).found
        if found is None:
            return None
        try:
            record = _records.decode(found.value)
            name = f"{record.name} on {record.host}, pid {record.pid}"
        except (DecodeError, UnicodeDecodeError):  # written by another program
            record = LeaderRecord("", "", 0, 0.0)
            name = visible(found.value[:100].decode("utf-8", "replace"))
        ours = self._election.epoch == found.create_revision
        renewed = time.time() - (since_boot() - self._election.renewed) if ours else 0.0
        return Leader(name, found.create_revision, record.since, renewed)

    async def stop(self) -> None:
        """Give leadership up, so that the next manager leads at once, and close connections."""
        await self._election.resign()
        self._client.close()

    def _record(self) -> bytes:
        record = LeaderRecord(self._manager, socket.gethostname(), os.getpid(), time.time())
        return encode(record)


def _over(epoch: int, leader: KeyValue | None) -> LeaseLost:
    """Return the error of a leader whose epoch is over."""
    if leader is None:
        return LeaseLost(f"epoch {epoch} is over, and no other leader has been elected yet")
    return Fenced(epoch, leader.create_revision)
