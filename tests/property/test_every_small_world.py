"""An exhaustive search: every world of few slots and few faults that can be reached at all, of
plugins with slots and without.

In every state that is reached each plan keeps the promises (``small_world.World.check``), and from
every state the group becomes whole. A fault is a view that lies, a request that is refused, late,
or comes twice, a loss, an illness, or a commit; between two passes no time goes by, or all that
anything waits for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import small_world
from msgspec import structs
from profiles import PATIENCE, SOAK
from small_world import World, search

from ikdemo.reconcile import plan as planner
from ikdemo.reconcile import rolling
from ikdemo.reconcile.assignment import Assignment, assign
from ikdemo.reconcile.desired import Desired
from ikdemo.reconcile.model import Memory, Observation
from ikdemo.spi.plans import Plan

STORM = World(1, 5, only_losses=True)
WORLDS = [
    World(1, 3),
    World(2, 2),
    World(1, 3, has_slots=False),
    World(2, 2, has_slots=False),
    STORM,
]
LONG = [World(1, 4), World(2, 3), World(3, 2), World(2, 3, has_slots=False)]


def named(world: World) -> str:
    what = "losses" if world.only_losses else "faults"
    return f"size {world.most}, {world.faults} {what}, {'slots' if world.has_slots else 'no slots'}"


@pytest.mark.timeout(PATIENCE)
@pytest.mark.parametrize("world", WORLDS + (LONG if SOAK else []), ids=named)
def test_every_reachable_world_is_safe_and_becomes_whole(world: World) -> None:
    assert search(world) > 100


def counts_instances(patch: pytest.MonkeyPatch) -> None:
    def fill(builder: Any, assignment: Assignment, size: int, *, stuck: bool) -> None:
        for slot in builder.desired.slots[len(builder.observed.instances) : size]:
            builder.provision(slot, has_room=True)

    patch.setattr(planner, "_fill_missing", fill)


def forgets(**nothing: object) -> Callable[[pytest.MonkeyPatch], None]:
    def plant(patch: pytest.MonkeyPatch) -> None:
        true = small_world.settle
        patch.setattr(small_world, "settle", lambda *args: structs.replace(true(*args), **nothing))

    return plant


def expects_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(planner.PlanBuilder, "expected", lambda builder: set())


def ends_the_living_beyond_the_size(patch: pytest.MonkeyPatch) -> None:
    def place(desired: Desired, instances: Any, unhealthy: Any = ()) -> Assignment:
        names = {slot.name for slot in desired.slots}
        beyond = [seen for seen in instances if seen.slot not in names]
        assignment = assign(desired, [seen for seen in instances if seen.slot in names], unhealthy)
        return assignment._replace(surplus=[*assignment.surplus, *beyond])

    patch.setattr(planner, "assign", place)


def believes_doubt(patch: pytest.MonkeyPatch) -> None:
    true = planner.plan

    def believe(desired: Desired, observed: Observation, memory: Memory, now: float) -> Plan:
        return true(desired, structs.replace(observed, error=""), memory, now)

    patch.setattr(small_world, "plan", believe)


def learns_from_doubt(patch: pytest.MonkeyPatch) -> None:
    true = small_world.settle
    patch.setattr(
        small_world,
        "settle",
        lambda group, view, *more: true(group, structs.replace(view, error=""), *more),
    )


def rolls_past_empty_slots_and_unready_ones(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(rolling, "_blocked_by", lambda builder, assignment: "")


def takes_every_new_one_for_ready(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(rolling, "_not_ready_because", lambda builder, seen, shown: "")


def replaces_at_the_first_unhealthy_answer(patch: pytest.MonkeyPatch) -> None:
    true = planner.unhealthy_in_a_row
    patch.setattr(
        planner,
        "unhealthy_in_a_row",
        lambda *args: {one: times + 1 for one, times in true(*args).items()},
    )


def leaves_the_unhealthy(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(planner, "_replace_unhealthy", lambda builder, assignment, unhealthy: None)


def replaces_all_the_unhealthy(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(planner, "UNHEALTHY_SHARE", 1.0)


def leaves_surplus(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(planner, "_remove_surplus", lambda builder, assignment: None)


BUGS: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], World]] = {
    "counts instances, with slots": (counts_instances, World(2, 2)),
    "counts instances, without slots": (counts_instances, World(2, 2, has_slots=False)),
    "forgets what it expects": (forgets(expected={}), World(2, 2, has_slots=False)),
    "forgets what failed": (forgets(backoffs={}), World(1, 2)),
    "forgets what was ill": (forgets(unhealthy={}), World(1, 2)),
    "forgets what has lived": (forgets(readiness={}), World(2, 2)),
    "forgets what was lost": (forgets(created={}, allowances={}), STORM),
    "does not wait for what it expects": (expects_nothing, World(2, 2, has_slots=False)),
    "ends the living beyond the size": (ends_the_living_beyond_the_size, World(2, 2)),
    "believes doubt": (believes_doubt, World(1, 2)),
    "learns from doubt": (learns_from_doubt, World(1, 2)),
    "rolls past empty slots": (rolls_past_empty_slots_and_unready_ones, World(2, 2)),
    "takes every new one for ready": (takes_every_new_one_for_ready, World(2, 2)),
    "replaces at the first illness": (replaces_at_the_first_unhealthy_answer, World(1, 2)),
    "leaves the unhealthy": (leaves_the_unhealthy, World(1, 2)),
    "replaces all the unhealthy": (replaces_all_the_unhealthy, World(2, 2)),
    "leaves surplus": (leaves_surplus, World(2, 2)),
}


@pytest.mark.parametrize("bug", BUGS)
def test_the_search_sees_a_planner_that(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plant, world = BUGS[bug]
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        search(world)
