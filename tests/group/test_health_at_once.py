"""How many unhealthy answers it takes: one after a flavor has told of it, or promises to tell;
three in a row of any other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw, structs

import ikdemo
from ikdemo.flavor.vanilla import Vanilla
from ikdemo.instance.file.plugin import FileInstances
from ikdemo.reconcile.desired import Desired, Pace, Slot
from ikdemo.reconcile.health import force_replacement
from ikdemo.reconcile.model import Memory, Observation
from ikdemo.reconcile.plan import plan
from ikdemo.reconcile.settle import settle
from ikdemo.spi.documents import Description, Health
from ikdemo.spi.events import Emit, Event
from ikdemo.spi.plans import ObservedInstance

SPEC: dict[str, Any] = {
    "ID": "web",
    "Properties": {
        "Allocation": {"Size": 3},
        "Instance": {"Plugin": "instance-file", "Properties": {}},
        "Flavor": {"Plugin": "flavor", "Properties": {}},
    },
}


class AllUnhealthy(Vanilla):
    """Calls unhealthy what was made before it was told that they are all ``unhealthy``."""

    offers = frozenset({"HealthEvents"})

    def __init__(self) -> None:
        self.unhealthy = set[str]()

    async def healthy(self, properties: Raw, instance: Description) -> Health:
        return Health.UNHEALTHY if instance.id in self.unhealthy else Health.HEALTHY


class Telling(Vanilla):
    """A flavor that can be told which instance is sick; with health events it says so, without it
    has to be asked.
    """

    def __init__(self, offers: frozenset[str], *, tells: bool) -> None:
        self.offers, self.tells = offers, tells  # type: ignore[misc]
        self.unhealthy, self.questions = "", 0

    async def start(self, emit: Emit) -> None:
        self._emit = emit

    async def stop(self) -> None:
        pass

    async def healthy(self, properties: Raw, instance: Description) -> Health:
        self.questions += instance.id == self.unhealthy
        return Health.UNHEALTHY if instance.id == self.unhealthy else Health.HEALTHY

    def become_unhealthy(self, instance: str) -> None:
        self.unhealthy = instance
        if self.tells:
            self._emit(Event("health", group="web", instance=instance, code="unhealthy"))


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 100))


@pytest.mark.parametrize(
    ("offers", "tells", "poll", "questions"),
    [
        ({"HealthEvents"}, True, 3600.0, 1),
        ({"HealthEvents"}, False, 0.05, 1),
        (set(), True, 3600.0, 1),
        (set(), False, 0.05, 3),
    ],
)
def test_an_unhealthy_instance_is_replaced_after_enough_answers(
    tmp_path: Path, offers: set[str], tells: bool, poll: float, questions: int
) -> None:
    async def story() -> None:
        flavor = Telling(frozenset(offers), tells=tells)
        plugins = {"instance-file": FileInstances(tmp_path), "flavor": flavor}
        async with ikdemo.Group(SPEC, plugins, poll_interval=poll) as group:
            await group.wait(100)
            target = (await group.instances())[0].id
            flavor.become_unhealthy(target)
            async for event in group.events():
                if event.kind == "acted" and event.code == "unhealthy":
                    break
            assert (event.instance, flavor.questions) == (target, questions)
            await group.wait(100)
            ids = {one.id for one in await group.instances()}
            assert len(ids) == 3
            assert target not in ids

    run(story)


@pytest.mark.parametrize("enough", [1, 2, 3])
def test_the_planner_counts_as_far_as_it_is_told(enough: int) -> None:
    group = Desired("g", "sha", (Slot("0"),), unhealthy_after=enough)
    unhealthy = Observation((ObservedInstance("i", slot="0", sha="sha", health=Health.UNHEALTHY),))
    memory = Memory()
    for passes in range(1, enough + 1):
        todo = plan(group, unhealthy, memory, 0.0)
        assert [action.code for action in todo.actions] == (
            ["unhealthy"] if passes == enough else []
        )
        memory = settle(group, unhealthy, memory, todo, [], 0.0)


def test_in_a_row_means_at_as_many_polls() -> None:
    group = Desired("g", "sha", (Slot("0"), Slot("1")), poll=10.0)
    unhealthy = Observation(
        (
            ObservedInstance("i", slot="0", sha="sha", health=Health.UNHEALTHY),
            ObservedInstance("j", slot="1", sha="sha"),
        )
    )
    memory, acted = Memory(), list[float]()
    for now in (100.0, 100.2, 104.0, 108.9, 109.5, 110.0, 118.0, 118.6):
        todo = plan(group, unhealthy, memory, now)
        acted += [now] * len(todo.actions)
        # what was done took its time
        memory = settle(group, unhealthy, memory, todo, [], now + 3.0, observed_at=now)
    assert acted == [118.6]


def test_healthy_answers_prove_something_once_a_poll() -> None:
    group = Desired("g", "new", (Slot("0"), Slot("1")), poll=10.0, pace=Pace(count=3))
    new = ObservedInstance("i", slot="1", sha="new", health=Health.HEALTHY)
    observed = Observation((ObservedInstance("j", slot="0", sha="old", health=Health.HEALTHY), new))
    memory, left = Memory(), list[float]()
    for now in (100.0, 100.2, 104.0, 109.5, 110.0, 118.0, 118.6):
        todo = plan(group, observed, memory, now)
        left += [now] * len(todo.actions)
        memory = settle(group, observed, memory, todo, [], now)
    assert left == [118.6]


def test_what_wakes_the_loop_between_two_polls_adds_no_unhealthy_answer(tmp_path: Path) -> None:
    async def story() -> None:
        flavor = Telling(frozenset(), tells=False)
        plugins = {"instance-file": FileInstances(tmp_path), "flavor": flavor}
        async with ikdemo.Group(SPEC, plugins, poll_interval=3600.0) as group:
            await group.wait(100)
            kept = (await group.instances())[0].id
            flavor.unhealthy = kept
            for _ in range(5):  # each replacement is asked about at once, and so are the others
                asked = flavor.questions
                other = next(one.id for one in await group.instances() if one.id != kept)
                (tmp_path / other).unlink()
                while flavor.questions == asked or len(await group.instances()) < 3:  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
            assert flavor.questions >= 5
            assert kept in {one.id for one in await group.instances()}
            assert {reason.code for reason in await group.why()} <= {"unhealthy"}

    run(story)


def test_a_resume_replaces_too_many_unhealthy_once_and_the_reason_says_so(tmp_path: Path) -> None:
    async def story() -> None:
        flavor = AllUnhealthy()
        plugins = {"instance-file": FileInstances(tmp_path), "flavor": flavor}
        async with ikdemo.Group(SPEC, plugins, poll_interval=0.05) as group:
            for _ in range(2):  # a second time, it takes a second word
                await group.wait(100)
                before = {one.id for one in await group.instances()}
                flavor.unhealthy |= before
                while {reason.code for reason in await group.why()} != {"too-many-sick"}:  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
                (text,) = {reason.text for reason in await group.why()}
                assert text.endswith(
                    "3 of 3 instances are unhealthy; replacing them has stopped, resume replaces "
                    "them once"
                )
                assert {one.id for one in await group.instances()} == before
                await group._groups.resume_group("web")
                while before & {one.id for one in await group.instances()}:  # noqa: ASYNC110
                    await asyncio.sleep(0.005)

    run(story)


def test_a_resume_that_finds_none_unhealthy_does_not_count_later() -> None:
    group = Desired("g", "sha", tuple(Slot(str(n)) for n in range(3)), unhealthy_after=1)
    seen = [
        ObservedInstance(f"i-{n}", slot=str(n), sha="sha", health=Health.HEALTHY) for n in range(3)
    ]
    well, ill = (
        Observation(tuple(structs.replace(s, health=h) for s in seen))
        for h in (Health.HEALTHY, Health.UNHEALTHY)
    )
    memory = force_replacement(Memory())
    assert len(plan(group, ill, memory, 0.0).actions) == 3
    memory = settle(group, well, memory, plan(group, well, memory, 0.0), [], 0.0)
    assert plan(group, ill, memory, 0.0).actions == ()
