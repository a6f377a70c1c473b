"""Draws what a run has kept: the table as a chart, or how cost grows with size. Prints the same in
words.

Nothing is said by colour alone: each mark has a shape and a name. Run as ``python -m
benchmarks.chart FILE.json OUT.png``; called by ``pages``.
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

from . import words
from .report import heading
from .table import number

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


def draw(kept: Mapping[str, Any], where: Path) -> str:
    """Draw a run of either kind and return what the picture shows, in words."""
    figures = kept["figures"]
    figure = of_bench(figures) if kept["kind"] == "bench" else of_scale(figures)
    figure.text(
        0.01, 0.06 / figure.get_figheight(), heading(kept), fontsize=7, color=GREY, va="bottom"
    )
    figure.savefig(where, dpi=DPI, metadata={"Software": None})
    return words.of_bench(figures) if kept["kind"] == "bench" else words.of_scale(figures)


def _figure(height: float) -> Figure:
    """Return an empty figure with room for a line at its foot."""
    return Figure(
        figsize=(WIDTH, height),
        layout=ConstrainedLayoutEngine(rect=(0, 0.35 / height, 1, 1 - 0.35 / height)),
    )


def of_bench(figures: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw each figure against its target, on a logarithmic scale where 1 is the target."""
    lines = words.held(figures)
    figure = _figure(1.6 + 0.3 * len(lines))
    axes = figure.add_subplot()
    for place, line in enumerate(lines):
        _draw_line(axes, place, line)
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
    _name_marks(axes, lines)
    figure.legend(loc="outside upper center", ncols=4, frameon=False, fontsize=9, handletextpad=0.2)
    return figure


def _draw_line(axes: Axes, place: int, line: words.Held) -> None:
    axes.axhline(place, color="0.92", linewidth=0.8, zorder=0)
    if line.floor is not None:
        axes.plot(
            line.floor / line.target,
            place,
            marker="|",
            markersize=10,
            markeredgewidth=2,
            color=GREY,
        )
    if line.infrakit is not None:
        axes.plot(
            line.infrakit / line.target,
            place,
            "D",
            markersize=6,
            markerfacecolor="none",
            markeredgecolor=ORANGE,
            mew=2,
        )
    colour = BLUE if line.met else VERMILION
    axes.plot(
        max(line.value / line.target, LEAST),
        place,
        marker="o" if line.met else "X",
        markersize=7,
        color=colour,
        zorder=3,
    )
    weight = "normal" if line.met else "bold"
    axes.annotate(
        line.label,
        (1.01, place),
        xycoords=("axes fraction", "data"),
        va="center",
        fontsize=9,
        color=colour,
        fontweight=weight,
    )


def _name_marks(axes: Axes, lines: Sequence[words.Held]) -> None:
    axes.plot([], [], "o", color=BLUE, label="ours, target met")
    if not all(line.met for line in lines):
        axes.plot([], [], "X", color=VERMILION, label="ours, target missed")
    axes.plot([], [], "|", color=GREY, markersize=10, markeredgewidth=2, label="floor")
    if any(line.infrakit is not None for line in lines):
        axes.plot(
            [],
            [],
            "D",
            markerfacecolor="none",
            markeredgecolor=ORANGE,
            mew=2,
            label="InfraKit v0.1.0",
        )


def of_scale(figures: Sequence[Mapping[str, Any]]) -> Figure:
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
    looks = ((one.ours, "ours", BLUE, "o-"), (one.floor, "floor", GREY, "s--"))
    for values, name, colour, look in looks:
        axes.plot(one.sizes, values, look, color=colour, markersize=5)
        axes.annotate(
            name,
            (one.sizes[-1], values[-1]),
            (6, 0),
            textcoords="offset points",
            va="center",
            color=colour,
        )
    for size, value in zip(one.sizes, one.ours, strict=True):
        axes.annotate(
            number(value),
            (size, value),
            (0, 6),
            textcoords="offset points",
            ha="center",
            fontsize=8,
        )
    if one.bend is not None:
        axes.axvline(one.bend, color=VERMILION, linestyle=(0, (4, 3)), linewidth=1)
        said = (
            f"from {one.bend:,} on \nabove {words.FACTOR:g} times the "
            f"least{'' if one.each is one.ours else ' per instance'} "
        )
        # the curve is high at its end
        height, side = (0.96, "top") if one.each is one.ours else (0.04, "bottom")
        axes.text(
            one.bend,
            height,
            said,
            transform=axes.get_xaxis_transform(),
            ha="right",
            va=side,
            fontsize=8,
            color=VERMILION,
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(one.sizes, [f"{size:,}".replace(",000", "k") for size in one.sizes])
    axes.yaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.margins(x=0.08, y=0.2)
    axes.set_ylabel(unit)
    axes.grid(color="0.92")
    axes.spines[["top", "right"]].set_visible(False)


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
