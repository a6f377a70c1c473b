"""The figures of chaos: plain axes, lines that are named where they run, ensembles with their band.

Nothing is said by colour alone: lines differ in dash, and each has its name beside it.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from ...reconcile.analysis.recovery import expected_availability, expected_recovery
from ...reconcile.analysis.theory import (
    availability_under_load,
    creations_with_backoff,
    creations_without_backoff,
    recovered_within,
)
from ..show.plotting import Ensemble, Figure, draw_ensemble, name, own_style, plain_axes
from ..show.swimlanes import label
from ..show.theme import BLUE, GREY
from .overcreation import FAULTS, LOOKS, SIZE

if TYPE_CHECKING:
    from .availability import Sweep
    from .crashes import CrashLoops
    from .findings import Findings
    from .overcreation import Overcreation

RUST, OCHRE, DARK_GREEN, MAUVE = "#A34700", "#9A6700", "#00735A", "#A0437A"
"""Vermilion, orange, green and purple of Okabe and Ito, dark enough for lines and for words on
white.
"""
STYLES = ((BLUE, "o"), (OCHRE, "s"), (DARK_GREEN, "^"), (MAUVE, "v"))
"""A colour and a marker for each poll interval."""


@own_style()
def draw_times(findings: Findings) -> Figure:
    """Draw which share of the kills was healed how fast, the two marks with their intervals, and
    what theory says.
    """
    figure, (axes,) = plain_axes()
    times = sorted(findings.times())
    longest = times[-1]
    axes.step(
        [0.0, *times],
        [n / len(times) for n in range(len(times) + 1)],
        where="post",
        color=BLUE,
        linewidth=2.2,
    )
    if findings.poll is not None:
        made, last = findings.provision, findings.poll + findings.provision
        longest = max(longest, last)
        bends = [0.0, made, last, 1.12 * longest]
        axes.plot(
            bends,
            [recovered_within(time, findings.poll, made) for time in bends],
            color=RUST,
            linewidth=2,
            linestyle="--",
        )
        mark = expected_recovery(findings.poll, findings.provision).mean
        name(axes, "theory: dashed", (mark, 0.5), (0.30, 0.80), RUST)
    name(axes, f"measured: {len(times)} kills", (times[len(times) // 4], 0.25), (0.62, 0.16), BLUE)
    for share, one, marker in ((0.5, findings.measures[1], "D"), (0.95, findings.measures[2], "s")):
        axes.plot(
            one.interval,
            [share, share],
            color="black",
            linewidth=1.6,
            marker="|",
            markersize=9,
            zorder=5,
        )
        axes.plot([one.value], [share], marker=marker, color="black", markersize=6, zorder=6)
        words = (
            f"{one.name} {one.say(one.value)}\n({one.say(one.interval.low)} to "
            f"{one.say(one.interval.high)})"
        )
        axes.annotate(
            words,
            (one.interval.high, share),
            (8, -4),
            textcoords="offset points",
            fontsize=8.5,
            va="top",
        )
    axes.plot(
        times, [-0.035] * len(times), linestyle="", marker="|", color=GREY, markersize=7, alpha=0.6
    )
    axes.set_xlim(0, 1.3 * longest)
    axes.set_ylim(-0.07, 1.05)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 0.95], ["0 %", "25 %", "50 %", "75 %", "95 %"])
    axes.set_ylabel("share of kills healed")
    axes.set_xlabel("seconds after the kill (each tick below the curve is one kill)")
    axes.set_title(label(findings.title), loc="left", fontweight="bold")
    return figure


@own_style()
def draw_sweep(sweep: Sweep) -> Figure:
    """Draw availability against the rate of failures, a line of theory and a marker for each poll
    interval.
    """
    figure, (axes,) = plain_axes(height=4.8)
    rates = sorted({point.rate for point in sweep.points})
    low, high = rates[0], rates[-1]
    fine = [low * (high / low) ** (n / 60) for n in range(61)]
    for number, poll in enumerate(sweep.polls):
        colour, marker = STYLES[number % len(STYLES)]
        of_poll = [point for point in sweep.points if point.poll == poll]
        making = of_poll[0].provision
        simple = [expected_availability(rate, poll, making) for rate in fine]
        axes.plot(fine, simple, color=colour, linewidth=1.8)
        axes.plot(
            fine,
            [availability_under_load(rate, poll, making) for rate in fine],
            color=colour,
            linewidth=1.2,
            linestyle=":",
        )
        for point in of_poll:
            face, size = ("white", 8) if point.simulated else (colour, 10)
            spread = [[point.value - point.interval.low], [point.interval.high - point.value]]
            axes.errorbar(
                [point.rate],
                [point.value],
                spread,
                marker=marker,
                color=colour,
                markerfacecolor=face,
                markersize=size,
                capsize=3,
            )
        axes.annotate(
            f"look every {poll:g} s",
            (high, simple[-1]),
            (9, 0),
            textcoords="offset points",
            color=colour,
            va="center",
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlim(low / 1.3, high * 3.2)
    axes.set_ylim(0, 1.04)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    axes.set_xlabel("kills per second and instance")
    axes.set_ylabel("availability: share of time filled")
    key = (
        "solid: theory 1/(1 + rate (T/2 + L))\ndotted: theory of a single slot, for any "
        "rate\nhollow: simulated, filled: measured"
    )
    axes.text(0.015, 0.04, key, transform=axes.transAxes, fontsize=9, va="bottom")
    axes.set_title(sweep.title, loc="left", fontweight="bold")
    return figure


POINTS = 200
"""Moments at which crash loops are counted for the figure."""


@own_style()
def draw_overcreation(found: Overcreation) -> Figure:
    """Draw how many lived after each pass, a room for each fault."""
    figure, rooms = plain_axes(columns=len(FAULTS), height=4.4)
    for axes, fault in zip(rooms, FAULTS, strict=True):
        for planner, colour, hatch, height in (
            ("counting", RUST, "//", 0.92),
            ("slots", BLUE, "", 0.08),
        ):
            runs = next(one for one in found.runs if (one.fault, one.planner) == (fault, planner))
            draw_ensemble(axes, Ensemble(range(1, LOOKS + 1), runs.traces), colour, hatch)
            words = f"{planner}: too many in\n{runs.exceeding:.0%} of {len(runs.traces)} runs"
            axes.text(
                0.97,
                height,
                words,
                transform=axes.transAxes,
                ha="right",
                va="center",
                fontsize=9,
                color=colour,
            )
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
    looks = {
        "no back-off": (RUST, "//"),
        "back-off": (BLUE, ""),
        "back-off, then giving up": (DARK_GREEN, ".."),
    }
    for way, (colour, hatch) in looks.items():
        counts = list(zip(*(found.creations(way, time) for time in times), strict=True))
        draw_ensemble(axes, Ensemble(times, counts), colour, hatch)
        last = median(found.creations(way))
        axes.annotate(
            f"{way}: {last:g}",
            (times[-1], last),
            (6, 0),
            textcoords="offset points",
            color=colour,
            va="center",
        )
    for theory in (creations_with_backoff, creations_without_backoff):
        made = [theory(time, found.life) for time in times]
        axes.step(times, made, where="post", color="black", linewidth=1.2, linestyle="--")
    name(
        axes,
        "theory: dashed",
        (times[40], creations_without_backoff(times[40], found.life)),
        (0.3, 0.9),
        "black",
    )
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_ylim(0.8, 2 * creations_without_backoff(found.seconds, found.life))
    axes.set_xlim(0, 1.38 * found.seconds)
    axes.set_xlabel("seconds")
    axes.set_ylabel("made so far in one slot")
    axes.set_title(found.title, loc="left", fontweight="bold")
    return figure
