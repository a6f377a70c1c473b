"""What was destroyed and is described all the same: an eventually consistent plugin shows it a while longer.

It is neither drained nor destroyed again at every look, and it takes no room. One rule for ``plan`` and ``settle``. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import structs

from ..spi.plans import Outcome
from .backoff import CAP
from .model import EXPECTED_FOR, Desired, Ended, Memory, Observation

FIRST_WAIT = 1.0
"""Seconds after which an instance that is still described is destroyed for the second time; doubled from then on."""


def without_ended(observed: Observation, memory: Memory) -> Observation:
    """Return an observation without the instances that were destroyed.

    >>> from ikdemo.spi.plans import Seen
    >>> look = Observation((Seen("a"), Seen("b")))
    >>> [seen.id for seen in without_ended(look, Memory(ended={"a": Ended(1, 0.0, 1.0)})).instances]
    ['b']
    """
    if not memory.ended:
        return observed
    return structs.replace(observed, instances=tuple(s for s in observed.instances if s.id not in memory.ended))


def is_repeated(memory: Memory, outcome: Outcome) -> bool:
    """Say whether an answer is about what was destroyed before: a refusal counts then, and is no trouble of its own."""
    return outcome.action.verb == "destroy" and outcome.action.instance in memory.ended and not outcome.unreachable


def ended(desired: Desired, observed: Observation, memory: Memory, outcomes: Iterable[Outcome], now: float) -> dict[str, Ended]:
    """Return what was destroyed, after a pass; what is not described any longer is forgotten, unless it may come back."""
    present = {seen.id for seen in observed.instances} if memory.ended else set()
    after = {
        instance: one
        for instance, one in memory.ended.items()
        if instance in present or (not desired.idempotent and now < one.at + EXPECTED_FOR)
    }
    for outcome in outcomes:
        action = outcome.action
        if action.verb == "destroy" and (not outcome.error or is_repeated(memory, outcome)):
            times = after[action.instance].times + 1 if action.instance in after else 1
            not_before = now + min(CAP, FIRST_WAIT * 2.0 ** min(times - 1, 16))
            after[action.instance] = Ended(times, now, not_before, outcome.error)
        elif action.verb == "provision" and not outcome.error:
            after.pop(outcome.instance, None)  # an ID that is used again
    return after
