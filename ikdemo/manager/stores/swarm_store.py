"""The back end ``swarm``: the manager at the leading node of a Docker swarm leads, and the specs
are a label of the swarm's own spec, as in InfraKit v0.1.0.

Three labels, changed in one guarded update at a time, so that what is stored and whose term it is
never contradict each other: ``infrakit``, the global spec; ``ikdemo.epoch``, the number of the last
term that has begun; ``ikdemo.leader``, who leads, which is written anew every few seconds.

**Why a leader may act for 9 seconds after it sent a renewal.** A renewal is confirmed when a
majority of the managing nodes has stored it, so each of these heard of the leading node after it
was sent. A node that hears of a leader refuses to vote for another one until ten ticks of a second
have passed (raft's election tick of 10, with quorum checks, as Docker sets them), the first of
which may come at once. So no other node leads before 9 seconds are over, except where the swarm
hands leadership over because a node is demoted or leaves: then two terms may overlap until the old
leader looks, and its epoch is what keeps it from acting on what the new one has claimed. A leader
that is cut off is told for some 14 seconds by its own engine that it leads; its renewals are not
confirmed, so its term ends all the same.

Managers of one engine are all at the leading node. There a manager takes over when the leader's
label has stood still for as long as a term, by its own clock: the leader was killed.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from ...boottime import since_boot
from ...engine import Swarm, SwarmSpec
from ...spi.errors import CorruptState, Fenced, IkdemoError, LeaseLost, VersionConflict
from ..backend import Kept, Leader, Term
from ..global_spec import GlobalSpec, as_label, from_label

SPEC = "infrakit"
EPOCH = "ikdemo.epoch"
LEADER = "ikdemo.leader"
LEASE = 9.0
"""Seconds from the sending of a confirmed renewal in which its sender may act; see above."""
RENEWAL = LEASE / 3
"""Seconds between two renewals: two may be lost."""
SOON = 1.0
"""Seconds until the next look after one that failed."""
TRIES = 4
"""How often an update is decided anew when others change the swarm's spec meanwhile."""


class _Claim(NamedTuple):
    """What the labels say: the last epoch that has begun, and who leads in it, if anyone does."""

    epoch: int
    leader: Mapping[str, Any]

    @classmethod
    def read(cls, spec: SwarmSpec, host: str) -> _Claim:
        text = spec.labels.get(EPOCH, "0")
        if not (text.isascii() and text.isdigit() and len(text) < 19):
            raise CorruptState(
                f"the label {EPOCH} of the swarm of {host} cannot be used and is left as it is: it "
                f"is no number: {text[:40]!r}"
            )
        try:
            leader = json.loads(spec.labels.get(LEADER, "{}"))
        except ValueError:
            leader = {}  # then no one leads, and the epoch keeps whoever thinks so from acting
        return cls(int(text), leader if isinstance(leader, dict) else {})


class SwarmBackend:
    """Leadership and the global spec in the swarm of one engine; ``manager`` is the manager's name,
    ``interval`` the seconds between two looks.
    """

    name = "swarm"
    resigns = True

    def __init__(
        self,
        swarm: Swarm,
        manager: str,
        interval: float,
        clock: Callable[[], float] = since_boot,
    ) -> None:
        self.interval = interval
        self._swarm = swarm
        self._manager = manager
        self._clock = clock
        self._token = secrets.token_hex(8)  # tells this process from others of the same name
        self._term: Term | None = None
        self._since = 0.0
        self._looked = 0.0
        self._other: tuple[Mapping[str, Any], float] | None = None  # and seen unchanged since when

    async def start(self) -> None:
        """Nothing can be known before the first look: an engine may join a swarm later."""

    async def look(self) -> Term | None:
        """Campaign or renew; see ``Backend``."""
        self._looked = self._clock()
        if not await self._swarm.node_leads():
            self._term = self._other = None
            return None
        node = await self._swarm.node_id()
        for _ in range(TRIES):
            sent = self._clock()
            spec = await self._swarm.spec()
            claim = _Claim.read(spec, self._swarm.host)
            if (held := self._held(claim, sent)) is not None:
                if sent < held.until - LEASE + RENEWAL:
                    return held  # confirmed a moment ago; the swarm is not written to for nothing
                epoch = held.epoch
            elif self._waits_for(claim, node, sent):
                self._term = None
                return None
            else:
                epoch, self._since = claim.epoch + 1, time.time()
            with suppress(VersionConflict):
                await self._swarm.set_labels(
                    spec, {EPOCH: str(epoch), LEADER: self._leader_label(node)}
                )
                self._term = Term(epoch, sent + LEASE)
                return self._term
        raise self._too_busy()

    async def changed(self) -> None:
        """Return when it is time to renew, or to take over; never while another node leads."""
        if self._term is not None:
            due = max(self._term.until - LEASE + RENEWAL, self._looked + SOON)
        elif self._other is not None:
            due = max(self._other[1] + LEASE, self._looked + SOON)
        else:
            await asyncio.Future()
            return
        await asyncio.sleep(max(due - self._clock(), 0.0))

    async def load(self) -> Kept:
        """Return what the label holds; see ``Backend``."""
        label = (await self._swarm.spec()).labels.get(SPEC)
        where = f"the label {SPEC} of the swarm of {self._swarm.host}"
        return Kept(GlobalSpec() if label is None else from_label(label, where), label)

    async def save(self, spec: GlobalSpec, kept: Kept, term: Term) -> Kept:
        """Replace what is kept; see ``Backend``. The version is the label's text: the number of the
        swarm's spec is raised by each renewal too.
        """
        label = as_label(spec)
        for _ in range(TRIES):
            there = await self._swarm.spec()
            claim = _Claim.read(there, self._swarm.host)
            if (claim.epoch, claim.leader.get("Token")) != (term.epoch, self._token):
                raise self._lost(term, claim)
            if there.labels.get(SPEC) != kept.version:
                raise VersionConflict(
                    f"the label {SPEC} of the swarm of {self._swarm.host} was changed by another "
                    "program meanwhile"
                )
            with suppress(VersionConflict):
                await self._swarm.set_labels(there, {SPEC: label, EPOCH: str(term.epoch)})
                return Kept(spec, label)
        raise self._too_busy()

    async def leader(self) -> Leader | None:
        """Say who leads, by the labels; see ``Backend``."""
        claim = _Claim.read(await self._swarm.spec(), self._swarm.host)
        if "Name" not in claim.leader:
            return None
        since, renewed = (
            float(value) if isinstance(value := claim.leader.get(name), int | float) else 0.0
            for name in ("Since", "Renewed")
        )
        return Leader(str(claim.leader["Name"]), claim.epoch, since, renewed)

    async def stop(self) -> None:
        """Take our name from the labels, if it is there, so that another manager of the same engine
        need not wait.
        """
        with suppress(IkdemoError):  # then the others wait for as long as a term
            if self._term is not None:
                spec = await self._swarm.spec()
                if _Claim.read(spec, self._swarm.host).leader.get("Token") == self._token:
                    await self._swarm.set_labels(spec, {LEADER: None})
        self._swarm.disconnect()

    def _held(self, claim: _Claim, now: float) -> Term | None:
        """Return our term if the claim is of it and it has been held without a break."""
        term = self._term
        ours = term is not None and (claim.epoch, claim.leader.get("Token")) == (
            term.epoch,
            self._token,
        )
        return term if term is not None and ours and now < term.until else None

    def _waits_for(self, claim: _Claim, node: str, now: float) -> bool:
        """Say whether the leader of the claim, another manager of the same engine, may still be
        there. One at another node is not: this node has been elected since.
        """
        leader = claim.leader
        if leader.get("Token", self._token) == self._token or leader.get("Node") != node:
            self._other = None
        elif self._other is None or self._other[0] != leader:
            self._other = (leader, now)
        elif now - self._other[1] >= LEASE:
            self._other = None
        return self._other is not None

    def _leader_label(self, node: str) -> str:
        return json.dumps(
            {
                "Name": self._manager,
                "Node": node,
                "Token": self._token,
                "Since": round(self._since, 3),
                "Renewed": round(time.time(), 3),
            }
        )

    def _lost(self, term: Term, claim: _Claim) -> LeaseLost:
        if claim.epoch > term.epoch:
            return Fenced(term.epoch, claim.epoch)
        return LeaseLost(
            f"epoch {term.epoch} is over: the swarm of {self._swarm.host} names no leader, or "
            "another"
        )

    def _too_busy(self) -> VersionConflict:
        return VersionConflict(
            f"the spec of the swarm of {self._swarm.host} is changed by others all the time: "
            f"{TRIES} updates were too late"
        )
