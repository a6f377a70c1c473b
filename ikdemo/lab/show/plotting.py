"""How matplotlib is loaded and used: always with its own defaults, whatever the learner, a style or
the environment has set; plain axes, lines with names, and ensembles with their band.

So the same record gives the same picture everywhere, and always one that can be read. No figure of
ours needs a window: none fails for a backend that the environment names and this Python lacks, as
in a command that a notebook starts.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

from ...reconcile.analysis.theory import quantile
from ...spi.errors import IkdemoError

BACKEND = "MPLBACKEND"


def _load() -> None:
    """Import matplotlib; it keeps the backend that the environment names, if there is one of that
    name.
    """
    named = os.environ.pop(BACKEND, None) if "matplotlib" not in sys.modules else None
    try:
        import matplotlib as mpl
    except ModuleNotFoundError as missing:  # the plot extra is not installed
        raise IkdemoError("The figure needs matplotlib: pip install 'ikdemo[plot]'") from missing
    finally:
        if named is not None:
            os.environ[BACKEND] = named
    if named:
        with suppress(ValueError):
            mpl.rcParams["backend"] = named


_load()

import matplotlib as mpl  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

__all__ = ["Axes", "Figure", "own_style"]

MOST_TRACES = 60
"""Single runs that are drawn; the band is that of all."""
BAND = (0.05, 0.95)
_one_at_a_time = threading.RLock()  # matplotlib's settings are the whole process's


@contextmanager
def own_style() -> Iterator[None]:
    """Draw and save with matplotlib's defaults inside; what was set before is back afterwards. Also
    a decorator.

    In SVG, text stays text, and identifiers are the same every time.
    """
    with _one_at_a_time, mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({"svg.hashsalt": "ikdemo", "svg.fonttype": "none"})
        yield


class Ensemble(NamedTuple):
    """Many runs of one thing: values of each run at the same times."""

    times: Sequence[float]
    traces: Sequence[Sequence[float]]

    def quantile(self, share: float) -> list[float]:
        """Return the quantile over all runs at each time."""
        return [
            quantile([trace[n] for trace in self.traces], share) for n in range(len(self.times))
        ]


def plain_axes(
    columns: int = 1, height: float = 4.2, *, grid: bool = True
) -> tuple[Figure, list[Axes]]:
    """Return a figure with rooms side by side that share their axes, a light grid and no box."""
    figure = Figure(figsize=(8.4, height), layout="constrained")
    rooms = list(figure.subplots(1, columns, sharey=True, squeeze=False)[0])
    for axes in rooms:
        axes.grid(visible=grid, color="0.9")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    return figure, rooms


def name(
    axes: Axes, words: str, at: tuple[float, float], place: tuple[float, float], colour: str
) -> None:
    """Write the name of a line at a ``place`` (shares of the axes), tied to a point of the line."""
    arrow = {"arrowstyle": "-", "color": colour, "linewidth": 0.9}
    axes.annotate(
        words, at, place, textcoords="axes fraction", color=colour, fontsize=10, arrowprops=arrow
    )


def draw_ensemble(axes: Axes, runs: Ensemble, colour: str, hatch: str = "") -> None:
    """Draw single runs as thin traces, the band in which 90 of 100 lie, and the median as a thick
    line; all are steps.
    """
    for trace in runs.traces[:MOST_TRACES]:
        axes.step(runs.times, trace, where="post", color=colour, linewidth=0.6, alpha=0.35)
    low, high = (runs.quantile(share) for share in BAND)
    axes.fill_between(
        runs.times,
        low,
        high,
        step="post",
        facecolor=colour,
        alpha=0.22,
        hatch=hatch,
        edgecolor=colour,
        linewidth=0,
    )
    axes.step(runs.times, runs.quantile(0.5), where="post", color=colour, linewidth=2.4)
