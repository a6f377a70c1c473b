"""The one loop of a group: observe, plan, act, settle, emit; then sleep until an event, a wake-up
time or the poll.

One task per group makes every pass, so a group's actions never overlap; if it ends unexpectedly it
is begun again. What is wanted may change at any time (``set_desired``): a pass under way finishes
what it began and begins nothing more. Whoever waits for a pass (``step``) or for the end (``wait_until_gone``)
gets an answer, also when something else comes first. Whether a pass looks or goes by what it was
told is decided in ``sight``; but nothing is destroyed without a look. Made by ``Registry``, which
alone changes ``record``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import msgspec

from ..reconcile.expectations import expect
from ..reconcile.health import apply_reported_health, force_replacement
from ..reconcile.members import Members
from ..reconcile.model import Desired, Memory, ReportedExit, Update, desired_state
from ..reconcile.observed_cache import REMOVALS, is_safe
from ..reconcile.plan import plan
from ..reconcile.settle import record_exits, retry_refused, settle, with_backoffs
from ..reconcile.waiting import DESTROYING
from ..spi.config_sha import sha_of
from ..spi.contracts import Lookup
from ..spi.errors import IkdemoError, PluginFailure
from ..spi.events import Emit, Event
from ..spi.plans import Outcome, Plan, Reason, Step
from .clock import Clock
from .event_recorder import EventRecorder
from .executor import Executor
from .observer import Observer, View
from .store import Record

log = logging.getLogger(__name__)

STOP_WAIT = 8.0
"""Seconds that a pass under way may take to end."""
AGAIN_AFTER = 1.0
"""Seconds after which a loop that ended unexpectedly is begun again."""
RETRY_EVERY = 1.0
"""Seconds between two passes, at least, that try again what was refused, because instances of other
groups have ended.
"""
PAUSED = Reason(
    "paused",
    "the group is paused: nothing is done until it is resumed or stepped",
    awaits="resume or step",
)


class Supervisor:
    """Keeps one group as its record wants it, from ``start`` until ``end`` or, when destroying,
    until none is left.

    ``removal_error``: what kept the store from forgetting a group of which nothing is left; empty
    otherwise.
    """

    def __init__(
        self,
        record: Record,
        lookup: Lookup,
        emit: Emit,
        poll_interval: float,
        keep: Callable[[Supervisor, Callable[[Record], Record]], Awaitable[None]],
        *,
        resumed: bool,
        clock: Clock,
    ) -> None:
        self._lookup, self._persist, self._clock = lookup, keep, clock
        self._poll = poll_interval
        self._observer = Observer(record.id, lookup, poll_interval, clock, record.members)
        self._recorder = EventRecorder(record.id, emit, converged=True if resumed else None)
        update = Update(record.updating) if record.updating else None
        self._memory = Memory(backoffs=record.backoffs, expected=record.expected, update=update)
        self._persisted_version = 0
        self._reported_exits: list[ReportedExit] = []
        self._reported_unhealthy: set[str] = set()
        self._room_freed, self._retried_at = False, -RETRY_EVERY
        self._wake = asyncio.Event()
        self._pass_failed = asyncio.Event()
        self._steps: list[asyncio.Future[Step]] = []
        self._ended_by = self.removal_error = ""
        self._overtaken_by = ""
        self._task: asyncio.Task[None] | None = None
        self._set(record)

    def _set(self, record: Record) -> None:
        self.record = record
        desired = desired_state(
            record.id, record.properties, sha_of(record.properties), rolls=record.rolls
        )
        good = (
            record.good
            if record.good and record.good.instance.plugin == record.properties.instance.plugin
            else None
        )
        self._good = good
        self.desired = msgspec.structs.replace(
            desired,
            destroying=record.destroying,
            poll=self._poll,
            good=sha_of(good) if good else "",
        )

    @property
    def is_converged(self) -> bool:
        """Say whether the loop's latest pass found everything as wanted."""
        return self._recorder.converged is True

    def start(self, when_gone: Callable[[], Awaitable[None]]) -> None:
        """Begin; ``when_gone`` is awaited once, at the end, if the group was to be destroyed and
        nothing of it is left.
        """
        self._task = asyncio.create_task(
            self._run(when_gone), name=f"supervisor of {self.record.id}"
        )

    async def end(self, by: str) -> None:
        """Finish what was begun, begin nothing more, and return when the loop is over; ``by`` tells
        those who wait why.

        A call to a plugin that is not answered within ``STOP_WAIT`` is given up.
        """
        self._ended_by = self._ended_by or by
        self._wake.set()
        if self._task is not None and not self._task.done():
            await asyncio.wait([self._task], timeout=STOP_WAIT)
            self._task.cancel()
            await asyncio.wait([self._task])
        self._fail_steps(self._steps)

    def set_desired(self, record: Record, *, by: str) -> None:
        """Take another record as what is wanted, from now on; its trouble is what is remembered
        (none with another spec).

        ``by`` names the command, for a step that it cuts short.
        """
        self._memory = with_backoffs(self._memory, record.backoffs)
        if record.properties.instance.plugin != self.record.properties.instance.plugin:
            self._observer.members = Members(record.id)
            self._memory = Memory(backoffs=record.backoffs)
        self._set(record)
        self._overtaken_by = by
        self._pass_failed.clear()
        self._observer.invalidate()
        self._recorder.reset()
        self._wake.set()

    def force_replacement(self) -> None:
        """Replace the sick in the next pass that sees them, however many they are: a person said
        so.
        """
        self._memory = force_replacement(self._memory)

    def on_event(self, event: Event) -> None:
        """Wake for a plugin's event, unless it is the echo of what this loop did."""
        if event.group not in ("", self.record.id):
            if event.kind in REMOVALS and self._memory.backoffs and not self._room_freed:
                self._room_freed = True
                self._wake.set()
            return
        if event.group and event.kind == "lost" and event.code in ("died", "early"):
            own_doing = event.code == "died"
            self._reported_exits.append(
                ReportedExit(
                    event.slot, event.instance, f"died: {event.text}", self._clock.now(), own_doing
                )
            )
        if event.kind == "health":
            (
                self._reported_unhealthy.add
                if event.code == "unhealthy"
                else self._reported_unhealthy.discard
            )(event.instance)
        if self._observer.on_event(event):
            self._wake.set()

    def wake(self) -> None:
        """Make a pass soon, and a whole one: events may have been missed, of health too."""
        self._observer.invalidate()
        self._wake.set()

    async def observe_group(self, record: Record, *, ask_health: bool) -> View:
        """Observe what a record describes, with what is known of its members, and remember
        nothing.
        """
        return await self._observer.observe(
            record.properties, self._memory.expected, ask_health=ask_health
        )

    async def look(self, *, ask_health: bool = True) -> tuple[View, Plan]:
        """Observe and plan without acting and without remembering: what would be done now."""
        view = await self.observe_group(self.record, ask_health=ask_health)
        try:
            todo = self._clock.stamped(self._plan(view))
        except Exception as error:  # a bug in the planner must not leave people without an answer
            log.exception("Planning for group %s failed", self.record.id)
            todo = _failed(error)
        marks = (DESTROYING,) if self.record.destroying else (PAUSED,) if self.record.paused else ()
        return view, msgspec.structs.replace(todo, reasons=(*marks, *todo.reasons))

    async def step(self) -> Step:
        """Have the loop make one acting pass, paused or not, and return what it did.

        Raises PluginFailure when the loop ends before the pass could be made.
        """
        waiting: asyncio.Future[Step] = asyncio.get_running_loop().create_future()
        self._steps.append(waiting)
        if self._ended_by:
            self._fail_steps(self._steps)
        self._wake.set()
        return await waiting

    def retry_now(self) -> None:
        """Make a pass soon, and let ``wait_until_gone`` hear of doubt only from now on."""
        self._pass_failed.clear()
        self.removal_error = ""
        self.wake()

    async def wait_until_gone(self, timeout: float) -> bool:
        """Wait until the loop has ended because nothing is left.

        False after ``timeout`` seconds, or when a pass was in doubt since the group was marked for
        destruction. Raises PluginFailure when the loop ended for another reason, which it names.
        """
        if self._task is None:
            return True
        invalidate = asyncio.create_task(self._pass_failed.wait())
        await asyncio.wait(
            [self._task, invalidate], timeout=timeout, return_when=asyncio.FIRST_COMPLETED
        )
        invalidate.cancel()
        if self._task.done() and self._ended_by:
            raise PluginFailure(
                f"Group '{self.record.id}' was being destroyed and was overtaken by "
                f"{self._ended_by}"
            )
        return self._task.done()

    async def _run(self, when_gone: Callable[[], Awaitable[None]]) -> None:
        """Keep the loop going until it ends as it should: what ends it otherwise is a bug, and
        healing must survive that.
        """
        while True:
            try:
                return await self._loop(when_gone)
            except Exception:
                log.exception(
                    "The loop of group %s ended unexpectedly and is begun again", self.record.id
                )
            self._observer.invalidate()
            await asyncio.sleep(AGAIN_AFTER)

    async def _loop(self, when_gone: Callable[[], Awaitable[None]]) -> None:
        while not self._ended_by:
            self._wake.clear()
            record, (waiting, self._steps) = self.record, (self._steps, [])
            try:
                step = await self._pass_safely(asked=bool(waiting))
            except BaseException:
                self._fail_steps(waiting)
                raise
            # something else is wanted meanwhile: look again with that in mind, for those who wait,
            # too
            if step is None:
                self._steps = waiting + self._steps
                continue
            for future in waiting:
                if not future.done():
                    future.set_result(step)
            if record.destroying and step.plan.converged and await self._end(when_gone):
                return
            # after acting, look again at once: was it enough, and when is the next attempt?
            if step.outcomes:
                # but not before others had their turn: two passes over thousands take long
                await asyncio.sleep(0)
                continue
            waits = [self._observer.seconds_to_poll()]
            if step.plan.wake_after is not None:
                waits.append(step.plan.wake_after)
            if self._room_freed:
                waits.append(self._retried_at + RETRY_EVERY - self._clock.now())
            await self._sleep(min(waits))

    def _fail_steps(self, waiting: list[asyncio.Future[Step]]) -> None:
        """Answer those who wait for a pass that will not be made."""
        for future in waiting:
            if not future.done():
                by = self._ended_by or "a failure of the loop"
                future.set_exception(
                    PluginFailure(f"The step of group '{self.record.id}' was overtaken by {by}")
                )
        waiting.clear()

    async def _pass_safely(self, *, asked: bool) -> Step | None:
        """Make a pass; a bug in it is told as its result and must not end the healing of the
        group.
        """
        try:
            return await self._pass(asked=asked)
        except Exception as error:
            log.exception("A pass over group %s failed", self.record.id)
            self._observer.invalidate()
            return Step(plan=_failed(error))

    async def _end(self, when_gone: Callable[[], Awaitable[None]]) -> bool:
        """Nothing is left: say so; false when that could not be made durable, to be tried again."""
        try:
            await when_gone()
        except IkdemoError as error:
            log.warning(
                "Nothing is left of group %s, but it cannot be forgotten yet: %s",
                self.record.id,
                error,
            )
            self.removal_error = str(error)
            self._pass_failed.set()
            return False
        return True

    async def _remember(self, view: View) -> bool:
        """Make durable what a restart must know; say whether that could be done."""

        def remembered(record: Record) -> Record:
            memory, known, self._persisted_version = (
                self._memory,
                record.members,
                self._observer.members.version,
            )
            if not view.observed.error:
                known = {} if view.idempotent else dict(self._observer.members.known)
            return msgspec.structs.replace(
                record,
                backoffs=memory.backoffs,
                expected=memory.expected,
                members=known,
                updating=self._update_to_persist(view),
            )

        try:
            await self._persist(self, remembered)
        except IkdemoError as error:
            log.warning("The waits of group %s cannot be stored: %s", self.record.id, error)
            return False
        return True

    async def _pass(self, *, asked: bool) -> Step | None:
        """Make one pass, with a look if somebody ``asked`` for it; None when something else was
        wanted before it could act.
        """
        desired, paused = self.desired, self.record.paused
        view, todo = await self._decide(look=asked or desired.destroying)
        if desired is not self.desired or self._ended_by:
            return None
        observed_at = self._clock.now()
        self._recorder.on_plan(todo, len(desired.slots), desired.destroying)
        outcomes = await self._act(todo, view) if (asked or not paused) and todo.actions else ()
        overtaken = self._overtaken_by if desired is not self.desired else ""
        desired_here, before, now = self._desired_for(view), self._memory, self._clock.now()
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
        if view.observed.error:
            self._pass_failed.set()
        return Step(
            view.observed.instances,
            self._clock.stamped(todo) if asked else todo,
            outcomes,
            overtaken,
        )

    async def _decide(self, *, look: bool) -> tuple[View, Plan]:
        """Observe, take in what was told of instances, and plan; look if a plan by hearsay would
        destroy something.
        """
        # one that is expected may be shown in this very pass, and an update may wait for its health
        ask_health = self._observer.health_is_due() or bool(self._memory.expected)
        reported_unhealthy, self._reported_unhealthy = self._reported_unhealthy, set()
        while True:
            view = await self._observer.current_view(
                self.record.properties, self._memory.expected, ask_health=ask_health, look=look
            )
            exits, self._reported_exits = self._reported_exits, []
            self._memory = apply_reported_health(
                self._desired_for(view),
                record_exits(self.desired, self._memory, exits, self._clock.now()),
                reported_unhealthy,
            )
            self._retry()
            todo = self._plan(view)
            if view.is_fresh or is_safe(todo):
                if view.observed.error:
                    self._reported_unhealthy |= reported_unhealthy  # nobody was asked about them
                return view, todo
            look = True

    def _retry(self) -> None:
        """Try again what was refused, if a place has become free since, but not more often than
        ``RETRY_EVERY``.
        """
        now = self._clock.now()
        if self._room_freed and now >= self._retried_at + RETRY_EVERY:
            self._room_freed, self._retried_at = False, now
            self._memory = retry_refused(self._memory)

    def _must_persist(self, view: View) -> bool:
        """Say whether a restart would miss anything of what is remembered now.

        Of a plugin with slots nothing more is kept than waits: what was made there, it knows
        itself.
        """
        memory, record = self._memory, self.record
        if record.updating != self._update_to_persist(view):
            return True
        if view.idempotent or view.observed.error:
            return memory.backoffs != record.backoffs
        known = self._persisted_version == self._observer.members.version
        return not known or memory.backoffs != record.backoffs or memory.expected != record.expected

    def _update_to_persist(self, view: View) -> str:
        """Return the configuration whose update a restart would have to prove; none where nothing
        has to be waited for.
        """
        update = self._memory.update
        return update.sha if update and self._desired_for(view).pace.waits else ""

    async def _act(self, todo: Plan, view: View) -> tuple[Outcome, ...]:
        desired = self.desired
        self._memory = expect(
            self._desired_for(view), self._memory, todo.actions, self._clock.now()
        )
        actions = todo.actions
        if not view.idempotent and self._must_persist(view) and not await self._remember(view):
            # what is asked for has to be known after a restart
            actions = tuple(a for a in actions if a.verb == "destroy")
            if not actions:
                return ()
        self._recorder.on_acting(actions, 0 if desired.destroying else len(desired.slots))
        self._observer.begin_acting(actions)
        executor = Executor(
            desired, self.record.properties, self._good, view.described, self._recorder.on_outcome
        )
        outcomes = await executor.act(
            actions, self._lookup, lambda: desired is self.desired and not self._ended_by
        )
        self._observer.end_acting(outcomes, desired.sha)
        return outcomes

    def _desired_for(self, view: View) -> Desired:
        pace = msgspec.structs.replace(self.desired.pace, can_fail=view.can_fail)
        return msgspec.structs.replace(
            self.desired,
            idempotent=view.idempotent,
            unhealthy_after=view.unhealthy_after,
            pace=pace,
            health_checked=view.health_checked,
        )

    def _plan(self, view: View) -> Plan:
        return plan(self._desired_for(view), view.observed, self._memory, self._clock.now())

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(max(seconds, 0.001)):
                await self._wake.wait()
        except TimeoutError:
            pass


def _failed(error: Exception) -> Plan:
    """Say that a pass failed by a bug, as a plan that does nothing."""
    # of actions that ended each other
    first = error.exceptions[0] if isinstance(error, ExceptionGroup) else error
    return Plan(reasons=(Reason("blocked", f"internal error: {first}", awaits="the next pass"),))
