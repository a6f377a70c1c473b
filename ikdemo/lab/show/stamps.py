"""The moments that a figure names: in a row above the curve, each tied to its place on the axis of
time, so that close ones do not overlap.

Nothing is said by colour alone: each moment has a number, a marker and a dash of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .plotting import Axes
from .swimlanes import Window
from .theme import GREY

MARKERS = ("X", "o", "s", "D", "^")


class Stamp(NamedTuple):
    """A named moment, and how long after the first one it was, in words; ``time`` is None when it
    has not come.
    """

    name: str
    said: str
    time: float | None


def draw_stamps(axes: Axes, stamps: Sequence[Stamp], view: Window, height: float) -> None:
    """Name up to five moments above the curve; their markers stand at ``height``, and the ties end
    a little above.
    """
    for index, (stamp, marker) in enumerate(zip(stamps, MARKERS, strict=False)):
        place = (index + 0.5) / len(stamps)
        label = f"{index + 1} {stamp.name}\n{stamp.said}"
        if stamp.time is None:
            axes.text(
                place,
                1.08,
                label,
                transform=axes.transAxes,
                ha="center",
                va="bottom",
                fontsize=9,
                color=GREY,
            )
            continue
        at = view.at(stamp.time)
        axes.axvline(at, color=GREY, linewidth=0.9, linestyle=(0, (2, 1 + index)), zorder=1)
        axes.plot(
            [at], [height], marker=marker, color="black", markersize=6, zorder=5, clip_on=False
        )
        axes.annotate(
            label,
            xy=(at, 1.02 * height),
            xytext=(place, 1.08),
            textcoords=axes.transAxes,
            annotation_clip=False,
            ha="center",
            va="bottom",
            fontsize=9,
            arrowprops={
                "arrowstyle": "-",
                "color": GREY,
                "linewidth": 0.8,
                "shrinkA": 1,
                "shrinkB": 3,
            },
        )
