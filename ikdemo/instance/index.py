"""The instances of one directory in memory, found by file name, by ID and by place (group and slot).

Pure bookkeeping: knows neither files nor events. ``directory`` keeps it equal to the directory; ``file`` answers from it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import NamedTuple, TypeVar

from msgspec import UNSET

from ..spi.documents import GROUP_TAG, Description

K = TypeVar("K", bound=Hashable)
Stamp = tuple[int, int, int]
"""What tells whether a file was touched: inode, time of modification in nanoseconds, size in bytes."""


class Entry(NamedTuple):
    """One instance file: its name, its stamp, and the description in it (slot included)."""

    name: str
    stamp: Stamp
    description: Description

    @property
    def group(self) -> str:
        """The group whose tag the instance carries, or nothing."""
        return (self.description.tags or {}).get(GROUP_TAG, "")

    @property
    def slot(self) -> str:
        """The slot it was made for, or nothing."""
        return "" if self.description.slot is UNSET else self.description.slot


class Index:
    """Entries under their file names. More than one may have the same ID or place: files can be copied."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._ids: dict[str, set[str]] = {}
        self._places: dict[tuple[str, str], set[str]] = {}
        self._order: list[str] | None = []

    def __iter__(self) -> Iterator[Entry]:
        """Yield the entries in the order of their file names."""
        if self._order is None:
            self._order = sorted(self._entries)
        return map(self._entries.__getitem__, self._order)

    def get(self, name: str) -> Entry | None:
        """Return the entry of a file name."""
        return self._entries.get(name)

    def names(self) -> set[str]:
        """Return all file names."""
        return set(self._entries)

    def of_id(self, instance: str) -> list[Entry]:
        """Return the entries of an instance: copies first, the file that bears its name last."""
        names = sorted(self._ids.get(instance, ()), key=lambda name: (name == instance, name))
        return [self._entries[name] for name in names]

    def at(self, group: str, slot: str) -> Entry | None:
        """Return who sits in a slot: of several the one whose file name comes first."""
        names = self._places.get((group, slot))
        return self._entries[min(names)] if names else None

    def put(self, entry: Entry) -> None:
        """Add an entry, or replace the one of the same file name."""
        self.drop(entry.name)
        self._order = None
        self._entries[entry.name] = entry
        self._ids.setdefault(entry.description.id, set()).add(entry.name)
        self._places.setdefault((entry.group, entry.slot), set()).add(entry.name)

    def drop(self, name: str) -> Entry | None:
        """Remove the entry of a file name and return it, if there was one."""
        entry = self._entries.pop(name, None)
        if entry is not None:
            self._order = None
            _take_out(self._ids, entry.description.id, name)
            _take_out(self._places, (entry.group, entry.slot), name)
        return entry


def _take_out(names: dict[K, set[str]], key: K, name: str) -> None:
    names[key].discard(name)
    if not names[key]:
        del names[key]
