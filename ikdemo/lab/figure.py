"""Draws the recovery figure: the step curve with its shaded loss and four stamps, above a swim-lane per slot.

Nothing is said by colour alone: generations differ in hatch and number, stamps in number and marker. Called by ``Recovery``.
"""

from __future__ import annotations

from typing import Protocol

from ..reconcile.recovery import Episode, Level, Life
from .lanes import FILLS, Look, Window, draw_lanes, label, lanes, two_rooms, window
from .marks import BLUE, GREY, VERMILION
from .plotting import Axes, Figure, own_style
from .table import say_seconds

STAMPS = ("fault", "detected", "first action", "recovered")
MARKERS = ("X", "o", "s", "D")


class Fallen(Protocol):
    """What is drawn: the record of a group that fell, up to the time ``until``."""

    until: float
    levels: list[Level]
    lives: list[Life]

    @property
    def title(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def last(self) -> Episode: ...


@own_style()
def draw(recovery: Fallen) -> Figure:
    """Return the figure of the last fall; raises IkdemoError when there was none."""
    fall = recovery.last
    view = window(fall.fault, recovery.until if fall.recovered is None else fall.recovered, before=0.25, after=0.5)
    drawn = lanes(recovery.lives, recovery.size, view)
    figure, top, bottom = two_rooms(len(drawn))
    _draw_curve(top, recovery, view)
    _draw_stamps(top, fall, view)
    draw_lanes(bottom, drawn, view, _look)
    bottom.set_xlabel(f"{view.unit} after the fault")
    bottom.set_xlim(view.at(view.start), view.at(view.end))
    top.set_title(label(recovery.title), loc="left", pad=44, fontweight="bold")
    return figure


def _look(generation: int, life: Life) -> Look:
    """Fill a bar by its generation, and put its ordinal inside."""
    inside = f"replacement {generation}" if generation else "first instance"
    return Look(FILLS[generation % len(FILLS)], inside, life.ended)


def _draw_curve(axes: Axes, recovery: Fallen, view: Window) -> None:
    before = sum(level.time <= view.start for level in recovery.levels)
    steps = [level for level in recovery.levels[max(0, before - 1) :] if level.time <= view.end]
    times = [view.at(level.time) for level in steps] + [view.at(view.end)]
    values = [level.quality for level in steps] + [steps[-1].quality]
    surplus = [level.surplus for level in steps] + [steps[-1].surplus]
    axes.fill_between(times, values, 1, step="post", facecolor=VERMILION, alpha=0.3, hatch="//", edgecolor=VERMILION, linewidth=0)
    axes.step(times, values, where="post", color=BLUE, linewidth=2.2)
    axes.set_ylim(-0.04, 1.12)
    axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1], ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"])
    axes.set_ylabel("Q: filled slots")
    axes.grid(axis="y", color="0.9")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    note = f"shaded: loss = {say_seconds(recovery.last.loss)} of a whole group"
    if any(surplus):
        note = f"surplus: up to {max(surplus)}\n{note}"
    paper = {"facecolor": "white", "alpha": 0.85, "pad": 1.5, "edgecolor": "none"}  # stamps may pass behind the words
    axes.text(0.995, 0.05, note, transform=axes.transAxes, ha="right", va="bottom", fontsize=9, color="#7A3300", bbox=paper)


def _draw_stamps(axes: Axes, fall: Episode, view: Window) -> None:
    """Name the four stamps in a row above the curve, each tied to its moment, so that close ones do not overlap."""
    times = (fall.fault, fall.detected, fall.acted, fall.recovered)
    for index, (name, marker, time) in enumerate(zip(STAMPS, MARKERS, times, strict=True)):
        place = 0.125 + 0.25 * index
        label = f"{index + 1} {name}\n{say_seconds(None if time is None else time - fall.fault)}"
        if time is None:
            axes.text(place, 1.08, label, transform=axes.transAxes, ha="center", va="bottom", fontsize=9, color=GREY)
            continue
        axes.axvline(view.at(time), color=GREY, linewidth=0.9, linestyle=(0, (2, 1 + index)), zorder=1)
        axes.plot([view.at(time)], [1.0], marker=marker, color="black", markersize=6, zorder=5, clip_on=False)
        axes.annotate(
            label,
            xy=(view.at(time), 1.02),
            xytext=(place, 1.08),
            textcoords=axes.transAxes,
            ha="center",
            va="bottom",
            fontsize=9,
            arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.8, "shrinkA": 1, "shrinkB": 3},
        )
