"""What to do next, and why: the one planner. The loop, ``why``, a dry run and the simulator all
execute this same plan.

``plan`` goes by slots, never by counts: an empty slot is filled, an instance without a slot is
surplus, an outdated one is replaced when its turn comes. Asking has no effect. The rules are here,
in ``assignment`` and in ``rolling``; the memory they need is made by ``settle``.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..spi.documents import Health
from ..spi.plans import Plan, Reason
from .assignment import Assignment, assign
from .desired import Desired
from .expectations import without_destroyed
from .health import unchecked, unhealthy_in_a_row
from .model import Memory, Observation
from .plan_builder import PlanBuilder
from .rolling import (
    awaits_update,
    is_awaiting_readiness,
    is_mixed,
    is_rolling,
    is_stuck,
    roll,
    with_surge,
)

UNHEALTHY_SHARE = 0.4
"""Share of the group above which (and above one instance) the cause is not the unhealthy instances
themselves: stop replacing them.
"""


def plan(desired: Desired, observed: Observation, memory: Memory, now: float) -> Plan:
    """Return the actions to take now, and a reason for everything that is not as wanted.

    ``now``: seconds of a clock that no setting of the date moves and that goes on over restarts; so
    are all times in ``memory`` and in the reasons. Pure: the same arguments give the same plan. On
    a doubtful observation there is no action.

    >>> from ikdemo.reconcile.desired import Slot
    >>> from ikdemo.spi.plans import ObservedInstance
    >>> group = Desired("g", "sha", (Slot("0"), Slot("1")))
    >>> todo = plan(
    ...     group, Observation((ObservedInstance("i-7", slot="0", sha="sha"),)), Memory(), now=0.0
    ... )
    >>> [(a.verb, a.slot, a.code) for a in todo.actions], todo.converged
    ([('provision', '1', 'missing')], False)
    """
    if observed.error:
        builder = PlanBuilder(desired, observed, memory, now)
        builder.because("plugin-unreachable", observed.error, awaits="the plugin to answer")
        return builder.finish(converged=False)
    described, observed = observed, without_destroyed(observed, memory)
    size, desired = len(desired.slots), with_surge(desired, observed)
    builder = PlanBuilder(desired, observed, memory, now)
    if described is not observed:
        _name_destroyed(builder, described)
    if desired.destroying:
        for seen in observed.instances:
            builder.destroy(seen, "surplus", "the group is being destroyed")
        # one that appears after the group is forgotten would be left for ever
        if expected := builder.expected():
            text = f"{len(expected)} instances were asked for and have not been seen yet"
            builder.because("provisioning", text, awaits="their descriptions, to destroy them")
        return builder.finish(converged=not described.instances and not expected)
    unhealthy = {
        one
        for one, times in unhealthy_in_a_row(desired, observed, memory, now).items()
        if times >= desired.unhealthy_after
    }
    assignment = assign(desired, observed.instances, unhealthy)
    _remove_surplus(builder, assignment)
    rolling = is_rolling(desired, observed) or is_awaiting_readiness(desired, memory)
    stuck = rolling and is_stuck(builder, assignment)
    # what the update has not taken yet is healed as before; what it brought is left for inspection
    if stuck:
        unhealthy -= {seen.id for seen in observed.instances if seen.sha == desired.sha}
    if unhealthy and (stuck or not rolling):
        _replace_unhealthy(builder, assignment, unhealthy)
    if len(assignment.occupants) < len(desired.slots):
        _fill_missing(builder, assignment, size, stuck=stuck)
        builder.name_storm()
    else:
        _name_expected(builder)
    if rolling:
        roll(builder, assignment)
    else:
        _name_unchecked(builder, assignment)
        if is_mixed(desired, observed):
            _name_outdated(builder, assignment)
    if observed.health_error:
        text = f"the health of its instances is not known: {observed.health_error}"
        builder.because("plugin-unreachable", text, awaits="the flavor plugin to answer")
    return builder.finish(converged=not builder.reasons)


def _name_destroyed(builder: PlanBuilder, described: Observation) -> None:
    """Destroy what was destroyed and is still described once more, but not before its time."""
    for seen in described.instances:
        destroyed = builder.memory.destroyed.get(seen.id)
        if destroyed is None:
            continue
        if builder.now >= destroyed.not_before:
            builder.destroy(
                seen, "draining", "it was destroyed and is still described", slot=seen.slot or ""
            )
            continue
        builder.wakes.append(destroyed.not_before)
        text = f"instance {seen.id} was destroyed and is still described"
        if destroyed.error:
            text += f"; doing it again failed: {destroyed.error}"
        builder.because(
            "draining",
            text,
            instance=seen.id,
            awaits="its description to end",
            error=destroyed.error,
        )


def _remove_surplus(builder: PlanBuilder, assignment: Assignment) -> None:
    """Destroy what has no slot; an unmanaged instance, which may be wanted, is only named."""
    for seen in assignment.surplus:
        builder.destroy(seen, "surplus", "it has no slot in the group")
    for seen in assignment.unmanaged:
        text = f"instance {seen.id} has no logical ID; it is left alone"
        builder.because("surplus", text, instance=seen.id, awaits="a person")


def _replace_unhealthy(builder: PlanBuilder, assignment: Assignment, unhealthy: set[str]) -> None:
    """Replace unhealthy occupants, unless so many are unhealthy that replacing them would only do
    harm.

    A person may know better, and force it.
    """
    unhealthy_ones = [(slot, seen) for slot, seen in assignment.living() if seen.id in unhealthy]
    size = len(builder.desired.slots)
    if len(unhealthy_ones) > max(1, int(UNHEALTHY_SHARE * size)) and not builder.memory.forced:
        text = (
            f"{len(unhealthy_ones)} of {size} instances are unhealthy; replacing them has "
            "stopped, resume replaces them once"
        )
        for slot, seen in unhealthy_ones:
            builder.because(
                "too-many-sick",
                text,
                slot=slot,
                instance=seen.id,
                awaits="fewer sick instances, or to be resumed",
            )
        return
    enough = builder.desired.unhealthy_after
    cause = f"it was unhealthy {enough} times in a row" if enough > 1 else "it is unhealthy"
    for slot, seen in unhealthy_ones:
        if seen.health is Health.UNHEALTHY:
            builder.destroy(seen, "unhealthy", cause, slot=slot)
        else:  # not asked in this pass: it may be healthy again
            builder.because(
                "unhealthy",
                f"instance {seen.id}: {cause}",
                slot=slot,
                instance=seen.id,
                awaits="news of its health",
            )


def _fill_missing(builder: PlanBuilder, assignment: Assignment, size: int, *, stuck: bool) -> None:
    """Provision empty slots, but never beyond the size (what is surplus has to be gone first) nor
    while one is expected.

    Those of the first ``size`` slots that a ``stuck`` update has not taken are filled as they were.
    """
    slots = builder.desired.slots
    empty = [slot for slot in slots if slot.name not in assignment.occupants]
    expected = builder.expected()
    room = len(slots) - len(assignment.occupants) - len(assignment.surplus) - len(expected)
    elsewhere = expected - {slot.name for slot in empty}  # whose slot is filled by another one
    for slot in empty:
        if slot.name in expected or (elsewhere and room <= 0):
            text = "an instance was asked for and has not been seen yet"
            backoff_state = builder.memory.backoffs.get(slot.name)
            before = f"; the attempt before failed: {backoff_state.error}" if backoff_state else ""
            builder.because("provisioning", text + before, slot=slot.name, awaits="its description")
        elif not (
            stuck and slot in slots[:size] and awaits_update(builder.desired, builder.memory, slot)
        ):
            room -= builder.provision(slot, has_room=room > 0)
        elif builder.desired.good:
            room -= builder.provision(slot, has_room=room > 0, sha=builder.desired.good)
        else:
            text = (
                "no instance in this slot; the update has stopped, and no configuration is "
                "known to have been good before it"
            )
            builder.because("halted", text, slot=slot.name, awaits="another commit")


def _name_expected(builder: PlanBuilder) -> None:
    """Say of a group whose slots are full that one more was asked for: it has no slot when it
    comes.
    """
    for slot in sorted(builder.expected()):
        text = (
            "an instance was asked for and has not been seen yet; another one is in its slot by now"
        )
        builder.because("provisioning", text, slot=slot, awaits="its description, to destroy it")


def _name_unchecked(builder: PlanBuilder, assignment: Assignment) -> None:
    """Name the instances of which it is not known yet whether they are healthy: no answer is not
    health."""
    waiting = unchecked(builder.desired, builder.observed, builder.memory)
    for slot, seen in assignment.living() if waiting else ():
        if seen.id in waiting:
            text = f"instance {seen.id} has not been judged by its flavor yet"
            builder.because(
                "health-unknown", text, slot=slot, instance=seen.id, awaits="its first answer"
            )


def _name_outdated(builder: PlanBuilder, assignment: Assignment) -> None:
    """Say which instances were adopted with another configuration; a first commit leaves them as
    they are.
    """
    for slot, seen in assignment.living():
        if seen.sha != builder.desired.sha:
            text = f"instance {seen.id} was adopted with an older configuration"
            builder.because(
                "adopted-outdated", text, slot=slot, instance=seen.id, awaits="the next commit"
            )


def sentences(reasons: Iterable[Reason]) -> tuple[str, ...]:
    """Return one sentence per reason, for people.

    >>> sentences(
    ...     (Reason("missing", "no instance in this slot", slot="3", awaits="its provisioning"),)
    ... )
    ('slot 3: no instance in this slot (missing), waiting for its provisioning',)
    """
    out = []
    for reason in reasons:
        where = f"slot {reason.slot}: " if reason.slot else ""
        error = f": {reason.error}" if reason.error and reason.error not in reason.text else ""
        awaits = f", waiting for {reason.awaits}" if reason.awaits else ""
        out.append(f"{where}{reason.text}{error} ({reason.code}){awaits}")
    return tuple(out)
