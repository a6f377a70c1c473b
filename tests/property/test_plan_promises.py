"""The planner's promises over generated groups and worlds: P1, P2, P4, P6 and P7, and that it
converges.
"""

from __future__ import annotations

from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from profiles import PATIENCE, lived, searched

from ikdemo.reconcile import plan as planner
from ikdemo.reconcile.desired import UNHEALTHY_AFTER, Desired, Pace, Slot, slots_of
from ikdemo.reconcile.model import BackoffState, Expected, Memory, Observation, Readiness
from ikdemo.reconcile.plan import plan, sentences
from ikdemo.reconcile.rolling import with_surge
from ikdemo.reconcile.settle import settle
from ikdemo.spi.documents import Allocation, Health
from ikdemo.spi.plans import ObservedInstance, Outcome, Plan

T = TypeVar("T")
pytestmark = pytest.mark.timeout(PATIENCE)

SHAS = ("new", "old", None)
NOW = 1_000_000.0

sizes = st.integers(0, 6)
logical_ids = st.lists(st.sampled_from(["a", "b", "c", "ü"]), min_size=1, max_size=5)
paces = st.builds(
    Pace, st.integers(1, 3), st.integers(0, 3), st.sampled_from([0.0, 5.0]), st.integers(0, 2)
)
allocations = st.one_of(
    st.builds(Allocation, sizes), st.builds(Allocation, st.just(0), logical_ids)
)


@st.composite
def groups(draw: st.DrawFn) -> Desired:
    allocation = draw(allocations)
    return Desired(
        "g",
        "new",
        slots_of(allocation),
        pets=bool(allocation.logical_ids),
        rolls=draw(st.booleans()),
        destroying=draw(st.sampled_from([False, False, False, True])),
        idempotent=draw(st.booleans()),
        pace=draw(paces),
    )


# What a world or a memory is made of is drawn as small numbers first, which is several times faster
# than strategies per group.
members = st.tuples(
    st.integers(0, 99),
    st.integers(0, 9),
    st.sampled_from([None, "a", "b", "z"]),
    *map(st.sampled_from, (SHAS, list(Health))),
)
populations = st.lists(members, max_size=9)
keyed = st.integers(0, 14)
times = st.floats(NOW - 9, NOW + 9)
backoff_states = st.dictionaries(
    keyed,
    st.builds(BackoffState, st.integers(1, 9), times, st.just("no"), st.booleans(), st.booleans()),
    max_size=3,
)
unhealthy_counts = st.dictionaries(keyed, st.integers(1, 5), max_size=9)
readiness_by_id = st.dictionaries(
    keyed, st.builds(Readiness, st.integers(1, 3), st.floats(NOW - 9, NOW)), max_size=9
)
asked = st.builds(Expected, times, st.sampled_from(["", "instance-0", "instance-1", "instance-99"]))
expectations = st.dictionaries(st.integers(0, 15), asked, max_size=3)


@st.composite
def worlds(draw: st.DrawFn, group: Desired) -> Observation:
    """Return any observation: own slots, foreign slots, none, doubles, all kinds of health, in any
    order.
    """
    names = [slot.name for slot in group.slots] + ["7", "x#0", None, None]
    by_slot = {slot.name: slot.logical_id for slot in group.slots}
    seen = []
    for number, (rank, place, logical_id, sha, health) in enumerate(draw(populations)):
        slot = names[place % len(names)]
        logical_id = by_slot.get(slot) if slot in by_slot else logical_id
        seen.append((rank, ObservedInstance(f"instance-{number}", logical_id, slot, sha, health)))
    return Observation(tuple(one for _, one in sorted(seen, key=lambda pair: pair[0])))


@st.composite
def memories(draw: st.DrawFn, group: Desired, observed: Observation) -> Memory:
    keys = [slot.name for slot in group.slots] + [seen.id for seen in observed.instances] or ["0"]

    def named(numbered: dict[int, T]) -> dict[str, T]:
        return {
            keys[number % len(keys)] if number < 15 else "instance-x": what
            for number, what in numbered.items()
        }

    return Memory(
        backoffs=named(draw(backoff_states)),
        unhealthy=named(draw(unhealthy_counts)),
        readiness=named(draw(readiness_by_id)),
        expected=named(draw(expectations)),
    )


@st.composite
def any_case(draw: st.DrawFn) -> tuple[Desired, Observation, Memory]:
    group = draw(groups())
    observed = draw(worlds(group))
    return group, observed, draw(memories(group, observed))


cases = any_case()


@searched
@given(cases)
def test_never_more_than_wanted_and_one_action_per_slot(
    case: tuple[Desired, Observation, Memory],
) -> None:
    group, observed, memory = case
    todo = plan(group, observed, memory, NOW)
    created = [a.slot for a in todo.actions if a.verb == "provision"]
    assert len(created) == len(set(created))
    wanted = {slot.name for slot in with_surge(group, observed).slots}
    assert len(wanted) <= len(group.slots) + group.pace.surge
    assert set(created) <= wanted
    if created:
        nobodys = [
            s
            for s in observed.instances
            if group.pets and s.logical_id is None and s.slot not in wanted
        ]
        assert len(observed.instances) - len(nobodys) + len(created) <= len(wanted)
    destroyed = [a.instance for a in todo.actions if a.verb == "destroy"]
    assert len(destroyed) == len(set(destroyed))
    assert not group.destroying or not created


@searched
@given(cases)
def test_never_destroys_a_healthy_wanted_instance_nor_one_it_did_not_see(
    case: tuple[Desired, Observation, Memory],
) -> None:
    group, observed, memory = case
    todo = plan(group, observed, memory, NOW)
    seen = {s.id: s for s in observed.instances}
    destroyed = [a for a in todo.actions if a.verb == "destroy"]
    assert all(a.instance in seen for a in destroyed)
    if group.destroying:
        return
    wanted = {slot.name for slot in with_surge(group, observed).slots}
    for action in destroyed:
        target = seen[action.instance]
        rivals = [s for s in observed.instances if s.slot == target.slot and s.id != target.id]
        is_well = target.health is Health.HEALTHY or (
            target.health is Health.UNKNOWN and memory.unhealthy.get(target.id, 0) < UNHEALTHY_AFTER
        )
        if group.ranks_by_id:
            rivals = [s for s in observed.instances if s.id > target.id]
            assert (
                target.sha != group.sha
                or not is_well
                or len([r for r in rivals if r.sha == group.sha]) >= len(wanted)
            ), action
            continue
        good = target.slot in wanted and target.sha == group.sha and is_well
        assert not good or any(r.sha == group.sha for r in rivals), action
    assert len([a for a in destroyed if a.code == "outdated"]) <= group.pace.batch
    # an update goes on only from a full house
    if any(action.code == "outdated" for action in destroyed):
        assert len(observed.instances) >= len(wanted)
    assert group.rolls or not [a for a in destroyed if a.code == "outdated"]


@searched
@given(cases)
def test_everything_not_as_wanted_has_a_reason_and_a_converged_world_is_left_alone(
    case: tuple[Desired, Observation, Memory],
) -> None:
    group, observed, memory = case
    todo = plan(group, observed, memory, NOW)
    assert bool(todo.actions) <= bool(todo.reasons)
    assert len(sentences(todo.reasons)) == len(todo.reasons)
    if todo.converged:
        assert not todo.actions
        assert not todo.reasons
        if not group.destroying:
            assert len(observed.instances) == len(group.slots)
            assert all(seen.sha == group.sha for seen in observed.instances)
    elif not (group.destroying and not observed.instances):
        assert todo.reasons
    if todo.wake_after is not None:
        assert todo.wake_after >= 0


@searched
@given(cases)
def test_asking_twice_gives_the_same_plan_and_changes_nothing(
    case: tuple[Desired, Observation, Memory],
) -> None:
    group, observed, memory = case
    check_asking(group, observed, memory)


def check_asking(group: Desired, observed: Observation, memory: Memory) -> None:
    """Ask, ask something else of the same group, and ask again, with equal arguments that were laid
    out in another order.
    """
    before = repr((group, observed, memory))
    first = planner.plan(group, observed, memory, NOW)
    planner.plan(group, Observation(observed.instances[1:]), Memory(), NOW + 1.0)
    turned = {
        name: dict(reversed(getattr(memory, name).items()))
        for name in ("backoffs", "unhealthy", "readiness", "expected")
    }
    assert planner.plan(group, observed, structs.replace(memory, **turned), NOW) == first
    assert repr((group, observed, memory)) == before


def forgets_as_it_is_asked(patch: pytest.MonkeyPatch) -> None:
    true = planner.PlanBuilder.provision

    def provision(builder: planner.PlanBuilder, slot: Slot, **more: Any) -> bool:
        taken = true(builder, slot, **more)
        builder.memory.backoffs.pop(slot.name, None)  # type: ignore[attr-defined]
        return taken

    patch.setattr(planner.PlanBuilder, "provision", provision)


def remembers_what_it_was_asked(patch: pytest.MonkeyPatch) -> None:
    true, asked = planner.assign, list[Any]()

    def assign(*args: Any) -> planner.Assignment:
        asked.append(true(*args))
        return asked[-2:][0]  # what the question before was about

    patch.setattr(planner, "assign", assign)


def fills_slots_in_the_order_of_its_memory(patch: pytest.MonkeyPatch) -> None:
    def fill(
        builder: planner.PlanBuilder, assignment: planner.Assignment, size: int, *, stuck: bool
    ) -> None:
        for name in builder.memory.backoffs:
            builder.provision(Slot(name), has_room=True)

    patch.setattr(planner, "_fill_missing", fill)


@pytest.mark.parametrize(
    "plant",
    [forgets_as_it_is_asked, remembers_what_it_was_asked, fills_slots_in_the_order_of_its_memory],
)
def test_asking_twice_sees_a_planner_that(plant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    group, present = (
        Desired("g", "new", (Slot("0"), Slot("1"), Slot("2"))),
        (ObservedInstance("instance-2", slot="2", sha="new"),),
    )
    backoffs = {"0": BackoffState(1, NOW, "no room"), "1": BackoffState(1, NOW, "no room")}
    with pytest.raises(AssertionError):
        check_asking(group, Observation(present), Memory(backoffs=backoffs))


@searched
@given(cases)
def test_a_failed_observation_leads_to_no_action(case: tuple[Desired, Observation, Memory]) -> None:
    group, observed, memory = case
    invalidate = Observation(observed.instances, error="no answer")
    todo = plan(group, invalidate, memory, NOW)
    assert todo.actions == ()
    assert [r.code for r in todo.reasons] == ["plugin-unreachable"]
    after = settle(group, invalidate, memory, todo, (), NOW)
    assert (after.backoffs, after.unhealthy, after.expected) == (
        memory.backoffs,
        memory.unhealthy,
        memory.expected,
    )


def carry_out(
    group: Desired, world: dict[str, ObservedInstance], todo: Plan, serial: int
) -> tuple[list[Outcome], int]:
    """Do what the plan says to a model of a plugin whose provisioning is idempotent on the slot."""
    outcomes = []
    for action in todo.actions:
        if action.verb == "destroy":
            world.pop(action.instance)
            outcomes.append(Outcome(action, action.instance))
            continue
        living = [s for s in world.values() if s.slot == action.slot]
        if not living:
            serial += 1
            living = [
                ObservedInstance(
                    f"made-{serial:04}", action.logical_id, action.slot, group.sha, Health.HEALTHY
                )
            ]
            world[living[0].id] = living[0]
        outcomes.append(Outcome(action, living[0].id))
    return outcomes, serial


@lived
@given(groups().flatmap(lambda g: worlds(g).map(lambda o: (g, o))))
def test_every_world_converges_when_nothing_fails_and_stays_so(
    case: tuple[Desired, Observation],
) -> None:
    group, observed = case
    world = {
        s.id: s
        for s in observed.instances
        if s.health is Health.HEALTHY and not (group.pets and s.logical_id is None)
    }
    memory, now, serial = Memory(), NOW, 0
    most = max(len(world), len(group.slots) + group.pace.surge)
    for _ in range(8 * (len(world) + len(group.slots) + 4)):
        view = Observation(tuple(world.values()))
        todo = plan(group, view, memory, now)
        outcomes, serial = carry_out(group, world, todo, serial)
        memory = settle(group, view, memory, todo, outcomes, now)
        assert len(world) <= most
        now += 1.0
    final = plan(group, Observation(tuple(world.values())), memory, now)
    stuck = {reason.code for reason in final.reasons}
    assert final.actions == ()
    assert final.converged or stuck == {"adopted-outdated"}


@lived
@given(
    st.integers(1, 5),
    st.lists(
        st.tuples(
            st.sampled_from(["stale", "partial", "lost", "kill", "none"]), st.integers(0, 99)
        ),
        max_size=25,
    ),
)
def test_slots_never_exceed_the_size_under_stale_partial_and_lost_answers(
    size: int, faults: list[tuple[str, int]]
) -> None:
    """The table of over-creation: with slots and idempotent provisioning its last column is
    zero.
    """
    live(size, faults)


def live(size: int, faults: list[tuple[str, int]]) -> None:
    """Live through faults of the view, the answers and the world, and be whole in the end."""
    group = Desired("g", "new", tuple(Slot(str(n)) for n in range(size)))
    world: dict[str, ObservedInstance] = {}
    past: list[tuple[ObservedInstance, ...]] = [()]
    memory, serial, now = Memory(), 0, NOW
    for fault, pick in [*faults, ("none", 0), ("none", 0), ("none", 0)]:
        if fault == "kill" and world:
            world.pop(sorted(world)[pick % len(world)])
        truth = tuple(world.values())
        past.append(truth)
        instances = past[pick % len(past)] if fault == "stale" else truth
        if fault == "partial" and instances:
            instances = tuple(s for n, s in enumerate(instances) if n != pick % len(instances))
        view = Observation(instances)
        todo = planner.plan(group, view, memory, now)
        assert all(action.verb == "provision" for action in todo.actions)
        seen_in = {seen.slot for seen in instances}
        assert not [action for action in todo.actions if action.slot in seen_in], (
            "a slot is asked for that is seen to be taken"
        )
        outcomes, serial = carry_out(group, world, todo, serial)
        if fault == "lost":
            outcomes = [Outcome(o.action, error="no answer came", unknown=True) for o in outcomes]
        memory = settle(group, view, memory, todo, outcomes, now)
        assert len(world) <= size
        assert {s.slot for s in world.values()} <= {slot.name for slot in group.slots}
        now += 200.0
    assert len(world) == size


def counts_and_takes_the_next_numbers(
    builder: planner.PlanBuilder, assignment: planner.Assignment, size: int, *, stuck: bool
) -> None:
    for number in range(len(builder.observed.instances), size):
        builder.provision(Slot(str(number)), has_room=True)


def makes_a_new_slot_for_each(
    builder: planner.PlanBuilder, assignment: planner.Assignment, size: int, *, stuck: bool
) -> None:
    for slot in builder.desired.slots:
        if slot.name not in assignment.occupants:
            builder.provision(Slot(f"{slot.name}-{int(builder.now)}"), has_room=True)


def fills_one_less(
    builder: planner.PlanBuilder, assignment: planner.Assignment, size: int, *, stuck: bool
) -> None:
    for slot in builder.desired.slots[:-1]:
        if slot.name not in assignment.occupants:
            builder.provision(slot, has_room=True)


@pytest.mark.parametrize(
    "fill", [counts_and_takes_the_next_numbers, makes_a_new_slot_for_each, fills_one_less]
)
def test_slots_never_exceed_sees_a_planner_that(fill: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner, "_fill_missing", fill)
    with pytest.raises(AssertionError):
        live(3, [("none", 0), ("kill", 0), ("stale", 0)])
