"""The instances of one directory in memory, found by file name, by ID, and by group and slot.

Pure bookkeeping: knows neither files nor events. ``directory`` keeps it equal to the directory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from msgspec import UNSET

from ...spi.documents import GROUP_TAG, SHA_TAG, Description
from ...spi.plans import ObservedInstance, digest

Stamp = tuple[int, int, int]
"""What tells whether a file was touched: inode, time of modification in nanoseconds, size in
bytes.
"""


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
    """Entries under their file names, and the instances in them.

    Files can be copied, linked and renamed: of several with one ID, one stands for the instance,
    the one that bears the ID as its name, else the one whose name comes first. ``_renamed`` has
    only the files that do not bear their instance's ID as their name, which are few; ``_groups``
    and what is answered have only those that stand for their instances.
    """

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._renamed: dict[str, list[str]] = {}
        self._groups: dict[str, dict[str, list[str]]] = {}
        self._orders: dict[str | None, list[str]] = {}
        self._digests: dict[str, str] = {}

    def __iter__(self) -> Iterator[Entry]:
        """Yield the instances in the order of their file names."""
        return self._in_order(
            None,
            (name for slots in self._groups.values() for names in slots.values() for name in names),
        )

    def of_group(self, group: str) -> Iterator[Entry]:
        """Yield the instances of a group in the order of their file names."""
        # a client may ask about any group, and what is kept for answers must not grow by that
        if group not in self._groups:
            return iter(())
        return self._in_order(
            group, (name for names in self._groups[group].values() for name in names)
        )

    def _in_order(self, whose: str | None, names: Iterable[str]) -> Iterator[Entry]:
        if whose not in self._orders:
            self._orders[whose] = sorted(names)
        return map(self._entries.__getitem__, self._orders[whose])

    def digest(self, group: str) -> str:
        """Return the digest of a group's instances; see ``spi.plans.digest``."""
        if group not in self._groups:
            return digest(())
        if group not in self._digests:
            self._digests[group] = digest(map(_observed, self.of_group(group)))
        return self._digests[group]

    def get(self, name: str) -> Entry | None:
        """Return the entry of a file name."""
        return self._entries.get(name)

    def names(self) -> set[str]:
        """Return all file names."""
        return set(self._entries)

    def instance(self, instance: str) -> Entry | None:
        """Return the entry that stands for an instance."""
        own = self._entries.get(instance)
        if own is not None and own.description.id == instance:
            return own
        names = self._renamed.get(instance)
        return self._entries[min(names)] if names else None

    def of_id(self, instance: str) -> list[Entry]:
        """Return the entries with an ID: the one that stands for the instance last."""
        found = [
            self._entries[name] for name in sorted(self._renamed.get(instance, ()), reverse=True)
        ]
        own = self._entries.get(instance)
        return [*found, own] if own is not None and own.description.id == instance else found

    def at(self, group: str, slot: str) -> Entry | None:
        """Return the entry in a slot: of several the one whose file name comes first."""
        names = self._groups.get(group, {}).get(slot)
        return self._entries[min(names)] if names else None

    def put(self, entry: Entry) -> None:
        """Add an entry, or replace the one of the same file name."""
        name, instance = entry.name, entry.description.id
        if name in self._entries:
            self.drop(name)
        before = self.instance(instance)
        self._entries[name] = entry
        if name != instance:
            self._renamed.setdefault(instance, []).append(name)
        self._represent(before, self.instance(instance))

    def drop(self, name: str) -> Entry | None:
        """Remove the entry of a file name and return it, if there was one."""
        entry = self._entries.get(name)
        if entry is not None:
            instance = entry.description.id
            before = self.instance(instance)
            del self._entries[name]
            if name != instance:
                _take_out(self._renamed, instance, name)
            self._represent(before, self.instance(instance))
        return entry

    def _represent(self, before: Entry | None, after: Entry | None) -> None:
        """Let another entry stand for an instance."""
        if before is after:
            return
        if before is not None:
            _take_out(self._groups[before.group], before.slot, before.name)
            if not self._groups[before.group]:
                del self._groups[before.group]
            self._changed(before.group)
        if after is not None:
            self._groups.setdefault(after.group, {}).setdefault(after.slot, []).append(after.name)
            self._changed(after.group)

    def _changed(self, group: str) -> None:
        self._orders.pop(None, None)
        self._orders.pop(group, None)
        self._digests.pop(group, None)


def _observed(entry: Entry) -> ObservedInstance:
    description = entry.description
    return ObservedInstance(
        description.id,
        description.logical_id,
        entry.slot or None,
        (description.tags or {}).get(SHA_TAG),
    )


def _take_out(names: dict[str, list[str]], key: str, name: str) -> None:
    names[key].remove(name)
    if not names[key]:
        del names[key]
