"""The planner's rules, one case each: a world in, what is done and said out. Read from top to
bottom it teaches the planner.

A case is a group, the instances that are seen, and what is remembered; ``does`` lists the actions
in their order, ``says`` the reasons' codes. Instances are named after their slot (``i0``) unless
the case is about names.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from ikdemo.reconcile.backoff import ALLOWANCE, GIVE_UP_AFTER
from ikdemo.reconcile.desired import Desired, Pace, slots_of
from ikdemo.reconcile.model import BackoffState, Destroyed, Expected, Memory, Observation, Readiness
from ikdemo.reconcile.plan import plan
from ikdemo.reconcile.settle import settle
from ikdemo.spi.documents import Allocation, Health
from ikdemo.spi.plans import Action, ObservedInstance, Outcome, Plan

NOW = 1000.0
WELL, ILL, UNASKED = Health.HEALTHY, Health.UNHEALTHY, Health.UNKNOWN


def sized(size: int, **more: object) -> Desired:
    return Desired("g", "new", slots_of(Allocation(size)), **more)  # type: ignore[arg-type]


def pets(*logical_ids: str) -> Desired:
    return Desired("g", "new", slots_of(Allocation(logical_ids=list(logical_ids))), pets=True)


def one(
    slot: str | None,
    sha: str | None = "new",
    health: Health = WELL,
    *,
    id: str = "",
    logical_id: str | None = None,
) -> ObservedInstance:
    return ObservedInstance(id or f"i{slot}", logical_id, slot, sha, health)


def row(text: str, sha: str = "new", health: Health = WELL) -> list[ObservedInstance]:
    """Return an instance for each slot that is named, apart by blanks."""
    return [one(slot, sha, health) for slot in text.split()]


class Case(NamedTuple):
    """What is wanted, seen and remembered; ``does``: the plan's actions as "verb slot-or-instance";
    ``says``: its codes.
    """

    group: Desired
    seen: list[ObservedInstance]
    does: str = ""
    says: str = ""
    memory: Memory = Memory()
    error: str = ""


def waiting(not_before: float = NOW + 5, **more: object) -> BackoffState:
    return BackoffState(2, not_before, "no room", **more)  # type: ignore[arg-type]


UNHEALTHY_THRICE = {"i0": 3, "i1": 3, "i2": 3, "i3": 3, "i4": 3}
ROLLED = {f"i{n}": Readiness(1, NOW - 60, NOW - 60) for n in range(6)}

CASES = {
    # slots, not counts
    "what is as wanted is left alone": Case(sized(3), row("0 1 2")),
    "an empty group is filled": Case(sized(2), [], "provision 0, provision 1", "missing missing"),
    "an empty slot is filled under its own name": Case(
        sized(3), row("0 2"), "provision 1", "missing"
    ),
    "a group of nothing is complete": Case(sized(0), []),
    # one for each slot
    "two in one slot are not two slots filled": Case(
        sized(2), [one("0", id="a"), one("0", id="b")], "destroy a", "surplus missing"
    ),
    "of two in one slot the outdated goes": Case(
        sized(2, rolls=False),
        [one("0", id="a"), one("0", "old", id="b"), one("1")],
        "destroy b",
        "surplus",
    ),
    "of two in one slot the unhealthy goes": Case(
        sized(2),
        [one("0", id="a"), one("0", health=UNASKED, id="b"), one("1")],
        "destroy b",
        "surplus",
        Memory(unhealthy={"b": 3}),
    ),
    "of equals in one slot the lower ID goes": Case(
        sized(2), [one("0", id="b"), one("0", id="a"), one("1")], "destroy a", "surplus"
    ),
    # who goes, who stays
    "of too many the highest slots go": Case(
        sized(2), row("0 1 2 3"), "destroy i3, destroy i2", "surplus surplus"
    ),
    "of too many the outdated go first": Case(
        sized(2, rolls=False), [*row("0", "old"), *row("1 2")], "destroy i0", "surplus"
    ),
    "of too many the unhealthy go first": Case(
        sized(2), row("0 1 2", health=UNASKED), "destroy i0", "surplus", Memory(unhealthy={"i0": 3})
    ),
    "the living stay in slots that are no longer wanted": Case(sized(3), row("3 4 5")),
    "what has no slot sits in a free one": Case(sized(2), [one("1"), one(None, id="x")]),
    "of those without a slot the lowest ID goes": Case(
        sized(2), [one(None, id=name) for name in "zyx"], "destroy x", "surplus"
    ),
    "what is surplus is gone before anything is made": Case(
        sized(3),
        [one("0", id="a"), one("0", id="b"), one("0", id="c")],
        "destroy a, destroy b",
        "surplus surplus missing missing",
    ),
    # pets
    "a pet is made under its logical ID": Case(
        pets("a", "b"), [one("a#0", logical_id="a")], "provision b#0", "missing"
    ),
    "a pet without a slot sits in that of its logical ID": Case(
        pets("a", "b"), [one(None, id="x", logical_id="b"), one(None, id="y", logical_id="a")]
    ),
    "a pet too many goes": Case(
        pets("a"),
        [one("a#0", logical_id="a"), one(None, id="x", logical_id="a")],
        "destroy x",
        "surplus",
    ),
    "of equal pets the lower ID goes": Case(
        pets("a"),
        [one(None, id="x", logical_id="a"), one(None, id="y", logical_id="a")],
        "destroy x",
        "surplus",
    ),
    "of pets, what has no logical ID is left alone and named": Case(
        pets("a"), [one("a#0", logical_id="a"), one(None, id="x")], "", "surplus"
    ),
    # health
    "two unhealthy answers are not three": Case(
        sized(3), [*row("0 1"), one("2", health=ILL)], "", "", Memory(unhealthy={"i2": 1})
    ),
    "the third in a row is": Case(
        sized(3),
        [*row("0 1"), one("2", health=ILL)],
        "destroy i2",
        "unhealthy",
        Memory(unhealthy={"i2": 2}),
    ),
    "what was unhealthy is left while health is not asked for": Case(
        sized(3), row("0 1 2", health=UNASKED), "", "unhealthy", Memory(unhealthy={"i2": 3})
    ),
    "two of five may be replaced at a time": Case(
        sized(5),
        [*row("0 1 2"), *row("3 4", health=ILL)],
        "destroy i3, destroy i4",
        "unhealthy unhealthy",
        Memory(unhealthy=UNHEALTHY_THRICE),
    ),
    "three of five are too many": Case(
        sized(5),
        [*row("0 1"), *row("2 3 4", health=ILL)],
        "",
        "too-many-sick " * 3,
        Memory(unhealthy=UNHEALTHY_THRICE),
    ),
    "one may always be replaced": Case(
        sized(1),
        [one("0", health=ILL)],
        "destroy i0",
        "unhealthy",
        Memory(unhealthy=UNHEALTHY_THRICE),
    ),
    "too many are replaced on a person's word": Case(
        sized(2),
        row("0 1", health=ILL),
        "destroy i0, destroy i1",
        "unhealthy unhealthy",
        Memory(unhealthy=UNHEALTHY_THRICE, forced=True),
    ),
    # updates
    "a first commit adopts what is outdated": Case(
        sized(2, rolls=False), row("0 1", "old"), "", "adopted-outdated " * 2
    ),
    "the highest outdated leaves first, one at a time": Case(
        sized(3), row("0 1 2", "old"), "destroy i2", "outdated " * 3
    ),
    "the unhealthy leave before the highest": Case(
        sized(3), [one("0", "old", ILL), *row("1 2", "old")], "destroy i0", "outdated " * 3
    ),
    "none leaves while a slot is empty": Case(
        sized(3), row("0 1", "old"), "provision 2", "missing outdated outdated"
    ),
    "none leaves before the new one is known to be well": Case(
        sized(2), [one("0", "old"), one("1", health=UNASKED)], "", "health-unknown outdated"
    ),
    "the next leaves when the new one is well": Case(
        sized(2), [one("0", "old"), one("1")], "destroy i0", "outdated", Memory(readiness=ROLLED)
    ),
    "an unhealthy new one stops the update": Case(
        sized(3),
        [*row("0 1", "old"), one("2", health=ILL)],
        "",
        "halted outdated outdated",
        Memory(unhealthy=UNHEALTHY_THRICE, readiness=ROLLED),
    ),
    "a batch leaves together": Case(
        sized(3, pace=Pace(batch=2)), row("0 1 2", "old"), "destroy i2, destroy i1", "outdated " * 3
    ),
    "a surge makes one more before any leaves": Case(
        sized(2, pace=Pace(surge=1)), row("0 1", "old"), "provision 2", "missing outdated outdated"
    ),
    "a surge lasts until every slot is filled again": Case(
        sized(2, pace=Pace(surge=1)), row("0 2"), "provision 1", "missing"
    ),
    "a surge ends when every slot is filled again": Case(
        sized(2, pace=Pace(surge=1)),
        row("0 1 2"),
        "destroy i2",
        "surplus",
        Memory(readiness=ROLLED),
    ),
    # waiting
    "a plugin without slots is not asked again while one is expected": Case(
        sized(2, idempotent=False),
        [one(None, id="x")],
        "",
        "provisioning",
        Memory(expected={"1": Expected(NOW + 5, "y")}),
    ),
    "a full group that waits for one more has not converged": Case(
        sized(1, idempotent=False),
        [one(None, id="x")],
        "",
        "provisioning",
        Memory(expected={"0": Expected(NOW + 5, "y")}),
    ),
    "what is expected and seen is expected no longer": Case(
        sized(2, idempotent=False),
        [one(None, id="x")],
        "provision 1",
        "missing",
        Memory(expected={"0": Expected(NOW + 5, "x")}),
    ),
    "what was expected for too long is asked for again": Case(
        sized(1, idempotent=False),
        [],
        "provision 0",
        "missing",
        Memory(expected={"0": Expected(NOW, "y")}),
    ),
    "a slot that backs off is not tried": Case(
        sized(2), row("0"), "", "backing-off", Memory({"1": waiting()})
    ),
    "it is tried when its wait is over": Case(
        sized(2), row("0"), "provision 1", "missing", Memory({"1": waiting(NOW)})
    ),
    "a destruction that backs off is not tried": Case(
        sized(0), row("0"), "", "backing-off", Memory({"i0": waiting()})
    ),
    "a refused spec is not tried": Case(
        sized(1), [], "", "spec-refused", Memory({"0": waiting(0.0, terminal=True)})
    ),
    "what came to nothing too often is not tried": Case(
        sized(1), [], "", "halted", Memory({"0": waiting(0.0, unproductive=GIVE_UP_AFTER)})
    ),
    "a plugin that is away is named": Case(
        sized(1), [], "", "plugin-unreachable", Memory({"0": waiting(unreachable=True)})
    ),
    "a storm is named for the group and for its slots": Case(
        sized(2),
        row("0"),
        "",
        "backing-off backing-off",
        Memory({"1": waiting(storm=ALLOWANCE)}, losses={int(NOW): 4}),
    ),
    # the end, and doubt
    "a group that is destroyed is not healed": Case(
        sized(3, destroying=True),
        [*row("0", "old"), *row("1")],
        "destroy i0, destroy i1",
        "surplus surplus",
    ),
    "a group that is destroyed is complete when nothing is left": Case(
        sized(3, destroying=True), []
    ),
    "in doubt nothing is done": Case(
        sized(3), row("7"), "", "plugin-unreachable", error="no answer"
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_planner(case: Case) -> None:
    todo = plan(case.group, Observation(tuple(case.seen), case.error), case.memory, NOW)
    assert (
        ", ".join(f"{action.verb} {action.instance or action.slot}" for action in todo.actions)
        == case.does
    )
    assert [reason.code for reason in todo.reasons] == case.says.split()
    assert todo.converged == (not case.says)


def test_what_is_destroyed_for_days_and_described_all_the_same_waits_no_longer_than_the_cap() -> (
    None
):
    group = Desired("g", "sha", ())
    before = Memory(destroyed={"i-1": Destroyed(5000, 0.0, 100.0)})
    again = Outcome(Action("destroy", "draining", instance="i-1"), "i-1")
    after = settle(
        group, Observation((ObservedInstance("i-1", sha="sha"),)), before, Plan(), [again], 100.0
    )
    assert after.destroyed["i-1"] == Destroyed(5001, 100.0, 220.0)


def test_a_second_destroy_that_fails_waits_as_long_as_one_that_succeeds() -> None:
    group, seen = Desired("g", "sha", ()), Observation((ObservedInstance("i-1", sha="sha"),))
    again = Action("destroy", "draining", instance="i-1")
    memory, waits = Memory(destroyed={"i-1": Destroyed(1, 99.0, 100.0)}), []
    for _ in range(3):
        now = memory.destroyed["i-1"].not_before
        assert plan(group, seen, memory, now).actions == (again,)
        memory = settle(
            group, seen, memory, Plan(), [Outcome(again, error="no such instance")], now
        )
        waits.append(memory.destroyed["i-1"].not_before - now)
        (reason,) = plan(group, seen, memory, now + 0.5).reasons
        assert (reason.code, reason.error, reason.awaits) == (
            "draining",
            "no such instance",
            "its description to end",
        )
    assert waits == [2.0, 4.0, 8.0]
    assert not memory.backoffs


def test_an_instance_that_is_not_described_for_once_keeps_its_wait() -> None:
    group, seen = Desired("g", "sha", ()), Observation((ObservedInstance("i-1", sha="sha"),))
    end = Action("destroy", "surplus", instance="i-1")
    memory, calls = Memory(), 0
    for second in range(60):
        look = Observation() if second % 2 else seen
        todo = plan(group, look, memory, float(second))
        calls += len(todo.actions)
        failed = [Outcome(action, error="still in use") for action in todo.actions]
        assert not todo.actions or todo.actions == (end,)
        memory = settle(group, look, memory, todo, failed, float(second))
    assert calls <= 12
