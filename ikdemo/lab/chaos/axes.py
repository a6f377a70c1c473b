"""The common look of the figures of chaos: plain axes, lines that are named where they run, ensembles with their band.

Nothing is said by colour alone: lines differ in dash, and each has its name beside it. Called by ``figure`` and
``ensembles``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ...reconcile.analysis.theory import quantile
from ..show.plotting import Axes, Figure

RUST, OCHRE, DARK_GREEN, MAUVE = "#A34700", "#9A6700", "#00735A", "#A0437A"
"""Vermilion, orange, green and purple of Okabe and Ito, dark enough for lines and for words on white."""
MOST_TRACES = 60
"""Single runs that are drawn; the band is that of all."""
BAND = (0.05, 0.95)


class Ensemble(NamedTuple):
    """Many runs of one thing: values of each run at the same times."""

    times: Sequence[float]
    traces: Sequence[Sequence[float]]

    def quantile(self, share: float) -> list[float]:
        """Return the quantile over all runs at each time."""
        return [quantile([trace[n] for trace in self.traces], share) for n in range(len(self.times))]


def plain_axes(columns: int = 1, height: float = 4.2, *, grid: bool = True) -> tuple[Figure, list[Axes]]:
    """Return a figure with rooms side by side that share their axes, a light grid and no box."""
    figure = Figure(figsize=(8.4, height), layout="constrained")
    rooms = list(figure.subplots(1, columns, sharey=True, squeeze=False)[0])
    for axes in rooms:
        axes.grid(visible=grid, color="0.9")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    return figure, rooms


def name(axes: Axes, words: str, at: tuple[float, float], place: tuple[float, float], colour: str) -> None:
    """Write the name of a line at a ``place`` (shares of the axes), tied to a point of the line."""
    arrow = {"arrowstyle": "-", "color": colour, "linewidth": 0.9}
    axes.annotate(words, at, place, textcoords="axes fraction", color=colour, fontsize=10, arrowprops=arrow)


def draw_ensemble(axes: Axes, runs: Ensemble, colour: str, hatch: str = "") -> None:
    """Draw single runs as thin traces, the band in which 90 of 100 lie, and the median as a thick line; all are steps."""
    for trace in runs.traces[:MOST_TRACES]:
        axes.step(runs.times, trace, where="post", color=colour, linewidth=0.6, alpha=0.35)
    low, high = (runs.quantile(share) for share in BAND)
    axes.fill_between(
        runs.times, low, high, step="post", facecolor=colour, alpha=0.22, hatch=hatch, edgecolor=colour, linewidth=0
    )
    axes.step(runs.times, runs.quantile(0.5), where="post", color=colour, linewidth=2.4)
