"""What a group should be: its slots, and how fast an update goes; made from a decoded spec.

A group is a fixed set of slots; an instance is wanted because it occupies one. Everything here is
immutable.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from msgspec import Struct

from ..spi.documents import LONGEST_SLOT, Allocation, GroupProperties
from ..spi.durations import parse_duration

UNHEALTHY_AFTER = 3
"""Consecutive unhealthy answers after which an instance is replaced, unless its flavor counts
them itself.
"""
ABOUT = 0.9
"""Share of a poll that counts as one: a loop is woken a little early, and an answer takes a
moment.
"""
DIGITS = 9
"""Most digits of a number that names a slot: more than any group needs. A longer number, as in a
file that was edited by hand, names no slot.
"""
BEYOND = 10**DIGITS
"""A number above that of every slot."""


class Slot(NamedTuple):
    """One place in a group. ``name`` is unique in the group and is what travels; pets also have a
    logical ID.
    """

    name: str
    logical_id: str | None = None


def slots_of(allocation: Allocation) -> tuple[Slot, ...]:
    """Return the slots of an allocation: 0..Size-1, or (logical ID, occurrence) written
    ``ID#occurrence``.

    A logical ID that is too long for the name of a slot is cut short there, with the beginning of
    its SHA-256 behind it.

    >>> [slot.name for slot in slots_of(Allocation(size=3))]
    ['0', '1', '2']
    >>> [slot.name for slot in slots_of(Allocation(logical_ids=["a", "b", "a"]))]
    ['a#0', 'b#0', 'a#1']
    """
    if not allocation.logical_ids:
        return tuple(Slot(str(n)) for n in range(allocation.size))
    times: dict[str, int] = {}
    slots = []
    for logical_id in allocation.logical_ids:
        occurrence = times.get(logical_id, 0)
        times[logical_id] = occurrence + 1
        slots.append(Slot(f"{_short(logical_id)}#{occurrence}", logical_id))
    return tuple(slots)


def _short(logical_id: str) -> str:
    """Return a logical ID as part of a slot's name: as it is, if it leaves room for the digits of
    its occurrence.
    """
    if len(logical_id) + 1 + DIGITS <= LONGEST_SLOT:
        return logical_id
    digest = hashlib.sha256(logical_id.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return f"{logical_id[: LONGEST_SLOT - 2 - DIGITS - len(digest)]}~{digest}"


def slot_number(slot: str | None) -> int | None:
    """Return the number that a slot's name is, from 0 to 999,999,999; None for any other text,
    however long.

    >>> (
    ...     slot_number("12"),
    ...     slot_number("a#0"),
    ...     slot_number("٣"),
    ...     slot_number("9" * 5000),
    ...     slot_number(None),
    ... )
    (12, None, None, None, None)
    """
    if slot is None or len(slot) > DIGITS or not (slot.isascii() and slot.isdecimal()):
        return None
    return int(slot)


MIN_READY = 5.0
"""Seconds that a new instance has to live, healthy, before the next batch leaves, where the spec
does not say.
"""


class Pace(Struct, frozen=True):
    """How fast a rolling update goes: see ``Updating``. ``duration`` is in seconds, None where the
    spec does not say.

    ``can_fail``: new instances can end or become unhealthy by themselves, so readiness has to be
    awaited.
    """

    batch: int = 1
    count: int = 0
    duration: float | None = None
    surge: int = 0
    can_fail: bool = False

    @property
    def min_ready(self) -> float:
        """The seconds for which a new instance has to be healthy.

        >>> (
        ...     Pace().min_ready,
        ...     Pace(can_fail=True).min_ready,
        ...     Pace(duration=0.0, can_fail=True).min_ready,
        ... )
        (0.0, 5.0, 0.0)
        """
        if self.duration is None:
            return MIN_READY if self.can_fail else 0.0
        return self.duration

    @property
    def waits(self) -> bool:
        """Say whether readiness has to be awaited after an instance was provisioned."""
        return self.can_fail or self.count > 1 or self.min_ready > 0


class Desired(Struct, frozen=True):
    """What a group should be.

    ``rolls``: outdated instances are replaced at ``pace`` (false after a first commit, which only
    adopts). ``destroying``: no instance is wanted any more. ``idempotent``: the instance plugin
    provisions a slot at most once. ``unhealthy_after``: consecutive unhealthy answers that make an
    instance unhealthy. ``poll``: seconds between two observations; answers that come closer
    together count as one (``is_another``). ``good``: the configuration with which the group was
    converged last, before this one; empty when there is none. ``health_checked``: the flavor has to
    be asked for the health of each instance.
    """

    group: str
    sha: str
    slots: tuple[Slot, ...]
    pets: bool = False
    rolls: bool = True
    destroying: bool = False
    idempotent: bool = True
    unhealthy_after: int = UNHEALTHY_AFTER
    poll: float = 0.0
    pace: Pace = Pace()
    good: str = ""
    health_checked: bool = False

    def is_another(self, before: float | None, now: float) -> bool:
        """Say whether an answer about an instance's health counts beside one that was counted at
        ``before``; None: there is none.

        Between two polls a loop may ask many times, as any event may wake it; in a row means at as
        many polls.

        >>> group = Desired("g", "sha", (), poll=10.0)
        >>> (
        ...     group.is_another(100.0, now=100.5),
        ...     group.is_another(100.0, now=109.5),
        ...     group.is_another(None, now=100.5),
        ... )
        (False, True, True)
        """
        return before is None or now - before >= ABOUT * self.poll

    @property
    def ranks_by_id(self) -> bool:
        """Say whether equal instances go in the order of their IDs, as in InfraKit: their plugin
        has no slots.
        """
        return not (self.idempotent or self.pets)


def desired_state(
    group: str, properties: GroupProperties, sha: str, *, rolls: bool = True
) -> Desired:
    """Return what a decoded spec wants; raises ValueError for an Updating.Duration that is no
    duration.
    """
    allocation, updating = properties.allocation, properties.updating
    pace = Pace()
    if updating:
        # so many healthy answers are enough
        default = 0.0 if updating.count else None
        duration = parse_duration(updating.duration) if updating.duration else default
        pace = Pace(updating.batch_size, updating.count, duration, updating.surge)
    return Desired(
        group, sha, slots_of(allocation), pets=bool(allocation.logical_ids), rolls=rolls, pace=pace
    )
