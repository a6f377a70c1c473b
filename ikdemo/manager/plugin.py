"""The manager as a group plugin: clients talk to it as to any other, and what they change is stored
before the group plugin behind it is told.

Commits, scales, frees and destroys are carried out one at a time, in the order in which they came
(``CommandQueue``), and so are changes of leadership, which come first. What only asks passes
straight on, whoever leads. What is done is in ``stored_commands`` and ``handover``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from msgspec import structs

from ..boottime import since_boot
from ..spi.contracts import GroupPlugin, Interface, Lookup
from ..spi.documents import (
    GroupDescription,
    GroupDetails,
    GroupSpec,
    LeaderReport,
)
from ..spi.errors import (
    Fenced,
    IkdemoError,
    OutcomeUnknown,
    PluginNotFound,
    PluginUnavailable,
)
from ..spi.events import Emit, Event
from ..spi.plans import Code, Freed, Reason, Step
from .backend import Backend
from .command_queue import CommandQueue
from .event_relay import EventRelay
from .group_behind import GroupBehind
from .handover import Handover
from .leadership import LEADS_NOT, Leadership
from .reconciliation import Reconciliation
from .stored import StoredSpec
from .stored_commands import StoredCommands

STOP_WAIT = 10.0
"""Seconds that the groups get to be freed before leadership is handed over."""

T = TypeVar("T")

log = logging.getLogger(__name__)


class Manager:
    """Stands before the group plugin called ``behind``, and leads or not as ``backend`` says."""

    interface: Interface = "Group"

    def __init__(
        self,
        lookup: Lookup,
        backend: Backend,
        behind: str,
        now: Callable[[], float] = since_boot,
    ) -> None:
        self._lookup, self._backend = lookup, backend
        self._behind = GroupBehind(lookup, behind)
        self._leadership = Leadership(backend, self._looked, now)
        self._stored = StoredSpec(backend, self._leadership)
        self._handover = Handover(self._behind, self._stored, self._leadership)
        self._reconciliation = Reconciliation(
            self._leadership, self._handover, lambda: self._queue.reconcile()
        )
        self._commands = StoredCommands(
            self._leadership, self._stored, self._behind, self._handover, self._reconciliation.later
        )
        self._queue = CommandQueue(self._reconciliation.reconcile)
        self._emit: Emit = lambda event: None
        self._relay: EventRelay | None = None
        self._known: tuple[int | None, str] = (None, "")

    @property
    def offers(self) -> frozenset[str]:
        """The extension Manager, and Reconcile where the group plugin behind offers it."""
        return self._behind.offers & {"Reconcile"} | {"Manager"}

    async def start(self, emit: Emit) -> None:
        """Make sure of the group plugin and of the back end; nothing is asked who leads yet.

        Raises PluginNotFound when there is no such socket, and what says that the two can never
        work. A group plugin that does not answer yet is waited for later.
        """
        self._emit = emit
        await self._backend.start()
        try:
            await self._meet()
        except BaseException:
            await self._backend.stop()
            raise

    async def _meet(self) -> None:
        """Make sure that the group plugin is one to stand before, if it answers by now."""
        try:
            await self._behind.find()
        except PluginNotFound:
            raise
        except (PluginUnavailable, OutcomeUnknown) as error:
            log.warning("The group plugin %s does not answer yet: %s", self._behind.name, error)
        else:
            if not self._behind.fences:
                log.warning(
                    "The group plugin %s does not offer the extension Fence: a leader that was "
                    "stopped and wakes up may act once more before it knows that another one leads",
                    self._behind.name,
                )

    async def serving(self) -> None:
        """Begin to campaign: the name is taken, so no other process has it."""
        self._queue.start()
        self._leadership.start()
        self._relay = EventRelay(self._lookup, self._behind.name, self._emit, self._greet)

    async def stop(self) -> None:
        """End. What the group plugin keeps it goes on keeping, as with InfraKit's manager, unless
        another manager can lead from now on: then it is freed before.
        """
        if self._relay is not None:
            await self._relay.stop()
        self._reconciliation.stop()
        await self._queue.stop()
        led = self._leadership.term is not None
        await self._leadership.stop()
        if led and self._backend.resigns:
            try:
                async with asyncio.timeout(STOP_WAIT):
                    await self._handover.keep_nothing()
            except (IkdemoError, TimeoutError) as error:
                log.warning("Not every group could be freed at the end: %s", error)
        await self._backend.stop()

    async def commit_group(
        self, spec: GroupSpec, pretend: bool = False, epoch: int | None = None
    ) -> str:
        """Ask the group plugin whether it would, store the spec, have it committed, and return the
        Details. ``epoch`` is of no meaning here.

        Raises NotLeader, also when it is only pretended, and what the group plugin and the store
        raise. What the group plugin refuses is not stored; what is stored and could not be
        committed is committed as soon as that can be done.
        """
        (details,) = await self.commit_groups([spec], pretend)
        return details.details

    async def commit_groups(
        self, specs: Sequence[GroupSpec], pretend: bool = False
    ) -> list[GroupDetails]:
        """Commit several groups as one: all are asked for before one is stored, and all are stored
        by one write. Raises as ``commit_group`` does.
        """
        return await self._in_turn(lambda: self._commands.commit(specs, pretend))

    async def scale_group(self, group: str, size: int) -> str:
        """Commit another size of a Size group, 0 included; return the Details."""
        return await self._in_turn(lambda: self._commands.scale(group, size))

    async def free_group(self, group: str) -> None:
        """Take the group out of the store, then have it freed; its instances stay.

        Refused while another manager leads, as is ``destroy_group``: the group is stored there, and
        would come back with the next leader.
        """
        await self._in_turn(lambda: self._commands.remove(group, "free"))

    async def destroy_group(self, group: str) -> None:
        """Take the group out of the store, then have it destroyed.

        Should that fail, the group does not come back, and its instances may be left.
        """
        await self._in_turn(lambda: self._commands.remove(group, "destroy"))

    async def force_free(self, group: str, force: bool = False) -> Freed:
        """Take the group out of the store, then have it freed with its instances told."""
        return await self._in_turn(lambda: self._commands.force_free(group, force))

    async def describe_group(self, group: str) -> GroupDescription:
        """Describe a group that the group plugin keeps, whoever leads."""
        return await (await self._plugin()).describe_group(group)

    async def inspect_groups(self) -> list[GroupSpec]:
        """Return the groups that the group plugin keeps; none where another manager leads."""
        return await (await self._plugin()).inspect_groups()

    async def list_groups(self) -> list[GroupSpec]:
        """Return the groups that the group plugin keeps or destroys."""
        return await (await self._plugin()).list_groups()

    async def plan_group(self, group: str) -> Step:
        """Observe and plan without acting."""
        return await (await self._plugin()).plan_group(group)

    async def pause_group(self, group: str) -> None:
        """Keep the loop from acting, for as long as this manager leads."""
        await (await self._plugin()).pause_group(group)

    async def resume_group(self, group: str) -> None:
        """Let the loop act again."""
        await (await self._plugin()).resume_group(group)

    async def step_group(self, group: str) -> Step:
        """Make one acting pass of a paused loop."""
        return await (await self._plugin()).step_group(group)

    async def why_group(self, group: str) -> list[Reason]:
        """Say why the group is not as wanted; that no leader keeps it comes first."""
        if self._leadership.term is None:
            report = await self.leader()
            leads = f"{report.name} leads: ask that manager" if report.name else "no manager leads"
            return [Reason("no-leader", f"this manager does not lead; {leads}", error=report.why)]
        if failed := self._handover.failed.get(group):
            text = f"the group is stored and could not be committed yet: {failed}"
            return [Reason(_code_of(failed), text)]
        return await (await self._plugin()).why_group(group)

    async def leader(self) -> LeaderReport:
        """Say who leads, and since when."""
        held = self._leadership
        report = LeaderReport(
            store=self._backend.name,
            leads=held.term is not None,
            why=held.why,
            behind=self._behind.name,
            fences=self._behind.fences,
        )
        try:
            leader = await self._backend.leader()
        except IkdemoError as error:
            return structs.replace(report, why=str(error))
        if leader is None:
            return report
        ours = held.term is not None and held.term.epoch == leader.epoch
        return structs.replace(
            report,
            name=leader.name,
            epoch=leader.epoch,
            since=leader.since,
            renewed=held.renewed if ours else leader.renewed,
        )

    async def _in_turn(self, work: Callable[[], Awaitable[T]]) -> T:
        """Carry out a command when it is its turn; where another manager leads, refuse it at once,
        whatever the queue is waiting for.
        """
        await self._leadership.ensure()
        return await self._queue.carry_out(work)

    async def _plugin(self) -> GroupPlugin:
        return (await self._lookup.group(self._behind.name)).plugin

    def _looked(self) -> None:
        """Take up what a look has told: a change is said, and reconciled at once."""
        term, why = self._leadership.term, self._leadership.why
        before, self._known = self._known, (term.epoch if term else None, why)
        if term is not None and before[0] != term.epoch:
            text = f"{self._backend.name}: epoch {term.epoch}"
            log.info("This manager leads: %s", text)
            self._emit(Event("elected", text=text))
            self._reconciliation.at_once()
        if term is None:
            if before != self._known:
                level = logging.INFO if why == LEADS_NOT else logging.WARNING
                log.log(level, "This manager does not lead: %s", why)
            if before[0] is not None:
                self._emit(Event("stepped-down", text=why))
            self._queue.reconcile()

    async def _greet(self) -> None:
        """Learn what the group plugin that was reached offers, and reconcile."""
        try:
            await self._behind.find()
        except IkdemoError as error:
            self._reconciliation.note(str(error))
        self._queue.reconcile()


def _code_of(failed: IkdemoError) -> Code:
    if isinstance(failed, Fenced):
        return "fenced"
    away = isinstance(failed, PluginUnavailable | OutcomeUnknown)
    return "plugin-unreachable" if away else "spec-refused"
