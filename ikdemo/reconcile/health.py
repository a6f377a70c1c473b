"""Whether an instance is unhealthy: unhealthy answers in a row, and what its flavor reported.

One rule for ``plan``, which acts on it, and ``settle``, which remembers it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import structs

from ..spi.documents import Health
from ..spi.plans import Outcome, Plan
from .desired import Desired
from .model import Memory, Observation


def unchecked(
    desired: Desired, observed: Observation, memory: Memory, outcomes: Iterable[Outcome] = ()
) -> frozenset[str]:
    """Return the instances, those just created included, of which their flavor has not said yet
    whether they are healthy.

    >>> from ikdemo.spi.plans import ObservedInstance
    >>> group, observed = (
    ...     Desired("g", "sha", (), health_checked=True),
    ...     Observation((ObservedInstance("a"),), new=frozenset({"a"})),
    ... )
    >>> (
    ...     sorted(unchecked(group, observed, Memory())),
    ...     sorted(unchecked(Desired("g", "sha", ()), observed, Memory())),
    ... )
    (['a'], [])
    """
    if not desired.health_checked:
        return frozenset()
    created = {o.instance for o in outcomes if o.action.verb == "provision" and not o.error}
    waiting = set(memory.unchecked | observed.new)
    if waiting:
        waiting = {
            seen.id
            for seen in observed.instances
            if seen.id in waiting and seen.health is Health.UNKNOWN
        }
    return frozenset(waiting | created)


def apply_reported_health(desired: Desired, memory: Memory, reported: Iterable[str]) -> Memory:
    """Return the memory after a flavor has reported instances as unhealthy: one unhealthy answer is
    enough now.

    A flavor checks more than once before it reports, and the next answer shows whether that still
    holds. It counts however soon it comes.

    >>> apply_reported_health(
    ...     Desired("g", "sha", (), unhealthy_after=3), Memory(unhealthy={"a": 1}), ["a", "b"]
    ... ).unhealthy
    {'a': 2, 'b': 2}
    """
    enough = desired.unhealthy_after - 1
    news = {one: max(enough, memory.unhealthy.get(one, 0)) for one in reported if enough}
    if not news:
        return memory
    counted_at = {one: when for one, when in memory.counted_at.items() if one not in news}
    return structs.replace(memory, unhealthy={**memory.unhealthy, **news}, counted_at=counted_at)


def force_replacement(memory: Memory) -> Memory:
    """Return the memory after a person has said, by a resume, that the unhealthy are to be
    replaced, however many they are: once.
    """
    return structs.replace(memory, forced=True)


def still_forced(memory: Memory, plan: Plan) -> bool:
    """Say whether a person's word still waits for a pass that replaces the unhealthy; where none is
    unhealthy it waits no longer.

    >>> from ikdemo.spi.plans import Reason
    >>> unhealthy = Plan(
    ...     reasons=(Reason("too-many-sick", "2 of 2 instances are unhealthy", slot="0"),)
    ... )
    >>> (
    ...     still_forced(force_replacement(Memory()), unhealthy),
    ...     still_forced(force_replacement(Memory()), Plan()),
    ...     still_forced(Memory(), unhealthy),
    ... )
    (True, False, False)
    """
    acts = any(action.code == "unhealthy" for action in plan.actions)
    waits = any(
        reason.code in ("unhealthy", "too-many-sick", "plugin-unreachable")
        for reason in plan.reasons
    )
    return memory.forced and waits and not acts


def unhealthy_in_a_row(
    desired: Desired, observed: Observation, memory: Memory, now: float
) -> dict[str, int]:
    """Return instance ID to unhealthy answers in a row, this observation's (of ``now``) included;
    the healthy are left out.

    An unknown answer is no evidence: it neither adds to the count nor ends it. An answer that comes
    sooner than a poll after the last counted one adds nothing, either.

    >>> from ikdemo.spi.plans import ObservedInstance
    >>> seen = (
    ...     ObservedInstance("a", health=Health.UNHEALTHY),
    ...     ObservedInstance("b", health=Health.HEALTHY),
    ...     ObservedInstance("c"),
    ... )
    >>> group, before = (
    ...     Desired("g", "sha", (), poll=10.0),
    ...     Memory(unhealthy={"a": 1, "b": 2, "c": 3}, counted_at={"a": 100.0}),
    ... )
    >>> unhealthy_in_a_row(group, Observation(seen), before, now=110.0)
    {'a': 2, 'c': 3}
    >>> unhealthy_in_a_row(group, Observation(seen), before, now=101.0)
    {'a': 1, 'c': 3}
    """
    healthy, unhealthy = Health.HEALTHY, Health.UNHEALTHY
    suspects = (
        observed.instances
        if memory.unhealthy
        else [seen for seen in observed.instances if seen.health is unhealthy]
    )
    counts = {}
    for seen in suspects:
        before = memory.unhealthy.get(seen.id, 0)
        adds = seen.health is unhealthy and desired.is_another(memory.counted_at.get(seen.id), now)
        count = 0 if seen.health is healthy else before + adds
        if count:
            counts[seen.id] = count
    return counts


def counting_times(memory: Memory, unhealthy: Mapping[str, int], now: float) -> dict[str, float]:
    """Return when the last unhealthy answer of each was counted, after those of ``now`` have made
    ``unhealthy`` of it.
    """
    counted = {
        one: now if times > memory.unhealthy.get(one, 0) else memory.counted_at.get(one)
        for one, times in unhealthy.items()
    }
    return {one: when for one, when in counted.items() if when is not None}
