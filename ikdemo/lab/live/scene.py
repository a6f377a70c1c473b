"""What a live view shows at one moment, kept up to date from the record event by event, so that a frame costs little.

``Story`` reads and remembers no more than the stretch of time that is drawn; ``Scene`` is what a picture is made of. The
arithmetic of Q is ``reconcile.recovery``'s. Used by ``LiveView`` and whatever draws it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

from ...reconcile.recovery import APPEARED, UNWANTED, VANISHED, Life, Standing
from ...spi.documents import SHA_TAG
from ...spi.events import Event
from ..marks import EMPTY, FILLED, GONE, NEW, OLD, SICK, Sign
from ..timeline import sentence

WINDOW = 30.0
"""Seconds that a picture shows."""
FRESH = 1.5
"""Seconds for which a replacement is marked as new."""
LINES = 8
"""The last events that are told in words."""
COUNTS = APPEARED | VANISHED | UNWANTED | {"committed", "health"}
"""Kinds of events after which Q may be another."""


class Fall(NamedTuple):
    """The lowest Q of the last fall, and the seconds from the fault until Q was 1 again; None while it is not."""

    lowest: float
    seconds: float | None


class Lane(NamedTuple):
    """One slot: its instances within the window, oldest first, how many it ever had, and what it is now."""

    slot: str
    lives: list[Life]
    ever: int
    sign: Sign


@dataclass(frozen=True)
class Scene:
    """One group at the time ``now``. ``steps`` are pairs of time and Q, the first of them at or before the window's beginning."""

    group: str
    now: float
    size: int
    living: int
    quality: float
    surplus: int
    steps: list[tuple[float, float]]
    lanes: list[Lane]
    fall: Fall | None


@dataclass
class _Slot:
    lives: list[Life]
    ever: int = 0


class Story:
    """What has happened to one group so far."""

    def __init__(self, group: str) -> None:
        self.group = group
        self.told: deque[tuple[float, Event]] = deque(maxlen=LINES)
        self.latest = float("-inf")
        self._began: float | None = None
        self._standing = Standing()
        self._steps: deque[tuple[float, float]] = deque()
        self._slots: dict[str, _Slot] = {}
        self._where: dict[str, str] = {}
        self._faults: dict[str, float] = {}
        self._fell: float | None = None
        self._fall: Fall | None = None

    def read(self, events: Iterable[Event]) -> None:
        """Take in what was written down since the last time."""
        for event in sorted((event for event in events if event.group == self.group), key=lambda event: event.time):
            self.latest = max(self.latest, event.time)
            self._began = event.time if self._began is None else self._began
            if event.kind != "acted":  # the instance plugin tells the same
                self.told.append((event.time - self._began, event))
            if event.kind == "fault":
                self._faults[event.instance] = event.time
            elif event.kind in COUNTS:
                self._standing.read(event)
                self._note_lives(event)
                self._note_quality(event)

    def lines(self) -> list[tuple[float, str, str]]:
        """Tell the last events: seconds since the first one, who tells it, and the sentence."""
        return [(seconds, event.plugin, sentence(event)) for seconds, event in self.told]

    def scene(self, now: float) -> Scene:
        """Return the moment ``now``; what happened before the window is forgotten."""
        self._forget(now - WINDOW)
        standing = self._standing
        return Scene(
            group=self.group,
            now=now,
            size=standing.size,
            living=len(standing.living),
            quality=standing.quality(),
            surplus=standing.surplus(),
            steps=list(self._steps),
            lanes=[self._lane(name, now) for name in self._named()],
            fall=self._fall,
        )

    def _note_lives(self, event: Event) -> None:
        if event.kind in APPEARED and event.instance not in self._where:
            name = event.slot or f"…{event.instance[-6:]}"
            slot = self._slots.setdefault(name, _Slot([]))
            slot.lives.append(Life(event.instance, name, (event.tags or {}).get(SHA_TAG, ""), event.time))
            slot.ever += 1
            self._where[event.instance] = name
        elif event.kind in VANISHED and event.instance in self._where:
            lives = self._slots[self._where.pop(event.instance)].lives
            for index, life in enumerate(lives):
                if life.instance == event.instance and life.died is None:
                    lives[index] = replace(life, died=max(life.born, event.time), ended=event.kind)

    def _note_quality(self, event: Event) -> None:
        before = self._steps[-1][1] if self._steps else 1.0
        quality, fault = self._standing.quality(), self._faults.pop(event.instance, event.time)
        if quality == before:
            return
        self._steps.append((self.latest, quality))
        if self._fell is None and quality < before and event.kind != "committed":
            self._fell, self._fall = fault, Fall(quality, None)
        elif self._fell is not None and self._fall is not None:
            healed = self.latest - self._fell if quality == 1 else None
            self._fall = Fall(min(quality, self._fall.lowest), healed)
            self._fell = None if healed is not None else self._fell

    def _forget(self, start: float) -> None:
        while len(self._steps) > 1 and self._steps[1][0] <= start:
            self._steps.popleft()
        if self._faults:
            self._faults = {name: time for name, time in self._faults.items() if time > start}
        for name, slot in list(self._slots.items()):
            if slot.lives and slot.lives[0].died is not None:
                slot.lives = [life for life in slot.lives if life.died is None or life.died > start]
            if not slot.lives and not self._wanted(name):
                del self._slots[name]

    def _wanted(self, name: str) -> bool:
        """Say whether an empty slot is still one: a number below the size, or a pet while there are no more names than pets."""
        if name.isdecimal():
            return int(name) < self._standing.size
        return not name.startswith("…") and len(self._slots) <= self._standing.size

    def _named(self) -> list[str]:
        """Return the slots in their order; where they are numbers, those without an instance as well."""
        if all(map(str.isdecimal, self._slots)):
            return sorted({*self._slots, *map(str, range(self._standing.size))}, key=int)
        return sorted(self._slots, key=lambda name: (not name.isdecimal(), name.zfill(9)))

    def _lane(self, name: str, now: float) -> Lane:
        slot = self._slots.get(name) or _Slot([])
        return Lane(name, slot.lives, slot.ever, self._sign(name, slot, now))

    def _sign(self, name: str, slot: _Slot, now: float) -> Sign:
        newest = next((life for life in reversed(slot.lives) if life.died is None), None)
        if newest is None:
            return EMPTY if self._wanted(name) else GONE
        if newest.instance in self._standing.sick:
            return SICK
        if self._standing.sha and newest.sha not in ("", self._standing.sha):
            return OLD
        return NEW if slot.ever > 1 and now - newest.born < FRESH else FILLED
