"""The lower half of every figure: one lane per slot, in which each instance is a bar and its
replacement continues the lane.

Colours are those of Okabe and Ito, and each goes with a hatch: nothing is said by colour alone. How
a bar looks is said by the figure that it is part of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from ...reconcile.analysis.lives import Life
from ...spi.text import visible
from .plotting import Axes, Figure
from .theme import GREEN, ORANGE, PURPLE, SKY

FILLS = ((SKY, ""), (ORANGE, "///"), (GREEN, "..."), (PURPLE, "xxx"))
MOST_LANES = 12
DESTROYED = "destroyed"
LETTER = 0.0115
"""The share of a lane's width that one letter takes at most, about."""
END: dict[str, Any] = {"color": "black", "markersize": 7, "markeredgewidth": 2, "zorder": 4}
LONGEST_NAME = 24
"""Letters of a slot's name that have room beside its lane."""


class Window(NamedTuple):
    """The stretch of time that is drawn, in seconds since the epoch, and how its axis counts:
    ``per`` of ``unit`` a second.
    """

    zero: float
    start: float
    end: float
    per: float
    unit: str

    def at(self, time: float) -> float:
        """Return where on the axis a time is, kept inside the window."""
        return (min(max(time, self.start), self.end) - self.zero) * self.per


def window(zero: float, end: float, before: float, after: float) -> Window:
    """Choose what to draw: all from ``zero`` to ``end``, with margins that are shares of it."""
    span = max(end - zero, 0.001)
    per, unit = (1000.0, "milliseconds") if span < 0.5 else (1.0, "seconds")
    return Window(zero, zero - before * span, zero + (1 + after) * span, per, unit)


class LaneStyle(NamedTuple):
    """How one instance's bar looks: its fill, the words inside, and the word for the mark that ends
    it.
    """

    fill: tuple[str, str]
    inside: str
    ending: str


def lanes(lives: Sequence[Life], size: int, view: Window) -> list[tuple[str, list[Life]]]:
    """Return the lanes to draw: every slot while they are few, else those where something happened
    in the window.
    """
    slots: dict[str, list[Life]] = {}
    if not any(life.slot and not life.slot.isdecimal() for life in lives):
        slots = {str(n): [] for n in range(size)}
    for life in lives:
        if life.slot in slots or life.died is None or life.died > view.start:
            slots.setdefault(life.slot, []).append(life)
    seen = {
        slot: lived
        for slot, lived in slots.items()
        if len(slots) <= MOST_LANES or any(_happened(life, view) for life in lived)
    }
    named = sorted(
        seen.items(),
        key=lambda lane: (
            not lane[0].isdecimal(),
            int(lane[0]) if lane[0].isdecimal() else 0,
            lane[0],
        ),
    )
    return [(f"slot {slot}" if slot else "no slot", lived) for slot, lived in named[:MOST_LANES]]


def _happened(life: Life, view: Window) -> bool:
    """Say whether an instance ended in the window, or ceased to serve."""
    died = [] if life.died is None else [life.died]
    return any(
        view.start <= time <= view.end for time in [*died, *(down.start for down in life.down)]
    )


def label(text: str, most: int = 60) -> str:
    r"""Return a text as matplotlib shows it: itself, no mathematics between its dollar signs, and
    ``most`` letters of it.

    >>> print(label("costs $5 or $6"), label("a very long name", most=6))
    costs \$5 or \$6 a ver…
    """
    said = visible(text)
    return (said if len(said) <= most else f"{said[: most - 1]}…").replace("$", r"\$")


def two_rooms(lower: int) -> tuple[Figure, Axes, Axes]:
    """Return a figure with room for a curve above and ``lower`` lanes below, on one axis of
    time.
    """
    figure = Figure(figsize=(7.2, 3.4 + 0.32 * max(lower, 3)), layout="constrained")
    top, bottom = figure.subplots(
        2, 1, sharex=True, height_ratios=[2.3, 0.3 + 0.36 * max(lower, 3)]
    )
    return figure, top, bottom


def say_time(axes: Axes, drawn: Iterable[tuple[str, list[Life]]], view: Window, since: str) -> None:
    """Write below the lanes what their time counts from, and what the marks mean that end bars."""
    endings = {
        life.ended
        for _, lived in drawn
        for life in lived
        if life.died is not None and view.start < life.died < view.end
    }
    marks = [
        f"{'stroke' if ending == DESTROYED else 'cross'}: {ending}" for ending in sorted(endings)
    ]
    axes.set_xlabel(f"{view.unit} after {since}" + (f" ({', '.join(marks)})" if marks else ""))
    axes.set_xlim(view.at(view.start), view.at(view.end))


def legend_below(axes: Axes, title: str = "") -> None:
    """Name lines and areas below the curve, where the names cover none of them."""
    axes.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.03),
        ncols=2,
        fontsize=8.5,
        frameon=False,
        title=title or None,
        title_fontsize=8.5,
    )


def draw_lanes(
    axes: Axes,
    drawn: Iterable[tuple[str, list[Life]]],
    view: Window,
    look: Callable[[int, Life], LaneStyle],
) -> None:
    """Draw the bars; ``look`` is asked about each instance with its ordinal in its lane."""
    rows = list(drawn)
    for row, (_, lived) in enumerate(rows):
        axes.axhline(row, color="0.75", linewidth=0.8, linestyle=":", zorder=0)
        for generation, life in enumerate(lived):
            if life.born < view.end and (life.died is None or life.died > view.start):
                following = min(
                    (view.at(other.born) for other in lived[generation + 1 :]),
                    default=view.at(view.end),
                )
                _draw_life(axes, row, life, look(generation, life), view, following)
    axes.set_yticks(range(len(rows)), [label(name, LONGEST_NAME) for name, _ in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _draw_life(
    axes: Axes, row: int, life: Life, look: LaneStyle, view: Window, following: float
) -> None:
    """Draw one instance as a bar with words inside if they fit, hollow where it does not serve, and
    with a mark where it ended.

    The mark is a cross where it was lost and a stroke where it was destroyed; the word for it
    stands before ``following``, where the next bar of the lane begins, or inside the bar, or
    nowhere.
    """
    left, right = view.at(life.born), view.at(view.end if life.died is None else life.died)
    colour, hatch = look.fill
    letter = LETTER * (view.at(view.end) - view.at(view.start))
    axes.barh(
        row,
        right - left,
        left=left,
        height=0.56,
        color=colour,
        hatch=hatch,
        edgecolor="white",
        linewidth=0.5,
    )
    for down in life.down:
        start, end = view.at(down.start), right if down.end is None else view.at(down.end)
        axes.barh(
            row,
            end - start,
            left=start,
            height=0.56,
            color="white",
            hatch="\\\\\\",
            edgecolor=colour,
            linewidth=1.0,
        )
        _write(axes, row, (start, end), down.why, letter)
    room = left, min([right, *(view.at(down.start) for down in life.down)])
    if life.died is not None:
        axes.plot([right], [row], marker="|" if life.ended == DESTROYED else "x", **END)
        need = letter * (len(look.ending) + 2)
        if following - right > need:
            axes.text(
                right + letter,
                row,
                label(look.ending),
                ha="left",
                va="center",
                fontsize=8,
                color="black",
            )
        elif room[1] == right and right - left > need + letter * len(look.inside):
            _write(axes, row, (right - need, right), look.ending, letter)
            room = left, right - need
    _write(axes, row, room, look.inside, letter)


def _write(axes: Axes, row: int, room: tuple[float, float], said: str, letter: float) -> None:
    """Write words into a part of a bar if they fit."""
    left, right = room
    if said and right - left > letter * (len(said) + 2):
        box = {"facecolor": "white", "alpha": 0.8, "pad": 1.2, "edgecolor": "none"}
        axes.text(
            (left + right) / 2, row, label(said), ha="center", va="center", fontsize=8, bbox=box
        )
