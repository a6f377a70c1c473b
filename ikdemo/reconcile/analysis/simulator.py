"""A simulated world on a virtual clock, kept by the same planner: for tests of promises, for soaks
and for figures.

Every call to the simulated plugin may go wrong in the ways real ones do, as often as ``Faults``
says; each fault that really happened is counted. The dice are an argument, so a run with the same
dice is the same run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from msgspec import Struct, structs

from ...spi.documents import Health
from ...spi.events import Event
from ...spi.plans import Action, ObservedInstance, Outcome, Step
from ..desired import Desired
from ..model import Memory, Observation, ReportedExit
from ..observed_cache import ObservedCache, is_safe
from ..plan import plan
from ..settle import record_exits, settle, with_backoffs

Dice = Callable[[], float]
"""Returns numbers from 0 up to, but not including, 1; such as ``random.Random(seed).random``."""


class Faults(Struct, frozen=True):
    """How often (0 to 1) a call goes wrong, and how.

    Provision and Destroy: ``refused`` (nothing done), ``lost`` (done, no answer), ``doubled``
    (delivered twice), ``late`` (no answer, done only after the next pass). Describe: ``blind`` (no
    answer), ``stale`` (an earlier answer), ``partial`` (one instance missing). Health: ``flapping``
    (a healthy instance is called unhealthy). ``crashing``: an instance ends by itself right after
    it was made, and its plugin says so. Events: ``deaf`` (they arrive later), ``missed`` (they
    never do, and that is known when the next one arrives).
    """

    refused: float = 0.0
    lost: float = 0.0
    doubled: float = 0.0
    late: float = 0.0
    blind: float = 0.0
    stale: float = 0.0
    partial: float = 0.0
    flapping: float = 0.0
    crashing: float = 0.0
    deaf: float = 0.0
    missed: float = 0.0


class Simulation:
    """One group in a simulated world. ``living`` is the truth; ``peak`` and ``harmed`` are what the
    promises are about.

    ``peak``: most instances of the group alive at any moment, counted from ``begin_count``.
    ``harmed``: healthy instances of the wanted configuration that were destroyed although their
    slot was wanted. ``now``: virtual seconds. ``with_events``: the simulated plugin emits what
    happens, and the world is observed only where that is not enough.
    """

    def __init__(
        self,
        desired: Desired,
        dice: Dice,
        faults: Faults | None = None,
        *,
        poll: float = 10.0,
        with_events: bool = False,
    ) -> None:
        self.desired, self.faults, self.poll = desired, faults or Faults(), poll
        self.memory, self.now = Memory(), 0.0
        self.living: dict[str, ObservedInstance] = {}
        self.counts: Counter[str] = Counter()
        self.peak, self.harmed = 0, 0
        self._dice, self._serial = dice, 0
        self._past: list[tuple[ObservedInstance, ...]] = []
        self._late: list[Action] = []
        self._reported_exits: list[ReportedExit] = []
        self._cache = ObservedCache() if with_events else None
        self._events: list[Event] = []
        self._missed, self._look_due = False, 0.0

    def set_desired(self, desired: Desired) -> None:
        """Desire something else from now on, or the same once more, as after a resume."""
        self.memory = with_backoffs(self.memory, {})
        self.desired = desired
        self._look_due = self.now

    def restart(self) -> None:
        """Lose what a killed process loses: all memory but the back-offs."""
        self.memory, self._reported_exits = Memory(backoffs=self.memory.backoffs), []
        self._cache, self._look_due = self._cache and ObservedCache(), self.now
        self.counts["restart"] += 1

    def begin_count(self) -> None:
        """Take the peak from here on."""
        self.peak = len(self.living)

    def add(self, seen: ObservedInstance) -> None:
        """Put an instance into the world from outside."""
        self._emit("changed" if seen.id in self.living else "provisioned", seen)
        self.living[seen.id] = seen
        self.peak = max(self.peak, len(self.living))

    def kill(self, pick: float) -> str:
        """Delete one instance from outside, chosen by ``pick`` (0 to 1); return its ID, empty if
        there is none.
        """
        if not self.living:
            return ""
        target = sorted(self.living)[int(pick * len(self.living))]
        self._emit("lost", self.living.pop(target))
        self.counts["kill"] += 1
        return target

    def make_unhealthy(self, pick: float) -> None:
        """Make one instance unhealthy for good."""
        if self.living:
            chosen = sorted(self.living)[int(pick * len(self.living))]
            self.living[chosen] = structs.replace(self.living[chosen], health=Health.UNHEALTHY)
            self.counts["sicken"] += 1

    def dry_run(self) -> Step:
        """Plan on the true world, with nothing done."""
        truth = Observation(tuple(self.living.values()))
        return Step(truth.instances, plan(self.desired, truth, self.memory, self.now))

    def step(self, *, advance: bool = True) -> Step:
        """Make one pass, then (with ``advance``) let the clock run to the next."""
        self.counts["pass"] += 1
        overdue, self._late = self._late, []
        observed = self._observe_or_use_cache()
        for action in overdue:
            self._carry_out(action)
        exits, self._reported_exits = self._reported_exits, []
        self.memory = record_exits(self.desired, self.memory, exits, self.now)
        todo = plan(self.desired, observed, self.memory, self.now)
        if self._cache and self._cache.current() is observed and not is_safe(todo):
            observed = self._refresh()
            todo = plan(self.desired, observed, self.memory, self.now)
        outcomes = self._act(todo.actions)
        self.memory = settle(self.desired, observed, self.memory, todo, outcomes, self.now)
        if advance:
            left = self._look_due - self.now if self._cache else self.poll
            self.now += (
                0.001
                if outcomes
                else max(
                    0.001, min(left, left if todo.wake_after is None else todo.wake_after + 0.001)
                )
            )
        return Step(observed.instances, todo, outcomes)

    def settle_down(self, passes: int) -> bool:
        """Make passes without faults until one finds everything as wanted; say whether that came to
        be.

        What events did not show is observed at the next poll, which comes first.
        """
        self.faults, self._look_due = Faults(), self.now
        return any(self.step().plan.converged for _ in range(passes))

    def _happens(self, fault: str) -> bool:
        rate: float = getattr(self.faults, fault)
        happens = self._dice() < rate
        self.counts[fault] += happens
        return happens

    def _observe_or_use_cache(self) -> Observation:
        """Use the cache, or observe."""
        if self._cache is None:
            return self._observe()
        if self._events and not self._happens("deaf"):
            if self._happens("missed"):
                self._missed = True
            elif self._missed:
                self._cache.invalidate()
                self._missed = False
            else:
                for event in self._events:
                    self._cache.on_event(event)
            self._events = []
        known = (
            self._cache.current()
            if self.now < self._look_due and not self.desired.destroying
            else None
        )
        return self._refresh() if known is None else known

    def _refresh(self) -> Observation:
        """Observe, while events of what happens meanwhile arrive before, during or after."""
        if self._cache is None:
            return self._observe()
        self._cache.begin_refresh()
        self._look_due = self.now + self.poll
        observed = self._observe()
        if self._dice() < 0.5:
            for event in self._events:
                self._cache.on_event(event)
            self._events = []
        self._cache.end_refresh(observed)
        self.counts["look"] += 1
        return observed

    def _emit(self, kind: str, seen: ObservedInstance) -> None:
        if self._cache is not None:
            self._events.append(Event(kind, instance=seen.id, slot=seen.slot or ""))

    def _observe(self) -> Observation:
        truth = tuple(self.living.values())
        self._past = [*self._past[-3:], truth]
        if self._happens("blind"):
            return Observation(error="no answer")
        seen = truth
        if self._happens("stale"):
            seen = self._past[int(self._dice() * len(self._past))]
        if self._happens("partial") and seen:
            missing = int(self._dice() * len(seen))
            seen = seen[:missing] + seen[missing + 1 :]
        return Observation(tuple(self._judged(one) for one in seen))

    def _judged(self, seen: ObservedInstance) -> ObservedInstance:
        if seen.health is Health.HEALTHY and self.faults.flapping and self._happens("flapping"):
            return structs.replace(seen, health=Health.UNHEALTHY)
        return seen

    def _act(self, actions: tuple[Action, ...]) -> tuple[Outcome, ...]:
        if self._cache is None or not actions:
            return tuple(self._call(action) for action in actions)
        self._cache.begin_acting(actions)
        outcomes = tuple(self._call(action) for action in actions)
        self._cache.end_acting(outcomes, self.desired.sha)
        return outcomes

    def _call(self, action: Action) -> Outcome:
        if self._happens("refused"):
            return Outcome(action, action.instance, error="refused")
        if self._happens("late"):
            self._late.append(action)
            return Outcome(action, action.instance, error="no answer yet", unknown=True)
        instance = self._carry_out(action)
        if self._happens("doubled"):
            instance = self._carry_out(action)
        if self._happens("lost"):
            return Outcome(action, action.instance, error="the answer was lost", unknown=True)
        return Outcome(action, instance)

    def _carry_out(self, action: Action) -> str:
        """Do to the world what the plugin would; with slots, provisioning returns the instance that
        is in the slot already.
        """
        if action.verb == "destroy":
            self._note_harm(action)
            if (ended := self.living.pop(action.instance, None)) is not None:
                self._emit("destroyed", ended)
            return action.instance
        if self.desired.idempotent:
            for seen in self.living.values():
                if seen.slot == action.slot:
                    return seen.id
        self._serial += 1
        slot = action.slot if self.desired.idempotent else None
        made = ObservedInstance(
            f"instance-{self._serial:08}",
            action.logical_id,
            slot,
            action.sha or self.desired.sha,
            Health.HEALTHY,
        )
        self.add(made)
        self.counts["made"] += 1
        if self.faults.crashing and self._happens("crashing"):
            self._emit("lost", self.living.pop(made.id))
            self._reported_exits.append(
                ReportedExit(
                    action.slot, made.id, "died: exited with status 1", self.now, own_doing=True
                )
            )
        return made.id

    def _note_harm(self, action: Action) -> None:
        target = self.living.get(action.instance)
        if target is None or self.desired.destroying or action.code == "unhealthy":
            return
        wanted = target.slot in {slot.name for slot in self.desired.slots}
        alone = sum(seen.slot == target.slot for seen in self.living.values()) == 1
        if (
            wanted
            and alone
            and target.sha == self.desired.sha
            and target.health is not Health.UNHEALTHY
        ):
            self.harmed += 1
