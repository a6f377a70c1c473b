"""How well a group recovered: the step curve Q(t), its stamps and its loss, computed from recorded
events.

All arithmetic of recovery is here, and nothing here reads a clock: times come with the events, in
seconds, and events come in the order in which they were recorded. When an instance counts is
decided in ``service``.

Two curves come from one record. The *true* one falls at the ``fault`` that is recorded before
something is broken on purpose, and where none was recorded at the first report. The *known* one
falls when a pass of the loop has seen the report. The area between the two is what was lost
unnoticed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

from ...spi.events import Event
from .service import KnownService, ServiceState

HOLD = 0.25
"""Seconds that Q must stay 1 before a recovery counts as one."""
ACTED = frozenset({"planned", "provisioned"})
Cause = Literal["fault", "report", "change"]


class Level(NamedTuple):
    """The group from ``time`` until the next level, and the event that changed it.

    ``quality`` is the true Q in 0..1, ``surplus`` the instances beyond one per slot, ``known`` is Q
    as the loop knew it, and ``size`` the number of slots wanted.
    """

    time: float
    quality: float
    surplus: int
    known: float
    size: int
    cause: Event

    @property
    def filled(self) -> int:
        """The slots that count in Q."""
        return round(self.quality * self.size)


@dataclass(frozen=True)
class Episode:
    """One fall of the true Q below 1 and the way back. Times are seconds since the epoch, None for
    what has not happened.

    ``began`` <= ``detected`` <= ``acted`` <= ``recovered``. ``cause`` says what the fall is counted
    from: "fault", the recorded moment at which an instance was taken away; "report", the first
    report of a loss without a recorded fault; "change", the commit. ``fewest`` of ``size`` slots
    were filled at the lowest Q, which is ``robustness``. ``loss`` is the integral of (1 - Q) dt in
    seconds: a whole group missing for one second is 1. ``unnoticed`` is the part of it that the
    loop did not know of.
    """

    cause: Cause
    began: float
    detected: float | None
    acted: float | None
    recovered: float | None
    robustness: float
    fewest: int
    size: int
    loss: float
    unnoticed: float

    @property
    def time_to_detect(self) -> float | None:
        """TTD: from its beginning to the first pass of the loop that saw it."""
        return None if self.detected is None else self.detected - self.began

    @property
    def time_to_act(self) -> float | None:
        """From its beginning to the first action of the loop that saw it."""
        return None if self.acted is None else self.acted - self.began

    @property
    def time_to_recover(self) -> float | None:
        """TTR: from its beginning to the moment from which Q stayed 1."""
        return None if self.recovered is None else self.recovered - self.began


def curve(events: Iterable[Event]) -> list[Level]:
    """Return Q(t) = min(1, healthy and current slots / slots wanted) as steps, true and as the loop
    knew it.

    Times never go back: an event stamped earlier than one already read counts at the later time.
    Nothing wanted is Q = 1.

    >>> story = [
    ...     Event("committed", 0.0, size=1),
    ...     Event("provisioned", 1.0, instance="a", slot="0"),
    ...     Event("fault", 4.0, instance="a"),
    ...     Event("lost", 4.25, instance="a"),
    ...     Event("drifted", 4.5),
    ... ]
    >>> [(level.time, level.quality, level.known) for level in curve(story)]
    [(0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (4.0, 0.0, 1.0), (4.5, 0.0, 0.0)]
    """
    state, known, levels, now = ServiceState(), KnownService(), list[Level](), float("-inf")
    for event in events:
        now = max(now, event.time)
        state.read(event)
        known.read(event)
        level = Level(now, state.quality(), state.surplus(), known.quality(), state.size, event)
        if not levels or level[1:5] != levels[-1][1:5]:
            levels.append(level)
    return levels


def episodes(
    events: Iterable[Event],
    until: float,
    *,
    hold: float = HOLD,
    levels: Sequence[Level] | None = None,
) -> list[Episode]:
    """Return every fall and recovery up to the time ``until``, oldest first; ``levels`` is the
    curve of the events, if known.

    Recovered means that Q was 1 for ``hold`` seconds, or until the next recorded fault or another
    wish, or to the end of the record; a shorter return to 1 belongs to the same episode.

    >>> story = [
    ...     Event("committed", 0.0, size=1),
    ...     Event("provisioned", 0.0, instance="a", slot="0"),
    ...     Event("fault", 4.0, instance="a"),
    ...     Event("lost", 4.25, instance="a"),
    ...     Event("drifted", 4.5),
    ...     Event("planned", 4.75),
    ...     Event("provisioned", 5.0, instance="b", slot="0"),
    ... ]
    >>> fall = episodes(story, until=6.0)[-1]
    >>> fall.time_to_detect, fall.time_to_recover, fall.robustness, fall.loss, fall.unnoticed
    (0.5, 1.0, 0.0, 1.0, 0.5)
    """
    story = list(events)
    levels, actions, now = curve(story) if levels is None else levels, list[float](), float("-inf")
    for event in story:
        now = max(now, event.time)
        if event.kind in ACTED:
            actions.append(now)
    return [_episode(levels, first, last, actions, until) for first, last in _falls(levels, hold)]


def _falls(levels: Sequence[Level], hold: float) -> Iterator[tuple[int, int]]:
    """Yield where falls are in the curve: the first level with Q < 1, and that at which Q came back
    to stay, or the last one.
    """
    steps = [
        index
        for index, level in enumerate(levels)
        if index == 0 or levels[index - 1].quality != level.quality
    ]
    first: int | None = None
    for index, following in zip(steps, [*steps[1:], None], strict=False):
        if first is None and levels[index].quality < 1:
            first = index
        if first is None or levels[index].quality < 1:
            continue
        if following is None or _held(levels[first], levels[index], levels[following], hold):
            yield first, index
            first = None
    if first is not None:
        yield first, len(levels) - 1


def _held(opened: Level, back: Level, following: Level, hold: float) -> bool:
    """Say whether Q = 1 lasted, or was ended by a fault or a wish of its own; what follows a change
    is no part of it.
    """
    own = following.cause.kind in ("fault", "committed") or opened.cause.kind == "committed"
    return own or following.time - back.time >= hold


def _episode(
    levels: Sequence[Level], first: int, last: int, actions: Sequence[float], until: float
) -> Episode:
    """Measure the fall that the levels ``first`` to ``last`` are."""
    fall, opened = levels[first : last + 1], levels[first]
    recovered = fall[-1].time if fall[-1].quality == 1 else None
    end = max(fall[-1].time, until) if recovered is None else recovered
    ends = [*(level.time for level in fall[1:]), end]
    spans = [(level, stop - level.time) for level, stop in zip(fall, ends, strict=True)]
    before = levels[first - 1].known if first else 1.0
    knowing = pairwise([before, *(level.known for level in fall)])
    detected = next(
        (level.time for level, (was, known) in zip(fall, knowing, strict=True) if known < was), None
    )
    lowest = min(fall, key=lambda level: level.quality)
    return Episode(
        cause="change"
        if opened.cause.kind == "committed"
        else "fault"
        if opened.cause.kind == "fault"
        else "report",
        began=opened.time,
        detected=detected,
        acted=None
        if detected is None
        else next((at for at in actions[bisect_left(actions, detected) :] if at <= end), None),
        recovered=recovered,
        robustness=lowest.quality,
        fewest=lowest.filled,
        size=lowest.size,
        loss=sum((1 - level.quality) * seconds for level, seconds in spans),
        unnoticed=sum(max(0.0, level.known - level.quality) * seconds for level, seconds in spans),
    )


class ExpectedRecovery(NamedTuple):
    """What theory says of the time to recover, in seconds."""

    mean: float
    p95: float


def expected_recovery(poll: float, provision: float) -> ExpectedRecovery:
    """Return the expected time to recover with a poll every ``poll`` seconds and ``provision``
    seconds to make instances.

    A simple derivation of our own: a fault falls anywhere between two polls with equal chance, so
    the wait for the next one is uniform on (0, T), with mean T/2 and 95th percentile 0.95 T; what
    is missing is then made in parallel, which adds L once.

    >>> expected_recovery(poll=10.0, provision=1.0)
    ExpectedRecovery(mean=6.0, p95=10.5)
    """
    return ExpectedRecovery(poll / 2 + provision, 0.95 * poll + provision)


def expected_availability(rate: float, poll: float, provision: float) -> float:
    """Return the share of time that a slot is filled when its instances are killed at ``rate`` per
    second of life.

    A simple derivation of our own: lives of mean 1/rate alternate with gaps of mean T/2 + L; the
    share is life / (life + gap).

    >>> expected_availability(rate=0.5, poll=10.0, provision=1.0)
    0.25
    """
    return 1 / (1 + rate * expected_recovery(poll, provision).mean)
