"""Collects the actions and reasons of a plan; no action is added where a back-off forbids it.

The rules that decide what to add are in ``plan`` and ``rolling``.
"""

from __future__ import annotations

from ..spi.plans import Action, Code, ObservedInstance, Plan, Reason
from .backoff import ALLOWANCE, GIVE_UP_AFTER, WINDOW
from .desired import Desired, Slot
from .expectations import still_expected
from .model import BackoffState, Memory, Observation, reason_key


class PlanBuilder:
    """The arguments of ``plan`` (``desired``, ``observed``, ``memory``, ``now``) and what has been
    decided so far.

    ``wakes`` are the times at which, without any event, the plan would change. ``storms``: a slot
    waits, because its instances end from outside faster than they should be created.
    ``anomalies`` are reasons that do not keep the group from being converged.
    """

    def __init__(self, desired: Desired, observed: Observation, memory: Memory, now: float) -> None:
        self.desired, self.observed, self.memory, self.now = desired, observed, memory, now
        self.actions: list[Action] = []
        self.reasons: list[Reason] = []
        for anomaly in observed.anomalies:
            self.because("blocked", anomaly.text, instance=anomaly.instance)
        self.anomalies, self.reasons = self.reasons, []
        self.wakes: list[float] = []
        self.storms = False

    def finish(self, *, converged: bool) -> Plan:
        """Return the plan."""
        wake_after = max(0.0, min(self.wakes) - self.now) if self.wakes else None
        return Plan(tuple(self.actions), (*self.reasons, *self.anomalies), converged, wake_after)

    def because(
        self,
        code: Code,
        text: str,
        *,
        slot: str = "",
        instance: str = "",
        awaits: str = "",
        error: str = "",
    ) -> None:
        """Give a reason; since when something is not as wanted there is remembered."""
        since = self.memory.since.get(reason_key(code, slot, instance), self.now)
        self.reasons.append(Reason(code, text, slot, instance, since, awaits, error))

    def provision(self, slot: Slot, *, has_room: bool, sha: str = "") -> bool:
        """Fill an empty slot if it may be tried and there is room; say whether room was taken (or
        is awaited).

        ``sha`` is the configuration to fill it with, if not the desired one.
        """
        if not self._may_try(slot.name, slot=slot.name):
            return False
        awaits = "its provisioning" if has_room else "surplus instances to be gone"
        backoff_state = self.memory.backoffs.get(slot.name)
        error = backoff_state.error if backoff_state else ""
        text = "no instance in this slot" + (
            "; it is made again as it was, since the update has stopped" if sha else ""
        )
        self.because("missing", text, slot=slot.name, awaits=awaits, error=error)
        if has_room:
            self.actions.append(
                Action("provision", "missing", slot.name, logical_id=slot.logical_id, sha=sha)
            )
        return True

    def destroy(self, seen: ObservedInstance, code: Code, cause: str, *, slot: str = "") -> None:
        """Destroy an instance, for a cause, if that may be tried."""
        slot = slot or seen.slot or ""
        if self._may_try(seen.id, slot=slot, instance=seen.id):
            self.because(
                code,
                f"instance {seen.id}: {cause}",
                slot=slot,
                instance=seen.id,
                awaits="its destruction",
            )
            self.actions.append(Action("destroy", code, slot, seen.id, seen.logical_id))

    def name_storm(self) -> None:
        """Say of the whole group, before anything else, that its instances end from outside, if
        that keeps slots waiting.
        """
        if self.storms:
            lately = sum(
                number
                for second, number in self.memory.losses.items()
                if second >= self.now - WINDOW
            )
            instances = "1 instance" if lately == 1 else f"{lately} instances"
            text = (
                f"{instances} ended from outside in the last {WINDOW} s; they are made again "
                "more slowly"
            )
            if not lately:
                text = (
                    "instances ended from outside again and again; they are made again more slowly"
                )
            self.because("backing-off", text, awaits="the next attempts, or to be resumed")
            self.reasons.insert(0, self.reasons.pop())

    def expected(self) -> set[str]:
        """Return the slots for which a plugin without slots was asked for an instance that has not
        been described yet.
        """
        awaited = (
            {} if self.desired.idempotent else still_expected(self.memory, self.observed, self.now)
        )
        self.wakes.extend(one.until for one in awaited.values())
        return set(awaited)

    def _may_try(self, key: str, *, slot: str, instance: str = "") -> bool:
        """Say whether a slot may be filled, or an instance destroyed, in spite of its back-off;
        give the reason if not.
        """
        backoff_state = self.memory.backoffs.get(key)
        if backoff_state is None:
            return True
        what = "destroying it" if instance else "making an instance"
        code: Code = "backing-off"
        error, awaits = backoff_state.error, "the next attempt"
        if backoff_state.terminal:
            code, awaits = "spec-refused", "another spec"
            text = f"{what} was refused: {error}"
        elif backoff_state.unproductive >= GIVE_UP_AFTER:
            code, awaits = "halted", "another spec, or to be resumed"
            text = (
                f"stopped trying until the spec changes: {backoff_state.unproductive} "
                f"attempts in a row came to nothing, the last one: {error}"
            )
        elif self.now >= backoff_state.not_before:
            return True
        else:
            self.wakes.append(backoff_state.not_before)
            text = f"{what} failed {_times(backoff_state)}"
            if backoff_state.unreachable:
                code, awaits, text = "plugin-unreachable", "the plugin to answer", error
            elif backoff_state.storm:
                self.storms = True
                text = (
                    "its instances end from outside again and again: "
                    f"{backoff_state.storm + ALLOWANCE - 1} by now"
                )
        if code in ("halted", "plugin-unreachable"):
            error = ""  # the text says it
        self.because(code, text, slot=slot, instance=instance, awaits=awaits, error=error)
        return False


def _times(backoff_state: BackoffState) -> str:
    return "once" if backoff_state.attempts == 1 else f"{backoff_state.attempts} times"
