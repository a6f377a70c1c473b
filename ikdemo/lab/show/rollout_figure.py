"""Draws a rolling update: how many live and how many of them are new, above a swim-lane per slot
filled by configuration.

Nothing is said by colour alone: configurations differ in hatch and in their fingerprint, the curves
in their dash.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ...reconcile.analysis.lives import Life
from .plotting import Axes, Figure, own_style
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
from .theme import BLUE, GREY, VERMILION

NEW, OLD = FILLS[1], (FILLS[0], *FILLS[2:])


class Rolled(Protocol):
    """What is drawn: an update that brought the configuration ``sha``. ``counts`` are time, living,
    and how many are new.
    """

    lives: list[Life]
    sha: str
    size: int
    began: float
    until: float

    @property
    def title(self) -> str: ...
    @property
    def counts(self) -> Sequence[tuple[float, int, int]]: ...


@own_style()
def draw(rollout: Rolled) -> Figure:
    """Return the figure of the update from its first action to its end, or to now."""
    view = window(rollout.began, rollout.until, before=0.1, after=0.15)
    there = [life for life in rollout.lives if life.died is None or life.died > rollout.began]
    old = [sha for sha in dict.fromkeys(life.sha for life in there) if sha != rollout.sha]

    def look(_: int, life: Life) -> LaneStyle:
        """Fill a bar by its configuration, the new one always alike."""
        if life.sha == rollout.sha:
            return LaneStyle(NEW, f"new: {life.sha[:7]}", "")
        return LaneStyle(OLD[old.index(life.sha) % len(OLD)], f"old: {life.sha[:7]}", "")

    drawn = lanes(there, rollout.size, view)
    figure, top, bottom = two_rooms(len(drawn))
    _draw_counts(top, rollout, view)
    draw_lanes(bottom, drawn, view, look)
    say_time(bottom, drawn, view, "it began")
    top.set_title(label(rollout.title), loc="left", fontweight="bold")
    return figure


def _draw_counts(axes: Axes, rollout: Rolled, view: Window) -> None:
    moments, alive, fresh = zip(*rollout.counts, strict=True)
    times = [view.at(time) for time in (view.start, *moments, view.end)]
    living = [alive[0], *alive, alive[-1]]
    new = [fresh[0], *fresh, fresh[-1]]
    low = [min(n, rollout.size) for n in living]
    axes.fill_between(
        times,
        low,
        rollout.size,
        step="post",
        label="missing",
        facecolor=VERMILION,
        alpha=0.3,
        hatch="//",
        edgecolor=VERMILION,
    )
    axes.step(times, living, where="post", color=BLUE, linewidth=2.2, label="alive")
    axes.step(
        times,
        new,
        where="post",
        color="#A66A00",
        linewidth=2.0,
        linestyle="--",
        label="of the new configuration",
    )
    axes.axhline(rollout.size, color=GREY, linewidth=0.9, linestyle=":", label="wanted")
    top = max(*alive, rollout.size)
    axes.set_ylim(-0.2, top + 0.6)
    axes.set_yticks(range(0, top + 1, max(1, top // 6)))
    axes.set_ylabel("instances")
    axes.spines[["top", "right"]].set_visible(False)
    legend_below(axes)
