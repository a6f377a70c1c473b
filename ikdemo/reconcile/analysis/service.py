"""What is wanted and what serves, while events are read in order: the world as it was, and the
world as the loop knew it.

Only here is decided when an instance counts. In ``ServiceState`` it stops at its recorded ``fault``
where there is one, else at the first report of its loss; in ``KnownService`` when the loop has seen
that report. Nothing reads a clock.

A ``fault`` is recorded before something is broken on purpose; its code says what that does:
``silent`` (it is there, and does not answer: SIGSTOP), ``asked`` (it was asked to end, and may go
on: nothing is lost before a report), anything else: it is gone. ``mended``, with the same code,
says that a fault is undone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ...spi.documents import SHA_TAG
from ...spi.events import Event

APPEARED = frozenset({"provisioned", "found"})
VANISHED = frozenset({"lost", "destroyed"})
NOTICED = frozenset({"drifted", "planned", "halted"})
UNWANTED = frozenset({"freed", "destroying", "gone"})
OF_ONE = APPEARED | VANISHED | {"health", "fault", "mended"}
"""Kinds of events that are about one instance."""
GONE, SILENT, ASKED, UNHEALTHY = "gone", "silent", "asked", "sick"


@dataclass
class _FilledSlots:
    """How many of the wanted slots are filled: each once, however many instances are in it; and
    those without a slot beside.
    """

    size: int = 0
    _occupants: dict[str, int] = field(default_factory=dict)
    _named: int = 0

    def add(self, slot: str, change: int) -> None:
        """Count one instance more (1) or less (-1) in a slot."""
        before = self._occupants.get(slot, 0)
        self._occupants[slot] = before + change
        outside = not slot or (slot.isdecimal() and int(slot) >= self.size)
        if not outside and (before == 0) != (before + change == 0):
            self._named += change

    @property
    def held(self) -> int:
        return min(self.size, self._named + self._occupants.get("", 0))


@dataclass
class ServiceState:
    """The world as it was. ``living`` is slot and config_sha by instance, until its end is
    reported; ``there`` is how many run.

    The cost of an event does not grow with the group, unless it changes what is wanted.
    """

    size: int = 0
    sha: str = ""
    living: dict[str, tuple[str, str]] = field(default_factory=dict)
    there: int = 0
    _unhealthy: set[str] = field(default_factory=set)
    _faults: dict[str, str] = field(default_factory=dict)
    _any: _FilledSlots = field(default_factory=_FilledSlots)
    _well: _FilledSlots = field(default_factory=_FilledSlots)
    _good: _FilledSlots = field(default_factory=_FilledSlots)

    def read(self, event: Event) -> None:
        """Take in the next event."""
        if event.kind == "committed" and isinstance(event.size, int):
            self._set_desired(event.size, (event.tags or {}).get(SHA_TAG, self.sha))
        elif event.kind in UNWANTED:
            self._set_desired(0, self.sha)
        elif event.kind in OF_ONE:
            self._count(event.instance, -1)
            self._apply(event)
            self._count(event.instance, 1)

    def failure(self, instance: str) -> str:
        """Return why an instance does not serve, "gone", "silent" or "sick"; nothing of one that
        does.
        """
        return self._faults.get(instance) or (UNHEALTHY if instance in self._unhealthy else "")

    @property
    def filled(self) -> int:
        """The wanted slots that an instance serves in, of whichever configuration."""
        return self._well.held

    @property
    def current(self) -> int:
        """The wanted slots that an instance of the wanted configuration serves in."""
        return self._good.held

    def quality(self) -> float:
        """Return Q. A slot counts once however many instances are in it; one outside the wanted
        slots counts nothing.
        """
        return self.current / self.size if self.size else 1.0

    def surplus(self) -> int:
        """Return how many run beyond one for each wanted slot."""
        return self.there - self._any.held

    def _apply(self, event: Event) -> None:
        name = event.instance
        if event.kind in APPEARED:
            self.living[name] = event.slot, (event.tags or {}).get(SHA_TAG, "")
        elif event.kind in VANISHED:
            self.living.pop(name, None)
            self._clear_fault(name)
        elif event.kind == "fault":
            if event.code != ASKED and self._faults.get(name) != GONE:
                self._faults[name] = SILENT if event.code == SILENT else GONE
        elif event.kind == "mended":
            if self._faults.get(name) == (event.code or GONE):
                self._clear_fault(name)
        elif event.code == "unhealthy":
            self._unhealthy.add(name)
        elif name in self._unhealthy:
            # it answers again; a first answer may be older than a fault, and says nothing
            self._unhealthy.discard(name)
            if event.code == "healthy" and self._faults.get(name) == SILENT:
                del self._faults[name]

    def _clear_fault(self, name: str) -> None:
        self._unhealthy.discard(name)
        self._faults.pop(name, None)

    def _count(self, instance: str, change: int) -> None:
        failure = self.failure(instance)
        if instance not in self.living or failure == GONE:
            return
        slot, sha = self.living[instance]
        self.there += change
        self._any.add(slot, change)
        if failure:
            return
        self._well.add(slot, change)
        if not self.sha or not sha or sha == self.sha:
            self._good.add(slot, change)

    def _set_desired(self, size: int, sha: str) -> None:
        self.size, self.sha, self.there = size, sha, 0
        self._any = _FilledSlots(size)
        self._well = _FilledSlots(size)
        self._good = _FilledSlots(size)
        for instance in self.living:
            self._count(instance, 1)


class KnownService:
    """The world as the loop knew it: of faults it knows nothing, and of a report once a pass has
    seen it.

    A loop that knows of nothing amiss sees what was reported when it says so (``NOTICED``); one
    that knows of something is at work, and sees the rest at once.
    """

    def __init__(self) -> None:
        self._state = ServiceState()
        self._unseen: list[Event] = []
        self._names: set[str] = set()

    def read(self, event: Event) -> None:
        """Take in the next event."""
        if event.kind in ("fault", "mended"):
            return
        # a loop that provisions has observed
        if event.kind in NOTICED or event.kind in UNWANTED or event.kind == "provisioned":
            for reported in self._unseen:
                self._state.read(reported)
            self._unseen.clear()
            self._names.clear()
        if self._is_unseen(event):
            self._unseen.append(event)
            self._names.add(event.instance)
        else:
            self._state.read(event)

    def quality(self) -> float:
        """Return Q as the loop knew it."""
        return self._state.quality()

    @property
    def filled(self) -> int:
        """The wanted slots of which the loop knew nothing amiss."""
        return self._state.filled

    def _is_unseen(self, event: Event) -> bool:
        if event.kind not in OF_ONE:
            return False
        if event.instance in self._names:
            return True  # events about one instance stay in their order
        loss = event.kind in VANISHED or (event.kind == "health" and event.code == "unhealthy")
        return loss and self._state.quality() == 1 and not self._state.surplus()
