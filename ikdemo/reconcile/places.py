"""Who sits where: the instances of a group put into its slots, and those that have no place.

The one rule of preference (current, then not sick, then the higher ID) lives here; ``plan`` calls it and nothing else does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from ..spi.plans import Seen
from .world import Desired


class Places(NamedTuple):
    """``occupants``: slot name to its instance. ``surplus``: to go, in the order in which they go. ``strangers``: left alone."""

    occupants: dict[str, Seen]
    surplus: list[Seen]
    strangers: list[Seen]


def assign(desired: Desired, instances: Iterable[Seen], sick: Collection[str] = ()) -> Places:
    """Put every instance into its own slot, adopt those without one into free slots, and list what is left over.

    Two instances that claim one slot: the better one stays. Instances without a slot (made by other programs) are adopted in
    descending ID order, so that the lowest ID is the first to go, as in InfraKit. Of pets, an instance without a logical ID
    is nobody's: it is neither adopted nor destroyed.

    >>> from ikdemo.reconcile.world import Slot
    >>> group = Desired("g", "new", (Slot("0"), Slot("1")))
    >>> places = assign(group, [Seen("i-1", sha="new"), Seen("i-2", sha="new"), Seen("i-3", sha="old")])
    >>> {slot: seen.id for slot, seen in places.occupants.items()}, [seen.id for seen in places.surplus]
    ({'0': 'i-2', '1': 'i-1'}, ['i-3'])
    """

    def merit(seen: Seen) -> tuple[bool, bool, str]:
        return seen.sha == desired.sha, seen.id not in sick, seen.id

    wanted = {slot.name for slot in desired.slots}
    occupants: dict[str, Seen] = {}
    homeless: list[Seen] = []
    surplus: list[Seen] = []
    strangers: list[Seen] = []
    for seen in instances:
        slot = seen.slot
        if slot in wanted:
            if slot not in occupants:
                occupants[slot] = seen
            else:
                worse, occupants[slot] = sorted((seen, occupants[slot]), key=merit)
                surplus.append(worse)
        elif _is_numbered(slot) and not desired.pets:
            surplus.append(seen)
        elif desired.pets and seen.logical_id is None:
            strangers.append(seen)
        else:
            homeless.append(seen)
    if homeless:
        homeless.sort(key=merit, reverse=True)
        surplus.extend(_adopt(desired, occupants, homeless))
    surplus.sort(key=lambda seen: (*merit(seen)[:2], -_number(seen.slot), seen.id))
    return Places(occupants, surplus, strangers)


def _adopt(desired: Desired, occupants: dict[str, Seen], homeless: list[Seen]) -> list[Seen]:
    """Give each free slot the best instance that fits it; return those that found none."""
    free: dict[str | None, list[str]] = {}
    for slot in reversed(desired.slots):
        if slot.name not in occupants:
            free.setdefault(slot.logical_id, []).append(slot.name)
    left = []
    for seen in homeless:
        fitting = free.get(seen.logical_id if desired.pets else None)
        if fitting:
            occupants[fitting.pop()] = seen
        else:
            left.append(seen)
    return left


def _is_numbered(slot: str | None) -> bool:
    return slot is not None and slot.isdecimal()


def _number(slot: str | None) -> int:
    return int(slot) if slot is not None and slot.isdecimal() else -1
