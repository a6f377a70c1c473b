"""A command that always ends at once is tried a bounded number of times, whatever else happens;
nothing else uses up tries.
"""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from profiles import PATIENCE, lived

from ikdemo.reconcile.analysis.simulator import Faults, Simulation
from ikdemo.reconcile.backoff import EARLY, GIVE_UP_AFTER, YOUNG_FOR
from ikdemo.reconcile.desired import Desired, slots_of
from ikdemo.reconcile.model import Memory, Observation, ReportedExit
from ikdemo.reconcile.plan import plan, sentences
from ikdemo.reconcile.settle import record_exits, settle
from ikdemo.spi.documents import Allocation, Health
from ikdemo.spi.plans import ObservedInstance, Outcome

pytestmark = pytest.mark.timeout(PATIENCE)

SIZE = 3
rates = st.sampled_from([0.0, 0.0, 0.2])


def group(sha: str = "v1", size: int = SIZE) -> Desired:
    return Desired("g", sha, slots_of(Allocation(size)))


@lived
@given(
    st.integers(0, 2**32),
    st.builds(Faults, *[rates] * 7),
    st.lists(st.sampled_from(["step", "restart", "hour"]), max_size=20),
)
def test_a_command_that_always_ends_at_once_is_started_a_bounded_number_of_times(
    seed: int, faults: Faults, turns: list[str]
) -> None:
    simulation = Simulation(group(), random.Random(seed).random, faults)
    simulation.faults = type(faults)(
        **{f: getattr(faults, f) for f in faults.__struct_fields__} | {"crashing": 1.0}
    )
    # ends that nobody could be told of: the supervisor was not there, or did not know what it had
    # made
    unheard = 0
    for turn in turns:
        if turn == "restart":
            simulation.restart()
            unheard += SIZE
        elif turn == "hour":
            simulation.now += 3600
        else:
            for _ in range(5):
                simulation.step()
    for _ in range(400):
        simulation.step()
    unheard += 2 * sum(simulation.counts[kind] for kind in ("lost", "late", "doubled"))
    assert SIZE * GIVE_UP_AFTER <= simulation.counts["made"] <= SIZE * GIVE_UP_AFTER + unheard
    reasons = simulation.dry_run().plan.reasons
    assert [reason.code for reason in reasons] == ["halted"] * SIZE
    made = simulation.counts["made"]
    simulation.restart()
    for _ in range(50):
        simulation.step()
    assert simulation.counts["made"] == made
    simulation.set_desired(group("v2"))
    assert simulation.settle_down(30)


def test_it_lasts_about_a_minute_and_the_sentence_says_how_it_ended() -> None:
    for seed in range(20):
        simulation = Simulation(group(size=1), random.Random(seed).random, Faults(crashing=1.0))
        while not [r for r in simulation.dry_run().plan.reasons if r.code == "halted"]:
            simulation.step()
        assert 30 < simulation.now < 70
        step = simulation.dry_run()
        assert step.plan.wake_after is None
        (sentence,) = sentences(step.plan.reasons)
        assert sentence.startswith(
            "slot 0: stopped trying until the spec changes: 9 attempts in a row came to nothing, "
            "the last one:"
        )
        assert sentence.endswith(
            "died: exited with status 1 (halted), waiting for another spec, or to be resumed"
        )
        simulation.set_desired(simulation.desired)  # somebody says: try again
        assert simulation.settle_down(5)


def lives(*ends: tuple[float, str], size: int = 1) -> Memory:
    """Fill slot 0 again and again; each instance ends after so many seconds: it died, died early,
    was killed or became unhealthy.
    """
    desired, memory, now = group(size=size), Memory(), 1000.0
    for number, (age, end) in enumerate(ends):
        instance = f"i-{number}"
        todo = plan(desired, Observation(), memory, now)
        if not todo.actions:
            now += todo.wake_after or 0.0
            todo = plan(desired, Observation(), memory, now)
        (action,) = todo.actions
        memory = settle(desired, Observation(), memory, todo, [Outcome(action, instance)], now)
        well = Observation((ObservedInstance(instance, slot="0", sha="v1", health=Health.HEALTHY),))
        memory = settle(desired, well, memory, plan(desired, well, memory, now), (), now)
        now += age
        memory = settle(desired, well, memory, plan(desired, well, memory, now), (), now)
        if end in ("died", "early"):
            memory = record_exits(
                desired,
                memory,
                [ReportedExit("0", instance, end, now, own_doing=end == "died")],
                now,
            )
        if end == "unhealthy":
            ill = Observation(
                (ObservedInstance(instance, slot="0", sha="v1", health=Health.UNHEALTHY),)
            )
            for _ in range(3):
                todo = plan(desired, ill, memory, now)
                memory = settle(
                    desired, ill, memory, todo, [Outcome(a, a.instance) for a in todo.actions], now
                )
    return memory


def unproductive(*ends: tuple[float, str]) -> int:
    state = lives(*ends).backoffs.get("0")
    return state.unproductive if state else 0


def test_only_ends_at_once_and_by_itself_count_and_only_in_a_row() -> None:
    assert unproductive(*[(0.1, "died")] * 5) == 5
    assert unproductive(*[(0.1, "killed")] * 50) == 0
    assert unproductive(*[(0.1, "early")] * 12) == 0
    assert unproductive(*[(0.1, "unhealthy")] * 12) == 0
    assert unproductive(*[(0.1, "died"), (0.1, "killed"), (0.1, "early")] * 2) == 2
    assert unproductive(*[(0.1, "died")] * 8, (EARLY, "died")) == 0
    assert unproductive(*[(0.1, "died")] * 8, (YOUNG_FOR, "died"), (0.1, "died")) == 1
    assert unproductive(*[(EARLY + 1, "died")] * 30) == 0


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0.0, 0.5, 5.0, 30.0]),
            st.sampled_from(["killed", "early", "unhealthy"]),
        ),
        max_size=40,
    )
)
def test_what_is_killed_from_outside_is_never_given_up(ends: list[tuple[float, str]]) -> None:
    assert unproductive(*ends) == 0


def test_an_end_is_counted_once_and_only_of_the_latest_instance() -> None:
    desired, now = group(size=1), 0.0
    todo = plan(desired, Observation(), Memory(), now)
    memory = settle(desired, Observation(), Memory(), todo, [Outcome(todo.actions[0], "i-2")], now)
    died = [
        ReportedExit("0", instance, "died", 1.0, own_doing=True)
        for instance in ("i-1", "i-2", "i-2", "i-1")
    ]
    assert record_exits(desired, memory, died, 1.0).backoffs["0"].unproductive == 1
    assert record_exits(desired, memory, died[:1], 1.0).backoffs == {}


def test_a_refusal_of_the_instance_plugin_is_tried_as_often_as_an_instance_that_ends_at_once() -> (
    None
):
    desired, memory, now, asked = group(size=1), Memory(), 0.0, 0
    while now < 7200:
        todo = plan(desired, Observation(), memory, now)
        outcomes = [
            Outcome(action, error="there is no such program", unproductive=True)
            for action in todo.actions
        ]
        asked += len(outcomes)
        memory = settle(desired, Observation(), memory, todo, outcomes, now)
        now += 1.0
    assert asked == GIVE_UP_AFTER
    (reason,) = plan(desired, Observation(), memory, now).reasons
    assert reason.text.endswith("the last one: there is no such program")


def test_what_the_machine_refuses_for_now_is_never_given_up() -> None:
    desired, memory, now, asked = group(size=1), Memory(), 0.0, 0
    while now < 7200:
        todo = plan(desired, Observation(), memory, now)
        asked += len(todo.actions)
        memory = settle(
            desired,
            Observation(),
            memory,
            todo,
            [Outcome(a, error="disk full") for a in todo.actions],
            now,
        )
        now += 1.0
    assert asked > 50
