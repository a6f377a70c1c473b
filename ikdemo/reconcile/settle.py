"""What is remembered after a pass: attempts and waits, consecutive unhealthy answers, what is expected, since when.

Called by the supervisor and the simulator after the outcomes of a plan are known; the only maker of ``Memory``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import structs

from ..spi.plans import Outcome, Plan
from .backoff import backoff
from .health import unhealthy_in_a_row
from .rolling import proven, with_surge
from .world import EXPECTED_FOR, Birth, Death, Desired, Memory, Observation, Trouble, place_of

UNREACHABLE_WAIT = 1.0
"""Seconds until a plugin that could not be reached is asked again; its coming back usually wakes the loop before."""
YOUNG = 300.0
"""Seconds of age up to which the end of an instance counts against its slot, and after which its slot's trouble is over."""
AT_ONCE = 10.0
"""Seconds of age up to which an instance that ended by itself never began its work; one that got older shows that it can live."""
NOTHING_YET = Trouble(0, 0.0, "")


def settle(
    desired: Desired, observed: Observation, memory: Memory, plan: Plan, outcomes: Iterable[Outcome], now: float
) -> Memory:
    """Return the memory after a pass.

    A doubtful observation changes nothing but since when. A slot's trouble ends when its instance has grown old; what deletes
    an instance from outside never makes trouble.

    >>> from ikdemo.reconcile.world import Slot
    >>> from ikdemo.spi.plans import Action
    >>> group = Desired("g", "sha", (Slot("0"),))
    >>> failed = Outcome(Action("provision", "missing", "0"), error="no room")
    >>> settle(group, Observation(), Memory(), Plan(), [failed], now=100.0).troubled["0"].attempts
    1
    """
    since = {place_of(r.code, r.slot, r.instance): r.since for r in plan.reasons}
    if observed.error:
        return structs.replace(memory, since=since)
    ledger = _Ledger(with_surge(desired, observed), observed, memory, now)
    for outcome in outcomes:
        ledger.enter(outcome)
    sick, proofs = unhealthy_in_a_row(observed, memory), proven(desired, observed, memory, now)
    return Memory(ledger.troubled, ledger.made, sick, proofs, ledger.expected, since)


def bury(desired: Desired, memory: Memory, deaths: Iterable[Death], now: float) -> Memory:
    """Return the memory with reported deaths entered; called before the plan, so that it counts for the very next attempt.

    Of an instance that was not made here, or that is not the latest of its slot, nothing is entered: it is old news.

    >>> born = Memory(made={"0": Birth("i-1", 100.0)})
    >>> once = bury(Desired("g", "sha", ()), born, [Death("0", "i-1", "exit status 1", at=101.0)], now=101.0)
    >>> once.troubled["0"].attempts, once.troubled["0"].not_before <= 101.0
    (1, True)
    """
    deaths = list(deaths)
    if not deaths:
        return memory
    troubled, made = dict(memory.troubled), dict(memory.made)
    for death in deaths:
        birth = made.get(death.slot)
        if birth is None or birth.instance != death.instance:
            continue
        del made[death.slot]
        if death.at - birth.at < YOUNG:
            troubled[death.slot] = _short_life(desired.group, death, birth, troubled.get(death.slot, NOTHING_YET), now)
    return structs.replace(memory, troubled=troubled, made=made)


def _short_life(group: str, death: Death, birth: Birth, before: Trouble, now: float) -> Trouble:
    """Count an instance that did not grow old. The first is replaced at once: it may have been anything."""
    wait = backoff(group, death.slot, before.attempts) if before.attempts else 0.0
    futile = before.futile + death.own_doing if death.at - birth.at < AT_ONCE else 0
    return Trouble(before.attempts + 1, now + wait, f"instance {death.instance} {death.cause}", futile=futile)


class _Ledger:
    """Troubles, births and expectations while outcomes are entered; what is over is left out from the start."""

    def __init__(self, desired: Desired, observed: Observation, memory: Memory, now: float) -> None:
        self._desired, self._now = desired, now
        self.made, self.troubled, self.expected = dict(memory.made), dict(memory.troubled), dict(memory.expected)
        if not (self.made or self.troubled or self.expected):
            return  # as mostly, and then thousands of instances need not be looked through
        slots = {slot.name for slot in desired.slots}
        self.made = {slot: birth for slot, birth in self.made.items() if now - birth.at < YOUNG and slot in slots}
        if self.troubled or self.expected:
            self._let_go(observed, slots, was_made=memory.made)

    def _let_go(self, observed: Observation, slots: set[str], was_made: Mapping[str, Birth]) -> None:
        """Leave out the troubles that are over and what is awaited no longer."""
        now, present = self._now, {seen.id for seen in observed.instances}
        for seen in observed.instances:
            if seen.slot in self.troubled and seen.slot in slots and seen.slot not in was_made:
                self.made[seen.slot] = Birth(seen.id, now)  # nobody knows its age, as after a restart
        grown = {seen.slot for seen in observed.instances} - self.made.keys()
        self.troubled = {k: t for k, t in self.troubled.items() if k in present or (k in slots and k not in grown)}
        self.expected = {k: until for k, until in self.expected.items() if until > now and k not in present}

    def enter(self, outcome: Outcome) -> None:
        """Enter one outcome; a replaced sick instance counts like one that died."""
        action = outcome.action
        key = action.slot if action.verb == "provision" else action.instance
        before = self.troubled.get(key, NOTHING_YET)
        if outcome.unreachable:
            not_before = self._now + UNREACHABLE_WAIT
            self.troubled[key] = Trouble(before.attempts, not_before, outcome.error, unreachable=True, futile=before.futile)
        elif outcome.error:
            attempts = before.attempts + 1
            not_before, futile = self._now + backoff(self._desired.group, key, attempts), before.futile + outcome.futile
            self.troubled[key] = Trouble(attempts, not_before, outcome.error, outcome.terminal, futile=futile)
        elif action.verb == "destroy":
            self.troubled.pop(key, None)
            if action.code == "unhealthy":
                self._replaced(Death(action.slot, action.instance, "was unhealthy", self._now))
        else:
            self.made[key] = Birth(outcome.instance, self._now)
            if key in self.troubled:
                self.troubled[key] = structs.replace(before, not_before=0.0, terminal=False, unreachable=False)
        if action.verb == "provision" and not self._desired.idempotent and (outcome.unknown or not outcome.error):
            self.expected[outcome.instance or key] = self._now + EXPECTED_FOR

    def _replaced(self, death: Death) -> None:
        """Enter that a sick instance was ended; if it was young, like one that died."""
        if (birth := self.made.pop(death.slot, None)) is not None:
            before = self.troubled.get(death.slot, NOTHING_YET)
            self.troubled[death.slot] = _short_life(self._desired.group, death, birth, before, self._now)
