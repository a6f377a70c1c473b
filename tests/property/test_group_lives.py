"""A group's whole life as a state machine: whatever a person, a fault or a restart does, the
promises hold and it ends well.
"""

from __future__ import annotations

import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from profiles import PATIENCE, lived

from ikdemo.reconcile.analysis.simulator import Faults, Simulation
from ikdemo.reconcile.desired import Desired, Pace, slots_of
from ikdemo.spi.documents import Allocation, Health
from ikdemo.spi.plans import ObservedInstance

pytestmark = pytest.mark.timeout(PATIENCE)

rates = st.sampled_from([0.0, 0.0, 0.3])


class GroupLife(RuleBasedStateMachine):
    """Commits, resizes, destroys, pauses, restarts and loses instances of one simulated group, or
    makes them unhealthy, with faults in every call.
    """

    @initialize(
        seed=st.integers(0, 2**32),
        size=st.integers(1, 4),
        batch=st.integers(1, 4),
        with_events=st.booleans(),
    )
    def commit_first(self, seed: int, size: int, batch: int, with_events: bool) -> None:
        self.pace = Pace(batch=batch)
        self.sim = Simulation(
            self._wanted("v1", size), random.Random(seed).random, with_events=with_events
        )
        self.allowed = size
        self.paused = False

    def _wanted(self, sha: str, size: int) -> Desired:
        return Desired("g", sha, slots_of(Allocation(size)), pace=self.pace)

    @rule(sha=st.sampled_from(["v1", "v2"]), size=st.integers(0, 4))
    def commit(self, sha: str, size: int) -> None:
        if not self.sim.desired.destroying:
            self.allowed = max(size, len(self.sim.living))
            self.sim.set_desired(self._wanted(sha, size))
            self.sim.begin_count()

    @rule()
    def destroy(self) -> None:
        self.sim.set_desired(Desired("g", "v1", (), destroying=True))
        self.allowed = len(self.sim.living)

    @rule()
    def commit_after_destruction(self) -> None:
        if self.sim.desired.destroying and not self.sim.living:
            self.sim.set_desired(self._wanted("v1", 2))
            self.allowed = 2
            self.sim.begin_count()

    @rule(paused=st.booleans())
    def pause(self, paused: bool) -> None:
        self.paused = paused

    @rule()
    def restart(self) -> None:
        self.sim.restart()

    @rule(pick=st.floats(0, 0.99))
    def lose(self, pick: float) -> None:
        self.sim.kill(pick)

    @rule(pick=st.floats(0, 0.99))
    def make_unhealthy(self, pick: float) -> None:
        self.sim.make_unhealthy(pick)

    @rule(
        faults=st.builds(
            Faults,
            *[rates] * 8,
            crashing=st.sampled_from([0.0, 0.0, 0.3, 1.0]),
            deaf=rates,
            missed=rates,
        )
    )
    def weather(self, faults: Faults) -> None:
        self.sim.faults = faults

    @rule(times=st.integers(1, 5))
    def run(self, times: int) -> None:
        for _ in range(times):
            if self.paused:
                self.sim.dry_run()
                self.sim.now += self.sim.poll
            else:
                self.allowed += self._easily_missed()
                self.sim.step()
            self.allowed = max(len(self.sim.desired.slots), min(self.allowed, len(self.sim.living)))

    def _easily_missed(self) -> int:
        """Count who sits in a slot that is not its own: a view in which it is missing cannot tell
        that the slot is held.
        """
        wanted = {slot.name for slot in self.sim.desired.slots}
        lies = self.sim.faults.stale or self.sim.faults.partial
        return sum(seen.slot not in wanted for seen in self.sim.living.values()) if lies else 0

    @rule()
    def sleep_for_an_hour(self) -> None:
        self.sim.now += 3600

    @invariant()
    def never_more_than_allowed(self) -> None:
        if hasattr(self, "sim"):
            assert len(self.sim.living) <= self.allowed
            slots = [seen.slot for seen in self.sim.living.values()]
            assert len(slots) == len(set(slots))

    @invariant()
    def nobody_healthy_and_wanted_was_destroyed(self) -> None:
        assert not hasattr(self, "sim") or self.sim.harmed == 0

    @invariant()
    def looking_changes_nothing(self) -> None:
        if hasattr(self, "sim"):
            before = dict(self.sim.living), self.sim.memory
            self.sim.dry_run()
            assert before == (self.sim.living, self.sim.memory)

    def teardown(self) -> None:
        """Without faults it ends well or says what stopped it; two quiet passes make up for any
        loss, a third does nothing.
        """
        if not hasattr(self, "sim"):
            return
        sim = self.sim
        if not sim.settle_down(120):
            stopped = {reason.code for reason in sim.dry_run().plan.reasons}
            assert stopped & {"halted", "too-many-sick"}, stopped
            for seen in list(sim.living.values()):  # a person mends what stopped it
                sim.add(
                    ObservedInstance(seen.id, seen.logical_id, seen.slot, seen.sha, Health.HEALTHY)
                )
            sim.set_desired(sim.desired)
            assert sim.settle_down(120), sim.dry_run().plan.reasons
        sim.now += 600.0  # every wait is over
        while sim.kill(0.5):
            pass
        for _ in range(2):
            sim.step(advance=False)
        made = sim.counts["made"]
        third = sim.step(advance=False)
        assert third.plan.converged, third.plan.reasons
        assert third.outcomes == ()
        assert sim.counts["made"] == made
        assert len(sim.living) == (0 if sim.desired.destroying else len(sim.desired.slots))


GroupLife.TestCase.settings = settings(lived, stateful_step_count=30)
TestGroupLife = GroupLife.TestCase
