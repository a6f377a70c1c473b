"""What the files of a directory say: an index of its instances, and which other things were found
and left alone.

``look`` makes the index agree with one file and tells what changed, as events; it goes by what is
there now, not by what a notice claims. A file that cannot be looked at is not one that is gone, and
one that vanished without having been deleted may only have been renamed.
"""

from __future__ import annotations

import logging
import os
import re
import stat
import time
from pathlib import Path

from ... import disk
from ...spi.documents import Description
from ...spi.errors import CorruptState, PluginFailure, SpecError
from ...spi.events import Emit, Event
from ..common import announce
from ..notices import Notice
from . import format
from .index import Entry, Index, Stamp

SETTLED = 1.0
"""Seconds without a change from which a file that makes no sense is not taken for half-written any
more.
"""
TOLD_SINGLY = 20
"""Foreign files of one look that are told one by one."""

_OURS = re.compile(r"instance-[0-9]+")
"""What instances are called here, and by InfraKit's own plugin."""
_NEVER: Stamp = (0, 0, 0)

_log = logging.getLogger(__name__)


class Contents:
    """The index of one directory, and the means to keep it true.

    ``doubts``: why a file could not be looked at, by its name. ``unfinished``: files that may be
    half-written: as what, and since when (``time.monotonic``).
    """

    def __init__(self, path: Path, emit: Emit) -> None:
        self.index = Index()
        self.doubts: dict[str, PluginFailure] = {}
        self.unfinished: dict[str, tuple[Stamp, float]] = {}
        self._path = path
        self._emit = emit
        self._skipped: dict[str, tuple[Stamp, str]] = {}
        # as what an instance was last told of, and why it may be gone
        self._changed: dict[str, tuple[Entry | None, str]] = {}
        self._unsure: set[str] = set()
        self._is_new = True  # what is there at first is no news
        self._news: list[str] = []
        self._shared_tags: dict[str, dict[str, str]] = {}

    def names(self, directory: int) -> set[str]:
        """Return every name that there is and was; raises PluginFailure when the directory cannot
        be listed.
        """
        return (
            self._listed(directory) | self.index.names() | self._skipped.keys() | self.doubts.keys()
        )

    def compare(self, directory: int, noticed: dict[str, Notice]) -> None:
        """Look at every name there is and was; only what was touched is read."""
        for name in self.names(directory):
            self.look(directory, name, noticed.get(name))

    def look(self, directory: int, name: str, notice: Notice | None) -> None:
        """Make the index say of one name what is there."""
        if name.startswith("."):
            return
        doubted = self.doubts.pop(name, None)
        old = self.index.get(name)
        known = old.stamp if old is not None else self._skipped.get(name, (None, ""))[0]
        there: os.stat_result | None = None
        try:
            there = os.stat(name, dir_fd=directory, follow_symlinks=False)
            if known == stamp(there) and not (notice is not None and notice.stale):
                self.unfinished.pop(name, None)
                return
            data, there = disk.read_regular(directory, name, format.LIMIT)
            self._accept(Entry(name, stamp(there), self.read(data)), old)
        except FileNotFoundError:
            self._vanished(name, old, notice)
        except PermissionError as error:
            if there is None or old is not None or _OURS.fullmatch(name):
                self._doubt(name, error, doubted)
            else:  # looked at again and again: no stamp tells that it may be read by now
                self._skip(name, _NEVER, "may not be read")
        except OSError as error:
            self._doubt(name, error, doubted)  # no answer is not an answer
        except (CorruptState, SpecError) as error:
            assert there is not None, "it was found, and then read"
            if not self._is_half_written(name, there, notice, old):
                self._skip(name, stamp(there), str(error))

    def is_unsure(self) -> bool:
        """Say whether an instance is missing whose file was not deleted: it may have been
        renamed.
        """
        return any(self.index.instance(instance) is None for instance in self._unsure)

    def find_renamed(self, directory: int) -> bool:
        """Look at the names that were not there before; say whether one of them is an
        instance's.
        """
        found = [name for name in self._listed(directory) if not self._is_known(name)]
        for name in found:
            self.look(directory, name, None)
        return any(self.index.get(name) is not None for name in found)

    def tell_changes(self) -> None:
        """Tell what became of the instances since the last time, each one once, however often its
        files were moved.
        """
        changes, self._changed, self._is_new = self._changed, {}, False
        self._unsure.clear()
        for instance, (before, why) in changes.items():
            self._tell_change(before, self.index.instance(instance), why)

    def read(self, data: bytes) -> Description:
        """Return the description in the text of an instance file; raises SpecError."""
        return format.read(data, self._shared_tags)

    def add(self, entry: Entry) -> None:
        """Note an instance whose file was just written."""
        self.index.put(entry)
        announce(self._emit, "provisioned", entry.description, "its file was written")

    def remove(self, entry: Entry) -> None:
        """Note that an instance's file was just deleted."""
        self.index.drop(entry.name)
        if self.index.instance(entry.description.id) is None:
            announce(self._emit, "destroyed", entry.description, "its file was removed")

    def tell(self, text: str) -> None:
        """Say something about the directory itself, as an event and in the log."""
        _log.warning("%s", text)
        self._emit(Event("reported", text=text))

    def report_news(self) -> None:
        """Report what was found since the last time, the first ones singly."""
        news, self._news = self._news, []
        for text in news[:TOLD_SINGLY]:
            self.tell(f"{disk.shown(self._path)}: {text}")
        if len(news) > TOLD_SINGLY:
            self.tell(f"{disk.shown(self._path)}: {len(news) - TOLD_SINGLY} more such entries")

    def _listed(self, directory: int) -> set[str]:
        try:
            with os.scandir(directory) as entries:
                return {entry.name for entry in entries}
        except OSError as error:
            raise disk.refusal("open", self._path, error) from None

    def _is_known(self, name: str) -> bool:
        return name.startswith(".") or name in self._skipped or self.index.get(name) is not None

    def _accept(self, entry: Entry, old: Entry | None) -> None:
        """Take what a file says; its instance may be known already, by this file or by another
        one.
        """
        self._skipped.pop(entry.name, None)
        self.unfinished.pop(entry.name, None)
        if old is not None and old.description.id != entry.description.id:
            self._note(old.description.id, "its file holds another instance now")
            if old.stamp[0] != entry.stamp[0]:
                self._unsure.add(old.description.id)
        self._note(entry.description.id, "")
        self.index.put(entry)

    def _vanished(self, name: str, old: Entry | None, notice: Notice | None) -> None:
        """Nothing has this name any longer: its file was deleted, or has another name now."""
        self._skipped.pop(name, None)
        self.unfinished.pop(name, None)
        if old is not None and not (notice is not None and notice.deleted):
            self._unsure.add(old.description.id)
        self._lose(name, "its file vanished")

    def _note(self, instance: str, why: str) -> None:
        """Remember an instance as it is before something is changed; ``why`` is for the case that
        it is gone afterwards.
        """
        if not self._is_new:
            before = (
                self._changed[instance][0]
                if instance in self._changed
                else self.index.instance(instance)
            )
            self._changed[instance] = before, why

    def _doubt(self, name: str, error: OSError, doubted: PluginFailure | None) -> None:
        """What cannot be looked at may be an instance: say so once, and keep what was known of
        it.
        """
        self.doubts[name] = refusal = disk.refusal("open", self._path / name, error)
        if doubted is None:
            self._news.append(f"what is there is not known for sure: {refusal}")

    def _is_half_written(
        self, name: str, there: os.stat_result, notice: Notice | None, old: Entry | None
    ) -> bool:
        """Say whether a writer may still be at work: its close will be noticed then, and if not, it
        is looked at later.
        """
        if not stat.S_ISREG(there.st_mode) or (notice is not None and notice.closed):
            return False
        is_edited_in_place = old is not None and old.stamp[0] == there.st_ino
        if not (
            is_edited_in_place
            or name in self.unfinished
            or (notice is not None and not notice.arrived)
        ):
            return False
        seen, now = stamp(there), time.monotonic()
        before, since = self.unfinished.setdefault(name, (seen, now))
        if before != seen:
            self.unfinished[name] = seen, now
            return True
        return now - since < SETTLED

    def _skip(self, name: str, seen: Stamp, reason: str) -> None:
        """Leave alone what is no instance file, and say so once."""
        self.unfinished.pop(name, None)
        self._lose(name, f"its file makes no sense any longer: {reason}")
        if self._skipped.get(name, (seen, ""))[1] != reason:
            self._news.append(f"{name!r} is no instance and is left alone: {reason}")
        self._skipped[name] = seen, reason

    def _lose(self, name: str, why: str) -> None:
        entry = self.index.get(name)
        if entry is not None:
            self._note(entry.description.id, why)
            self.index.drop(name)

    def _tell_change(self, before: Entry | None, after: Entry | None, why: str) -> None:
        if before is None and after is None:
            return
        if before is None or after is None or before.group != after.group:
            if before is not None:
                why = why or "its file joined another group"
                announce(self._emit, "lost", before.description, why)
            if after is not None:
                announce(self._emit, "provisioned", after.description, "its file appeared")
        elif before.description != after.description:
            announce(self._emit, "changed", after.description, "its file was edited")


def stamp(there: os.stat_result) -> Stamp:
    """Return what tells whether a file was touched since."""
    return there.st_ino, there.st_mtime_ns, there.st_size
