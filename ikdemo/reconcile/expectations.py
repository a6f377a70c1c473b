"""What was done that descriptions do not show yet: instances asked for that have not appeared, and
instances destroyed that have not disappeared.

Expectations are for plugins without slots. Such a plugin makes one instance each time it is asked,
so the request has to be remembered, and stored, before it is sent; none is made while one is
expected. What was destroyed is left out of every observation, and destroyed again after a while if
it is still described. One rule for ``plan``, which waits, and for ``settle``, which remembers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import structs

from ..spi.plans import Action, Outcome
from .backoff import CAP
from .desired import Desired
from .model import EXPECTED_FOR, Destroyed, Expected, Memory, Observation


def expect(desired: Desired, memory: Memory, actions: Iterable[Action], now: float) -> Memory:
    """Return the memory before ``actions`` are begun: what they ask for is expected, however they
    end.

    >>> asked = expect(
    ...     Desired("g", "sha", (), idempotent=False),
    ...     Memory(),
    ...     [Action("provision", "missing", "0")],
    ...     now=1.0,
    ... )
    >>> asked.expected["0"].until, asked.expected["0"].sha
    (31.0, 'sha')
    """
    asked = {a.slot: _expected(desired, a, "", now) for a in actions if a.verb == "provision"}
    if desired.idempotent or not asked:
        return memory
    return structs.replace(memory, expected={**memory.expected, **asked})


def still_expected(memory: Memory, observed: Observation, now: float) -> dict[str, Expected]:
    """Return what is expected after an observation, by slot: neither what has appeared nor what has
    been expected for too long.
    """
    if not memory.expected:
        return {}
    seen = {one.id for one in observed.instances}
    return {
        slot: one
        for slot, one in memory.expected.items()
        if one.instance not in seen and slot not in observed.fulfilled and now < one.until
    }


def expected_after(
    desired: Desired,
    expected: Mapping[str, Expected],
    actions: Iterable[Action],
    outcomes: Iterable[Outcome],
    now: float,
) -> dict[str, Expected]:
    """Return what is expected after ``actions``: nothing that was refused, or not begun at all."""
    after = dict(expected)
    for action in actions:
        if action.verb == "provision":
            after.pop(action.slot, None)
    for outcome in outcomes:
        if outcome.action.verb == "provision" and (outcome.unknown or not outcome.error):
            after[outcome.action.slot] = _expected(desired, outcome.action, outcome.instance, now)
    return after


def _expected(desired: Desired, action: Action, instance: str, now: float) -> Expected:
    return Expected(now + EXPECTED_FOR, instance, action.logical_id, action.sha or desired.sha)


FIRST_WAIT = 1.0
"""Seconds after which an instance that is still described is destroyed for the second time; doubled
from then on.
"""


def without_destroyed(observed: Observation, memory: Memory) -> Observation:
    """Return an observation without the instances that were destroyed.

    >>> from ikdemo.spi.plans import ObservedInstance
    >>> observed = Observation((ObservedInstance("a"), ObservedInstance("b")))
    >>> [
    ...     seen.id
    ...     for seen in without_destroyed(
    ...         observed, Memory(destroyed={"a": Destroyed(1, 0.0, 1.0)})
    ...     ).instances
    ... ]
    ['b']
    """
    if not memory.destroyed:
        return observed
    return structs.replace(
        observed, instances=tuple(s for s in observed.instances if s.id not in memory.destroyed)
    )


def is_repeated(memory: Memory, outcome: Outcome) -> bool:
    """Say whether an outcome is about an instance that was destroyed before: a refusal is no reason
    to back off then.
    """
    return (
        outcome.action.verb == "destroy"
        and outcome.action.instance in memory.destroyed
        and not outcome.unreachable
    )


def destroyed(
    desired: Desired, observed: Observation, memory: Memory, outcomes: Iterable[Outcome], now: float
) -> dict[str, Destroyed]:
    """Return what was destroyed, after a pass, by ID; an instance that is not described any longer
    is forgotten, unless it may be described again.
    """
    present = {seen.id for seen in observed.instances} if memory.destroyed else set()
    after = {
        instance: one
        for instance, one in memory.destroyed.items()
        if instance in present or (not desired.idempotent and now < one.at + EXPECTED_FOR)
    }
    for outcome in outcomes:
        action = outcome.action
        if action.verb == "destroy" and (not outcome.error or is_repeated(memory, outcome)):
            times = after[action.instance].times + 1 if action.instance in after else 1
            not_before = now + min(CAP, FIRST_WAIT * 2.0 ** min(times - 1, 16))
            after[action.instance] = Destroyed(times, now, not_before, outcome.error)
        elif action.verb == "provision" and not outcome.error:
            after.pop(outcome.instance, None)  # an ID that is used again
    return after
