"""Any interleaving of faults and reports gives the arithmetic of the faults: curve, lanes,
measures, words, table and pictures.

A small world is broken, reported and healed in any order; who serves when is kept beside it, from
what was really done and never from the reports of it. What the record's readers say is then
compared with that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import DEPTH, PATIENCE, lived

from ikdemo.lab.dashboard.group_history import GroupHistory
from ikdemo.lab.host.timeline import Timeline
from ikdemo.lab.show.recovery_figure import draw
from ikdemo.lab.show.recovery_report import Recovery
from ikdemo.lab.show.tables import say_percent, say_seconds
from ikdemo.reconcile.analysis.lives import lives
from ikdemo.reconcile.analysis.recovery import HOLD, curve, episodes
from ikdemo.spi.events import Event

pytestmark = pytest.mark.timeout(PATIENCE)
GROUP = "web"
TICK = 1 / 1024
"""Seconds; so that sums of times are exact."""
PAUSES = st.sampled_from([1, 2, 7, 100, 256, 1000])
"""Ticks between two moments: some shorter than a recovery must hold, some longer."""
PLUGINS = {
    "fault": "lab",
    "mended": "lab",
    "health": "flavor",
    "drifted": "group",
    "planned": "group",
    "converged": "group",
}


@dataclass
class One:
    """One instance as it really is: there, answering, reported; ``verdict`` is the word of a probe
    that a later one can undo.
    """

    name: str
    slot: int
    there: bool = True
    answers: bool = True
    reported: bool = False
    verdict: bool = False

    @property
    def serves(self) -> bool:
        return self.there and self.answers and not self.verdict and not self.reported


@dataclass
class World:
    """A group of so many slots, what was written down of it, and how many slots were really filled
    from which time on.
    """

    size: int
    now: float = 1000.0
    events: list[Event] = field(default_factory=list)
    ones: list[One] = field(default_factory=list)
    truth: list[tuple[float, int, bool]] = field(default_factory=list)
    """Time, filled slots, and whether a recorded fault made it so."""

    def tell(self, kind: str, one: One | None = None, code: str = "", **more: int) -> None:
        plugin = PLUGINS.get(kind, "files")
        name, slot = (one.name, str(one.slot)) if one else ("", "")
        self.events.append(Event(kind, self.now, plugin, GROUP, name, slot, code, **more))  # type: ignore[arg-type]

    def note(self, fault: bool = False) -> None:
        """Write down how many slots are filled now."""
        filled = len({one.slot for one in self.ones if one.serves})
        if not self.truth or self.truth[-1][1] != filled:
            self.truth.append((self.now, filled, fault))

    def make(self, slot: int) -> None:
        self.ones.append(One(f"instance-{len(self.ones)}", slot))
        self.tell("provisioned", self.ones[-1])

    def inject(self, targets: list[One], code: str) -> None:
        """Do the same to several at one instant."""
        for one in targets:
            self.tell("fault", one, code)
            one.there, one.answers = one.there and code != "gone", one.answers and code == "asked"
        self.note(fault=True)

    def mend(self, one: One) -> None:
        """Continue one that was stopped; this wakes no dead, and cures nothing else."""
        self.tell("mended", one, "silent")
        if one.there and not one.answers:
            one.answers, one.verdict = True, False

    def report_health(self, one: One, healthy: bool) -> None:
        """Let a probe say what it found; it calls healthy only what it called unhealthy before, and
        what answers.
        """
        self.tell("health", one, "healthy" if healthy else "unhealthy")
        one.verdict = not healthy

    def report(self, one: One, kind: str) -> None:
        self.tell(kind, one)
        one.reported = True


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Return a world in which anything happened, in any order, that can really happen."""
    world = World(draw(st.integers(1, 5)))
    world.tell("committed", size=world.size)
    for slot in range(world.size):
        world.make(slot)
    world.tell("converged")
    world.note()
    for _ in range(draw(st.integers(1, 25))):
        world.now += TICK * draw(PAUSES)
        _happen(draw, world)
        world.note()
    world.now += TICK * draw(PAUSES)
    return world


def _happen(draw: st.DrawFn, world: World) -> None:
    known = [one for one in world.ones if not one.reported]
    silent = [one for one in known if one.there and not one.answers]
    called = [one for one in known if one.verdict]
    can = {
        "strike": known,
        "mend": known,
        "answer": [one for one in silent if not one.verdict],
        "unhealthy": [one for one in known if not one.verdict],
        "healthy": [one for one in called if one.answers and one.there],
        "lost": [*(one for one in known if not one.there), *known[:1]],
        "destroyed": [*called, *known[-1:]],
        "make": list(range(world.size)),
        "say": ["drifted", "planned", "converged", "halted"],
    }
    what = draw(st.sampled_from([name for name, choice in can.items() if choice]))
    if what == "strike":
        targets = draw(st.lists(st.sampled_from(can["strike"]), min_size=1, unique_by=id))  # type: ignore[type-var]
        world.inject(targets, draw(st.sampled_from(["gone", "silent", "asked"])))
        return
    chosen = draw(st.sampled_from(can[what]))
    match what:
        case "mend":
            world.mend(chosen)
        case "answer":  # to a question that was asked before it was stopped
            world.tell("health", chosen, "healthy")
        case "unhealthy" | "healthy":
            world.report_health(chosen, healthy=what == "healthy")
        case "lost" | "destroyed":
            world.report(chosen, what)
        case "make":
            world.make(chosen)
        case _:
            world.tell(chosen)


@dataclass
class Fallen:
    """A fall as it really was."""

    began: float
    fault: bool
    fewest: int
    loss: float
    back: float | None


def falls_of(world: World) -> list[Fallen]:
    """Return the falls that really were: from the first slot that was not filled until all were,
    and stayed so.
    """
    found = list[Fallen]()
    steps = [*world.truth, (world.now, world.truth[-1][1], False)]
    for (time, filled, fault), (until, _, _) in pairwise(steps):
        if filled == world.size:
            if found and found[-1].back is None:
                found[-1].back = time
            continue
        last = found[-1] if found else None
        if last is None or (last.back is not None and (fault or time - last.back >= HOLD)):
            last = Fallen(time, fault, filled, 0.0, None)
            found.append(last)
        last.back, last.fewest = None, min(last.fewest, filled)
        last.loss += (until - time) * (1 - filled / world.size)
    return found


@lived
@given(worlds())
def test_the_curve_falls_at_the_faults_and_at_reports_of_what_nobody_recorded(world: World) -> None:
    levels = [level for level in curve(world.events) if level.time >= world.truth[0][0]]
    assert _last_of_each((level.time, level.filled) for level in levels) == [
        (time, filled) for time, filled, _ in world.truth
    ]


def _last_of_each(points: object) -> list[tuple[float, int]]:
    """Keep what holds after each moment, and of equal neighbours the first."""
    after = dict(points)  # type: ignore[call-overload]
    steps = list(after.items())
    return [step for n, step in enumerate(steps) if n == 0 or steps[n - 1][1] != step[1]]


@lived
@given(worlds())
def test_falls_are_those_of_the_faults(world: World) -> None:
    measured = [fall for fall in episodes(world.events, world.now) if fall.cause != "change"]
    real = falls_of(world)
    assert [
        (fall.began, fall.cause == "fault", fall.fewest, fall.recovered) for fall in measured
    ] == [(fall.began, fall.fault, fall.fewest, fall.back) for fall in real]
    assert [fall.loss for fall in measured] == pytest.approx([fall.loss for fall in real])
    assert all(0 <= fall.unnoticed <= fall.loss + 1e-9 for fall in measured)


@lived
@given(worlds())
def test_what_the_loop_knows_falls_by_no_fault_and_from_whole_only_by_a_look(world: World) -> None:
    creations = [event.time for event in world.events if event.kind == "provisioned"]
    for before, after in pairwise(curve(world.events)):
        if after.known < before.known:
            assert after.cause.kind not in ("fault", "mended")
            if before.known == 1 and sum(time <= after.time for time in creations) == world.size:
                assert after.cause.kind in ("drifted", "planned", "halted")


@lived
@given(worlds())
def test_surplus_is_what_runs_beyond_the_slots_and_never_what_is_gone(world: World) -> None:
    running = [one for one in world.ones if one.there and not one.reported]
    levels = curve(world.events)
    assert levels[-1].surplus == len(running) - len({one.slot for one in running})


@lived
@given(worlds())
def test_lanes_say_of_every_moment_what_the_curve_says(world: World) -> None:
    lived_lives = lives(world.events)
    for time, filled, _ in world.truth:
        there = [
            life
            for life in lived_lives
            if life.born <= time and (life.died is None or time < life.died)
        ]
        assert len({life.slot for life in there if not life.failure(time)}) == filled


@lived
@given(worlds())
def test_words_table_and_live_view_tell_the_last_fall_as_it_was(world: World) -> None:
    recovery, real = Recovery(GROUP, world.events, world.now), falls_of(world)
    story = GroupHistory(GROUP)
    story.read(world.events)
    scene = story.model_at(world.now)
    shown = _last_of_each(
        (step.time, step.filled) for step in scene.steps if step.time >= world.truth[0][0]
    )
    assert (
        shown
        == [(time, filled) for time, filled, _ in world.truth if time >= scene.steps[0].time][
            -len(shown) :
        ]
    )
    assert scene.filled == world.truth[-1][1]
    if not real:
        assert not recovery.falls
        assert scene.fall is None
        return
    last = real[-1]
    cause, seconds = (
        "fault" if last.fault else "report",
        None if last.back is None else last.back - last.began,
    )
    assert scene.fall == (last.fewest, world.size, seconds, cause)
    values = dict(
        zip(recovery.measures().column("measure"), recovery.measures().column("value"), strict=True)
    )
    assert values["robustness"] == say_percent(last.fewest / world.size)
    assert (
        values["TTR"] == recovery.stamps().column(f"after the {cause}")[3] == say_seconds(seconds)
    )
    assert values["loss"] == say_seconds(recovery.last.loss)
    assert recovery.last.loss == pytest.approx(last.loss)
    assert f"only {last.fewest} of {world.size} slots were filled" in recovery.words
    assert f"Loss: {say_seconds(recovery.last.loss)} of a whole group" in recovery.words
    assert ("after a fault only" in recovery.words) == last.fault


@settings(lived, max_examples=DEPTH.figures)
@given(worlds())
def test_the_figure_draws_the_last_fall_as_it_was(world: World) -> None:
    recovery, real = Recovery(GROUP, world.events, world.now), falls_of(world)
    if not real or (real[-1].back or world.now) - real[-1].began < TICK:
        return
    figure = draw(recovery)
    (line,) = [one for one in figure.axes[0].get_lines() if one.get_label() == "Q: filled slots"]
    per = 1000 if re.match("milli", figure.axes[1].get_xlabel()) else 1
    began, end = real[-1].began, real[-1].back or world.now
    xs, ys = ([float(value) for value in values] for values in line.get_data())
    drawn = list(zip([began + x / per for x in xs], ys, strict=True))
    area = sum(
        (min(until, end) - max(time, began)) * (1 - q)
        for (time, q), (until, _) in pairwise(drawn)
        if until > began and time < end
    )
    assert area == pytest.approx(real[-1].loss, abs=1e-6)
    assert min(q for time, q in drawn if began - TICK / 8 <= time <= end) == pytest.approx(
        real[-1].fewest / world.size
    )
    (legend,) = [
        text.get_text()
        for text in figure.axes[0].get_legend().get_texts()
        if text.get_text().startswith("loss: ")
    ]
    assert legend == f"loss: {say_seconds(recovery.last.loss)} of a whole group"


@lived
@given(worlds(), st.randoms(use_true_random=False))
def test_streams_that_arrive_in_any_order_make_the_same_record(
    world: World, chance: object
) -> None:
    """Each plugin's stream comes in its order, and they come late to one another."""
    streams = [
        [event for event in world.events if event.plugin == name]
        for name in ("lab", "flavor", "group", "files")
    ]
    record = Timeline()
    while streams := [stream for stream in streams if stream]:
        record.add([chance.choice(streams).pop(0)])  # type: ignore[attr-defined]
    real = falls_of(world)
    assert [fall.fewest for fall in Recovery(GROUP, record.events(GROUP), world.now).falls] == [
        fall.fewest for fall in real
    ]
