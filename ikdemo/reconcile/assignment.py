"""Decides which instance fills which slot of a group, which are surplus, and which are unmanaged.

The one rule of preference between instances (``_Merit``) is here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from ..spi.plans import ObservedInstance
from .desired import BEYOND, Desired, slot_number


class Assignment(NamedTuple):
    """``occupants``: slot name to its instance. ``surplus``: to be destroyed, in this order.
    ``unmanaged``: left alone.
    """

    occupants: dict[str, ObservedInstance]
    surplus: list[ObservedInstance]
    unmanaged: list[ObservedInstance]

    def living(self) -> list[tuple[str, ObservedInstance]]:
        """Return each occupant with the name of its slot: its own number, or else the slot that it
        was assigned to.
        """
        return [
            (slot if slot_number(seen.slot) is None else seen.slot or slot, seen)
            for slot, seen in self.occupants.items()
        ]


class _Merit(NamedTuple):
    """How much an instance is worth keeping, the most important first; a greater one stays."""

    current: bool
    is_not_unhealthy: bool
    in_range: bool
    lowness: int
    id: str


def assign(
    desired: Desired, instances: Iterable[ObservedInstance], unhealthy: Collection[str] = ()
) -> Assignment:
    """Put every instance into its own slot, put those without one into free slots, and list what is
    left over.

    With more instances than slots the best stay, as ``_Merit`` has it: the current ones, then the
    healthy ones, then the lower slot. With fewer, all stay: one whose number is out of range, as
    after a scale-down, is assigned to a free slot, which is not filled while it lives. So scaling
    from 6 to 3 when only 3, 4 and 5 live leaves those three. Of two instances that claim one slot
    the better one stays. Instances without a slot (made by other programs) come last, in descending
    ID order, so that the lowest ID is the first to go, as in InfraKit; with a plugin that has no
    slots this goes for all. Of pets, an instance without a logical ID is unmanaged: it is neither
    adopted nor destroyed.

    Wrong observations: an instance in its own slot is not created twice even where it is missing
    from the observation, as its slot is asked for by name. One that is assigned to another slot
    (out of range, or without any) may be: an observation in which it is missing fills the slot that
    it held, and one too many lives until the next observation, at which what is out of range goes
    first. An instance that a plugin reports as ended is really gone, and leads to none too many. An
    observation that is too old may show instances in range that are gone by now, and cost living
    ones out of range; never living ones in range.

    >>> from ikdemo.reconcile.desired import Slot
    >>> group = Desired("g", "new", (Slot("0"), Slot("1")))
    >>> assignment = assign(
    ...     group,
    ...     [
    ...         ObservedInstance("i-1", sha="new"),
    ...         ObservedInstance("i-2", sha="new"),
    ...         ObservedInstance("i-3", sha="old"),
    ...     ],
    ... )
    >>> (
    ...     {slot: seen.id for slot, seen in assignment.occupants.items()},
    ...     [seen.id for seen in assignment.surplus],
    ... )
    ({'0': 'i-2', '1': 'i-1'}, ['i-3'])
    >>> beyond = [
    ...     ObservedInstance("i-4", slot="4", sha="new"),
    ...     ObservedInstance("i-5", slot="5", sha="new"),
    ... ]
    >>> assignment = assign(group, [ObservedInstance("i-1", slot="1", sha="old"), *beyond])
    >>> (
    ...     {slot: seen.id for slot, seen in assignment.occupants.items()},
    ...     [seen.id for seen in assignment.surplus],
    ... )
    ({'1': 'i-5', '0': 'i-4'}, ['i-1'])
    """
    wanted = {slot.name for slot in desired.slots}

    def merit(seen: ObservedInstance) -> _Merit:
        if desired.ranks_by_id:
            return _Merit(seen.sha == desired.sha, seen.id not in unhealthy, True, 0, seen.id)
        number = slot_number(seen.slot)
        lowness = -BEYOND if number is None else -number
        return _Merit(
            seen.sha == desired.sha, seen.id not in unhealthy, seen.slot in wanted, lowness, seen.id
        )

    occupants: dict[str, ObservedInstance] = {}
    unassigned: list[ObservedInstance] = []
    surplus: list[ObservedInstance] = []
    unmanaged: list[ObservedInstance] = []
    for seen in instances:
        slot = seen.slot
        if slot in wanted:
            if slot not in occupants:
                occupants[slot] = seen
            else:
                worse, occupants[slot] = sorted((seen, occupants[slot]), key=merit)
                (unassigned if desired.ranks_by_id else surplus).append(worse)
        elif desired.pets and seen.logical_id is None:
            unmanaged.append(seen)
        else:
            unassigned.append(seen)
    if unassigned:
        unassigned.sort(key=merit, reverse=True)
        unplaced = _adopt(desired, occupants, unassigned)
        if unplaced and not desired.pets:  # a pet has its own slot or none
            worst = sorted(occupants.items(), key=lambda pair: merit(pair[1]))
            for number, ((slot, occupant), better) in enumerate(
                zip(worst, unplaced[:], strict=False)
            ):
                if merit(better) <= merit(occupant):
                    break
                occupants[slot], unplaced[number] = better, occupant
        surplus.extend(unplaced)
    surplus.sort(key=merit)
    return Assignment(occupants, surplus, unmanaged)


def _adopt(
    desired: Desired, occupants: dict[str, ObservedInstance], unassigned: list[ObservedInstance]
) -> list[ObservedInstance]:
    """Give each free slot the best instance that fits it; return those that got none."""
    free: dict[str | None, list[str]] = {}
    for slot in reversed(desired.slots):
        if slot.name not in occupants:
            free.setdefault(slot.logical_id, []).append(slot.name)
    unplaced = []
    for seen in unassigned:
        fitting = free.get(seen.logical_id if desired.pets else None)
        if fitting:
            occupants[fitting.pop()] = seen
        else:
            unplaced.append(seen)
    return unplaced
