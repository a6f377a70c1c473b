"""Reads an experiment's record: what became of every kill, and for which share of the time slots were filled.

Slots are looked at one by one: falls of the whole group may overlap, and then its curve does not say which kill waited how long.
Called by ``Experiment``.
"""

from __future__ import annotations

from typing import NamedTuple

from ...reconcile.analysis.lives import Life
from ...reconcile.analysis.service import NOTICED
from ..show.recovery import Recovery

SLICES = 10
"""Parts into which the time is cut for the shares of filled slots, so that there are enough of them to judge by."""


class Kill(NamedTuple):
    """One kill: seconds since the experiment began, whom it hit, seconds until it was noticed and until its slot was filled."""

    at: float
    slot: str
    instance: str
    noticed: float | None
    filled: float | None


def kills_of(recovery: Recovery, began: float, ended: float) -> tuple[Kill, ...]:
    """Return the kills of an experiment in time order, each with the next birth in its slot that fills no earlier loss."""
    births: dict[str, list[float]] = {}
    for life in recovery.lives:
        births.setdefault(life.slot, []).append(life.born)
    looks = [event.time for event in recovery.events if event.kind in NOTICED]
    found = []
    for fault in recovery.events:
        if fault.kind != "fault" or not began <= fault.time <= ended:
            continue
        slot = births.get(fault.slot, [])
        filled = next((born for born in slot if born >= fault.time), None)
        if filled is not None:
            slot.remove(filled)
        noticed = next((look for look in looks if fault.time <= look and (filled is None or look <= filled)), None)
        found.append(
            Kill(fault.time - began, fault.slot, fault.instance, _since(fault.time, noticed), _since(fault.time, filled))
        )
    return tuple(found)


def filled_shares(recovery: Recovery, began: float, ended: float) -> tuple[float, ...]:
    """Return the share of time (0 to 1) in which each slot was filled, for each slice of the time from ``began`` to ``ended``."""
    length = (ended - began) / SLICES
    slices = [(began + n * length, began + (n + 1) * length) for n in range(SLICES)]
    slots: dict[str, list[Life]] = {}
    for life in recovery.lives:
        if life.born < ended and (life.died is None or life.died > began):
            slots.setdefault(life.slot, []).append(life)
    return tuple(min(1.0, sum(_served(life, *cut) for life in lived) / length) for lived in slots.values() for cut in slices)


def _served(life: Life, start: float, end: float) -> float:
    """Return for how many seconds between two times an instance served: it was there, and neither silent nor sick."""
    there = _overlap(life.born, life.died, start, end)
    return there - sum(_overlap(down.start, down.end, start, end) for down in life.down)


def _overlap(since: float, until: float | None, start: float, end: float) -> float:
    return max(0.0, (end if until is None else min(until, end)) - max(since, start))


def _since(fault: float, time: float | None) -> float | None:
    return None if time is None else time - fault
