"""The lives of instances, computed from recorded events: when each began and ended, and when it was
there and did not serve.

What ends a life, and when an instance does not serve, is decided in ``service``, so that swimlanes
and curve always agree.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from ...spi.documents import SHA_TAG
from ...spi.events import Event
from .service import APPEARED, GONE, OF_ONE, VANISHED, ServiceState


class Down(NamedTuple):
    """A stretch of time in which an instance was there and did not serve, and why: "silent" or
    "sick"; None: until now.
    """

    start: float
    end: float | None
    why: str


@dataclass(frozen=True)
class Life:
    """One instance from its first report to its end; ``died`` is None while it lives.

    It died at its recorded fault where there is one, else at the first report. ``ended`` is "lost"
    or "destroyed", as reported, or "gone" before the fault is reported. A fault that left it in
    place, or a health check, is in ``down``.
    """

    instance: str
    slot: str
    sha: str
    born: float
    died: float | None = None
    ended: str = ""
    down: tuple[Down, ...] = ()

    def failure(self, time: float) -> str:
        """Return why it did not serve at a time within its life: "silent" or "sick", nothing if it
        did.
        """
        return next(
            (
                one.why
                for one in self.down
                if one.start <= time and (one.end is None or time < one.end)
            ),
            "",
        )


@dataclass
class _Open:
    """A life whose end has not been reported: its present failure, and since when."""

    start: Event
    born: float
    failure: str = ""
    since: float = 0.0
    down: list[Down] = field(default_factory=list)

    def set_failure(self, failure: str, time: float) -> None:
        """From ``time`` on it has this failure, or none."""
        if failure == self.failure:
            return
        if self.failure and self.failure != GONE:
            self.down.append(Down(self.since, time, self.failure))
        self.failure, self.since = failure, time

    def life(self, died: float | None, ended: str) -> Life:
        """Return the life, which ended at ``died``, or has not."""
        if self.failure == GONE:
            died, ended = self.since, ended or GONE
        elif self.failure:
            self.down.append(Down(self.since, died, self.failure))
        sha = (self.start.tags or {}).get(SHA_TAG, "")
        return Life(
            self.start.instance, self.start.slot, sha, self.born, died, ended, tuple(self.down)
        )


def lives(events: Iterable[Event]) -> list[Life]:
    """Return every instance's life, in order of birth. An instance that is lost and found again has
    two.

    Times never go back: an event stamped earlier than one already read counts at the later time.

    >>> facts = (("provisioned", 0.0), ("fault", 2.0), ("lost", 2.5))
    >>> story = [Event(kind, time, instance="a", slot="0") for kind, time in facts]
    >>> [(life.born, life.died, life.ended) for life in lives(story)]
    [(0.0, 2.0, 'lost')]
    """
    state = ServiceState()
    open_lives = dict[str, _Open]()
    finished = list[Life]()
    now = float("-inf")
    for event in events:
        now = max(now, event.time)
        state.read(event)
        if event.kind not in OF_ONE:
            continue
        if event.kind in APPEARED:
            open_lives.setdefault(event.instance, _Open(event, now))
        if (living := open_lives.get(event.instance)) is None:
            continue
        if event.kind in VANISHED:
            finished.append(open_lives.pop(event.instance).life(now, event.kind))
        else:
            living.set_failure(state.failure(event.instance), now)
    return sorted(
        [*finished, *(one.life(None, "") for one in open_lives.values())],
        key=lambda life: (life.born, life.instance),
    )
