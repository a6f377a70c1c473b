"""What is remembered after a pass: attempts and waits, consecutive unhealthy answers, what is
expected, since when.

Only this file makes a ``Memory`` from the outcomes of a plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import structs

from ..spi.plans import Action, Outcome, Plan
from .backoff import WINDOW, allowance_is_used_up, backoff, use_allowance
from .expectations import destroyed, expected_after, is_repeated, still_expected, without_destroyed
from .health import counting_times, still_forced, unchecked, unhealthy_in_a_row
from .model import (
    EXPECTED_FOR,
    BackoffState,
    Creation,
    Desired,
    Memory,
    Observation,
    ReportedExit,
    reason_key,
)
from .rolling import readiness, update_after, with_surge

UNREACHABLE_WAIT = 1.0
"""Seconds until a plugin that could not be reached is asked again; its coming back usually wakes
the loop before.
"""
YOUNG_FOR = 300.0
"""Seconds of age up to which the end of an instance counts against its slot, and after which its
slot's back-off is over.
"""
EARLY = 10.0
"""Seconds of age up to which an instance that ended by itself counts as never having worked.
"""
NO_BACKOFF = BackoffState(0, 0.0, "")


def settle(
    desired: Desired,
    observed: Observation,
    memory: Memory,
    plan: Plan,
    outcomes: Sequence[Outcome],
    now: float,
    observed_at: float | None = None,
    *,
    overtaken: bool = False,
) -> Memory:
    """Return the memory after a pass. ``observed_at``: when its plan was made, if it took a while
    since then.

    What failed leads to no back-off when it was ``overtaken``: something else is desired by now.

    A doubtful observation changes nothing but since when. A slot's back-off ends when its instance
    has become old. Instances that end from outside lead to one only beyond the slot's allowance.

    >>> from ikdemo.reconcile.model import Slot
    >>> from ikdemo.spi.plans import Action
    >>> group = Desired("g", "sha", (Slot("0"),))
    >>> failed = Outcome(Action("provision", "missing", "0"), error="no room")
    >>> settle(group, Observation(), Memory(), Plan(), [failed], now=100.0).backoffs["0"].attempts
    1
    """
    since = {reason_key(r.code, r.slot, r.instance): r.since for r in plan.reasons}
    if observed.error:
        return structs.replace(memory, since=since)
    described, observed = observed, without_destroyed(observed, memory)
    tracker = _BackoffTracker(with_surge(desired, observed), observed, memory, now)
    for reason in plan.reasons:
        if (
            reason.slot in tracker.created and not reason.instance and reason.code != "provisioning"
        ):  # a slot that is empty, although one was made in it
            tracker.record_loss(reason.slot)
    for outcome in outcomes:
        if not (outcome.error and (overtaken or is_repeated(memory, outcome))):
            tracker.record_outcome(outcome)
    expected = still_expected(memory, observed, now)
    if plan.actions and not desired.idempotent:
        expected = expected_after(desired, expected, plan.actions, outcomes, now)
    observed_at = now if observed_at is None else observed_at
    unhealthy, readiness_by_id = (
        unhealthy_in_a_row(desired, observed, memory, observed_at),
        readiness(desired, observed, memory, observed_at),
    )
    return Memory(
        tracker.backoffs,
        tracker.created,
        unhealthy,
        readiness_by_id,
        expected,
        tracker.allowances,
        tracker.losses,
        counting_times(memory, unhealthy, observed_at) if unhealthy else {},
        memory.forced and still_forced(memory, plan),
        update_after(desired, observed, memory, plan, outcomes),
        unchecked(desired, observed, memory, outcomes),
        destroyed(desired, described, memory, outcomes, now),
        since,
    )


def with_backoffs(memory: Memory, backoffs: Mapping[str, BackoffState]) -> Memory:
    """Return the memory when something else is desired, with the back-offs that remain; with none,
    a storm is over, too.
    """
    if backoffs:
        return structs.replace(memory, backoffs=backoffs)
    return structs.replace(memory, backoffs={}, allowances={}, losses={})


def record_exits(
    desired: Desired, memory: Memory, exits: Iterable[ReportedExit], now: float
) -> Memory:
    """Return the memory with reported exits entered; before the plan, so that they count for the
    very next attempt.

    The exit of an instance that was not provisioned here, or is not the latest of its slot, is old
    news and not entered.

    >>> born = Memory(created={"0": Creation("i-1", 100.0)})
    >>> once = record_exits(
    ...     Desired("g", "sha", ()),
    ...     born,
    ...     [ReportedExit("0", "i-1", "exit status 1", at=101.0)],
    ...     now=101.0,
    ... )
    >>> once.backoffs["0"].attempts, once.backoffs["0"].not_before <= 101.0
    (1, True)
    """
    exits = list(exits)
    if not exits:
        return memory
    backoffs, created = dict(memory.backoffs), dict(memory.created)
    for reported in exits:
        creation = created.get(reported.slot)
        if creation is None or creation.instance != reported.instance:
            continue
        del created[reported.slot]
        if reported.at - creation.at < YOUNG_FOR:
            backoffs[reported.slot] = _after_short_life(
                desired.group, reported, creation, backoffs.get(reported.slot, NO_BACKOFF), now
            )
    return structs.replace(memory, backoffs=backoffs, created=created)


def retry_refused(memory: Memory) -> Memory:
    """Return the memory after room became free at the plugin: what was refused there is tried again
    at once, nothing else.

    >>> full, crashed = (
    ...     BackoffState(3, 900.0, "no room", refused=True),
    ...     BackoffState(3, 900.0, "died"),
    ... )
    >>> {
    ...     slot: backoff_state.not_before
    ...     for slot, backoff_state in retry_refused(
    ...         Memory({"0": full, "1": crashed})
    ...     ).backoffs.items()
    ... }
    {'0': 0.0, '1': 900.0}
    """
    if not any(backoff_state.refused for backoff_state in memory.backoffs.values()):
        return memory
    waits = {
        slot: structs.replace(t, not_before=0.0) if t.refused else t
        for slot, t in memory.backoffs.items()
    }
    return structs.replace(memory, backoffs=waits)


def _after_short_life(
    group: str, reported: ReportedExit, creation: Creation, before: BackoffState, now: float
) -> BackoffState:
    """Count an instance that did not become old. The first is replaced at once: that may have any
    cause.
    """
    wait = backoff(group, reported.slot, before.attempts) if before.attempts else 0.0
    unproductive = (
        before.unproductive + reported.own_doing if reported.at - creation.at < EARLY else 0
    )
    return BackoffState(
        before.attempts + 1,
        now + wait,
        f"instance {reported.instance} {reported.cause}",
        unproductive=unproductive,
    )


class _BackoffTracker:
    """Back-offs and creations while outcomes are entered; what is over is left out from the
    start.
    """

    def __init__(self, desired: Desired, observed: Observation, memory: Memory, now: float) -> None:
        self._desired, self._now = desired, now
        self.created, self.backoffs = dict(memory.created), dict(memory.backoffs)
        self.allowances = {slot: until for slot, until in memory.allowances.items() if until > now}
        self.losses = {
            second: number for second, number in memory.losses.items() if second >= now - WINDOW
        }
        self._found_missing: dict[str, tuple[float, BackoffState]] = {}
        if not (self.created or self.backoffs):
            return  # as mostly, and then thousands of instances need not be read
        slots = {slot.name for slot in desired.slots}
        self.created = {
            slot: creation
            for slot, creation in self.created.items()
            if now - creation.at < YOUNG_FOR and slot in slots
        }
        if self.backoffs:
            self._drop_finished(observed, slots, was_made=memory.created)

    def _drop_finished(
        self, observed: Observation, slots: set[str], was_made: Mapping[str, Creation]
    ) -> None:
        """Leave out the back-offs that are over."""
        now, present = self._now, {seen.id for seen in observed.instances}
        for seen in observed.instances:
            if seen.slot in self.backoffs and seen.slot in slots and seen.slot not in was_made:
                # its age is not known, as after a restart
                self.created[seen.slot] = Creation(seen.id, now)
        old_enough = {seen.slot for seen in observed.instances} - self.created.keys()
        self.backoffs = {  # an instance that is not described for a while keeps its wait
            key: backoff_state
            for key, backoff_state in self.backoffs.items()
            if (
                key not in old_enough
                if key in slots
                else key in present or now < backoff_state.not_before + EXPECTED_FOR
            )
        }

    def record_loss(self, slot: str) -> None:
        """Enter that the instance of a slot is missing: ended from outside, or never described.
        What the planner destroyed is no loss.

        Beyond the slot's allowance, or before its wait is over, the back-off grows.
        """
        creation, before = self.created[slot], self.backoffs.get(slot, NO_BACKOFF)
        if creation.lost:
            return
        self._found_missing[slot] = self.allowances.get(slot, 0.0), before
        self.created[slot] = Creation(creation.instance, creation.at, lost=True)
        self.losses[int(self._now)] = self.losses.get(int(self._now), 0) + 1
        self.allowances[slot] = use_allowance(self.allowances.get(slot, 0.0), self._now)
        if allowance_is_used_up(self.allowances[slot], self._now) or (
            before.storm and self._now < before.not_before
        ):
            self.backoffs[slot] = structs.replace(
                before, attempts=before.attempts + 1, storm=before.storm + 1
            )

    def record_outcome(self, outcome: Outcome) -> None:
        """Enter one outcome; a replaced unhealthy instance counts like one that ended by itself."""
        action = outcome.action
        key = action.slot if action.verb == "provision" else action.instance
        before = self.backoffs.get(key, NO_BACKOFF)
        if outcome.unreachable:
            not_before = self._now + UNREACHABLE_WAIT
            self.backoffs[key] = BackoffState(
                before.attempts,
                not_before,
                outcome.error,
                unreachable=True,
                unproductive=before.unproductive,
            )
        elif outcome.error:
            attempts = before.attempts + 1
            not_before, unproductive = (
                self._now + backoff(self._desired.group, key, attempts),
                before.unproductive + outcome.unproductive,
            )
            refused = action.verb == "provision" and not (outcome.terminal or unproductive)
            self.backoffs[key] = BackoffState(
                attempts,
                not_before,
                outcome.error,
                outcome.terminal,
                unproductive=unproductive,
                refused=refused,
            )
        elif action.verb == "destroy":
            self.backoffs.pop(key, None)
            self._record_destroyed(action)
        else:
            if key in self._found_missing and outcome.instance == self.created[key].instance:
                before = self._undo_loss(key)
            self.created[key] = Creation(outcome.instance, self._now)
            if key in self.backoffs:
                # for the next one
                wait = (
                    backoff(self._desired.group, key, before.attempts + 1) if before.storm else 0.0
                )
                not_before = self._now + wait if wait else 0.0
                self.backoffs[key] = structs.replace(
                    before, not_before=not_before, terminal=False, unreachable=False
                )

    def _undo_loss(self, slot: str) -> BackoffState:
        """Take back a loss that was none, as the plugin says that the instance lives in its slot;
        return the slot's back-off.
        """
        self.allowances[slot], before = self._found_missing.pop(slot)
        self.losses[int(self._now)] -= 1
        if before is NO_BACKOFF:
            self.backoffs.pop(slot, None)
        else:
            self.backoffs[slot] = before
        return before

    def _record_destroyed(self, action: Action) -> None:
        """Enter that an instance was destroyed; if it was unhealthy and young, like one that ended
        by itself.
        """
        creation, before = self.created.get(action.slot), self.backoffs.get(action.slot, NO_BACKOFF)
        if creation is None or creation.instance != action.instance:
            return
        del self.created[action.slot]
        if action.code == "unhealthy":
            reported = ReportedExit(action.slot, action.instance, "was unhealthy", self._now)
            self.backoffs[action.slot] = _after_short_life(
                self._desired.group, reported, creation, before, self._now
            )
        elif before.storm:
            self.backoffs[action.slot] = structs.replace(before, not_before=0.0)
