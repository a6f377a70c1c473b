"""What has happened to a group so far, kept up to date from the record event by event, so that a
frame of a live view costs little.

Reads and remembers no more than the stretch of time that is drawn. When an instance counts as
filling its slot is decided in ``reconcile.analysis.service``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace

from ...reconcile.analysis.lives import Down, Life
from ...reconcile.analysis.recovery import HOLD
from ...reconcile.analysis.service import (
    APPEARED,
    OF_ONE,
    UNWANTED,
    VANISHED,
    KnownService,
    ServiceState,
)
from ...reconcile.analysis.service import GONE as STRUCK
from ...reconcile.analysis.service import UNHEALTHY as CALLED_UNHEALTHY
from ...spi.documents import SHA_TAG
from ...spi.events import Event
from ..show.tables import say_event
from ..show.theme import EMPTY, FILLED, GONE, NEW, OLD, SILENT, UNHEALTHY, Sign
from .view_model import WINDOW, CurveStep, Fall, Lane, ViewModel

FRESH = 1.5
"""Seconds for which a replacement is marked as new."""
LINES = 8
"""The last events that are told in words."""
COUNTS = OF_ONE | UNWANTED | {"committed"}
"""Kinds of events after which what is filled may be another."""


@dataclass
class _Slot:
    lives: list[Life]
    ever: int = 0


class GroupHistory:
    """What has happened to one group so far."""

    def __init__(self, group: str) -> None:
        self.group = group
        self.told: deque[tuple[float, Event]] = deque(maxlen=LINES)
        self.latest = float("-inf")
        self._began: float | None = None
        self._now = float("-inf")
        self._service, self._known = ServiceState(), KnownService()
        self._steps: deque[CurveStep] = deque()
        self._slots: dict[str, _Slot] = {}
        self._where: dict[str, str] = {}
        self._fell = self._healed = float("-inf")
        self._fall: Fall | None = None

    def read(self, events: Iterable[Event]) -> None:
        """Take in what was written down since the last time."""
        for event in sorted(
            (event for event in events if event.group == self.group), key=lambda event: event.time
        ):
            self.latest = max(self.latest, event.time)
            self._began = event.time if self._began is None else self._began
            if event.kind != "acted":  # the instance plugin tells the same
                self.told.append((event.time - self._began, event))
            self._known.read(event)
            if event.kind in COUNTS:
                self._now = max(self._now, event.time)
                orderly = self._is_orderly(event)
                self._service.read(event)
                self._note_lives(event)
                self._note_step(event, orderly)

    def lines(self) -> list[tuple[float, str, str]]:
        """Tell the last events: seconds since the first one, who tells it, and the sentence."""
        return [(seconds, event.plugin, say_event(event)) for seconds, event in self.told]

    def model_at(self, now: float) -> ViewModel:
        """Return the moment ``now``; what happened before the window is forgotten."""
        self._forget(now - WINDOW)
        service = self._service
        return ViewModel(
            group=self.group,
            now=now,
            size=service.size,
            living=service.there,
            filled=service.filled,
            current=service.current,
            surplus=service.surplus(),
            unnoticed=max(0, self._known.filled - service.filled),
            steps=list(self._steps),
            lanes=[self._lane(name, now) for name in self._named()],
            fall=self._fall,
        )

    def _note_lives(self, event: Event) -> None:
        if event.kind in APPEARED and event.instance not in self._where:
            name = event.slot or f"…{event.instance[-6:]}"
            slot = self._slots.setdefault(name, _Slot([]))
            slot.lives.append(
                Life(event.instance, name, (event.tags or {}).get(SHA_TAG, ""), self._now)
            )
            slot.ever += 1
            self._where[event.instance] = name
        slot = self._slots.get(self._where.get(event.instance, ""), _Slot([]))
        # a view that is opened late reads of thousands in one slot
        for index in reversed(range(len(slot.lives))):
            if (life := slot.lives[index]).instance == event.instance and life.ended in (
                "",
                STRUCK,
            ):
                slot.lives[index] = self._turned(life, event)
                break
        if event.kind in VANISHED:
            self._where.pop(event.instance, None)

    def _turned(self, life: Life, event: Event) -> Life:
        """Return a life after an event: ended, down, or serving again."""
        failure, down = self._service.failure(life.instance), life.down
        if down and down[-1].end is None and down[-1].why != failure:
            down = (*down[:-1], down[-1]._replace(end=self._now))
        if event.kind in VANISHED or failure == STRUCK:
            died = self._now if life.died is None else life.died
            return replace(
                life, died=died, ended=event.kind if event.kind in VANISHED else STRUCK, down=down
            )
        if failure and not (down and down[-1].end is None):
            down = (*down, Down(self._now, None, failure))
        return replace(life, died=None, ended="", down=down)

    def _is_orderly(self, event: Event) -> bool:
        """Say whether an event changes what is wanted, or ends an instance that is not
        wanted as it is.
        """
        if event.kind != "destroyed":
            return event.kind == "committed" or event.kind in UNWANTED
        _, sha = self._service.living.get(event.instance, ("", ""))
        return "" not in (sha, self._service.sha) and sha != self._service.sha

    def _note_step(self, event: Event, orderly: bool) -> None:
        """Write down a change of what is filled, and whether something was lost by it."""
        service = self._service
        before = self._steps[-1] if self._steps else CurveStep(self._now, 0, 0, 0, 0)
        reached = max(before.reached if before.size == service.size else 0, service.filled)
        step = CurveStep(self._now, service.size, service.filled, service.current, reached)
        if step[1:] == before[1:]:
            return
        self._steps.append(step)
        if (
            not orderly
            and step.filled < before.filled
            and (self._fall is None or self._fall.seconds is not None)
        ):
            self._fall = self._fallen(event, step)
        if self._fall is not None and self._fall.seconds is None:
            self._fall = self._fall._replace(fewest=min(self._fall.fewest, step.filled))
            if step.filled == step.size:
                self._fall = self._fall._replace(seconds=self._now - self._fell)
                self._healed = self._now
        if not step.size:
            self._fall = None

    def _fallen(self, event: Event, step: CurveStep) -> Fall:
        """Return the fall that begins; soon after the last one, and without a fault of its own, it
        is still that one.
        """
        if self._fall is not None and event.kind != "fault" and self._now - self._healed < HOLD:
            return self._fall._replace(seconds=None)
        self._fell = self._now
        return Fall(step.filled, step.size, None, "fault" if event.kind == "fault" else "report")

    def _forget(self, start: float) -> None:
        while len(self._steps) > 1 and self._steps[1].time <= start:
            self._steps.popleft()
        for name, slot in list(self._slots.items()):
            if slot.lives and slot.lives[0].died is not None:
                slot.lives = [life for life in slot.lives if life.died is None or life.died > start]
            if not slot.lives and not self._wanted(name):
                del self._slots[name]

    def _wanted(self, name: str) -> bool:
        """Say whether an empty slot is still one: a number below the size, or a pet while there are
        no more names than pets.
        """
        if name.isdecimal():
            return int(name) < self._service.size
        return not name.startswith("…") and len(self._slots) <= self._service.size

    def _named(self) -> list[str]:
        """Return the slots in their order; where they are numbers, those without an instance as
        well.
        """
        if all(map(str.isdecimal, self._slots)):
            return sorted({*self._slots, *map(str, range(self._service.size))}, key=int)
        return sorted(self._slots, key=lambda name: (not name.isdecimal(), name.zfill(9)))

    def _lane(self, name: str, now: float) -> Lane:
        slot = self._slots.get(name) or _Slot([])
        return Lane(name, slot.lives, slot.ever, self._sign(name, slot, now))

    def _sign(self, name: str, slot: _Slot, now: float) -> Sign:
        newest = next((life for life in reversed(slot.lives) if life.died is None), None)
        if newest is None:
            return EMPTY if self._wanted(name) else GONE
        if failure := self._service.failure(newest.instance):
            return UNHEALTHY if failure == CALLED_UNHEALTHY else SILENT
        if self._service.sha and newest.sha not in ("", self._service.sha):
            return OLD
        return NEW if slot.ever > 1 and now - newest.born < FRESH else FILLED
