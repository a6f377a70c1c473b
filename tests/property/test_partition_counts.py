"""Counted against running, over generated partitions whose truth is known: who ran where and when,
and what the group was told.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import DEPTH, PATIENCE

from ikdemo.lab.show.partition_report import Partition
from ikdemo.reconcile.analysis.partition import (
    Counts,
    Fact,
    PartitionRecord,
    Sample,
    measure,
    on_machine,
    steps,
)

pytestmark = pytest.mark.timeout(PATIENCE)
BEGAN, NEVER, END = -3, 1000, 60
"""Times are whole seconds, so that sums are exact; the cable is cut at 0."""


@dataclass(frozen=True)
class Container:
    """One container, and when it ran; ``counted`` from when to when the group counted it."""

    machine: str
    ran: tuple[int, int]
    counted: tuple[int, int]


@dataclass(frozen=True)
class World:
    """What really happened to machine "1", which was cut off, and to the others."""

    machines: list[str]
    containers: list[Container]
    lost: int | None
    back: int | None
    looked: list[tuple[int, str]]

    def running(self, time: int, machine: str = "") -> int:
        return sum(
            one.ran[0] <= time < one.ran[1]
            for one in self.containers
            if machine in ("", one.machine)
        )

    def counted(self, time: int) -> int:
        return sum(one.counted[0] <= time < one.counted[1] for one in self.containers)

    def record(self) -> PartitionRecord:
        """Return what is seen: every change, and looks between changes that say nothing new."""
        changes = {(at, one.machine) for one in self.containers for at in one.ran if at < END}
        looks = sorted({*changes, *self.looked, *((BEGAN, name) for name in self.machines)})
        facts = [Fact(0, "cut", "1")]
        facts += [] if self.back is None else [Fact(self.back, "back", "1")]
        for number, one in enumerate(self.containers):
            begun, ended = one.counted
            facts += [Fact(begun, "provisioned", f"i-{number}")] if begun > BEGAN else []
            facts += [Fact(ended, "lost", f"i-{number}")] if ended < NEVER else []
        return PartitionRecord(
            self.counted(BEGAN),
            [Sample(at, name, self.running(at, name)) for at, name in looks if at >= BEGAN],
            sorted(facts),
        )


@st.composite
def worlds(draw: st.DrawFn) -> World:
    machines = [str(number + 1) for number in range(draw(st.integers(2, 4)))]
    lost = draw(st.none() | st.integers(1, 9))
    back = draw(st.none() | st.integers(10, 30))
    containers, few = list[Container](), st.integers(0, 6)
    for machine in machines:
        for _ in range(draw(st.integers(0, 4))):
            if machine != "1" or lost is None:
                containers.append(Container(machine, (BEGAN, NEVER), (BEGAN, NEVER)))
                continue
            stays = back is None or draw(st.sampled_from([False, False, False, True]))
            ends = NEVER if stays else back + draw(few)
            containers.append(Container(machine, (BEGAN, ends), (BEGAN, lost)))
            made = lost + draw(few)
            runs = made + draw(few)
            containers.append(
                Container(draw(st.sampled_from(machines[1:])), (runs, NEVER), (made, NEVER))
            )
    looked = draw(
        st.lists(st.tuples(st.integers(BEGAN, END - 1), st.sampled_from(machines)), max_size=9)
    )
    return World(machines, containers, lost, back, looked)


def at(found: list[Counts], time: int) -> Counts:
    return [step for step in found if step.time <= time][-1]


searched = settings(max_examples=DEPTH.plans)


@searched
@given(worlds())
def test_both_counts_are_at_every_moment_what_they_really_were(world: World) -> None:
    found = steps(world.record())
    for time in range(BEGAN, END):
        truth = world.counted(time), world.running(time)
        assert at(found, time)[1:] == truth
        assert at(found, time).gap == max(0, truth[1] - truth[0])
    assert len({step.time for step in found}) == len(found)


@searched
@given(worlds())
def test_what_is_given_up_is_what_runs_on_where_the_group_lost_it(world: World) -> None:
    record = world.record()
    for machine in world.machines:
        found = on_machine(record, machine)
        for time in range(BEGAN, END):
            (_, running, given_up) = [step for step in found if step.time <= time][-1]
            assert running == world.running(time, machine)
            away = machine == "1" and any(one.counted[1] <= time for one in world.containers)
            assert given_up == (running if away else 0)


@searched
@given(worlds())
def test_measures_are_those_of_what_really_happened(world: World) -> None:
    record = world.record()
    told, size = measure(record), world.counted(BEGAN)
    moments = range(BEGAN, int(record.ends) + 1)
    gaps = {time: max(0, world.running(time) - world.counted(time)) for time in moments}
    given_up = min((one.counted[1] for one in world.containers), default=NEVER)
    known = [(world.counted(time), world.running(time)) for time in moments]
    assert told.cut == 0
    assert told.given_up == (given_up if given_up < NEVER else None)
    assert told.back == world.back
    assert (told.fewest_counted, told.most_counted) == (
        min(counted for counted, _ in known),
        max(counted for counted, _ in known),
    )
    assert told.most_running == max(running for _, running in known)
    assert told.widest_gap == max(gaps.values())
    assert told.gap_seconds == sum(gap for time, gap in gaps.items() if time < record.ends)
    others = {
        time: sum(world.running(time, name) for name in world.machines[1:]) for time in moments
    }
    assert told.replaced == (
        next((time for time in moments if time >= given_up and others[time] >= size), None)
    )
    assert told.closed == (
        None
        if world.back is None
        else next(
            (
                time
                for time in moments
                if time >= world.back and not any(gaps[later] for later in moments if later >= time)
            ),
            None,
        )
    )


@settings(max_examples=DEPTH.figures)
@given(worlds())
def test_every_partition_can_be_said_and_drawn(world: World) -> None:
    partition = Partition(world.record())
    told = partition.measures
    assert f"Up to {told.most_running} containers ran" in partition.words
    assert ("given up" in partition.svg()) == (told.cut is not None)
