"""Draws many simulated runs at once: over-creation with and without slots, creations with and without back-off.

Every run is a thin line, 90 of 100 lie in the band, the thick line is the median. Called by ``Overcreation`` and ``CrashLoops``.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from ...reconcile.analysis.theory import creations_with_backoff, creations_without_backoff
from ..show.plotting import Figure, own_style
from ..show.theme import BLUE
from .axes import DARK_GREEN, RUST, Ensemble, draw_ensemble, name, plain_axes
from .overcreation import FAULTS, PASSES, SIZE

if TYPE_CHECKING:
    from .crashes import CrashLoops
    from .overcreation import Overcreation

POINTS = 200
"""Moments at which crash loops are counted for the figure."""


@own_style()
def draw_overcreation(found: Overcreation) -> Figure:
    """Draw how many lived after each pass, a room for each fault."""
    figure, rooms = plain_axes(columns=len(FAULTS), height=4.4)
    for axes, fault in zip(rooms, FAULTS, strict=True):
        for planner, colour, hatch, height in (("counting", RUST, "//", 0.92), ("slots", BLUE, "", 0.08)):
            runs = next(one for one in found.runs if (one.fault, one.planner) == (fault, planner))
            draw_ensemble(axes, Ensemble(range(1, PASSES + 1), runs.traces), colour, hatch)
            words = f"{planner}: too many in\n{runs.exceeding:.0%} of {len(runs.traces)} runs"
            axes.text(0.97, height, words, transform=axes.transAxes, ha="right", va="center", fontsize=9, color=colour)
        axes.axhline(SIZE, color="black", linewidth=1, linestyle=(0, (4, 3)))
        axes.set_title(fault, fontsize=10)
        axes.set_xlabel("looks")
    rooms[0].set_ylabel(f"instances alive (dashed: {SIZE} wanted)")
    highest = SIZE + max(one.most for one in found.runs)
    rooms[0].set_ylim(0, highest + 2)
    rooms[0].set_yticks(range(highest + 1))
    figure.suptitle(found.title, x=0.01, ha="left", fontweight="bold")
    return figure


@own_style()
def draw_crashes(found: CrashLoops) -> Figure:
    """Draw how many instances were made up to each moment, on a scale of powers of ten."""
    figure, (axes,) = plain_axes(height=4.6)
    times = [found.seconds * (n + 0.5) / POINTS for n in range(POINTS)]
    looks = {"no back-off": (RUST, "//"), "back-off": (BLUE, ""), "back-off, then giving up": (DARK_GREEN, "..")}
    for way, (colour, hatch) in looks.items():
        counts = list(zip(*(found.creations(way, time) for time in times), strict=True))
        draw_ensemble(axes, Ensemble(times, counts), colour, hatch)
        last = median(found.creations(way))
        axes.annotate(f"{way}: {last:g}", (times[-1], last), (6, 0), textcoords="offset points", color=colour, va="center")
    for theory in (creations_with_backoff, creations_without_backoff):
        made = [theory(time, found.life) for time in times]
        axes.step(times, made, where="post", color="black", linewidth=1.2, linestyle="--")
    name(axes, "theory: dashed", (times[40], creations_without_backoff(times[40], found.life)), (0.3, 0.9), "black")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_ylim(0.8, 2 * creations_without_backoff(found.seconds, found.life))
    axes.set_xlim(0, 1.38 * found.seconds)
    axes.set_xlabel("seconds")
    axes.set_ylabel("made so far in one slot")
    axes.set_title(found.title, loc="left", fontweight="bold")
    return figure
