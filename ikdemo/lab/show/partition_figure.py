"""Draws *counted against running*: two step curves with the gap between them, above one lane per
machine filled with its containers.

Nothing is said by colour alone: the curves differ in their dash, containers in hatch and in words,
moments in number and marker.
"""

from __future__ import annotations

from itertools import pairwise
from math import inf
from typing import Protocol

from ...reconcile.analysis.partition import (
    BACK,
    CUT,
    Counts,
    OnMachine,
    PartitionMeasures,
    PartitionRecord,
    on_machine,
    steps,
)
from .plotting import Axes, Figure, own_style
from .stamps import Stamp, draw_stamps
from .swimlanes import FILLS, LETTER, LONGEST_NAME, Window, label, legend_below, window
from .tables import say_machine, say_seconds
from .theme import BLUE, SKY, VERMILION

FIRST, NEW, GIVEN_UP = (SKY, ""), FILLS[1], (VERMILION, "xxxx")
"""Fill and hatch of a container that ran when the cable was cut, of one that was made later, and of
one that runs and is not counted.
"""
ROOM = 0.78
"""The share of a lane's height that is filled where most containers run."""


class CutOff(Protocol):
    """What is drawn: the record of a partition, and its measures."""

    record: PartitionRecord
    measures: PartitionMeasures

    @property
    def title(self) -> str: ...


@own_style()
def draw(partition: CutOff) -> Figure:
    """Return the figure of a partition from shortly before the cable was cut to its end."""
    record, measures = partition.record, partition.measures
    zero = record.begins if measures.cut is None else measures.cut
    view = window(
        zero, record.ends if measures.closed is None else measures.closed, before=0.06, after=0.12
    )
    figure = Figure(figsize=(7.2, 3.9 + 0.28 * len(record.machines)), layout="constrained")
    top, bottom = figure.subplots(
        2, 1, sharex=True, height_ratios=[3.0, 0.3 + 0.75 * len(record.machines)]
    )
    found, moments = steps(record), stamps(measures)
    _draw_counts(top, found, view)
    _name_gap(top, found, [moment.time for moment in moments if moment.time is not None], view)
    draw_stamps(top, moments, view, height=top.get_ylim()[1])
    _draw_machines(bottom, record, view)
    bottom.set_xlabel(f"{view.unit} after the cable was cut (grey: it is cut)")
    bottom.set_xlim(view.at(view.start), view.at(view.end))
    top.set_title(label(partition.title), loc="left", pad=44, fontweight="bold")
    return figure


def stamps(measures: PartitionMeasures) -> list[Stamp]:
    """Return the moments of a partition, counted from the cut, in the order in which they came."""
    times = {
        "cable cut": measures.cut,
        "given up": measures.given_up,
        "replaced": measures.replaced,
        "cable back": measures.back,
        "gap closed": measures.closed,
    }
    since = measures.cut or 0.0
    came = sorted(times.items(), key=lambda one: inf if one[1] is None else one[1])
    return [
        Stamp(name, "0 s" if time == since else say_seconds(after), time)
        for name, time in came
        for after in [None if time is None else time - since]
    ]


def _draw_counts(axes: Axes, found: list[Counts], view: Window) -> None:
    before = sum(step.time <= view.start for step in found)
    seen = [step for step in found[max(0, before - 1) :] if step.time <= view.end]
    times = [*(view.at(step.time) for step in seen), view.at(view.end)]
    counted, running = (
        [*values, values[-1]]
        for values in ([step.counted for step in seen], [step.running for step in seen])
    )
    widest = max(step.gap for step in found)
    axes.fill_between(
        times,
        counted,
        [max(pair) for pair in zip(counted, running, strict=True)],
        step="post",
        facecolor=VERMILION,
        alpha=0.3,
        hatch="xxxx",
        edgecolor=VERMILION,
        linewidth=0,
        label=f"running but not counted: up to {widest}",
    )
    axes.step(
        times,
        running,
        where="post",
        color="black",
        linewidth=1.8,
        linestyle=(0, (4, 1.5)),
        label="running: what the engines say",
    )
    axes.step(times, counted, where="post", color=BLUE, linewidth=2.2, label="counted by the group")
    low, high = min(*counted, *running), max(*counted, *running)
    axes.set_ylim(max(-0.3, low - 1.7), high + 1)
    axes.set_yticks(sorted({low, counted[0], high}))
    axes.set_ylabel("containers")
    axes.grid(axis="y", color="0.9")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    legend_below(axes)


def _name_gap(axes: Axes, found: list[Counts], moments: list[float], view: Window) -> None:
    """Write into the gap how many run that are not counted, where it is widest and no line is."""
    borders = sorted({*(step.time for step in found), *moments, view.end})
    stretches = [
        (end - start, start, end, step)
        for start, end in pairwise(borders)
        for step in [step for step in found if step.time <= start][-1:]
        if step.gap and end <= view.end
    ]
    if not stretches:
        return
    long, start, end, step = max(stretches)
    said = f"{step.gap} run,\nnot counted"
    letters = long / (view.end - view.start) / LETTER
    if letters > max(map(len, said.splitlines())):
        box = {"facecolor": "white", "alpha": 0.9, "pad": 2.0, "edgecolor": "none"}
        at = (view.at(start) + view.at(end)) / 2, (step.counted + step.running) / 2
        axes.text(*at, said, ha="center", va="center", fontsize=9, bbox=box)


def _draw_machines(axes: Axes, record: PartitionRecord, view: Window) -> None:
    """Fill one lane per machine with its containers, the first at the bottom."""
    ran = {machine: on_machine(record, machine) for machine in record.machines}
    most = max([1, *(step.running for found in ran.values() for step in found)])
    for row, (machine, found) in enumerate(ran.items()):
        for start, end in _cuts(record, machine):
            axes.fill_between([view.at(start), view.at(end)], row - 0.5, row + 0.5, color="0.88")
        at_cut = [step.running for step in found if step.time <= view.zero]
        ends = [*(step.time for step in found[1:]), view.end]
        for step, end in zip(found, ends, strict=True):
            room = view.at(step.time), view.at(end)
            _draw_containers(axes, row, room, step, at_cut[-1] if at_cut else 0, most)
            _say(axes, row, room, step, at_cut[-1] if at_cut else 0, view)
    axes.set_yticks(range(len(ran)), [label(say_machine(machine), LONGEST_NAME) for machine in ran])
    axes.set_ylim(len(ran) - 0.5, -0.5)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _draw_containers(
    axes: Axes, row: int, room: tuple[float, float], step: OnMachine, at_cut: int, most: int
) -> None:
    """Draw what runs on a machine between two changes, a bar for each container."""
    height = ROOM / most
    for place in range(step.running):
        colour, hatch = GIVEN_UP if place < step.given_up else FIRST if place < at_cut else NEW
        axes.barh(
            row + ROOM / 2 - height * (place + 0.5),
            room[1] - room[0],
            left=room[0],
            height=0.86 * height,
            color=colour,
            hatch=hatch,
            edgecolor="white",
            linewidth=0,
        )


def _say(
    axes: Axes, row: int, room: tuple[float, float], step: OnMachine, at_cut: int, view: Window
) -> None:
    """Write into the bars how many there are, if it fits."""
    said = f"{step.running} run"
    if step.given_up:
        said = f"{step.given_up} run, not counted"
    elif step.running > at_cut:
        said = f"{step.running} run, {step.running - at_cut} of them new"
    letter = LETTER * (view.at(view.end) - view.at(view.start))
    if step.running and room[1] - room[0] > letter * (len(said) + 2):
        box = {"facecolor": "white", "alpha": 0.85, "pad": 1.5, "edgecolor": "none"}
        axes.text(sum(room) / 2, row, said, ha="center", va="center", fontsize=8, bbox=box)


def _cuts(record: PartitionRecord, machine: str) -> list[tuple[float, float]]:
    """Return the stretches of time in which the cable of a machine was cut."""
    told = [fact for fact in record.facts if fact.name == machine and fact.what in (CUT, BACK)]
    ends = [*(fact.time for fact in told[1:]), record.ends]
    return [(fact.time, end) for fact, end in zip(told, ends, strict=False) if fact.what == CUT]
