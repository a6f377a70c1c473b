"""A group's latest rolling update, as a learner looks at it: how many lived all along, how long it
took, words and a picture.

Read from the record; the lives of instances come from ``reconcile.analysis.lives``, the drawing
from ``rollout_figure``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from ...reconcile.analysis.lives import Life, lives
from ...spi.documents import SHA_TAG
from ...spi.errors import IkdemoError
from ...spi.events import Event
from ...spi.text import visible
from .images import faces, svg_text
from .tables import Table, say_seconds

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Count(NamedTuple):
    """How many instances live from ``time`` on, and how many of them are of the new
    configuration.
    """

    time: float
    living: int
    new: int


class Rollout:
    """What happened since the latest commit of another configuration. In a notebook it shows itself
    as a figure.

    It begins with the first action after the commit, which a paused loop may do much later.
    """

    def __init__(self, group: str, events: Iterable[Event], until: float) -> None:
        self.group = group
        told = sorted(
            (event for event in events if event.group == group), key=lambda event: event.time
        )
        self.lives: list[Life] = lives(told)
        commits = [
            event for event in told if event.kind == "committed" and isinstance(event.size, int)
        ]
        changes = [at for before, at in pairwise(commits) if _sha(before) != _sha(at)]
        if not changes:
            raise IkdemoError(
                f"Group {group!r} was not committed with another configuration yet, so nothing "
                "was rolled out"
            )
        self.sha, self.size = _sha(changes[-1]), int(str(commits[-1].size))
        plans = [
            event.time
            for event in told
            if event.kind == "planned" and event.time >= changes[-1].time
        ]
        self.began = plans[0] if plans else changes[-1].time
        done = [
            event.time for event in told if event.kind == "converged" and event.time > self.began
        ]
        self.finished = bool(done)
        self.until = done[0] if done else until

    @property
    def counts(self) -> list[Count]:
        """How many lived, from the first action to the end, a line for each moment at which it
        changed.
        """
        moments = {life.born for life in self.lives} | {
            life.died for life in self.lives if life.died is not None
        }
        times = [self.began, *sorted(time for time in moments if self.began < time <= self.until)]
        return [self._count(time) for time in times]

    def _count(self, time: float) -> Count:
        living = [
            life
            for life in self.lives
            if life.born <= time and (life.died is None or life.died > time)
        ]
        return Count(time, len(living), sum(life.sha == self.sha for life in living))

    @property
    def replaced(self) -> int:
        """How many instances of an older configuration were destroyed."""
        ended = [
            life
            for life in self.lives
            if life.died is not None and self.began < life.died <= self.until
        ]
        return sum(life.sha != self.sha for life in ended)

    @property
    def fewest(self) -> int:
        return min(count.living for count in self.counts)

    @property
    def most(self) -> int:
        return max(count.living for count in self.counts)

    def measures(self) -> Table:
        """Return the measures of the update: time, replaced, fewest and most alive."""
        rows = [
            ("time", self.took, "from the first action until the group was as wanted"),
            ("replaced", self.replaced, "instances of the old configuration that have left"),
            (
                "fewest alive",
                f"{self.fewest} of {self.size}",
                "how far the group shrank on the way",
            ),
            ("most alive", f"{self.most} of {self.size}", "how far it grew"),
        ]
        return Table(["measure", "value", "meaning"], rows)

    @property
    def took(self) -> str:
        """How long it took, in words."""
        return say_seconds(self.until - self.began if self.finished else None)

    @property
    def title(self) -> str:
        """What stands above the picture."""
        return visible(f"Group {self.group} rolls")

    @property
    def words(self) -> str:
        """The picture, told in words."""
        have = "has" if self.replaced == 1 else "have"
        left = sum(life.died is None and life.sha != self.sha for life in self.lives)
        ending = (
            f"It took {self.took}."
            if self.finished
            else f"It has not ended: {left} of the old configuration still there."
        )
        alive = (
            f"Never fewer than {self.fewest} and never more than {self.most} were alive; "
            f"{self.size} are wanted."
        )
        gone = (
            f"{self.replaced} {'instance' if self.replaced == 1 else 'instances'} of the old "
            f"configuration {have} left."
        )
        return visible(f"Group {self.group}: {gone} {alive} {ending}")

    def figure(self) -> Figure:
        """Draw the numbers of the living above one lane per slot, each bar filled by its
        configuration.
        """
        from .rollout_figure import draw

        return draw(self)

    def svg(self) -> str:
        """Return the figure as SVG text with title and description."""
        return svg_text(self)

    def __repr__(self) -> str:
        return self.words

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return faces(self)


def paces(measured: Mapping[str, Rollout]) -> Table:
    """Set updates side by side, one line for each."""
    rows = [(name, one.size, one.fewest, one.most, one.took) for name, one in measured.items()]
    return Table(["pace", "wanted", "fewest alive", "most alive", "time"], rows)


def _sha(committed: Event) -> str:
    return (committed.tags or {}).get(SHA_TAG, "")
