"""What the files of a directory say: an index of its instances, and which other things were found and left alone.

``look`` makes the index agree with one file and tells what changed, as events; it goes by what is there now, not by what a
notice claims. Called by ``directory``, which knows when to look and where.
"""

from __future__ import annotations

import logging
import os
import stat
import time
from pathlib import Path

from .. import disk
from ..spi.documents import Description
from ..spi.errors import CorruptState, SpecError
from ..spi.events import Emit, Event
from . import format
from .index import Entry, Index, Stamp
from .watch import Notice

SETTLED = 1.0
"""Seconds after its last change from which a file that makes no sense is not taken for half-written any more."""
TOLD_SINGLY = 20
"""Foreign files of one look that are told one by one."""

_log = logging.getLogger(__name__)


class Contents:
    """The index of one directory, and the means to keep it true."""

    def __init__(self, path: Path, emit: Emit) -> None:
        self.index = Index()
        self._path = path
        self._emit = emit
        self._skipped: dict[str, tuple[Stamp, str]] = {}
        self._news: list[str] = []
        self._shared_tags: dict[str, dict[str, str]] = {}

    def names(self, directory: int) -> set[str]:
        """Return every name that there is and was; raises PluginFailure when the directory cannot be listed."""
        try:
            with os.scandir(directory) as entries:
                names = {entry.name for entry in entries}
        except OSError as error:
            raise disk.refusal("open", self._path, error) from None
        return names | self.index.names() | self._skipped.keys()

    def compare(self, directory: int, noticed: dict[str, Notice], quietly: bool = False) -> None:
        """Look at every name there is and was; only what was touched is read. ``quietly``: what is found is no news."""
        for name in self.names(directory):
            self.look(directory, name, noticed.get(name), quietly)

    def look(self, directory: int, name: str, notice: Notice | None, quietly: bool = False) -> None:
        """Make the index say of one name what is there; raises PluginFailure when that cannot be told."""
        if name.startswith("."):
            return
        old = self.index.get(name)
        known = old.stamp if old is not None else self._skipped.get(name, (None, ""))[0]
        try:
            there = os.stat(name, dir_fd=directory, follow_symlinks=False)
            if known == stamp(there) and not (notice is not None and notice.stale):
                return
            data, there = disk.read_regular(directory, name, format.LIMIT)
            self._accept(Entry(name, stamp(there), self.read(data)), old, quietly)
        except FileNotFoundError:
            self._skipped.pop(name, None)
            self._lose(name, "its file vanished")
        except OSError as error:
            raise disk.refusal("open", self._path / name, error) from None  # no answer is not an answer
        except (CorruptState, SpecError) as error:
            if not _is_half_written(there, notice, old):
                self._skip(name, stamp(there), str(error))

    def read(self, data: bytes) -> Description:
        """Return the description in the text of an instance file; raises SpecError."""
        return format.read(data, self._shared_tags)

    def add(self, entry: Entry) -> None:
        """Note an instance whose file was just written."""
        self.index.put(entry)
        self._emit(_event("provisioned", entry, "its file was written"))

    def remove(self, entry: Entry) -> None:
        """Note that an instance's file was just deleted."""
        self.index.drop(entry.name)
        self._emit(_event("destroyed", entry, "its file was removed"))

    def tell(self, text: str) -> None:
        """Say something about the directory itself, to whoever listens and in the log."""
        _log.warning("%s", text)
        self._emit(Event("reported", text=text))

    def tell_news(self) -> None:
        """Report what was found since the last time, the first ones singly."""
        news, self._news = self._news, []
        for text in news[:TOLD_SINGLY]:
            self.tell(f"{self._path}: {text}")
        if len(news) > TOLD_SINGLY:
            self.tell(f"{self._path}: {len(news) - TOLD_SINGLY} more such entries")

    def _accept(self, entry: Entry, old: Entry | None, quietly: bool) -> None:
        self.index.put(entry)
        self._skipped.pop(entry.name, None)
        if not entry.description.id and (old is None or old.description.id):
            self._news.append(f"{entry.name!r} holds no ID and is described without one")
        if quietly or (old is not None and old.description == entry.description):
            return
        if old is not None and (old.description.id, old.group) == (entry.description.id, entry.group):
            self._emit(_event("changed", entry, "its file was edited"))
            return
        if old is not None:
            self._emit(_event("lost", old, "its file holds another instance now"))
        self._emit(_event("provisioned", entry, "its file appeared"))

    def _skip(self, name: str, seen: Stamp, reason: str) -> None:
        """Leave alone what is no instance file, and say so once."""
        self._lose(name, f"its file makes no sense any longer: {reason}")
        if self._skipped.get(name, (seen, ""))[1] != reason:
            self._news.append(f"{name!r} is no instance and is left alone: {reason}")
        self._skipped[name] = seen, reason

    def _lose(self, name: str, why: str) -> None:
        lost = self.index.drop(name)
        if lost is not None:
            self._emit(_event("lost", lost, why))


def stamp(there: os.stat_result) -> Stamp:
    """Return what tells whether a file was touched since."""
    return there.st_ino, there.st_mtime_ns, there.st_size


def _event(kind: str, entry: Entry, text: str) -> Event:
    description = entry.description
    return Event(kind, group=entry.group, instance=description.id, slot=entry.slot, tags=description.tags, text=text)


def _is_half_written(there: os.stat_result, notice: Notice | None, old: Entry | None) -> bool:
    """Say whether a writer may still be at work: its close will be noticed then, and if not, the file grows old."""
    is_young = stat.S_ISREG(there.st_mode) and 0 <= time.time() - there.st_mtime < SETTLED
    if not is_young or (notice is not None and notice.closed):
        return False
    is_edited_in_place = old is not None and old.stamp[0] == there.st_ino
    return is_edited_in_place or (notice is not None and not notice.arrived)
