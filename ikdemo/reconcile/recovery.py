"""How well a group recovered: the step curve Q(t), its stamps and its loss, computed from recorded events.

All arithmetic of recovery lives here, and nothing here looks at a clock: times come with the events, in seconds. The lab calls
it with what plugins told, the simulator and the tests with events of their own.

Of events it reads: ``committed`` and ``freed`` (what is wanted), ``provisioned``, ``found``, ``lost``, ``destroyed``
and ``health`` (the instances), ``drifted``, ``planned`` and ``halted`` (what the loop noticed), and ``fault``, which whoever
breaks something records before doing it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from ..spi.documents import SHA_TAG
from ..spi.events import Event

APPEARED = frozenset({"provisioned", "found"})
VANISHED = frozenset({"lost", "destroyed"})
NOTICED = frozenset({"drifted", "planned", "halted"})
ACTED = frozenset({"planned", "provisioned"})
UNWANTED = frozenset({"freed", "destroying", "gone"})


class Level(NamedTuple):
    """The group from ``time`` until the next level: Q in 0..1, instances beyond one per slot, and what changed it."""

    time: float
    quality: float
    surplus: int
    cause: Event


@dataclass(frozen=True)
class Life:
    """One instance from its first to its last sight; ``died`` is None while it lives, ``ended`` is "lost" or "destroyed"."""

    instance: str
    slot: str
    sha: str
    born: float
    died: float | None = None
    ended: str = ""


@dataclass(frozen=True)
class Episode:
    """One fall of Q below 1 and the way back. Times are seconds since the epoch, None for what has not happened.

    ``fault`` <= ``detected`` <= ``acted`` <= ``recovered``. ``loss`` is the integral of (1 - Q) dt in seconds: a whole group
    missing for one second is 1. ``robustness`` is the lowest Q. ``cause`` is "change" when the wish changed, not the world.
    """

    cause: Literal["fault", "change"]
    fault: float
    detected: float | None
    acted: float | None
    recovered: float | None
    robustness: float
    loss: float

    @property
    def time_to_detect(self) -> float | None:
        """TTD: from the fault to the first pass of the loop that saw it."""
        return None if self.detected is None else self.detected - self.fault

    @property
    def time_to_recover(self) -> float | None:
        """TTR: from the fault to the moment from which Q stayed 1."""
        return None if self.recovered is None else self.recovered - self.fault


@dataclass
class _Seats:
    """How many of the wanted slots are held: each once, however many instances sit in it, and those without a slot beside."""

    size: int = 0
    _taken: dict[str, int] = field(default_factory=dict)
    _named: int = 0

    def take(self, slot: str, change: int) -> None:
        """Count one instance more (1) or less (-1) in a slot."""
        before = self._taken.get(slot, 0)
        self._taken[slot] = before + change
        outside = not slot or (slot.isdecimal() and int(slot) >= self.size)
        if not outside and (before == 0) != (before + change == 0):
            self._named += change

    @property
    def held(self) -> int:
        return min(self.size, self._named + self._taken.get("", 0))


@dataclass
class Standing:
    """What is wanted and what lives, while events are read in order; ``living`` is slot and fingerprint by instance.

    The cost of an event does not grow with the group, unless it changes what is wanted.
    """

    size: int = 0
    sha: str = ""
    living: dict[str, tuple[str, str]] = field(default_factory=dict)
    sick: set[str] = field(default_factory=set)
    _good: _Seats = field(default_factory=_Seats)
    _any: _Seats = field(default_factory=_Seats)

    def read(self, event: Event) -> None:
        """Take in the next event."""
        if event.kind == "committed" and isinstance(event.size, int):
            self.size, self.sha = event.size, (event.tags or {}).get(SHA_TAG, self.sha)
            self._count_anew()
        elif event.kind in UNWANTED:
            self.size = 0
            self._count_anew()
        elif event.kind in APPEARED:
            self._count(event.instance, -1)
            self.living[event.instance] = event.slot, (event.tags or {}).get(SHA_TAG, "")
            self._count(event.instance, 1)
        elif event.kind in VANISHED:
            self._count(event.instance, -1)
            self.living.pop(event.instance, None)
            self.sick.discard(event.instance)
        elif event.kind == "health":
            self._count(event.instance, -1)
            (self.sick.add if event.code == "unhealthy" else self.sick.discard)(event.instance)
            self._count(event.instance, 1)

    def quality(self) -> float:
        """Return Q. A slot counts once however many instances sit in it; one outside the wanted slots counts nothing."""
        return min(1.0, self._good.held / self.size) if self.size else 1.0

    def surplus(self) -> int:
        """Return how many live beyond one for each wanted slot."""
        return len(self.living) - self._any.held

    def _count(self, instance: str, change: int) -> None:
        if instance not in self.living:
            return
        slot, sha = self.living[instance]
        self._any.take(slot, change)
        if instance not in self.sick and (not self.sha or not sha or sha == self.sha):
            self._good.take(slot, change)

    def _count_anew(self) -> None:
        self._good, self._any = _Seats(self.size), _Seats(self.size)
        for instance in self.living:
            self._count(instance, 1)


def curve(events: Iterable[Event]) -> list[Level]:
    """Return Q(t) = min(1, healthy and current slots / slots wanted) as steps, in time order.

    Times never go back: an event stamped earlier than one already read counts at the later time. Nothing wanted is Q = 1.

    >>> story = [Event("committed", 0.0, size=2), Event("provisioned", 1.0, instance="a", slot="0")]
    >>> [(level.time, level.quality, level.surplus) for level in curve(story)]
    [(0.0, 0.0, 0), (1.0, 0.5, 0)]
    """
    world, levels, now = Standing(), list[Level](), float("-inf")
    for event in events:
        now = max(now, event.time)
        world.read(event)
        level = Level(now, world.quality(), world.surplus(), event)
        if not levels or level[1:3] != levels[-1][1:3]:
            levels.append(level)
    return levels


def lives(events: Iterable[Event]) -> list[Life]:
    """Return every instance's life, in order of birth. An instance that is lost and found again has two."""
    open_lives: dict[str, Event] = {}
    finished: list[Life] = []
    for event in events:
        if event.kind in APPEARED:
            open_lives.setdefault(event.instance, event)
        elif event.kind in VANISHED and event.instance in open_lives:
            finished.append(_life(open_lives.pop(event.instance), event))
    return sorted(
        [*finished, *(_life(start, None) for start in open_lives.values())], key=lambda life: (life.born, life.instance)
    )


def _life(start: Event, end: Event | None) -> Life:
    sha = (start.tags or {}).get(SHA_TAG, "")
    if end is None:
        return Life(start.instance, start.slot, sha, start.time)
    return Life(start.instance, start.slot, sha, start.time, max(start.time, end.time), end.kind)


def episodes(events: Iterable[Event], until: float, *, hold: float = 0.25) -> list[Episode]:
    """Return every fall and recovery up to the time ``until``, oldest first.

    Recovered means that Q was 1 for ``hold`` seconds, or until the next recorded fault, or to the end of the record; a shorter
    return to 1 belongs to the same episode. The fault is the ``fault`` event of the instance whose loss opened the episode, else
    the loss itself.

    >>> story = [Event("committed", 0.0, size=1), Event("provisioned", 0.0, instance="a", slot="0"),
    ...     Event("fault", 4.0, instance="a"), Event("lost", 4.25, instance="a"), Event("drifted", 4.5),
    ...     Event("planned", 4.75), Event("provisioned", 5.0, instance="b", slot="0")]
    >>> fall = episodes(story, until=6.0)[-1]
    >>> fall.time_to_detect, fall.time_to_recover, fall.robustness, fall.loss
    (0.5, 1.0, 0.0, 0.75)
    """
    story = list(events)
    faults = {e.instance: e.time for e in story if e.kind == "fault"}
    return [_episode(fall, story, faults, until) for fall in _falls(curve(story), faults, hold)]


def _falls(levels: list[Level], faults: dict[str, float], hold: float) -> Iterator[list[Level]]:
    """Cut the curve into runs that begin with Q < 1 and end with the level at which Q came back to stay, if it did."""
    steps = [level for i, level in enumerate(levels) if i == 0 or levels[i - 1].quality != level.quality]
    run: list[Level] = []
    for step, following in zip(steps, [*steps[1:], None], strict=False):
        if step.quality < 1 or run:
            run.append(step)
        if run and step.quality == 1 and (following is None or _held(step, following, faults, hold)):
            yield run
            run = []
    if run:
        yield run


def _held(back: Level, following: Level, faults: dict[str, float], hold: float) -> bool:
    """Say whether Q = 1 lasted, or was ended by a fault of its own."""
    return following.time - back.time >= hold or faults.get(following.cause.instance, float("-inf")) >= back.time


def _episode(fall: list[Level], story: list[Event], faults: dict[str, float], until: float) -> Episode:
    opened, last = fall[0], fall[-1]
    fault = min(opened.time, faults.get(opened.cause.instance, opened.time))
    recovered = last.time if last.quality == 1 else None
    end = max(last.time, until) if recovered is None else recovered
    detected = _first(story, NOTICED, fault, end)
    acted = _first(story, ACTED, fault if detected is None else detected, end)
    ends = [*(level.time for level in fall[1:]), end]
    loss = sum((1 - level.quality) * (stop - level.time) for level, stop in zip(fall, ends, strict=True))
    cause: Literal["fault", "change"] = "change" if opened.cause.kind == "committed" else "fault"
    return Episode(cause, fault, detected, acted, recovered, min(level.quality for level in fall), loss)


def _first(story: list[Event], kinds: frozenset[str], start: float, end: float) -> float | None:
    return min((e.time for e in story if e.kind in kinds and start <= e.time <= end), default=None)


class Expected(NamedTuple):
    """What theory says of the time to recover, in seconds."""

    mean: float
    p95: float


def expected_recovery(poll: float, provision: float) -> Expected:
    """Return the expected time to recover with a poll every ``poll`` seconds and ``provision`` seconds to make instances.

    A simple derivation of our own: a fault falls anywhere between two polls with equal chance, so the wait for the next one is
    uniform on (0, T), with mean T/2 and 95th percentile 0.95 T; what is missing is then made in parallel, which adds L once.

    >>> expected_recovery(poll=10.0, provision=1.0)
    Expected(mean=6.0, p95=10.5)
    """
    return Expected(poll / 2 + provision, 0.95 * poll + provision)


def expected_availability(rate: float, poll: float, provision: float) -> float:
    """Return the share of time that a slot is filled when its instances are killed at ``rate`` per second of life.

    A simple derivation of our own: lives of mean 1/rate alternate with gaps of mean T/2 + L; the share is life / (life + gap).

    >>> expected_availability(rate=0.5, poll=10.0, provision=1.0)
    0.25
    """
    return 1 / (1 + rate * expected_recovery(poll, provision).mean)
