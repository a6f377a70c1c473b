"""Going by what is told between two looks: the promises hold however late, doubled or lost it is,
and it costs few looks.
"""

from __future__ import annotations

import random
from collections import deque
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from profiles import PATIENCE, searched
from storms import PASSES, SIZE, check_update, check_whole

from ikdemo.reconcile.analysis.simulator import Faults, Simulation
from ikdemo.reconcile.desired import Desired, Pace, slots_of
from ikdemo.reconcile.model import Memory, Observation
from ikdemo.reconcile.observed_cache import ObservedCache, is_safe
from ikdemo.reconcile.plan import plan
from ikdemo.reconcile.settle import with_backoffs
from ikdemo.spi.documents import Allocation, Health
from ikdemo.spi.events import Event
from ikdemo.spi.plans import Action, ObservedInstance, Outcome, Plan

pytestmark = pytest.mark.timeout(PATIENCE)

RUNS = 60
KINDS = ["refused", "lost", "doubled", "late", "blind", "stale", "partial", "deaf", "missed"]
ALL = Faults(**dict.fromkeys(KINDS, 0.1))


def group(sha: str = "v1", size: int = SIZE, *, pace: Pace | None = None) -> Desired:
    return Desired("g", sha, slots_of(Allocation(size)), pace=pace or Pace())


def storm(seed: int, faults: Faults, desired: Desired) -> Simulation:
    """Run a group whose plugin tells through faults, kills, and instances that somebody else puts
    into it.
    """
    dice = random.Random(seed)
    simulation = Simulation(desired, dice.random, faults, with_events=True)
    for turn in range(PASSES):
        if dice.random() < 0.2:
            simulation.kill(dice.random())
        if dice.random() < 0.05:
            simulation.now += dice.random() * simulation.poll
        # made by hand, into a slot that nobody holds
        if dice.random() < 0.02 and len(simulation.living) < SIZE:
            free = sorted(
                {slot.name for slot in desired.slots}
                - {seen.slot for seen in simulation.living.values()}
            )
            simulation.add(
                ObservedInstance(
                    f"instance-by-hand-{turn}", None, free[0], desired.sha, Health.HEALTHY
                )
            )
        simulation.step()
    return simulation


@pytest.mark.parametrize("kind", [*KINDS, "all at once"])
def test_there_is_never_one_too_many_and_no_healthy_one_is_harmed(kind: str) -> None:
    faults = ALL if kind == "all at once" else Faults(**{kind: 0.2})
    injected = 0
    for seed in range(RUNS):
        simulation = storm(seed, faults, group())
        check_whole(simulation, seed)
        injected += sum(simulation.counts[name] for name in KINDS)
    assert injected > RUNS


@pytest.mark.parametrize(
    "pace", [Pace(), Pace(batch=2), Pace(surge=2), Pace(batch=2, count=2, surge=1)]
)
def test_an_update_under_faults_stays_within_size_and_surge_and_ends(pace: Pace) -> None:
    for seed in range(RUNS):
        simulation = storm(seed, Faults(), group(pace=pace))
        check_update(simulation, group("v2", pace=pace), ALL, seed)


def test_without_faults_a_hundred_kills_are_healed_between_two_looks() -> None:
    simulation = Simulation(group(), random.Random(3).random, with_events=True)
    assert simulation.settle_down(5)
    simulation.step(advance=False)  # the poll that has become due
    looks = simulation.counts["look"]
    for _ in range(100):
        simulation.kill(0.5)
        simulation.step(advance=False)
        assert len(simulation.living) == SIZE
        # as after a resume: so many at once are a storm
        simulation.memory = with_backoffs(simulation.memory, {})
    assert simulation.counts["look"] == looks
    simulation.now += simulation.poll
    simulation.step()
    assert simulation.counts["look"] == looks + 1


class World:
    """A plugin with slots and what it tells, in order and as late as one likes; ``cache`` goes by
    it.
    """

    def __init__(self) -> None:
        self.cache, self.living = ObservedCache(), dict[str, ObservedInstance]()
        self.told = deque[Event]()
        self._serial = 0

    def make(self, slot: str) -> str:
        for seen in self.living.values():
            if seen.slot == slot:
                return seen.id
        self._serial += 1
        instance = f"i-{self._serial}"
        return self.put(ObservedInstance(instance, None, slot, "sha"))

    def put(self, seen: ObservedInstance) -> str:
        self.living[seen.id] = seen
        self.told.append(Event("provisioned", instance=seen.id, slot=seen.slot or ""))
        return seen.id

    def end(self, instance: str, kind: str) -> None:
        self.living.pop(instance)
        self.told.append(Event(kind, instance=instance))

    def deliver(self, number: int) -> None:
        for _ in range(min(number, len(self.told))):
            self.cache.on_event(self.told.popleft())

    def look(self, before: int, during: int) -> None:
        self.deliver(before)
        self.cache.begin_refresh()
        self.deliver(during)
        self.cache.end_refresh(Observation(tuple(self.living.values())))

    def act(self, actions: list[Action], told: int) -> None:
        self.cache.begin_acting(actions)
        outcomes = []
        for action in actions:
            if action.verb == "provision":
                outcomes.append(Outcome(action, self.make(action.slot)))
            elif action.instance in self.living:
                self.end(action.instance, "destroyed")
                outcomes.append(Outcome(action, action.instance))
            else:
                outcomes.append(Outcome(action, action.instance, error="no such instance"))
        self.deliver(told)
        self.cache.end_acting(outcomes, "sha")


few = st.integers(0, 4)
turns = st.lists(
    st.one_of(
        st.tuples(st.just("look"), few, few),
        st.tuples(st.just("deliver"), few, few),
        st.tuples(st.just("provision"), few, few),
        st.tuples(st.just("destroy"), few, few),
        st.tuples(st.just("kill"), few, few),
        st.tuples(st.just("by hand"), few, few),
        st.tuples(st.just("back"), few, few),
        st.tuples(st.just("copy"), few, few),
    ),
    max_size=30,
)


@searched
@given(turns)
def test_when_everything_was_told_what_is_believed_is_the_truth(
    turns: list[tuple[str, int, int]],
) -> None:
    world = World()
    dead = list[ObservedInstance]()
    for turn, one, other in turns:
        living = sorted(world.living)
        if turn == "look":
            world.look(one, other)
        elif turn == "deliver":
            world.deliver(one + other)
        elif turn == "provision":
            world.act(
                [
                    Action("provision", "missing", str(one)),
                    Action("provision", "missing", str(one + 1)),
                ],
                other,
            )
        elif turn == "by hand":
            world.make(str(one))
        elif turn == "back" and dead and (seen := dead.pop()).id not in world.living:
            world.put(seen)
        elif turn == "copy" and living:
            world.told.append(Event("provisioned", instance=living[one % len(living)]))
        elif turn == "kill" and living:
            dead.append(world.living[living[one % len(living)]])
            world.end(dead[-1].id, "lost")
        elif turn == "destroy" and living:
            world.act([Action("destroy", "surplus", instance=living[one % len(living)])], other)
        if world.cache.current() is not None and not world.told:
            assert believed(world) == sorted(world.living)
    world.deliver(len(world.told))
    assert believed(world) in (None, sorted(world.living))


def believed(world: World) -> list[str] | None:
    known = world.cache.current()
    return None if known is None else sorted(seen.id for seen in known.instances)


@pytest.mark.parametrize(
    "event",
    [
        Event("provisioned", instance="i-9", slot="2"),
        Event("changed", instance="i-0", slot="0"),
        Event("reported", text="the folder is gone"),
    ],
)
@pytest.mark.parametrize("moment", ["between", "during a look"])
def test_what_nobody_here_did_is_looked_at(event: Event, moment: str) -> None:
    cache = ObservedCache()
    cache.begin_refresh()
    if moment == "during a look":
        assert cache.on_event(event)
    cache.end_refresh(Observation((ObservedInstance("i-0", slot="0", sha="sha"),)))
    if moment == "between":
        assert cache.current() is not None
        assert cache.on_event(event)
    assert cache.current() is None


def test_the_echo_of_an_action_is_no_news_but_a_second_one_is() -> None:
    cache = ObservedCache()
    cache.begin_refresh()
    cache.end_refresh(Observation())
    action = Action("provision", "missing", "0")
    cache.begin_acting([action])
    cache.end_acting([Outcome(action, "i-1")], "sha")
    echo = Event("provisioned", instance="i-1", slot="0")
    assert not cache.on_event(echo)
    assert cache.current() == Observation((ObservedInstance("i-1", None, "0", "sha"),))
    assert cache.on_event(echo)  # its file was copied
    assert cache.current() is None


@pytest.mark.parametrize("outcome", [{"error": "no room"}, {"error": "no answer", "unknown": True}])
def test_an_action_that_failed_is_followed_by_a_look(outcome: dict[str, Any]) -> None:
    cache = ObservedCache()
    cache.begin_refresh()
    cache.end_refresh(Observation())
    action = Action("provision", "missing", "0")
    cache.begin_acting([action])
    cache.end_acting([Outcome(action, **outcome)], "sha")
    assert cache.current() is None


def test_two_instances_of_one_id_and_a_look_in_doubt_are_not_kept() -> None:
    for observed in (
        Observation((ObservedInstance("i", slot="0"), ObservedInstance("i", slot="1"))),
        Observation(error="no answer"),
    ):
        cache = ObservedCache()
        cache.begin_refresh()
        cache.end_refresh(observed)
        assert cache.current() is None


def test_nothing_is_destroyed_by_the_cache() -> None:
    surplus = Observation(
        (ObservedInstance("i-0", slot="0", sha="v1"), ObservedInstance("i-9", slot="9", sha="v1"))
    )
    assert not is_safe(plan(group(size=1), surplus, Memory(), 0.0))
    assert is_safe(plan(group(size=2), Observation(), Memory(), 0.0))
    assert is_safe(Plan())
