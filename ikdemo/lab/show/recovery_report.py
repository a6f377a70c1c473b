"""A group's record of falls and recoveries, as a learner looks at it: words, tables, a picture.

The arithmetic is in ``reconcile.analysis.recovery``, the drawing in ``recovery_figure``; here both
are put into words, and it is said whether a fall is counted from a recorded fault or from the first
report of a loss.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from statistics import mean, median
from typing import TYPE_CHECKING

from ...reconcile.analysis.lives import Life, lives
from ...reconcile.analysis.recovery import Episode, Level, curve, episodes, expected_recovery
from ...spi.errors import IkdemoError
from ...spi.events import Event
from ...spi.text import visible
from .images import faces, save, svg_text
from .tables import Table, say_percent, say_seconds

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Recovery:
    """What happened to one group up to a moment, read from its events in the order in which they
    were written down.

    In a notebook it shows itself as the figure of its last fall.
    """

    def __init__(
        self, group: str, events: Iterable[Event], until: float, since: float = 0.0
    ) -> None:
        self.group = group
        self.events = [event for event in events if event.group == group]
        self.until = until
        self.levels: list[Level] = curve(self.events)
        found = episodes(self.events, until, levels=self.levels)
        fallen = [fall for fall in found if fall.cause != "change"]
        self.falls: list[Episode] = [fall for fall in fallen if fall.began >= since]
        self._earlier = len(fallen) > len(self.falls)

    @cached_property
    def lives(self) -> list[Life]:
        """The life of every instance; only the figure needs them."""
        return lives(self.events)

    @property
    def size(self) -> int:
        """The number of slots wanted last."""
        sizes = [
            event.size
            for event in self.events
            if event.kind == "committed" and isinstance(event.size, int)
        ]
        return sizes[-1] if sizes else 0

    @property
    def last(self) -> Episode:
        """The last fall; raises IkdemoError when the group never fell."""
        if not self.falls:
            raise IkdemoError(f"{self._no_fall} So there is no recovery to show. Try lab.kill().")
        return self.falls[-1]

    @property
    def healed(self) -> bool:
        """Whether every fall so far was followed by a full recovery."""
        return all(fall.recovered is not None for fall in self.falls)

    def times(self) -> list[float]:
        """Return the time to recover, in seconds, of every finished fall."""
        return [fall.time_to_recover for fall in self.falls if fall.time_to_recover is not None]

    def stamps(self) -> Table:
        """Return the four stamps of the last fall, counted from the fault, or from the first report
        where none was recorded.
        """
        fall = self.last
        meaning = (
            "the first instance was taken away"
            if fall.cause == "fault"
            else "a loss was reported; its moment is not recorded"
        )
        rows = [
            (f"1 {fall.cause}", fall.began, meaning),
            ("2 detected", fall.detected, "the group plugin saw that something is missing"),
            ("3 first action", fall.acted, "it began to put it right"),
            ("4 recovered", fall.recovered, "every slot is filled again, and stays filled"),
        ]
        said = [
            (name, self._said(None if time is None else time - fall.began), meaning)
            for name, time, meaning in rows
        ]
        return Table(["stamp", f"after the {fall.cause}", "meaning"], said)

    def measures(self) -> Table:
        """Return the measures of the last fall: TTD, TTR, robustness, loss, and which part of it
        the loop did not know of.
        """
        fall = self.last
        rows = [
            ("TTD", self._said(fall.time_to_detect), "time to detect: from 1 to 2"),
            ("TTR", say_seconds(fall.time_to_recover), "time to recover: from 1 to 4"),
            ("robustness", say_percent(fall.robustness), "the lowest share of filled slots"),
            ("loss", say_seconds(fall.loss), "the shaded area: a whole group missing for so long"),
            (
                "unnoticed",
                say_seconds(fall.unnoticed),
                "the dotted part of it: lost, and not known to the loop",
            ),
        ]
        return Table(["measure", "value", "meaning"], rows)

    @property
    def _no_fall(self) -> str:
        """Say why there is no fall to show."""
        if self._earlier:
            return f"Group {self.group}: nothing has been lost since the moment that was asked for."
        if any(event.kind in ("fault", "lost") for event in self.events):
            return (
                f"Group {self.group}: what was lost so far was lost while it grew or was "
                "rolled, or asked to end in vain."
            )
        return f"Group {self.group}: nothing has been lost yet."

    def _said(self, seconds: float | None) -> str:
        """Say how long something of the last fall took; what has not happened in a fall that is
        over never will.
        """
        return (
            "never" if seconds is None and self.last.recovered is not None else say_seconds(seconds)
        )

    @property
    def title(self) -> str:
        """What stands above the picture."""
        return visible(f"Group {self.group} heals")

    @property
    def words(self) -> str:
        """The picture of the last fall, told in words."""
        fall = self.last
        opening = (
            "after a fault"
            if fall.cause == "fault"
            else "after a loss, counted from its first report,"
        )
        noticed = (
            f"The group plugin noticed: {say_seconds(fall.time_to_detect)}. First action: "
            f"{self._said(fall.time_to_act)}."
        )
        if fall.detected is None:
            noticed = (
                "The group plugin "
                f"{'never' if fall.recovered is not None else 'has not yet'} noticed."
            )
        ending = "It has not recovered yet."
        if fall.recovered is not None:
            ending = f"After {say_seconds(fall.time_to_recover)} every slot was filled again."
        unnoticed = f", {say_seconds(fall.unnoticed)} of it unnoticed" if fall.unnoticed else ""
        return visible(
            f"Group {self.group}: {opening} only {fall.fewest} of {fall.size} slots were filled. "
            f"{noticed} {ending} "
            f"Loss: {say_seconds(fall.loss)} of a whole group{unnoticed}."
        )

    def figure(self) -> Figure:
        """Draw the last fall: the step curve with its loss and four stamps, above one lane per
        slot.
        """
        from .recovery_figure import draw

        return draw(self)

    def svg(self) -> str:
        """Return the figure as SVG text with title and description; the same record gives the same
        text.
        """
        return svg_text(self)

    def save(self, path: str) -> None:
        """Write the figure to a file; the ending (.png, .svg, .pdf) says in which format."""
        save(self, path)

    def __repr__(self) -> str:
        return visible(self.words if self.falls else self._no_fall)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        if not self.falls:
            return {"text/plain": repr(self)}
        return faces(self)


def compare(measured: Mapping[str, Recovery], *, poll: float) -> Table:
    """Set times to recover side by side, above what theory says of a poll every ``poll`` seconds.

    L, the time to make instances, is the median time from detection to recovery over all of
    ``measured``.
    """
    rows = []
    for name, recovery in measured.items():
        times = recovery.times()
        if not times:
            raise IkdemoError(
                f"Nothing was measured for {name!r}: no fall of group {recovery.group!r} has ended"
            )
        rows.append((name, len(times), *(say_seconds(of(times)) for of in (median, mean, max))))
    falls = [fall for recovery in measured.values() for fall in recovery.falls]
    making = [
        f.recovered - f.detected
        for f in falls
        if f.recovered is not None and f.detected is not None
    ]
    theory = expected_recovery(poll, median(making or [0.0]))
    rows.append(
        (
            f"theory: poll every {poll:g} s",
            "-",
            "-",
            say_seconds(theory.mean),
            f"{say_seconds(theory.p95)} in 95 of 100",
        )
    )
    return Table(["how it notices", "faults", "median", "mean", "longest"], rows)
