"""Draws the recovery figure: the step curve with its shaded loss and four stamps, above a swim-lane
per slot.

The curve falls when something was lost; a second, dashed one, where it differs, when the loop knew
of it. Nothing is said by colour alone: generations differ in hatch and number, stamps in number and
marker.
"""

from __future__ import annotations

from typing import Protocol

from ...reconcile.analysis.lives import Life
from ...reconcile.analysis.recovery import Episode, Level
from .plotting import Axes, Figure, own_style
from .stamps import Stamp, draw_stamps
from .swimlanes import (
    FILLS,
    LaneStyle,
    Window,
    draw_lanes,
    label,
    lanes,
    legend_below,
    say_time,
    two_rooms,
    window,
)
from .tables import say_seconds
from .theme import BLUE, VERMILION


class Fallen(Protocol):
    """What is drawn: the record of a group that fell, up to the time ``until``."""

    until: float
    levels: list[Level]

    @property
    def lives(self) -> list[Life]: ...
    @property
    def title(self) -> str: ...
    @property
    def last(self) -> Episode: ...


@own_style()
def draw(recovery: Fallen) -> Figure:
    """Return the figure of the last fall; raises IkdemoError when there was none."""
    fall = recovery.last
    view = window(
        fall.began,
        recovery.until if fall.recovered is None else fall.recovered,
        before=0.25,
        after=0.5,
    )
    drawn = lanes(recovery.lives, fall.size, view)
    figure, top, bottom = two_rooms(len(drawn))
    _draw_curve(top, recovery, view)
    draw_stamps(top, _stamps(fall), view, height=1.0)
    draw_lanes(bottom, drawn, view, _look)
    say_time(bottom, drawn, view, f"the {fall.cause}")
    top.set_title(label(recovery.title), loc="left", pad=44, fontweight="bold")
    return figure


def _look(generation: int, life: Life) -> LaneStyle:
    """Fill a bar by its generation, and put its ordinal inside."""
    inside = f"replacement {generation}" if generation else "first instance"
    return LaneStyle(FILLS[generation % len(FILLS)], inside, life.ended)


def shown(levels: list[Level], view: Window) -> tuple[list[float], list[float], list[float]]:
    """Return the steps inside the window as lists of equal length: places on the axis, the true Q,
    and Q as the loop knew it.
    """
    before = sum(level.time <= view.start for level in levels)
    steps = [level for level in levels[max(0, before - 1) :] if level.time <= view.end]
    steps.append(steps[-1])
    times = [view.at(level.time) for level in steps[:-1]] + [view.at(view.end)]
    return times, [level.quality for level in steps], [level.known for level in steps]


def _draw_curve(axes: Axes, recovery: Fallen, view: Window) -> None:
    times, true, known = shown(recovery.levels, view)
    fall = recovery.last
    said = f"loss: {say_seconds(fall.loss)} of a whole group"
    axes.fill_between(
        times,
        true,
        1,
        step="post",
        facecolor=VERMILION,
        alpha=0.3,
        hatch="//",
        edgecolor=VERMILION,
        linewidth=0,
        label=said,
    )
    if fall.unnoticed:
        _fill(
            axes,
            times,
            true,
            [max(pair) for pair in zip(true, known, strict=True)],
            f"of it unnoticed: {say_seconds(fall.unnoticed)}",
        )
    if any(knew < was for was, knew in zip(true, known, strict=True)):
        _fill(
            axes,
            times,
            [min(pair) for pair in zip(true, known, strict=True)],
            true,
            "there again, and not known to be",
        )
    if known != true:
        axes.step(
            times,
            known,
            where="post",
            color="black",
            linewidth=1.3,
            linestyle=(0, (4, 2)),
            label="Q as the loop knew it",
        )
    axes.step(times, true, where="post", color=BLUE, linewidth=2.2, label="Q: filled slots")
    axes.set_ylim(-0.04, 1.12)
    axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1], ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"])
    axes.set_ylabel("Q: filled slots")
    axes.grid(axis="y", color="0.9")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    surplus = max(
        level.surplus for level in recovery.levels if view.start <= level.time <= view.end
    )
    legend_below(axes, f"surplus: up to {surplus}" if surplus else "")


def _fill(axes: Axes, times: list[float], low: list[float], high: list[float], said: str) -> None:
    """Dot the area between the two curves."""
    axes.fill_between(
        times,
        low,
        high,
        step="post",
        facecolor="none",
        hatch="oo",
        edgecolor="#7A3300",
        linewidth=0,
        label=said,
    )


def _stamps(fall: Episode) -> list[Stamp]:
    """Return the four moments of a fall; what has not happened in one that is over never will."""
    times = {
        fall.cause: fall.began,
        "detected": fall.detected,
        "first action": fall.acted,
        "recovered": fall.recovered,
    }
    never = "not yet" if fall.recovered is None else "never"
    return [
        Stamp(name, never if time is None else say_seconds(time - fall.began), time)
        for name, time in times.items()
    ]
