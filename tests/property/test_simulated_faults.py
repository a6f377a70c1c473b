"""Seeded runs of the simulator under every kind of fault: never one too many, nobody healthy
harmed, whole in the end.

A fault that was never injected proves nothing, so every test counts its own.
"""

from __future__ import annotations

import random

import pytest
from storms import PASSES, SIZE, check_update, check_whole

from ikdemo.reconcile.analysis.simulator import Faults, Simulation
from ikdemo.reconcile.backoff import ALLOWANCE, CAP, REFILL, YOUNG_FOR, backoff
from ikdemo.reconcile.desired import Desired, Pace, Slot, slots_of
from ikdemo.reconcile.model import Memory, Observation, ReportedExit
from ikdemo.reconcile.plan import plan
from ikdemo.reconcile.settle import record_exits, settle
from ikdemo.spi.documents import Allocation, Health
from ikdemo.spi.plans import ObservedInstance, Outcome, Plan

RUNS = 60
KINDS = ["refused", "lost", "doubled", "late", "blind", "stale", "partial"]
ALL = Faults(refused=0.1, lost=0.1, doubled=0.1, late=0.1, blind=0.1, stale=0.1, partial=0.1)


def group(
    sha: str = "v1", size: int = SIZE, *, idempotent: bool = True, pace: Pace | None = None
) -> Desired:
    return Desired("g", sha, slots_of(Allocation(size)), idempotent=idempotent, pace=pace or Pace())


def storm(seed: int, faults: Faults, desired: Desired) -> Simulation:
    """Run a group through faults and random kills."""
    dice = random.Random(seed)
    simulation = Simulation(desired, dice.random, faults)
    for _ in range(PASSES):
        if dice.random() < 0.1:
            simulation.kill(dice.random())
        simulation.step()
    return simulation


@pytest.mark.parametrize("kind", [*KINDS, "all at once"])
def test_with_slots_there_is_never_one_too_many_and_no_healthy_one_is_harmed(kind: str) -> None:
    faults = ALL if kind == "all at once" else Faults(**{kind: 0.2})
    injected = 0
    for seed in range(RUNS):
        simulation = storm(seed, faults, group())
        check_whole(simulation, seed)
        injected += sum(simulation.counts[name] for name in KINDS)
        made = simulation.counts["made"]
        simulation.step()
        assert simulation.counts["made"] == made
    assert injected > RUNS


@pytest.mark.parametrize("kind", ["lost", "late", "refused", "blind"])
def test_without_slots_none_is_made_while_one_is_expected(kind: str) -> None:
    injected = 0
    for seed in range(RUNS):
        simulation = storm(seed, Faults(**{kind: 0.2}), group(idempotent=False))
        assert simulation.peak <= SIZE, seed
        assert simulation.settle_down(80)
        injected += simulation.counts[kind]
    assert injected > RUNS


@pytest.mark.parametrize(
    "pace", [Pace(), Pace(batch=2), Pace(surge=2), Pace(batch=2, count=2, surge=1)]
)
def test_an_update_under_faults_stays_within_size_and_surge_and_ends(pace: Pace) -> None:
    for seed in range(RUNS):
        simulation = storm(seed, Faults(), group(pace=pace))
        check_update(simulation, group("v2", pace=pace), ALL, seed)


def test_the_unhealthy_are_replaced_one_or_two_at_a_time_and_not_when_most_are() -> None:
    simulation = Simulation(group(), random.Random(1).random)
    assert simulation.settle_down(5)
    simulation.make_unhealthy(0.0)
    for _ in range(3):
        assert len(simulation.living) == SIZE
        simulation.step()
    assert simulation.settle_down(20)
    for pick in (0.0, 0.2, 0.4, 0.6):
        simulation.make_unhealthy(pick)
    for _ in range(30):
        simulation.step()
    assert len([s for s in simulation.living.values() if s.health is Health.UNHEALTHY]) == 4
    assert {reason.code for reason in simulation.dry_run().plan.reasons} == {"too-many-sick"}
    for seen in list(simulation.living.values())[:4]:
        simulation.add(ObservedInstance(seen.id, None, seen.slot, seen.sha, Health.HEALTHY))
    assert simulation.settle_down(200)


def test_the_unhealthy_stay_unhealthy_while_health_is_not_asked_for() -> None:
    """A pass that does not ask for health (unknown) does not make a group whose healing has stopped
    look whole.
    """
    health_error = Observation(
        tuple(ObservedInstance(f"i-{n}", slot=str(n), sha="v1") for n in range(SIZE))
    )
    most = Memory(unhealthy={f"i-{n}": 3 for n in range(4)})
    assert {reason.code for reason in plan(group(), health_error, most, 0.0).reasons} == {
        "too-many-sick"
    }
    one = plan(group(), health_error, Memory(unhealthy={"i-0": 3, "i-1": 2}), 0.0)
    assert one.actions == ()  # it may be well again
    assert [(reason.code, reason.instance) for reason in one.reasons] == [("unhealthy", "i-0")]


def test_attempts_in_a_slot_stay_below_25_in_ten_minutes_however_they_fail() -> None:
    for seed in range(20):
        simulation = Simulation(group(size=1), random.Random(seed).random, Faults(refused=1.0))
        while simulation.now < 600:
            simulation.step()
        assert 5 < simulation.counts["refused"] <= 25


def test_what_dies_young_again_and_again_is_backed_off_and_forgiven_when_it_has_grown_old() -> None:
    desired, memory, now, made = group(size=1), Memory(), 0.0, 0
    while now < 600:
        todo = plan(desired, Observation(), memory, now)
        made += len(todo.actions)
        outcomes = [Outcome(action, f"i-{made}") for action in todo.actions]
        memory = settle(desired, Observation(), memory, todo, outcomes, now)
        if outcomes:
            memory = record_exits(
                desired, memory, [ReportedExit("0", f"i-{made}", "exit status 1", now)], now
            )
        now += 0.5
    assert 5 < made <= 25
    living = Observation((ObservedInstance("i-x", slot="0", sha="v1", health=Health.HEALTHY),))
    for later in (now, now + YOUNG_FOR + 1):
        memory = settle(desired, living, memory, plan(desired, living, memory, later), (), later)
    assert memory.backoffs == {}


def test_since_when_a_slot_is_not_as_wanted_survives_a_change_of_the_reason() -> None:
    simulation = Simulation(group(size=1), random.Random(1).random, Faults(refused=1.0))
    began = simulation.now
    codes = set()
    for _ in range(12):
        (reason,) = simulation.dry_run().plan.reasons
        codes.add(reason.code)
        assert reason.since == began
        simulation.step()
    assert codes == {"missing", "backing-off"}


def test_a_deletion_now_and_then_never_causes_a_wait() -> None:
    simulation = Simulation(group(), random.Random(1).random)
    assert simulation.settle_down(5)
    for _ in range(50):
        simulation.kill(0.5)
        simulation.now += REFILL
        simulation.step()
        assert len(simulation.living) == SIZE


def deleted_for(seconds: float, every: float) -> Simulation:
    """Delete everything there is ``every`` so many seconds."""
    simulation = Simulation(group(), random.Random(1).random, poll=every)
    assert simulation.settle_down(5)
    while simulation.now < seconds:
        while simulation.kill(0.5):
            pass
        simulation.step()
    return simulation


def test_a_storm_of_deletions_is_braked_named_and_ended_by_a_resume() -> None:
    simulation = deleted_for(10.0, every=0.01)
    assert ALLOWANCE * SIZE < simulation.counts["made"] < 8 * SIZE
    first, *others = simulation.dry_run().plan.reasons
    assert (first.code, first.slot, first.instance) == ("backing-off", "", "")
    lately = int(first.text.partition(" ")[0])
    assert 0 < lately <= simulation.counts["kill"]
    assert first.text.startswith(f"{lately} instance")
    assert {(reason.code, bool(reason.slot)) for reason in others} == {("backing-off", True)}
    simulation.set_desired(simulation.desired)  # somebody resumes it
    for _ in range(ALLOWANCE):
        simulation.step()
        assert len(simulation.living) == SIZE
        assert simulation.dry_run().plan.converged
        while simulation.kill(0.5):
            pass


def test_a_storm_makes_an_instance_every_two_minutes_and_leaves_no_wait_once_over() -> None:
    simulation = deleted_for(3600.0, every=1.0)
    assert simulation.counts["made"] < SIZE * (12 + 3600 / 60)
    simulation.now += CAP
    assert simulation.settle_down(3)
    made = simulation.counts["made"]
    for _ in range(int(YOUNG_FOR / 1.0) + 5):  # it has grown old
        simulation.step()
    assert simulation.counts["made"] == made
    assert simulation.memory.backoffs == {}
    assert simulation.memory.allowances == {}
    simulation.kill(0.5)
    simulation.step()
    assert len(simulation.living) == SIZE


def test_what_is_only_not_seen_is_no_loss() -> None:
    """An instance missing in every view but living: the plugin answers with its ID, and nothing is
    counted.
    """
    desired, memory = group(size=2), Memory()
    both = [
        Outcome(action, f"i-{action.slot}")
        for action in plan(desired, Observation(), memory, 0.0).actions
    ]
    memory = settle(desired, Observation(), memory, Plan(), both, 0.0)
    one = Observation((ObservedInstance("i-0", slot="0", sha="v1", health=Health.HEALTHY),))
    for turn in range(20):
        todo = plan(desired, one, memory, 1.0 + turn)
        assert [action.slot for action in todo.actions] == ["1"]
        memory = settle(desired, one, memory, todo, [Outcome(todo.actions[0], "i-1")], 1.0 + turn)
    assert memory.backoffs == {}
    assert sum(memory.losses.values()) == 0


def test_what_the_planner_ends_itself_is_no_loss() -> None:
    simulation = Simulation(group(), random.Random(1).random, poll=0.01)
    for turn in range(10):
        simulation.set_desired(group(f"v{turn}"))
        assert simulation.settle_down(50)
    assert simulation.counts["made"] == 10 * SIZE
    assert simulation.memory.allowances == {}


def test_an_hour_without_a_pass_as_in_a_suspended_machine_makes_no_burst() -> None:
    simulation = storm(3, ALL, group())
    made = simulation.counts["made"]
    simulation.now += 3600.0
    for _ in range(10):
        simulation.step()
    assert simulation.counts["made"] - made <= SIZE
    assert simulation.settle_down(60)
    assert simulation.peak <= SIZE


def test_the_wait_doubles_is_capped_and_differs_between_slots() -> None:
    waits = [backoff("g", "0", attempt) for attempt in range(1, 30)]
    assert all(0.25 * 2**n <= wait <= 0.5 * 2**n for n, wait in enumerate(waits[:8]))
    assert max(waits) <= 120.0
    assert len({backoff("g", str(slot), 5) for slot in range(100)}) > 90


def test_pets_survive_the_same_storm() -> None:
    allocation = Allocation(logical_ids=["a", "b", "c"])
    desired = Desired("g", "v1", slots_of(allocation), pets=True)
    for seed in range(RUNS):
        simulation = storm(seed, ALL, desired)
        assert simulation.peak <= 3
        assert simulation.settle_down(60)
        assert sorted(seen.logical_id or "" for seen in simulation.living.values()) == [
            "a",
            "b",
            "c",
        ]


def test_a_run_with_the_same_dice_is_the_same_run() -> None:
    first, second = (storm(7, ALL, group()) for _ in range(2))
    assert first.living == second.living
    assert first.counts == second.counts
    assert Slot("0") in first.desired.slots
