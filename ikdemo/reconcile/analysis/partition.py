"""What becomes of a group when a machine is cut off: how many instances are counted, how many
containers run, and how many run without being counted.

All arithmetic of partitions is here, and nothing here reads a clock: times are seconds, counted
from whatever the record counts from. ``counted`` follows what the group was told: an instance is
counted from ``provisioned`` until ``lost`` or ``destroyed``. ``running`` is what each machine's own
engine said, asked at its own socket, which no cable between machines can cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

COUNTS = {"provisioned": 1, "lost": -1, "destroyed": -1}
CUT, BACK = "cut", "back"


class Sample(NamedTuple):
    """``running`` containers ran on ``machine`` at a time."""

    time: float
    machine: str
    running: int


class Fact(NamedTuple):
    """What happened at a time: ``provisioned``, ``lost`` or ``destroyed`` to an instance; to the
    cable of a machine ``cut`` or ``back``.
    """

    time: float
    what: str
    name: str


@dataclass(frozen=True)
class PartitionRecord:
    """What was seen of one partition, each list in the order of time. ``counted``: the instances
    that the group counted when the record begins.
    """

    counted: int
    samples: Sequence[Sample]
    facts: Sequence[Fact]

    @property
    def machines(self) -> list[str]:
        """The machines that were asked, by name."""
        return sorted({sample.machine for sample in self.samples})

    @property
    def begins(self) -> float:
        """From when on it is known of every machine what runs there."""
        firsts = {sample.machine: sample.time for sample in reversed(self.samples)}
        return max(firsts.values(), default=0.0)

    @property
    def ends(self) -> float:
        """The time of the last sample or fact."""
        times = [*(sample.time for sample in self.samples), *(fact.time for fact in self.facts)]
        return max(times, default=0.0)

    def first(self, what: str, since: float = float("-inf")) -> float | None:
        """Return when something happened first, from a time on."""
        return next(
            (fact.time for fact in self.facts if fact.what == what and fact.time >= since), None
        )

    @property
    def cut_off(self) -> list[str]:
        """The machines whose cable was cut."""
        return sorted({fact.name for fact in self.facts if fact.what == CUT})


class Counts(NamedTuple):
    """How many are counted and how many run from ``time`` on, until the next step."""

    time: float
    counted: int
    running: int

    @property
    def gap(self) -> int:
        """How many more run than are counted: so many at least run without being counted, more
        where others are counted and do not run yet.
        """
        return max(0, self.running - self.counted)


def steps(record: PartitionRecord) -> list[Counts]:
    """Return both counts as steps, from when all machines are known; each differs from the one
    before.

    >>> samples = [Sample(0, "1", 2), Sample(0, "2", 2), Sample(3, "1", 4), Sample(9, "2", 0)]
    >>> facts = [Fact(2, "lost", "a"), Fact(2, "lost", "b"), Fact(2.5, "provisioned", "c")]
    >>> record = PartitionRecord(4, samples, [*facts, Fact(2.5, "provisioned", "d")])
    >>> [(step.time, step.counted, step.running, step.gap) for step in steps(record)]
    [(0, 4, 4, 0), (2, 2, 4, 2), (2.5, 4, 4, 0), (3, 4, 6, 2), (9, 4, 4, 0)]
    """
    counted, running, found = record.counted, dict.fromkeys(record.machines, 0), list[Counts]()
    told: list[Sample | Fact] = [*record.samples, *record.facts]
    for one in sorted(told, key=lambda one: one.time):
        if isinstance(one, Sample):
            running[one.machine] = one.running
        else:
            counted += COUNTS.get(one.what, 0)
        step = Counts(max(one.time, record.begins), counted, sum(running.values()))
        if found and found[-1].time == step.time:
            found.pop()
        if not found or found[-1][1:] != step[1:]:
            found.append(step)
    return found


class OnMachine(NamedTuple):
    """From ``time`` on ``running`` containers run on a machine, ``given_up`` of them without being
    counted.
    """

    time: float
    running: int
    given_up: int


def on_machine(record: PartitionRecord, machine: str) -> list[OnMachine]:
    """Return what ran on one machine, as steps.

    What runs on a machine that is cut off is given up when the group loses instances, all at once,
    since the machine as a whole is not heard of. What is given up stays so until it has ended.

    >>> samples = [Sample(0, "2", 2), Sample(9, "2", 1), Sample(9.5, "2", 0)]
    >>> facts = [Fact(1, "cut", "2"), Fact(3, "lost", "a"), Fact(8, "back", "2")]
    >>> on_machine(PartitionRecord(2, samples, facts), "2")[1]
    OnMachine(time=3, running=2, given_up=2)
    """
    told = [(sample.time, sample.running) for sample in record.samples if sample.machine == machine]
    lost = _lost_with(record, machine)
    if lost is not None:
        told.append((lost, next((n for time, n in reversed(told) if time <= lost), 0)))
        told.sort(key=lambda one: one[0])  # what was sampled at that moment stays before it
    found, given_up = list[OnMachine](), 0
    for time, running in told:
        given_up = running if time == lost else min(given_up, running)
        if not found or found[-1][1:] != (running, given_up):
            found.append(OnMachine(time, running, given_up))
    return found


def _lost_with(record: PartitionRecord, machine: str) -> float | None:
    """Return when the group gave up a machine that is cut off, None when it did not."""
    of_it = [fact for fact in record.facts if fact.name == machine]
    cut = next((fact.time for fact in of_it if fact.what == CUT), None)
    if cut is None:
        return None
    back = next((fact.time for fact in of_it if fact.what == BACK and fact.time >= cut), None)
    lost = record.first("lost", cut)
    return lost if lost is not None and (back is None or lost < back) else None


@dataclass(frozen=True)
class PartitionMeasures:
    """One partition in numbers. Times are those of the record, None for what has not happened.

    ``given_up``: the group counts the instances of the machine as lost. ``counted_again``: it
    counts as many as before. ``replaced``: as many as before run on other machines. ``closed``: the
    cable is back, and no more run than are counted. ``gap_seconds`` is the sum over all containers
    of the seconds that they ran beyond what was counted.
    """

    cut: float | None
    given_up: float | None
    counted_again: float | None
    replaced: float | None
    back: float | None
    closed: float | None
    most_counted: int
    fewest_counted: int
    most_running: int
    widest_gap: int
    gap_seconds: float


def measure(record: PartitionRecord) -> PartitionMeasures:
    """Measure a partition: from the first time that a cable was cut to the end of the record."""
    found = steps(record)
    cut = record.first(CUT)
    given_up = None if cut is None else record.first("lost", cut)
    back = None if cut is None else record.first(BACK, cut)
    ends = [*(step.time for step in found[1:]), record.ends]
    return PartitionMeasures(
        cut=cut,
        given_up=given_up,
        counted_again=next(
            (
                step.time
                for step in found
                if given_up is not None and step.time > given_up and step.counted >= record.counted
            ),
            None,
        ),
        replaced=None if given_up is None else _replaced(record, given_up),
        back=back,
        closed=None if back is None else _closed(found, back),
        most_counted=max((step.counted for step in found), default=0),
        fewest_counted=min((step.counted for step in found), default=0),
        most_running=max((step.running for step in found), default=0),
        widest_gap=max((step.gap for step in found), default=0),
        gap_seconds=sum(
            step.gap * (end - step.time) for step, end in zip(found, ends, strict=True)
        ),
    )


def _replaced(record: PartitionRecord, given_up: float) -> float | None:
    """Return from when on as many as were counted at first ran where they count."""
    moments, counting = dict[float, dict[str, int]](), dict[str, int]()
    for machine in record.machines:
        for step in on_machine(record, machine):
            moments.setdefault(step.time, {})[machine] = step.running - step.given_up
    for time in sorted(moments):
        counting |= moments[time]
        if time >= given_up and sum(counting.values()) >= record.counted:
            return time
    return None


def _closed(found: Sequence[Counts], back: float) -> float | None:
    """Return from when on, with the cable back, no more ran than were counted, to the end."""
    if found[-1].gap:
        return None
    closed = [step.time for wide, step in pairwise(found) if wide.gap and not step.gap]
    return max(back, closed[-1]) if closed else back
