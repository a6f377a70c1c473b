"""One pass over a group: observe, plan, act, settle, and make durable what a restart must know.

Holds what a group's loop knows: the record, the memory, what plugins have reported since the last
pass. When a pass is made is decided in ``supervisor``, whether it observes or goes by the cache in
``observer``; but nothing is destroyed without an observation.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import msgspec
from msgspec import UNSET

from ..reconcile.expectations import expect
from ..reconcile.health import apply_reported_health, force_replacement
from ..reconcile.members import Members
from ..reconcile.model import Memory, Update
from ..reconcile.observed_cache import is_safe
from ..reconcile.plan import plan
from ..reconcile.settle import record_exits, retry_refused, settle, with_backoffs
from ..reconcile.waiting import DESTROYING
from ..spi.contracts import Lookup
from ..spi.documents import PluginSpec
from ..spi.errors import IkdemoError
from ..spi.events import Emit, Event
from ..spi.plans import Outcome, Plan, Reason, Step
from .clock import Clock
from .epoch_claim import EpochClaim
from .event_recorder import EventRecorder
from .executor import Executor
from .lost_instances import LostInstances
from .observation import View
from .observer import Observer
from .plugin_reports import PluginReports
from .store import Record

log = logging.getLogger(__name__)

PAUSED = Reason(
    "paused",
    "the group is paused: nothing is done until it is resumed or stepped",
    awaits="resume or step",
)


class Reconciler:
    """Brings one group closer to what its record wants, a pass at a time.

    ``in_doubt``: the latest pass could not observe the instances. ``persist`` makes a change of the
    record durable and raises as the store does.
    """

    def __init__(
        self,
        record: Record,
        lookup: Lookup,
        emit: Emit,
        poll_interval: float,
        persist: Callable[[Callable[[Record], Record]], Awaitable[None]],
        *,
        resumed: bool,
        clock: Clock,
    ) -> None:
        self._lookup, self._persist, self._clock = lookup, persist, clock
        self._poll = poll_interval
        self._observer = Observer(record.id, lookup, poll_interval, clock, record.members)
        self._recorder = EventRecorder(record.id, emit, converged=True if resumed else None)
        update = Update(record.updating) if record.updating else None
        self._memory = Memory(backoffs=record.backoffs, expected=record.expected, update=update)
        self._persisted_version = 0
        self._reports = PluginReports(record.id, clock)
        self._cancelled = self.in_doubt = False
        self._overtaken_by = ""
        self.claim = EpochClaim(record.id)
        self._lost = LostInstances(
            record.id, lookup, clock, record.to_bury, self._burying_flavor, self._persist_lost
        )
        self._set(record)

    def _set(self, record: Record) -> None:
        self.record, self.desired = record, record.desired(self._poll)
        self.claim.set_epoch(record.epoch)

    @property
    def is_converged(self) -> bool:
        """Say whether the latest pass found everything as wanted."""
        return self._recorder.converged is True

    def set_desired(self, record: Record, *, by: str) -> None:
        """Take another record as what is wanted, from now on; its back-offs are what is remembered
        (none with another spec).

        A pass under way begins nothing more; ``by`` names the command that cut it short.
        """
        self._memory = with_backoffs(self._memory, record.backoffs)
        if record.properties.instance.plugin != self.record.properties.instance.plugin:
            self._observer.members = Members(record.id)
            self._lost.reset()
            self._memory = Memory(backoffs=record.backoffs)
        self._set(record)
        self._overtaken_by = by
        self._observer.invalidate()
        self._recorder.reset()

    def cancel(self) -> None:
        """Let a pass under way finish what it began and begin nothing more, for good."""
        self._cancelled = True

    def force_replacement(self) -> None:
        """Replace the unhealthy in the next pass that sees them, however many they are: a person
        said so.
        """
        self._memory = force_replacement(self._memory)

    async def stop(self) -> None:
        """End what goes on beside the passes."""
        await self._lost.stop()

    def invalidate(self) -> None:
        """Observe in the next pass, and ask for health, too."""
        self._observer.invalidate()

    def on_event(self, event: Event) -> bool:
        """Take in a plugin's event; return whether a pass should be made for it."""
        if self._reports.is_about_others(event):
            return self._reports.frees_room(event, wanted=bool(self._memory.backoffs))
        self._reports.add(event)
        self._lost.on_event(event)
        return self._observer.on_event(event)

    async def observe(self, record: Record, *, ask_health: bool) -> View:
        """Observe what a record describes, with what is known of its members, and remember
        nothing.
        """
        return await self._observer.observe(
            record.properties, self._memory.expected, ask_health=ask_health
        )

    async def dry_run(self, *, ask_health: bool = True) -> tuple[View, Plan]:
        """Observe and plan without acting and without remembering: what would be done now."""
        view = await self.observe(self.record, ask_health=ask_health)
        try:
            todo = self._clock.stamped(self._plan(view))
        except Exception as error:  # a bug in the planner must not leave people without an answer
            log.exception("Planning for group %s failed", self.record.id)
            todo = _failed(error)
        marks = (DESTROYING,) if self.record.destroying else (PAUSED,) if self.record.paused else ()
        return view, msgspec.structs.replace(todo, reasons=(*marks, *todo.reasons))

    async def make_pass(self, *, asked: bool) -> Step | None:
        """Make one pass, which observes and acts if a person ``asked`` for it, paused or not; None
        when something else was wanted before it could act.

        A bug in it becomes its result and must not end the healing of the group.
        """
        self.in_doubt = False
        try:
            return await self._pass(asked=asked)
        except Exception as error:
            log.exception("A pass over group %s failed", self.record.id)
            self._observer.invalidate()
            return Step(plan=_failed(error))

    def seconds_to_next_pass(self, todo: Plan) -> float:
        """Return after how many seconds the next pass is due, if nothing wakes the loop before."""
        waits = [self._observer.seconds_to_poll()]
        if todo.wake_after is not None:
            waits.append(todo.wake_after)
        if (retry := self._reports.seconds_to_retry()) is not None:
            waits.append(retry)
        return min(waits)

    async def _pass(self, *, asked: bool) -> Step | None:
        """Make one pass; see ``make_pass``. A bug in it is raised."""
        desired, paused = self.desired, self.record.paused
        if await self.claim.make_first(self._lookup, self.record.properties.instance.plugin):
            self._observer.invalidate()
        view, todo = await self._decide(fresh=asked or desired.destroying)
        if desired is self.desired:
            self._lost.on_observation(view)
        if desired is not self.desired or self._cancelled:
            return None
        observed_at = self._clock.now()
        self._recorder.on_plan(todo, len(desired.slots), desired.destroying)
        outcomes = await self._act(todo, view) if (asked or not paused) and todo.actions else ()
        overtaken = self._overtaken_by if desired is not self.desired else ""
        desired_here, before, now = view.applied_to(self.desired), self._memory, self._clock.now()
        self._memory = settle(
            desired_here,
            view.observed,
            before,
            todo,
            outcomes,
            now,
            observed_at,
            overtaken=bool(overtaken),
        )
        if self._must_persist(view):
            await self._remember(view)
        if self.claim.is_fenced and todo.actions and not outcomes:
            return None  # found out while acting: say so in a plan
        if view.observed.error or self.claim.is_fenced:
            self.in_doubt = True
        return Step(
            view.observed.instances,
            self._clock.stamped(todo) if asked else todo,
            outcomes,
            overtaken,
        )

    async def _decide(self, *, fresh: bool) -> tuple[View, Plan]:
        """Observe, take in what plugins reported, and plan; observe afresh if a plan by the cache
        would destroy something.
        """
        # an expected instance may appear in this pass, and an update may wait for its health
        ask_health = self._observer.health_is_due() or bool(self._memory.expected)
        unhealthy = self._reports.take_unhealthy()
        while True:
            view = await self._observer.current_view(
                self.record.properties, self._memory.expected, ask_health=ask_health, fresh=fresh
            )
            exits, now = self._reports.take_exits(), self._clock.now()
            self._memory = apply_reported_health(
                view.applied_to(self.desired),
                record_exits(self.desired, self._memory, exits, now),
                unhealthy,
            )
            if self._reports.take_freed_room():
                self._memory = retry_refused(self._memory)
            todo = self._plan(view)
            if view.is_fresh or is_safe(todo):
                if view.observed.error:
                    self._reports.put_back(unhealthy)  # no flavor was asked about them
                return view, todo
            fresh = True

    async def _act(self, todo: Plan, view: View) -> tuple[Outcome, ...]:
        desired, actions = self.desired, todo.actions
        self._memory = expect(view.applied_to(desired), self._memory, actions, self._clock.now())
        if not view.idempotent and self._must_persist(view) and not await self._remember(view):
            # what is asked for must be known after a restart
            actions = tuple(a for a in actions if a.verb == "destroy")
            if not actions:
                return ()
        self._recorder.on_acting(actions, 0 if desired.destroying else len(desired.slots))
        self._observer.begin_acting(actions)
        executor = Executor(
            desired,
            self.record.properties,
            self.record.last_good,
            self.claim,
            view.described,
            self._recorder.on_outcome,
        )
        outcomes = await executor.act(
            actions, self._lookup, lambda: desired is self.desired and not self._cancelled
        )
        self._observer.end_acting(outcomes, desired.sha)
        self._lost.forget(executor.drained & {o.instance for o in outcomes if not o.error})
        return outcomes

    async def _remember(self, view: View) -> bool:
        """Make durable what a restart must know; say whether that could be done."""

        def remembered(record: Record) -> Record:
            memory = self._memory
            known = record.members
            self._persisted_version = self._observer.members.version
            if not view.observed.error:
                known = {} if view.idempotent else dict(self._observer.members.known)
            return msgspec.structs.replace(
                record,
                backoffs=memory.backoffs,
                expected=memory.expected,
                members=known,
                described=dict(self._lost.known) or UNSET,
                updating=self._update_to_persist(view),
            )

        try:
            await self._persist(remembered)
        except IkdemoError as error:
            log.warning("The waits of group %s cannot be stored: %s", self.record.id, error)
            return False
        return True

    def _must_persist(self, view: View) -> bool:
        """Say whether a restart would miss anything of what is remembered now.

        With a plugin that has slots only back-offs are stored: which instances it has, it knows
        itself.
        """
        memory, record = self._memory, self.record
        if record.updating != self._update_to_persist(view) or record.to_bury != self._lost.known:
            return True
        if view.idempotent or view.observed.error:
            return memory.backoffs != record.backoffs
        known = self._persisted_version == self._observer.members.version
        return not known or memory.backoffs != record.backoffs or memory.expected != record.expected

    def _burying_flavor(self) -> PluginSpec | None:
        """Return the flavor that may be asked to bury what is lost; None while nothing may be
        done.
        """
        if self.record.paused or self.record.freed or self._cancelled or self.claim.is_fenced:
            return None
        return self.record.properties.flavor

    async def _persist_lost(self) -> None:
        def remembered(record: Record) -> Record:
            return msgspec.structs.replace(record, described=dict(self._lost.known) or UNSET)

        await self._persist(remembered)

    def _update_to_persist(self, view: View) -> str:
        """Return the configuration of an update whose readiness a restarted loop has to await;
        empty if there is none.
        """
        update = self._memory.update
        return update.sha if update and view.applied_to(self.desired).pace.waits else ""

    def _plan(self, view: View) -> Plan:
        desired = view.applied_to(self.desired)
        now = self._clock.now()
        return self.claim.marked(plan(desired, view.observed, self._memory, now), now)


def _failed(error: Exception) -> Plan:
    """Say that a pass failed by a bug, as a plan that does nothing."""
    # of actions that ended each other
    first = error.exceptions[0] if isinstance(error, ExceptionGroup) else error
    return Plan(reasons=(Reason("blocked", f"internal error: {first}", awaits="the next pass"),))
