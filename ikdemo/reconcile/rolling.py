"""Rolling updates: which outdated instances leave next, and what that has to wait for.

An update is under way while an outdated instance is observed and the spec rolls, and then until
the last batch is ready; it goes on after a restart and is rolled back by committing the old spec.
While it is under way an unhealthy new instance stops it and is left for inspection; what is lost
meanwhile in slots that the update has not taken yet is provisioned as it was.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import structs

from ..spi.documents import Health
from ..spi.plans import ObservedInstance, Outcome, Plan
from .assignment import Assignment
from .desired import Desired, Slot, slot_number
from .model import Memory, Observation, Readiness, Update
from .plan_builder import PlanBuilder


def is_mixed(desired: Desired, observed: Observation) -> bool:
    """Say whether an observed instance has another configuration than the desired one."""
    return bool({seen.sha for seen in observed.instances} - {desired.sha})


def is_rolling(desired: Desired, observed: Observation) -> bool:
    """Say whether an update is under way."""
    if not desired.rolls or desired.destroying or not is_mixed(desired, observed):
        return False
    return any(
        s.sha != desired.sha and not (desired.pets and s.logical_id is None)
        for s in observed.instances
    )


def is_awaiting_readiness(desired: Desired, memory: Memory) -> bool:
    """Say whether the last batch of an update, after which nothing outdated may be left, is not
    ready yet.
    """
    update = memory.update
    return (
        desired.rolls
        and not desired.destroying
        and update is not None
        and update.sha == desired.sha
    )


def is_stuck(builder: PlanBuilder, assignment: Assignment) -> bool:
    """Say whether an update cannot go on: what it brought is unhealthy, cannot be provisioned, or
    is not ready after a failure.
    """
    desired, memory = builder.desired, builder.memory
    for seen in builder.observed.instances:
        unhealthy = seen.health is Health.UNHEALTHY or (
            seen.health is Health.UNKNOWN and seen.id in memory.unhealthy
        )
        if unhealthy and seen.sha == desired.sha:
            return True
    readiness_by_id = (
        readiness(desired, builder.observed, memory, builder.now) if memory.backoffs else {}
    )
    for name in memory.backoffs.keys() & _taken(desired, memory):
        backoff_state, seen_there = memory.backoffs[name], assignment.occupants.get(name)
        if not backoff_state.attempts or backoff_state.storm:
            continue
        if seen_there is None or _not_ready_because(
            builder, seen_there, readiness_by_id.get(seen_there.id)
        ):
            return True
    return False


def awaits_update(desired: Desired, memory: Memory, slot: Slot) -> bool:
    """Say whether the update that is under way has not taken an empty slot yet, so that the slot
    stays what it was.
    """
    return slot.name not in _taken(desired, memory)


def _taken(desired: Desired, memory: Memory) -> frozenset[str]:
    return (
        memory.update.taken if memory.update and memory.update.sha == desired.sha else frozenset()
    )


def update_after(
    desired: Desired, observed: Observation, memory: Memory, plan: Plan, outcomes: Iterable[Outcome]
) -> Update | None:
    """Return the update that is under way after a pass; None when there is none, or when all of it
    is done and ready.
    """
    if not is_rolling(desired, observed) and (
        not is_awaiting_readiness(desired, memory) or plan.converged or not desired.pace.waits
    ):
        return None
    before = (
        memory.update if memory.update and memory.update.sha == desired.sha else Update(desired.sha)
    )
    tried = [outcome.action for outcome in outcomes]
    taken = {
        action.slot
        for action in tried
        if action.code == "outdated" or (action.verb == "provision" and not action.sha)
    }
    return before if taken <= before.taken else Update(desired.sha, before.taken | taken)


def with_surge(desired: Desired, observed: Observation) -> Desired:
    """Return what is desired with the further slots that an update may use, until every slot proper
    is filled again.

    What lives in slots beyond those (after a scale-down) is no part of an update: it stays where it
    is.

    >>> from ikdemo.reconcile.desired import Pace
    >>> group = Desired("g", "new", (Slot("0"),), pace=Pace(surge=1))
    >>> [
    ...     slot.name
    ...     for slot in with_surge(
    ...         group, Observation((ObservedInstance("i", slot="0", sha="old"),))
    ...     ).slots
    ... ]
    ['0', '1']
    >>> [
    ...     slot.name
    ...     for slot in with_surge(
    ...         group, Observation((ObservedInstance("i", slot="0", sha="new"),))
    ...     ).slots
    ... ]
    ['0']
    """
    if not desired.pace.surge or desired.pets or desired.destroying or not desired.rolls:
        return desired
    size = len(desired.slots)
    further = tuple(Slot(str(size + n)) for n in range(desired.pace.surge))
    current = [seen.slot for seen in observed.instances if seen.sha == desired.sha]
    proper, more, held = set(_names(desired.slots)), set(_names(further)), set(current)
    filled = len(current) >= size if desired.ranks_by_id else held >= proper
    replacing = held & more and held <= proper | more and not filled
    if not replacing and not is_rolling(desired, observed):
        return desired
    return structs.replace(desired, slots=desired.slots + further)


def _names(slots: tuple[Slot, ...]) -> list[str]:
    return [slot.name for slot in slots]


def roll(builder: PlanBuilder, assignment: Assignment) -> None:
    """Replace one batch of outdated instances if every slot is filled and every new instance is
    ready.

    The unhealthy leave first, then the highest slot; of a plugin without slots the lowest ID, as in
    InfraKit.
    """
    sha, by_id = builder.desired.sha, builder.desired.ranks_by_id
    leaving = {action.instance for action in builder.actions}
    outdated = [
        (slot, seen)
        for slot, seen in assignment.living()
        if seen.sha != sha and seen.id not in leaving
    ]
    outdated.sort(key=lambda pair: (pair[1].id,) if by_id else _descending(pair[0]))
    outdated.sort(key=lambda pair: pair[1].health is not Health.UNHEALTHY)
    blocked_by = _blocked_by(builder, assignment)
    for number, (slot, seen) in enumerate(outdated):
        if number < builder.desired.pace.batch and not blocked_by:
            builder.destroy(seen, "outdated", "its configuration is outdated", slot=slot)
        elif seen.health is Health.UNHEALTHY:
            text = f"instance {seen.id} of an older configuration is unhealthy"
            builder.because(
                "unhealthy", text, slot=slot, instance=seen.id, awaits=blocked_by or "its turn"
            )
        else:
            text = f"instance {seen.id} has an older configuration"
            backoff_state = builder.memory.backoffs.get(slot)
            before = (
                f"the one before it: {backoff_state.error}"
                if backoff_state and backoff_state.error
                else ""
            )
            builder.because(
                "outdated",
                text,
                slot=slot,
                instance=seen.id,
                awaits=blocked_by or "its turn",
                error=before,
            )


def readiness(
    desired: Desired, observed: Observation, memory: Memory, now: float
) -> dict[str, Readiness]:
    """Return the readiness by instance ID after an observation: a healthy answer adds to it, an
    unhealthy one ends it, an unknown one changes nothing.

    Answers that come sooner than a poll after the one counted before are not counted.
    """
    if not (is_rolling(desired, observed) or is_awaiting_readiness(desired, memory)):
        return {}
    readiness_by_id = {}
    for seen in observed.instances:
        before = memory.readiness.get(seen.id)
        if seen.health is Health.HEALTHY:
            if before is None:
                readiness_by_id[seen.id] = Readiness(1, now, now)
            else:
                adds = desired.is_another(before.latest, now)
                readiness_by_id[seen.id] = Readiness(
                    before.answers + adds, before.since, now if adds else before.latest
                )
        elif before and seen.health is Health.UNKNOWN:
            readiness_by_id[seen.id] = before
    return readiness_by_id


def _blocked_by(builder: PlanBuilder, assignment: Assignment) -> str:
    """Say what the next batch has to wait for, or nothing; the reasons for it are given."""
    current = [
        (slot, seen) for slot, seen in assignment.living() if seen.sha == builder.desired.sha
    ]
    for slot, seen in current:
        if seen.health is Health.UNHEALTHY:
            text = (
                f"instance {seen.id} of the new configuration is unhealthy; the update has stopped"
            )
            builder.because(
                "halted", text, slot=slot, instance=seen.id, awaits="its health, or another commit"
            )
            return f"instance {seen.id} to be healthy"
    if len(assignment.occupants) < len(builder.desired.slots):
        return "every slot to be filled"
    readiness_by_id = readiness(builder.desired, builder.observed, builder.memory, builder.now)
    for slot, seen in current:
        if not_ready := _not_ready_because(builder, seen, readiness_by_id.get(seen.id)):
            builder.because(
                "health-unknown",
                f"instance {seen.id} {not_ready}",
                slot=slot,
                instance=seen.id,
                awaits="its health",
            )
            return f"instance {seen.id} to prove itself"
    return "instances that leave to be gone" if builder.actions else ""


def _not_ready_because(
    builder: PlanBuilder, seen: ObservedInstance, shown: Readiness | None
) -> str:
    """Say why a new instance is not ready yet; empty if it is."""
    pace = builder.desired.pace
    if shown is None:
        return "has not been called healthy yet"
    if shown.answers < pace.count:
        return f"was healthy {shown.answers} of {pace.count} times"
    if builder.now - shown.since < pace.min_ready:
        builder.wakes.append(shown.since + pace.min_ready)
        return f"was healthy for {int(builder.now - shown.since)} of {pace.min_ready:g} seconds"
    return ""


def _descending(slot: str) -> tuple[int, ...]:
    """Sort key that puts the highest slot first: numbers by value, pets by their logical ID and
    then by the occurrence's value.

    >>> sorted(["a#1", "a#10", "a#2", "ab#0"], key=_descending)
    ['ab#0', 'a#10', 'a#2', 'a#1']
    """
    number = slot_number(slot)
    if number is not None:
        return (-number,)
    name, _, occurrence = slot.rpartition("#")
    number = slot_number(occurrence)
    text, last = (slot, 0) if number is None else (name, -number)
    return (*(-ord(c) for c in text), 1, last)
