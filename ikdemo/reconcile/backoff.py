"""Back-offs: how long to wait before trying again, when to begin waiting, and when to stop trying.

Waits double, are capped, and have a jitter that is a hash and no dice. A slot whose instances end
from outside has an allowance before it waits. ``BackoffTracker`` works out the back-offs after a
pass, as part of ``settle``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from msgspec import structs

from ..spi.plans import Action, Outcome
from .desired import Desired
from .model import EXPECTED_FOR, BackoffState, Creation, Memory, Observation, ReportedExit

BASE = 0.5
"""Seconds before the second attempt."""
CAP = 120.0
"""Seconds between attempts at most."""
GIVE_UP_AFTER = 9
"""Attempts in a row that come to nothing because of the spec itself, after which only another spec,
or a person, helps.

With instances that end at once they take 32 to 63 seconds: longer than most restarts of something
that the instances need.
"""
ALLOWANCE = 3
"""Instances of one slot that may end from outside and are replaced at once."""
REFILL = 10.0
"""Seconds after which a slot's allowance is one more again."""
WINDOW = 10
"""Seconds over which the instances that ended are counted for the sentence about a storm."""


UNREACHABLE_WAIT = 1.0
"""Seconds until a plugin that could not be reached is asked again; its coming back usually wakes
the loop before.
"""
YOUNG_FOR = 300.0
"""Seconds of age up to which the end of an instance counts against its slot, and after which its
slot's back-off is over.
"""
EARLY = 10.0
"""Seconds of age up to which an instance that ended by itself counts as never having worked.
"""
NO_BACKOFF = BackoffState(0, 0.0, "")


def use_allowance(until: float, now: float) -> float:
    """Take one from an allowance that is whole again at ``until``; return when it is now. It never
    owes more than all of it.

    >>> use_allowance(0.0, now=100.0), use_allowance(125.0, now=100.0)
    (110.0, 130.0)
    """
    return min(max(until, now) + REFILL, now + ALLOWANCE * REFILL)


def allowance_is_used_up(until: float, now: float) -> bool:
    """Say whether less than one is left of an allowance that is whole again at ``until``.

    >>> (
    ...     allowance_is_used_up(use_allowance(use_allowance(0.0, 100.0), 100.0), 100.0),
    ...     allowance_is_used_up(
    ...         use_allowance(use_allowance(use_allowance(0.0, 99.0), 99.0), 99.0), 99.0
    ...     ),
    ... )
    (False, True)
    """
    return until - now > (ALLOWANCE - 1) * REFILL


def backoff(group: str, slot: str, attempt: int) -> float:
    """Return the seconds to wait after failed attempt number ``attempt`` (from 1), between half and
    all of the doubling.

    The same group, slot and attempt always give the same wait, so a plan can be predicted and
    replayed.

    >>> 0.25 <= backoff("collabnix", "0", 1) <= 0.5
    True
    >>> 60 <= backoff("collabnix", "0", 99) <= 120
    True
    """
    whole = min(CAP, BASE * 2.0 ** min(attempt - 1, 16))
    digest = hashlib.blake2b(
        f"{group}\0{slot}\0{attempt}".encode("utf-8", "surrogatepass"), digest_size=8
    ).digest()
    return whole * (0.5 + 0.5 * int.from_bytes(digest, "big") / 2**64)


def after_short_life(
    group: str, reported: ReportedExit, creation: Creation, before: BackoffState, now: float
) -> BackoffState:
    """Count an instance that did not become old. The first is replaced at once: that may have any
    cause.
    """
    wait = backoff(group, reported.slot, before.attempts) if before.attempts else 0.0
    unproductive = (
        before.unproductive + reported.own_doing if reported.at - creation.at < EARLY else 0
    )
    return BackoffState(
        before.attempts + 1,
        now + wait,
        f"instance {reported.instance} {reported.cause}",
        unproductive=unproductive,
    )


class BackoffTracker:
    """Back-offs and creations while outcomes are entered; what is over is left out from the
    start.
    """

    def __init__(self, desired: Desired, observed: Observation, memory: Memory, now: float) -> None:
        self._desired, self._now = desired, now
        self.created, self.backoffs = dict(memory.created), dict(memory.backoffs)
        self.allowances = {slot: until for slot, until in memory.allowances.items() if until > now}
        self.losses = {
            second: number for second, number in memory.losses.items() if second >= now - WINDOW
        }
        self._found_missing: dict[str, tuple[float, BackoffState]] = {}
        if not (self.created or self.backoffs):
            return  # as mostly, and then thousands of instances need not be read
        slots = {slot.name for slot in desired.slots}
        self.created = {
            slot: creation
            for slot, creation in self.created.items()
            if now - creation.at < YOUNG_FOR and slot in slots
        }
        if self.backoffs:
            self._drop_finished(observed, slots, was_made=memory.created)

    def _drop_finished(
        self, observed: Observation, slots: set[str], was_made: Mapping[str, Creation]
    ) -> None:
        """Leave out the back-offs that are over."""
        now, present = self._now, {seen.id for seen in observed.instances}
        for seen in observed.instances:
            if seen.slot in self.backoffs and seen.slot in slots and seen.slot not in was_made:
                # its age is not known, as after a restart
                self.created[seen.slot] = Creation(seen.id, now)
        old_enough = {seen.slot for seen in observed.instances} - self.created.keys()
        self.backoffs = {  # an instance that is not described for a while keeps its wait
            key: backoff_state
            for key, backoff_state in self.backoffs.items()
            if (
                key not in old_enough
                if key in slots
                else key in present or now < backoff_state.not_before + EXPECTED_FOR
            )
        }

    def record_loss(self, slot: str) -> None:
        """Enter that the instance of a slot is missing: ended from outside, or never described.
        What the planner destroyed is no loss.

        Beyond the slot's allowance, or before its wait is over, the back-off grows.
        """
        creation, before = self.created[slot], self.backoffs.get(slot, NO_BACKOFF)
        if creation.lost:
            return
        self._found_missing[slot] = self.allowances.get(slot, 0.0), before
        self.created[slot] = Creation(creation.instance, creation.at, lost=True)
        self.losses[int(self._now)] = self.losses.get(int(self._now), 0) + 1
        self.allowances[slot] = use_allowance(self.allowances.get(slot, 0.0), self._now)
        if allowance_is_used_up(self.allowances[slot], self._now) or (
            before.storm and self._now < before.not_before
        ):
            self.backoffs[slot] = structs.replace(
                before, attempts=before.attempts + 1, storm=before.storm + 1
            )

    def record_outcome(self, outcome: Outcome) -> None:
        """Enter one outcome; a replaced unhealthy instance counts like one that ended by itself."""
        action = outcome.action
        key = action.slot if action.verb == "provision" else action.instance
        before = self.backoffs.get(key, NO_BACKOFF)
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
            not_before = self._now + backoff(self._desired.group, key, attempts)
            unproductive = before.unproductive + outcome.unproductive
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
            self._record_destroyed(action)
        else:
            if key in self._found_missing and outcome.instance == self.created[key].instance:
                before = self._undo_loss(key)
            self.created[key] = Creation(outcome.instance, self._now)
            if key in self.backoffs:
                # for the next one
                wait = (
                    backoff(self._desired.group, key, before.attempts + 1) if before.storm else 0.0
                )
                not_before = self._now + wait if wait else 0.0
                self.backoffs[key] = structs.replace(
                    before, not_before=not_before, terminal=False, unreachable=False
                )

    def _undo_loss(self, slot: str) -> BackoffState:
        """Take back a loss that was none, as the plugin says that the instance lives in its slot;
        return the slot's back-off.
        """
        self.allowances[slot], before = self._found_missing.pop(slot)
        self.losses[int(self._now)] -= 1
        if before is NO_BACKOFF:
            self.backoffs.pop(slot, None)
        else:
            self.backoffs[slot] = before
        return before

    def _record_destroyed(self, action: Action) -> None:
        """Enter that an instance was destroyed; if it was unhealthy and young, like one that ended
        by itself.
        """
        creation, before = self.created.get(action.slot), self.backoffs.get(action.slot, NO_BACKOFF)
        if creation is None or creation.instance != action.instance:
            return
        del self.created[action.slot]
        if action.code == "unhealthy":
            reported = ReportedExit(action.slot, action.instance, "was unhealthy", self._now)
            self.backoffs[action.slot] = after_short_life(
                self._desired.group, reported, creation, before, self._now
            )
        elif before.storm:
            self.backoffs[action.slot] = structs.replace(before, not_before=0.0)
