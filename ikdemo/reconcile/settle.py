"""What is remembered after a pass: attempts and waits, consecutive unhealthy answers, what is expected, since when.

Called by the supervisor and the simulator after the outcomes of a plan are known; the only maker of ``Memory``.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import structs

from ..spi.documents import Health
from ..spi.plans import Outcome, Plan
from .backoff import backoff
from .rolling import proven, with_surge
from .world import Desired, Memory, Observation, Trouble

EXPECTED_FOR = 30.0
"""Seconds for which an instance asked of a plugin without slots is awaited before it is asked for again."""


UNREACHABLE_WAIT = 1.0
"""Seconds until a plugin that could not be reached is asked again; its coming back usually wakes the loop before."""


def settle(
    desired: Desired, observed: Observation, memory: Memory, plan: Plan, outcomes: Iterable[Outcome], now: float
) -> Memory:
    """Return the memory after a pass.

    A doubtful observation changes nothing but since when. Trouble is forgotten with the first success.

    >>> from ikdemo.reconcile.world import Slot
    >>> from ikdemo.spi.plans import Action
    >>> group = Desired("g", "sha", (Slot("0"),))
    >>> failed = Outcome(Action("provision", "missing", "0"), error="no room")
    >>> settle(group, Observation(), Memory(), Plan(), [failed], now=100.0).troubled["0"].attempts
    1
    """
    since: dict[tuple[str, str, str], float] = {(r.code, r.slot, r.instance): r.since for r in plan.reasons}
    if observed.error:
        return structs.replace(memory, since=since)
    desired = with_surge(desired, observed)
    present = {seen.id for seen in observed.instances}
    keys = present | {slot.name for slot in desired.slots}
    troubled = {key: trouble for key, trouble in memory.troubled.items() if key in keys}
    expected = {key: until for key, until in memory.expected.items() if until > now and key not in present}
    for outcome in outcomes:
        key = outcome.action.slot if outcome.action.verb == "provision" else outcome.action.instance
        if outcome.error:
            troubled[key] = _trouble(desired.group, key, troubled.get(key), outcome, now)
        else:
            troubled.pop(key, None)
        if outcome.action.verb == "provision" and not desired.idempotent and (outcome.unknown or not outcome.error):
            expected[outcome.instance or key] = now + EXPECTED_FOR
    return Memory(troubled, _sick(observed, memory), proven(desired, observed, memory, now), expected, since)


def _trouble(group: str, key: str, before: Trouble | None, outcome: Outcome, now: float) -> Trouble:
    """Count the attempt and say when the next one may be; a plugin that was away is simply asked again soon."""
    attempts = before.attempts if before else 0
    if outcome.unreachable:
        return Trouble(attempts, now + UNREACHABLE_WAIT, outcome.error, unreachable=True)
    wait = backoff(group, key, attempts + 1)
    return Trouble(attempts + 1, now + wait, outcome.error, outcome.terminal)


def _sick(observed: Observation, memory: Memory) -> dict[str, int]:
    """Count unhealthy answers in a row: a healthy one starts again, an unknown one is no evidence."""
    counts = {}
    for seen in observed.instances:
        before = memory.sick.get(seen.id, 0)
        count = before + 1 if seen.health is Health.UNHEALTHY else 0 if seen.health is Health.HEALTHY else before
        if count:
            counts[seen.id] = count
    return counts
