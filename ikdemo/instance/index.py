"""The instances of one directory in memory, found by file name, by ID and by place (group and slot).

Pure bookkeeping: knows neither files nor events. ``directory`` keeps it equal to the directory; ``file`` answers from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from msgspec import UNSET

from ..spi.digest import digest
from ..spi.documents import GROUP_TAG, SHA_TAG, Description
from ..spi.plans import Seen

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
    """Entries under their file names. More than one may have the same ID or place: files can be copied.

    ``_renamed`` has only the files that do not bear their instance's ID as their name, which are few.
    """

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._renamed: dict[str, list[str]] = {}
        self._groups: dict[str, dict[str, list[str]]] = {}
        self._orders: dict[str | None, list[str]] = {}
        self._digests: dict[str, str] = {}

    def __iter__(self) -> Iterator[Entry]:
        """Yield the entries in the order of their file names."""
        return self._in_order(None, self._entries)

    def of_group(self, group: str) -> Iterator[Entry]:
        """Yield the entries of a group in the order of their file names."""
        if group not in self._groups:  # anybody may ask about any group, and what is kept for answers must not grow by that
            return iter(())
        return self._in_order(group, (name for names in self._groups[group].values() for name in names))

    def _in_order(self, whose: str | None, names: Iterable[str]) -> Iterator[Entry]:
        if whose not in self._orders:
            self._orders[whose] = sorted(names)
        return map(self._entries.__getitem__, self._orders[whose])

    def digest(self, group: str) -> str:
        """Return the digest of a group's instances; see ``spi.digest``."""
        if group not in self._groups:
            return digest(())
        if group not in self._digests:
            self._digests[group] = digest(map(_seen, self.of_group(group)))
        return self._digests[group]

    def get(self, name: str) -> Entry | None:
        """Return the entry of a file name."""
        return self._entries.get(name)

    def names(self) -> set[str]:
        """Return all file names."""
        return set(self._entries)

    def of_id(self, instance: str) -> list[Entry]:
        """Return the entries of an instance: copies first, the file that bears its name last."""
        found = [self._entries[name] for name in sorted(self._renamed.get(instance, ()))]
        own = self._entries.get(instance)
        return [*found, own] if own is not None and own.description.id == instance else found

    def at(self, group: str, slot: str) -> Entry | None:
        """Return who sits in a slot: of several the one whose file name comes first."""
        names = self._groups.get(group, {}).get(slot)
        return self._entries[min(names)] if names else None

    def put(self, entry: Entry) -> None:
        """Add an entry, or replace the one of the same file name."""
        self.drop(entry.name)
        name, instance, group = entry.name, entry.description.id, entry.group
        self._entries[name] = entry
        if name != instance:
            self._renamed.setdefault(instance, []).append(name)
        self._groups.setdefault(group, {}).setdefault(entry.slot, []).append(name)
        self._changed(group)

    def drop(self, name: str) -> Entry | None:
        """Remove the entry of a file name and return it, if there was one."""
        entry = self._entries.pop(name, None)
        if entry is not None:
            instance, group = entry.description.id, entry.group
            if name != instance:
                _take_out(self._renamed, instance, name)
            _take_out(self._groups[group], entry.slot, name)
            if not self._groups[group]:
                del self._groups[group]
            self._changed(group)
        return entry

    def _changed(self, group: str) -> None:
        self._orders.pop(None, None)
        self._orders.pop(group, None)
        self._digests.pop(group, None)


def _seen(entry: Entry) -> Seen:
    description = entry.description
    return Seen(description.id, description.logical_id, entry.slot or None, (description.tags or {}).get(SHA_TAG))


def _take_out(names: dict[str, list[str]], key: str, name: str) -> None:
    names[key].remove(name)
    if not names[key]:
        del names[key]
