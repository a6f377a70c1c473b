"""Works out what is remembered after a pass: back-offs, unhealthy answers in a row, expectations,
since when.

Only this file makes a ``Memory`` from the outcomes of a plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import structs

from ..spi.plans import Outcome, Plan
from .backoff import NO_BACKOFF, YOUNG_FOR, BackoffTracker, after_short_life
from .desired import Desired
from .expectations import destroyed, expected_after, is_repeated, still_expected, without_destroyed
from .health import counting_times, still_forced, unchecked, unhealthy_in_a_row
from .model import BackoffState, Memory, Observation, ReportedExit, reason_key
from .rolling import readiness, update_after, with_surge


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

    >>> from ikdemo.reconcile.desired import Slot
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
    tracker = BackoffTracker(with_surge(desired, observed), observed, memory, now)
    for reason in plan.reasons:
        is_empty = not reason.instance and reason.code != "provisioning"
        if is_empty and reason.slot in tracker.created:  # although one was made in it
            tracker.record_loss(reason.slot)
    for outcome in outcomes:
        if not (outcome.error and (overtaken or is_repeated(memory, outcome))):
            tracker.record_outcome(outcome)
    expected = still_expected(memory, observed, now)
    if plan.actions and not desired.idempotent:
        expected = expected_after(desired, expected, plan.actions, outcomes, now)
    observed_at = now if observed_at is None else observed_at
    unhealthy = unhealthy_in_a_row(desired, observed, memory, observed_at)
    readiness_by_id = readiness(desired, observed, memory, observed_at)
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

    >>> from ikdemo.reconcile.model import Creation
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
            backoffs[reported.slot] = after_short_life(
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
