"""What was asked of a plugin without slots and has not been seen yet: none is made while one is expected.

Such a plugin makes one instance for each time it is asked, so the question itself has to be remembered, and before it is asked.
One rule for ``plan``, which waits, for ``settle``, which remembers, and for the supervisor, which makes it last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import structs

from ..spi.plans import Action, Outcome
from .model import EXPECTED_FOR, Desired, Expected, Memory, Observation


def expect(desired: Desired, memory: Memory, actions: Iterable[Action], now: float) -> Memory:
    """Return the memory before ``actions`` are begun: what they ask for is expected, however they end.

    >>> asked = expect(Desired("g", "sha", (), idempotent=False), Memory(), [Action("provision", "missing", "0")], now=1.0)
    >>> asked.expected["0"].until, asked.expected["0"].sha
    (31.0, 'sha')
    """
    asked = {a.slot: _expected(desired, a, "", now) for a in actions if a.verb == "provision"}
    if desired.idempotent or not asked:
        return memory
    return structs.replace(memory, expected={**memory.expected, **asked})


def still_expected(memory: Memory, observed: Observation, now: float) -> dict[str, Expected]:
    """Return what is expected after an observation by slot: not what has come, nor what was awaited for too long."""
    if not memory.expected:
        return {}
    seen = {one.id for one in observed.instances}
    return {
        slot: one
        for slot, one in memory.expected.items()
        if one.instance not in seen and slot not in observed.fulfilled and now < one.until
    }


def answered(
    desired: Desired, expected: Mapping[str, Expected], actions: Iterable[Action], outcomes: Iterable[Outcome], now: float
) -> dict[str, Expected]:
    """Return what is expected after ``actions``: nothing of what was refused, or was not begun at all."""
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
