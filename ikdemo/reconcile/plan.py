"""What to do next, and why: the one planner. The loop, ``why``, a dry run and the simulator all execute this same plan.

``plan`` looks at slots, never at counts: a slot that is empty is filled, an instance without a slot goes, an outdated one is
replaced when its turn comes (``rolling``). Asking has no effect. The rules are here and in ``places``;
the memory they need is kept by ``settle``.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..spi.documents import Health
from ..spi.plans import Action, Code, Plan, Reason, Seen
from .backoff import CAP
from .places import Places, assign
from .rolling import is_rolling, roll, with_surge
from .world import EXPECTED_FOR, Desired, Memory, Observation, Slot, Trouble

SICK_AFTER = 3
"""Consecutive unhealthy answers after which an instance is replaced."""
SICK_SHARE = 0.4
"""Above this share of the group (and above one instance) being sick, the cause is not the instances: stop replacing them."""


def plan(desired: Desired, observed: Observation, memory: Memory, now: float) -> Plan:
    """Return the actions to take now and a reason for everything that is not as wanted. ``now`` is seconds since the epoch.

    Pure: the same arguments give the same plan. On a doubtful observation there is no action.

    >>> from ikdemo.reconcile.world import Slot
    >>> group = Desired("g", "sha", (Slot("0"), Slot("1")))
    >>> todo = plan(group, Observation((Seen("i-7", slot="0", sha="sha"),)), Memory(), now=0.0)
    >>> [(a.verb, a.slot, a.code) for a in todo.actions], todo.converged
    ([('provision', '1', 'missing')], False)
    """
    if observed.error:
        since = _since(memory, "plugin-unreachable", "", "", now)
        return Plan(reasons=(Reason("plugin-unreachable", observed.error, since=since, awaits="the plugin to answer"),))
    desired = with_surge(desired, observed)
    draft = Draft(desired, observed, memory, now)
    if desired.destroying:
        for seen in observed.instances:
            draft.destroy(seen, "surplus", "the group is being destroyed")
        return draft.finish(converged=not observed.instances)
    sick = draft.sick()
    places = assign(desired, observed.instances, sick)
    draft.remove_surplus(places)
    rolling = is_rolling(desired, observed)
    if not rolling:
        draft.heal_sick(places, sick)
    draft.fill_missing(places)
    if rolling:
        roll(draft, places)
    else:
        draft.name_outdated(places)
    return draft.finish(converged=not draft.reasons)


class Draft:
    """A plan in the making; each method adds the actions and reasons of one rule."""

    def __init__(self, desired: Desired, observed: Observation, memory: Memory, now: float) -> None:
        self.desired, self.observed, self.memory, self.now = desired, observed, memory, now
        self.actions: list[Action] = []
        self.reasons: list[Reason] = []
        self.wakes: list[float] = []

    def finish(self, *, converged: bool) -> Plan:
        wake_after = max(0.0, min(self.wakes) - self.now) if self.wakes else None
        return Plan(tuple(self.actions), tuple(self.reasons), converged, wake_after)

    def because(self, code: Code, text: str, *, slot: str = "", instance: str = "", awaits: str = "", error: str = "") -> None:
        since = _since(self.memory, code, slot, instance, self.now)
        self.reasons.append(Reason(code, text, slot, instance, since, awaits, error))

    def sick(self) -> set[str]:
        """Return the IDs of instances that were unhealthy often enough in a row, this answer included."""
        before = self.memory.sick
        return {s.id for s in self.observed.instances if s.health is Health.UNHEALTHY and before.get(s.id, 0) + 1 >= SICK_AFTER}

    def remove_surplus(self, places: Places) -> None:
        for seen in places.surplus:
            self.destroy(seen, "surplus", "it has no slot in the group")
        for seen in places.strangers:
            self.because(
                "surplus", f"instance {seen.id} has no logical ID; it is left alone", instance=seen.id, awaits="a person"
            )

    def heal_sick(self, places: Places, sick: set[str]) -> None:
        """Replace sick occupants, unless so many are sick that replacing them would only do harm."""
        patients = [(slot, seen) for slot, seen in places.occupants.items() if seen.id in sick]
        if len(patients) > max(1, int(SICK_SHARE * len(self.desired.slots))):
            share = f"{len(patients)} of {len(self.desired.slots)} instances are unhealthy"
            for slot, seen in patients:
                self.because(
                    "too-many-sick", f"{share}; replacing them has stopped", slot=slot, instance=seen.id, awaits="fewer sick"
                )
            return
        for slot, seen in patients:
            self.destroy(seen, "unhealthy", f"it was unhealthy {SICK_AFTER} times in a row", slot=slot)

    def fill_missing(self, places: Places) -> None:
        """Provision empty slots, but never beyond the size: what is surplus has to be gone first."""
        empty = [slot for slot in self.desired.slots if slot.name not in places.occupants]
        if not empty:
            return
        room = len(self.desired.slots) - len(places.occupants) - len(places.surplus)
        expected = self._expected()
        for number, slot in enumerate(empty):
            if number < expected:
                self.because(
                    "provisioning",
                    "an instance was asked for and has not been seen yet",
                    slot=slot.name,
                    awaits="its description",
                )
            elif self._may_try(slot.name, slot=slot.name):
                self._provision(slot, room > 0)
                room -= 1

    def _provision(self, slot: Slot, has_room: bool) -> None:
        if not has_room:
            self.because("missing", "no instance in this slot", slot=slot.name, awaits="surplus instances to be gone")
            return
        self.because("missing", "no instance in this slot", slot=slot.name, awaits="its provisioning")
        self.actions.append(Action("provision", "missing", slot.name, logical_id=slot.logical_id))

    def _expected(self) -> int:
        """Count what a plugin without slots was asked to make and has not shown yet."""
        if self.desired.idempotent:
            return 0
        seen = {s.id for s in self.observed.instances}
        awaited = [
            until
            for key, until in self.memory.expected.items()
            if key not in seen and self.now < until <= self.now + EXPECTED_FOR
        ]
        self.wakes.extend(awaited)
        return len(awaited)

    def name_outdated(self, places: Places) -> None:
        """Say which instances were adopted with another configuration; a first commit leaves them as they are."""
        for slot, seen in places.occupants.items():
            if seen.sha != self.desired.sha:
                text = f"instance {seen.id} was adopted with an older configuration"
                self.because("adopted-outdated", text, slot=slot, instance=seen.id, awaits="the next commit")

    def destroy(self, seen: Seen, code: Code, cause: str, *, slot: str = "") -> None:
        slot = slot or seen.slot or ""
        if self._may_try(seen.id, slot=slot, instance=seen.id):
            self.because(code, f"instance {seen.id}: {cause}", slot=slot, instance=seen.id, awaits="its destruction")
            self.actions.append(Action("destroy", code, slot, seen.id, seen.logical_id))

    def _may_try(self, key: str, *, slot: str, instance: str = "") -> bool:
        """Say whether a slot or victim that was in trouble may be tried (again), and give the reason if not."""
        trouble = self.memory.troubled.get(key)
        if trouble is None:
            return True
        what = "destroying it" if instance else "making an instance"
        if trouble.terminal:
            text = f"{what} was refused: {trouble.error}"
            self.because("spec-refused", text, slot=slot, instance=instance, awaits="another spec", error=trouble.error)
            return False
        if self.now < trouble.not_before <= self.now + CAP:  # later than that, the clock was put back
            self.wakes.append(trouble.not_before)
            if trouble.unreachable:
                self.because("plugin-unreachable", trouble.error, slot=slot, instance=instance, awaits="the plugin to answer")
                return False
            text = f"{what} failed {_times(trouble)}"
            self.because("backing-off", text, slot=slot, instance=instance, awaits="the next attempt", error=trouble.error)
            return False
        return True


def _times(trouble: Trouble) -> str:
    return "once" if trouble.attempts == 1 else f"{trouble.attempts} times"


def _since(memory: Memory, code: str, slot: str, instance: str, now: float) -> float:
    return memory.since.get((code, slot, instance), now)


def sentences(reasons: Iterable[Reason]) -> tuple[str, ...]:
    """Return one sentence per reason, for people.

    >>> sentences((Reason("missing", "no instance in this slot", slot="3", awaits="its provisioning"),))
    ('slot 3: no instance in this slot (missing), waiting for its provisioning',)
    """
    out = []
    for reason in reasons:
        where = f"slot {reason.slot}: " if reason.slot else ""
        error = f": {reason.error}" if reason.error and reason.error not in reason.text else ""
        awaits = f", waiting for {reason.awaits}" if reason.awaits else ""
        out.append(f"{where}{reason.text}{error} ({reason.code}){awaits}")
    return tuple(out)
