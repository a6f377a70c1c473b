"""Draws what a run has kept: the table as a chart, or how cost grows with size. Prints the same in
words.

Nothing is said by colour alone: each mark has a shape and a name. Run as ``python -m
benchmarks.chart FILE.json OUT.png``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from ikdemo.lab.show.theme import BLUE, GREY, ORANGE, VERMILION

from . import results, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, DPI = 8.0, 100
"""Inches, and pixels to each: 800 pixels, as wide as a page shows it."""
LEAST = 0.001
"""Where a figure is drawn that is nothing at all: a logarithmic scale has no place for it."""
PANELS = {
    "converge": ("To converge: microseconds for each instance (level: linear)", "µs"),
    "heal": ("To heal one: milliseconds (level: size does not matter)", "ms"),
    "describe": ("To describe all: milliseconds (along the dotted line: linear)", "ms"),
}
MARKS: dict[str, dict[str, Any]] = {
    "ours, target met": {"marker": "o", "color": BLUE, "markersize": 7, "zorder": 3},
    "ours, target missed": {"marker": "X", "color": VERMILION, "markersize": 7, "zorder": 3},
    "floor": {"marker": "|", "color": GREY, "markersize": 10, "markeredgewidth": 2},
    "InfraKit v0.1.0": {
        "marker": "D",
        "markersize": 6,
        "markerfacecolor": "none",
        "markeredgecolor": ORANGE,
        "markeredgewidth": 2,
    },
}
"""How each kind of figure is drawn, by its name in the legend."""
NOTE: dict[str, Any] = {"textcoords": "offset points"}


def draw(kept: Mapping[str, Any], where: Path) -> str:
    """Draw a run of either kind and return what the picture shows, in words."""
    figures, is_bench = kept["figures"], kept["kind"] == "bench"
    figure = of_bench(figures) if is_bench else of_scale(figures)
    foot = 0.06 / figure.get_figheight()
    figure.text(0.01, foot, results.heading(kept), fontsize=7, color=GREY, va="bottom")
    figure.savefig(where, dpi=DPI, metadata={"Software": None})
    return words.of_bench(figures) if is_bench else words.of_scale(figures)


def _figure(height: float) -> Figure:
    """Return an empty figure with room for a line at its foot."""
    foot = 0.35 / height
    return Figure(
        figsize=(WIDTH, height), layout=ConstrainedLayoutEngine(rect=(0, foot, 1, 1 - foot))
    )


def of_bench(figures: Sequence[results.Figure]) -> Figure:
    """Draw each figure against its target, on a logarithmic scale where 1 is the target."""
    lines = words.targets(figures)
    figure = _figure(1.6 + 0.3 * len(lines))
    axes = figure.add_subplot()
    used = {name for place, line in enumerate(lines) for name in _draw_line(axes, place, line)}
    for name, mark in MARKS.items():
        if name in used:
            axes.plot([], [], linestyle="", label=name, **mark)
    axes.axvline(1, color="black", linewidth=1.2)
    axes.text(1, -0.75, "target", ha="center", va="bottom", fontsize=9, fontweight="bold")
    axes.set_yticks(range(len(lines)), [line.what for line in lines], fontsize=9)
    axes.set_ylim(len(lines) - 0.4, -0.7)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("share of the target, logarithmic: further left is better")
    axes.grid(axis="x", color="0.92")
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    figure.legend(loc="outside upper center", ncols=4, frameon=False, fontsize=9, handletextpad=0.2)
    return figure


def _draw_line(axes: Axes, place: int, line: words.Target) -> list[str]:
    """Draw the marks of one figure and return their names."""
    mine = "ours, target met" if line.met else "ours, target missed"
    marks = {
        "floor": line.floor,
        "InfraKit v0.1.0": line.infrakit,
        mine: max(line.value, LEAST * line.target),
    }
    axes.axhline(place, color="0.92", linewidth=0.8, zorder=0)
    for name, value in marks.items():
        if value is not None:
            axes.plot(value / line.target, place, **MARKS[name])
    axes.annotate(
        line.label,
        (1.01, place),
        xycoords=("axes fraction", "data"),
        va="center",
        fontsize=9,
        color=MARKS[mine]["color"],
        fontweight="normal" if line.met else "bold",
    )
    return [name for name, value in marks.items() if value is not None]


def of_scale(figures: Sequence[results.Figure]) -> Figure:
    """Draw three costs over the number of instances, and where each stops being linear."""
    figure = _figure(9.0)
    panels = figure.subplots(len(PANELS), sharex=True)
    for axes, (aspect, (title, unit)) in zip(panels, PANELS.items(), strict=True):
        one = words.curve(figures, aspect)
        _draw_curve(axes, one, unit)
        if aspect == "describe":
            line = [size * one.each[len(one.sizes) // 2] for size in one.sizes]
            axes.plot(one.sizes, line, ":", color="black", linewidth=1)
        axes.set_title(title, loc="left", fontsize=10, fontweight="bold")
    panels[-1].set_xlabel("instances")
    return figure


def _draw_curve(axes: Axes, one: words.Curve, unit: str) -> None:
    for values, name, colour, style in (
        (one.ours, "ours", BLUE, "o-"),
        (one.floor, "floor", GREY, "s--"),
    ):
        axes.plot(one.sizes, values, style, color=colour, markersize=5)
        end = (one.sizes[-1], values[-1])
        axes.annotate(name, end, (6, 0), va="center", color=colour, **NOTE)
    for point in zip(one.sizes, one.ours, strict=True):
        axes.annotate(results.number(point[1]), point, (0, 6), ha="center", fontsize=8, **NOTE)
    if one.bend is not None:
        _draw_bend(axes, one, one.bend)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(one.sizes, [f"{size:,}".replace(",000", "k") for size in one.sizes])
    axes.yaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.margins(x=0.08, y=0.2)
    axes.set_ylabel(unit)
    axes.grid(color="0.92")
    axes.spines[["top", "right"]].set_visible(False)


def _draw_bend(axes: Axes, one: words.Curve, bend: int) -> None:
    axes.axvline(bend, color=VERMILION, linestyle=(0, (4, 3)), linewidth=1)
    is_whole = one.each is one.ours
    each = "" if is_whole else " per instance"
    axes.text(
        bend,
        0.96 if is_whole else 0.04,  # the curve is high at its end
        f"from {bend:,} on \nabove {words.FACTOR:g} times the least{each} ",
        transform=axes.get_xaxis_transform(),
        ha="right",
        va="top" if is_whole else "bottom",
        fontsize=8,
        color=VERMILION,
    )


def main() -> None:
    """Draw one file, and print what the picture shows."""
    parser = argparse.ArgumentParser(
        description="draw what python -m benchmarks or python -m benchmarks.scale has kept"
    )
    parser.add_argument("kept", type=Path, metavar="FILE.json")
    parser.add_argument("picture", type=Path, metavar="OUT.png")
    given = parser.parse_args()
    print(draw(json.loads(given.kept.read_text()), given.picture))


if __name__ == "__main__":
    main()
