"""What is remembered after a pass: attempts and waits, consecutive unhealthy answers, what is
expected, since when.

Called by the supervisor and the simulator after the outcomes of a plan are known; the only maker of
``Memory``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import structs

from ..spi.plans import Action, Outcome, Plan
from .backoff import WINDOW, backoff, charge, is_spent
from .expectations import answered, ended, is_repeated, still_expected, without_ended
from .health import asked_at, still_forced, unhealthy_in_a_row, unjudged
from .model import (
    EXPECTED_FOR,
    BackoffState,
    Creation,
    Desired,
    Memory,
    Observation,
    ReportedExit,
    place_of,
)
from .rolling import ready, updated, with_surge

UNREACHABLE_WAIT = 1.0
"""Seconds until a plugin that could not be reached is asked again; its coming back usually wakes
the loop before.
"""
YOUNG = 300.0
"""Seconds of age up to which the end of an instance counts against its slot, and after which its
slot's trouble is over.
"""
AT_ONCE = 10.0
"""Seconds of age up to which an instance that ended by itself never began its work; one that got
older shows that it can live.
"""
NOTHING_YET = BackoffState(0, 0.0, "")


def settle(
    desired: Desired,
    observed: Observation,
    memory: Memory,
    plan: Plan,
    outcomes: Sequence[Outcome],
    now: float,
    seen_at: float | None = None,
    *,
    overtaken: bool = False,
) -> Memory:
    """Return the memory after a pass. ``seen_at``: when its plan was made, if it took a while since
    then.

    What failed is no trouble when it was ``overtaken``: something else is wanted by now.

    A doubtful observation changes nothing but since when. A slot's trouble ends when its instance
    has grown old. What ends instances from outside makes trouble only beyond the slot's allowance.

    >>> from ikdemo.reconcile.model import Slot
    >>> from ikdemo.spi.plans import Action
    >>> group = Desired("g", "sha", (Slot("0"),))
    >>> failed = Outcome(Action("provision", "missing", "0"), error="no room")
    >>> settle(group, Observation(), Memory(), Plan(), [failed], now=100.0).backoffs["0"].attempts
    1
    """
    since = {place_of(r.code, r.slot, r.instance): r.since for r in plan.reasons}
    if observed.error:
        return structs.replace(memory, since=since)
    described, observed = observed, without_ended(observed, memory)
    ledger = _Ledger(with_surge(desired, observed), observed, memory, now)
    for reason in plan.reasons:
        if (
            reason.slot in ledger.made and not reason.instance and reason.code != "provisioning"
        ):  # a slot that is empty, although one was made in it
            ledger.lose(reason.slot)
    for outcome in outcomes:
        if not (outcome.error and (overtaken or is_repeated(memory, outcome))):
            ledger.enter(outcome)
    expected = still_expected(memory, observed, now)
    if plan.actions and not desired.idempotent:
        expected = answered(desired, expected, plan.actions, outcomes, now)
    seen_at = now if seen_at is None else seen_at
    unhealthy, proofs = (
        unhealthy_in_a_row(desired, observed, memory, seen_at),
        ready(desired, observed, memory, seen_at),
    )
    return Memory(
        ledger.backoffs,
        ledger.made,
        unhealthy,
        proofs,
        expected,
        ledger.spent,
        ledger.losses,
        asked_at(memory, unhealthy, seen_at) if unhealthy else {},
        memory.forced and still_forced(memory, plan),
        updated(desired, observed, memory, plan, outcomes),
        unjudged(desired, observed, memory, outcomes),
        ended(desired, described, memory, outcomes, now),
        since,
    )


def with_backoffs(memory: Memory, backoffs: Mapping[str, BackoffState]) -> Memory:
    """Return the memory when something else is wanted, with the trouble that is remembered; with
    none of it, a storm is over.
    """
    if backoffs:
        return structs.replace(memory, backoffs=backoffs)
    return structs.replace(memory, backoffs={}, spent={}, losses={})


def record_exits(
    desired: Desired, memory: Memory, deaths: Iterable[ReportedExit], now: float
) -> Memory:
    """Return the memory with reported deaths entered; called before the plan, so that it counts for
    the very next attempt.

    Of an instance that was not made here, or that is not the latest of its slot, nothing is
    entered: it is old news.

    >>> born = Memory(made={"0": Creation("i-1", 100.0)})
    >>> once = record_exits(Desired("g", "sha", ()), born, [ReportedExit("0", "i-1", "exit status 1", at=101.0)], now=101.0)
    >>> once.backoffs["0"].attempts, once.backoffs["0"].not_before <= 101.0
    (1, True)
    """
    deaths = list(deaths)
    if not deaths:
        return memory
    backoffs, made = dict(memory.backoffs), dict(memory.made)
    for death in deaths:
        birth = made.get(death.slot)
        if birth is None or birth.instance != death.instance:
            continue
        del made[death.slot]
        if death.at - birth.at < YOUNG:
            backoffs[death.slot] = _short_life(
                desired.group, death, birth, backoffs.get(death.slot, NOTHING_YET), now
            )
    return structs.replace(memory, backoffs=backoffs, made=made)


def retry_refused(memory: Memory) -> Memory:
    """Return the memory after a place became free at the plugin: what was refused there is tried
    again at once, nothing else.

    >>> full, crashed = BackoffState(3, 900.0, "no room", refused=True), BackoffState(3, 900.0, "died")
    >>> {slot: backoff_state.not_before for slot, backoff_state in retry_refused(Memory({"0": full, "1": crashed})).backoffs.items()}
    {'0': 0.0, '1': 900.0}
    """
    if not any(backoff_state.refused for backoff_state in memory.backoffs.values()):
        return memory
    waits = {
        slot: structs.replace(t, not_before=0.0) if t.refused else t
        for slot, t in memory.backoffs.items()
    }
    return structs.replace(memory, backoffs=waits)


def _short_life(
    group: str, death: ReportedExit, birth: Creation, before: BackoffState, now: float
) -> BackoffState:
    """Count an instance that did not grow old. The first is replaced at once: it may have been
    anything.
    """
    wait = backoff(group, death.slot, before.attempts) if before.attempts else 0.0
    unproductive = before.unproductive + death.own_doing if death.at - birth.at < AT_ONCE else 0
    return BackoffState(
        before.attempts + 1,
        now + wait,
        f"instance {death.instance} {death.cause}",
        unproductive=unproductive,
    )


class _Ledger:
    """Troubles and births while outcomes are entered; what is over is left out from the start."""

    def __init__(self, desired: Desired, observed: Observation, memory: Memory, now: float) -> None:
        self._desired, self._now = desired, now
        self.made, self.backoffs = dict(memory.made), dict(memory.backoffs)
        self.spent = {slot: until for slot, until in memory.spent.items() if until > now}
        self.losses = {
            second: number for second, number in memory.losses.items() if second >= now - WINDOW
        }
        self._found_missing: dict[str, tuple[float, BackoffState]] = {}
        if not (self.made or self.backoffs):
            return  # as mostly, and then thousands of instances need not be looked through
        slots = {slot.name for slot in desired.slots}
        self.made = {
            slot: birth
            for slot, birth in self.made.items()
            if now - birth.at < YOUNG and slot in slots
        }
        if self.backoffs:
            self._let_go(observed, slots, was_made=memory.made)

    def _let_go(
        self, observed: Observation, slots: set[str], was_made: Mapping[str, Creation]
    ) -> None:
        """Leave out the troubles that are over."""
        now, present = self._now, {seen.id for seen in observed.instances}
        for seen in observed.instances:
            if seen.slot in self.backoffs and seen.slot in slots and seen.slot not in was_made:
                # nobody knows its age, as after a restart
                self.made[seen.slot] = Creation(seen.id, now)
        grown = {seen.slot for seen in observed.instances} - self.made.keys()
        self.backoffs = {  # an instance that is not described for a while keeps its wait
            key: backoff_state
            for key, backoff_state in self.backoffs.items()
            if (
                key not in grown
                if key in slots
                else key in present or now < backoff_state.not_before + EXPECTED_FOR
            )
        }

    def lose(self, slot: str) -> None:
        """Enter that what was made in a slot is not there: ended by somebody, or never shown. What
        the planner ended is no loss.

        Beyond the slot's allowance, or before its wait is over, it is worse than the time before.
        """
        birth, before = self.made[slot], self.backoffs.get(slot, NOTHING_YET)
        if birth.gone:
            return
        self._found_missing[slot] = self.spent.get(slot, 0.0), before
        self.made[slot] = Creation(birth.instance, birth.at, gone=True)
        self.losses[int(self._now)] = self.losses.get(int(self._now), 0) + 1
        self.spent[slot] = charge(self.spent.get(slot, 0.0), self._now)
        if is_spent(self.spent[slot], self._now) or (
            before.storm and self._now < before.not_before
        ):
            self.backoffs[slot] = structs.replace(
                before, attempts=before.attempts + 1, storm=before.storm + 1
            )

    def enter(self, outcome: Outcome) -> None:
        """Enter one outcome; a replaced sick instance counts like one that died."""
        action = outcome.action
        key = action.slot if action.verb == "provision" else action.instance
        before = self.backoffs.get(key, NOTHING_YET)
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
            self._ended(action)
        else:
            if key in self._found_missing and outcome.instance == self.made[key].instance:
                before = self._find_again(key)
            self.made[key] = Creation(outcome.instance, self._now)
            if key in self.backoffs:
                # for the next one
                wait = (
                    backoff(self._desired.group, key, before.attempts + 1) if before.storm else 0.0
                )
                not_before = self._now + wait if wait else 0.0
                self.backoffs[key] = structs.replace(
                    before, not_before=not_before, terminal=False, unreachable=False
                )

    def _find_again(self, slot: str) -> BackoffState:
        """Take back a loss that was none: the plugin says that what was not seen lives in its slot;
        return the slot's trouble.
        """
        self.spent[slot], before = self._found_missing.pop(slot)
        self.losses[int(self._now)] -= 1
        if before is NOTHING_YET:
            self.backoffs.pop(slot, None)
        else:
            self.backoffs[slot] = before
        return before

    def _ended(self, action: Action) -> None:
        """Enter that an instance was ended here; if it was sick and young, like one that died."""
        birth, before = self.made.get(action.slot), self.backoffs.get(action.slot, NOTHING_YET)
        if birth is None or birth.instance != action.instance:
            return
        del self.made[action.slot]
        if action.code == "unhealthy":
            death = ReportedExit(action.slot, action.instance, "was unhealthy", self._now)
            self.backoffs[action.slot] = _short_life(
                self._desired.group, death, birth, before, self._now
            )
        elif before.storm:
            self.backoffs[action.slot] = structs.replace(before, not_before=0.0)
