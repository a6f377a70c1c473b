"""What is wanted and what serves, while events are read in order: the world as it was, and the
world as the loop knew it.

Only here is decided when an instance counts. In ``ServiceState`` it stops at its recorded ``fault``
where there is one, else at the first report of its loss; in ``KnownService`` when the loop has seen
that report. Nothing looks at a clock. Read by ``recovery`` and by the lab's live view.

Whoever breaks something records a ``fault`` before doing it, and says by its code what that does:
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
"""Kinds of events that tell something of one instance."""
GONE, SILENT, ASKED, SICK = "gone", "silent", "asked", "sick"


@dataclass
class _Seats:
    """How many of the wanted slots are held: each once, however many instances sit in it, and those
    without a slot beside.
    """

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
class ServiceState:
    """The world as it was. ``living`` is slot and fingerprint by instance, until its end is
    reported; ``there`` is how many run.

    The cost of an event does not grow with the group, unless it changes what is wanted.
    """

    size: int = 0
    sha: str = ""
    living: dict[str, tuple[str, str]] = field(default_factory=dict)
    there: int = 0
    _sick: set[str] = field(default_factory=set)
    _struck: dict[str, str] = field(default_factory=dict)
    _any: _Seats = field(default_factory=_Seats)
    _well: _Seats = field(default_factory=_Seats)
    _good: _Seats = field(default_factory=_Seats)

    def read(self, event: Event) -> None:
        """Take in the next event."""
        if event.kind == "committed" and isinstance(event.size, int):
            self._want(event.size, (event.tags or {}).get(SHA_TAG, self.sha))
        elif event.kind in UNWANTED:
            self._want(0, self.sha)
        elif event.kind in OF_ONE:
            self._count(event.instance, -1)
            self._learn(event)
            self._count(event.instance, 1)

    def failure(self, instance: str) -> str:
        """Return why an instance does not serve, "gone", "silent" or "sick"; nothing of one that
        does.
        """
        return self._struck.get(instance) or (SICK if instance in self._sick else "")

    @property
    def filled(self) -> int:
        """The wanted slots that an instance serves in, of whichever configuration."""
        return self._well.held

    @property
    def current(self) -> int:
        """The wanted slots that an instance of the wanted configuration serves in."""
        return self._good.held

    def quality(self) -> float:
        """Return Q. A slot counts once however many instances sit in it; one outside the wanted
        slots counts nothing.
        """
        return self.current / self.size if self.size else 1.0

    def surplus(self) -> int:
        """Return how many run beyond one for each wanted slot."""
        return self.there - self._any.held

    def _learn(self, event: Event) -> None:
        name = event.instance
        if event.kind in APPEARED:
            self.living[name] = event.slot, (event.tags or {}).get(SHA_TAG, "")
        elif event.kind in VANISHED:
            self.living.pop(name, None)
            self._forgive(name)
        elif event.kind == "fault":
            if event.code != ASKED and self._struck.get(name) != GONE:
                self._struck[name] = SILENT if event.code == SILENT else GONE
        elif event.kind == "mended":
            if self._struck.get(name) == (event.code or GONE):
                self._forgive(name)
        elif event.code == "unhealthy":
            self._sick.add(name)
        elif name in self._sick:
            # it answers again; a first answer may be older than a fault, and says nothing
            self._sick.discard(name)
            if event.code == "healthy" and self._struck.get(name) == SILENT:
                del self._struck[name]

    def _forgive(self, name: str) -> None:
        self._sick.discard(name)
        self._struck.pop(name, None)

    def _count(self, instance: str, change: int) -> None:
        failure = self.failure(instance)
        if instance not in self.living or failure == GONE:
            return
        slot, sha = self.living[instance]
        self.there += change
        self._any.take(slot, change)
        if failure:
            return
        self._well.take(slot, change)
        if not self.sha or not sha or sha == self.sha:
            self._good.take(slot, change)

    def _want(self, size: int, sha: str) -> None:
        self.size, self.sha, self.there = size, sha, 0
        self._any, self._well, self._good = _Seats(size), _Seats(size), _Seats(size)
        for instance in self.living:
            self._count(instance, 1)


class KnownService:
    """The world as the loop knew it: of faults it knows nothing, and of a report once a pass has
    seen it.

    A loop that knows of nothing amiss sees what was reported when it says so (``NOTICED``); one
    that knows of something is at work, and sees the rest at once.
    """

    def __init__(self) -> None:
        self._standing = ServiceState()
        self._unseen: list[Event] = []
        self._names: set[str] = set()

    def read(self, event: Event) -> None:
        """Take in the next event."""
        if event.kind in ("fault", "mended"):
            return
        # whoever makes one has looked
        if event.kind in NOTICED or event.kind in UNWANTED or event.kind == "provisioned":
            for reported in self._unseen:
                self._standing.read(reported)
            self._unseen.clear()
            self._names.clear()
        if self._is_unseen(event):
            self._unseen.append(event)
            self._names.add(event.instance)
        else:
            self._standing.read(event)

    def quality(self) -> float:
        """Return Q as the loop knew it."""
        return self._standing.quality()

    @property
    def filled(self) -> int:
        """The wanted slots of which the loop knew nothing amiss."""
        return self._standing.filled

    def _is_unseen(self, event: Event) -> bool:
        if event.kind not in OF_ONE:
            return False
        if event.instance in self._names:
            return True  # what is told of one instance stays in its order
        loss = event.kind in VANISHED or (event.kind == "health" and event.code == "unhealthy")
        return loss and self._standing.quality() == 1 and not self._standing.surplus()
