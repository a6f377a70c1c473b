"""Who goes when there are more instances than slots, and who may stay although its number is out of
range.
"""

from __future__ import annotations

import pytest

from ikdemo.reconcile.assignment import assign
from ikdemo.reconcile.desired import Desired, Pace, slot_number, slots_of
from ikdemo.reconcile.model import Memory, Observation
from ikdemo.reconcile.plan import plan
from ikdemo.reconcile.rolling import with_surge
from ikdemo.spi.documents import Allocation, Health
from ikdemo.spi.plans import ObservedInstance


def group(size: int, *, pace: Pace | None = None) -> Desired:
    return Desired("g", "new", slots_of(Allocation(size)), pace=pace or Pace())


def living(*slots: int | str | None, sha: str = "new") -> tuple[ObservedInstance, ...]:
    """Return one instance per slot, named after it."""
    return tuple(
        ObservedInstance(f"i-{slot}", None, None if slot is None else str(slot), sha)
        for slot in slots
    )


def actions(
    desired: Desired, instances: tuple[ObservedInstance, ...], memory: Memory | None = None
) -> list[tuple[str, str]]:
    """Return what a pass does: verb, and the slot that is filled or the instance that goes."""
    todo = plan(desired, Observation(instances), memory or Memory(), now=0.0)
    return [(action.verb, action.instance or action.slot) for action in todo.actions]


def test_a_scale_down_leaves_the_living_and_makes_none() -> None:
    assert actions(group(3), living(3, 4, 5)) == []
    assert plan(group(3), Observation(living(3, 4, 5)), Memory(), 0.0).converged
    assert actions(group(3), living(1, 2, 3, 4)) == [("destroy", "i-4")]
    assert actions(group(3), living(1, 2, 3)) == []
    assert actions(group(3), living(0, 1, 2, 3, 4)) == [("destroy", "i-4"), ("destroy", "i-3")]


def test_a_slot_that_another_holds_is_filled_when_that_one_has_ended() -> None:
    assert actions(group(3), living(3, 5)) == [("provision", "2")]


def test_the_outdated_go_first_then_the_unhealthy_then_the_highest() -> None:
    old = living(0, 1, sha="old")
    assert actions(group(3), old + living(2, 3, 4))[:2] == [("destroy", "i-1"), ("destroy", "i-0")]
    unhealthy = Memory(unhealthy={"i-1": 3})
    assert actions(group(2), living(0, 1, 2), unhealthy) == [("destroy", "i-1")]
    assert actions(group(2), living(0, 1, 2)) == [("destroy", "i-2")]


def test_of_those_without_a_slot_the_lowest_goes_first_and_before_any_with_one() -> None:
    by_hand = (ObservedInstance("i-a", sha="new"), ObservedInstance("i-b", sha="new"))
    assert actions(group(2), living(1) + by_hand) == [("destroy", "i-a")]
    assert actions(group(2), living(7, 8) + by_hand) == [("destroy", "i-a"), ("destroy", "i-b")]


def test_one_unhealthy_answer_chooses_nobody() -> None:
    (doubted,) = living(0)
    doubted = ObservedInstance(doubted.id, None, "0", "new", Health.UNHEALTHY)
    assert actions(group(1), (doubted, *living(1))) == [("destroy", "i-1")]


@pytest.mark.parametrize(
    "slot", ["9" * 5000, "9" * 10, "٣", "²", "-1", "1e3", " 1", "+1", "0" * 200, ""]
)
def test_whatever_an_instance_calls_its_slot_its_group_is_healed(slot: str) -> None:
    assert slot_number(slot) is None
    odd = ObservedInstance("odd", None, slot, "new")
    assert actions(group(3), (*living(0), odd)) == [("provision", "2")]  # it sits in slot 1
    assert actions(group(3), (*living(0, 1, 2), odd)) == [("destroy", "odd")]
    assert assign(group(1), (odd,)).living() == [("0", odd)]


def test_what_lives_beyond_the_slots_of_a_surge_keeps_none_open() -> None:
    desired = group(3, pace=Pace(surge=1))
    assert with_surge(desired, Observation(living(3, 4, 5))) == desired
    assert actions(desired, living(3, 4, 5)) == []


def test_an_update_replaces_what_is_out_of_range_by_instances_in_range() -> None:
    old = living(3, 4, 5, sha="old")
    (target,) = actions(
        group(3), tuple(ObservedInstance(s.id, None, s.slot, "old", Health.HEALTHY) for s in old)
    )
    assert target == ("destroy", "i-5")
    assert actions(group(3), old[:2]) == [("provision", "2")]
