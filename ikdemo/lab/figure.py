"""Draws the recovery figure: the step curve with its shaded loss and four stamps, above a swim-lane per slot.

Matplotlib is used here and nowhere else, never through pyplot (no global state, no window, safe in any thread). Nothing is said
by colour alone: generations differ in hatch and number, stamps in number and marker. Colours are those of Okabe and Ito.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, NamedTuple
from xml.sax.saxutils import escape

from ..reconcile.recovery import Episode, Life
from ..spi.errors import IkdemoError
from .table import say_seconds

try:
    import matplotlib as mpl
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
except ModuleNotFoundError as missing:  # the plot extra is not installed
    raise IkdemoError("The figure needs matplotlib: pip install 'ikdemo[plot]'") from missing

if TYPE_CHECKING:
    from .recovery import Recovery

BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#666666"
GENERATIONS = (("#56B4E9", ""), ("#E69F00", "///"), ("#009E73", "..."), ("#CC79A7", "xxx"))
MOST_LANES = 12
STAMPS = ("fault", "detected", "first action", "recovered")
MARKERS = ("X", "o", "s", "D")


class Window(NamedTuple):
    """The stretch of time that is drawn, in seconds since the epoch, and how its axis counts: ``per`` of ``unit`` a second."""

    zero: float
    start: float
    end: float
    per: float
    unit: str

    def at(self, time: float) -> float:
        """Return where on the axis a time is, kept inside the window."""
        return (min(max(time, self.start), self.end) - self.zero) * self.per


def window(fall: Episode, until: float) -> Window:
    """Choose what to draw: the whole fall with a margin on either side."""
    end = until if fall.recovered is None else fall.recovered
    span = max(end - fall.fault, 0.001)
    per, unit = (1000.0, "milliseconds") if span < 0.5 else (1.0, "seconds")
    return Window(fall.fault, fall.fault - 0.25 * span, fall.fault + 1.5 * span, per, unit)


def draw(recovery: Recovery) -> Figure:
    """Return the figure of the last fall; raises IkdemoError when there was none."""
    view = window(recovery.last, recovery.until)
    lanes = _lanes(recovery, view)
    figure = Figure(figsize=(8.4, 3.4 + 0.32 * max(len(lanes), 3)), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[2.3, 0.3 + 0.36 * max(len(lanes), 3)])
    _draw_curve(top, recovery, view)
    _draw_stamps(top, recovery.last, view)
    _draw_lanes(bottom, lanes, view)
    bottom.set_xlabel(f"{view.unit} after the fault")
    bottom.set_xlim(view.at(view.start), view.at(view.end))
    top.set_title(f"Group {recovery.group} heals", loc="left", pad=44, fontweight="bold")
    return figure


def _draw_curve(axes: Axes, recovery: Recovery, view: Window) -> None:
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
    axes.text(0.995, 0.04, note, transform=axes.transAxes, ha="right", va="bottom", fontsize=8.5, color="#7A3300")
    if any(surplus):
        most = max(surplus)
        axes.text(
            0.995, 0.14, f"surplus: up to {most}", transform=axes.transAxes, ha="right", va="bottom", fontsize=8.5, color=GREY
        )


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


def _lanes(recovery: Recovery, view: Window) -> list[tuple[str, list[Life]]]:
    """Return the lanes to draw: every slot while they are few, else those where something happened in the window."""
    slots: dict[str, list[Life]] = {}
    if not any(life.slot and not life.slot.isdecimal() for life in recovery.lives):
        slots = {str(n): [] for n in range(recovery.size)}
    for life in recovery.lives:
        slots.setdefault(life.slot, []).append(life)
    seen = {
        slot: lived
        for slot, lived in slots.items()
        if len(slots) <= MOST_LANES or any(life.died is not None and view.start <= life.died <= view.end for life in lived)
    }
    named = sorted(seen.items(), key=lambda lane: (not lane[0].isdecimal(), int(lane[0]) if lane[0].isdecimal() else 0, lane[0]))
    return [(f"slot {slot}" if slot else "no slot", lived) for slot, lived in named[:MOST_LANES]]


def _draw_lanes(axes: Axes, lanes: list[tuple[str, list[Life]]], view: Window) -> None:
    width = view.at(view.end) - view.at(view.start)
    for row, (_, lived) in enumerate(lanes):
        axes.axhline(row, color="0.75", linewidth=0.8, linestyle=":", zorder=0)
        for generation, life in enumerate(lived):
            _draw_life(axes, row, generation, life, view, width)
    axes.set_yticks(range(len(lanes)), [name for name, _ in lanes])
    axes.set_ylim(len(lanes) - 0.4, -0.6)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _draw_life(axes: Axes, row: int, generation: int, life: Life, view: Window, width: float) -> None:
    """Draw one instance as a bar: a cross where it was lost, its ordinal inside, hatch and colour by generation."""
    left, right = view.at(life.born), view.at(view.end if life.died is None else life.died)
    if life.born >= view.end or (life.died is not None and life.died <= view.start):
        return
    colour, hatch = GENERATIONS[generation % len(GENERATIONS)]
    axes.barh(row, right - left, left=left, height=0.56, color=colour, hatch=hatch, edgecolor="white", linewidth=0.5)
    if right - left > 0.14 * width:
        name = f"replacement {generation}" if generation else "first instance"
        box = {"facecolor": "white", "alpha": 0.8, "pad": 1.2, "edgecolor": "none"}
        axes.text((left + right) / 2, row, name, ha="center", va="center", fontsize=8, bbox=box)
    if life.died is not None:
        axes.plot([right], [row], marker="x", color="black", markersize=7, markeredgewidth=2, zorder=4)
        axes.text(right + 0.012 * width, row, life.ended, ha="left", va="center", fontsize=8, color="black")


def png_bytes(recovery: Recovery) -> bytes:
    """Return the figure as a PNG picture."""
    stream = io.BytesIO()
    draw(recovery).savefig(stream, format="png", dpi=100, metadata={"Software": None})
    return stream.getvalue()


def svg_text(recovery: Recovery) -> str:
    """Return the figure as SVG: text stays text, identifiers are the same every time, and no date is inside."""
    stream = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "ikdemo", "svg.fonttype": "none"}):
        draw(recovery).savefig(stream, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    title, words = escape(f"Recovery of group {recovery.group}"), escape(recovery.words)
    told = f'role="img" aria-labelledby="ikdemo-title ikdemo-desc">\n <title id="ikdemo-title">{title}</title>'
    told += f'\n <desc id="ikdemo-desc">{words}</desc>'
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    return re.sub(r"(<svg [^>]*?)>", lambda match: f"{match[1]} {told}", text, count=1, flags=re.DOTALL)
