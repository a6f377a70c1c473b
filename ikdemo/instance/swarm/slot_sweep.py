"""Removes slots that nobody needs: services that have been empty for long.

A slot beyond the size of its group is emptied by the group and never filled again; one whose
instance was lost and is not made anew, likewise. Each is marked before it is removed, by an update
that is refused if the slot was filled meanwhile; a marked one is not filled any more, but made
anew.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from ...spi.errors import VersionConflict
from .slot_service import SlotService, leaving
from .task_watch import TaskWatch

SPARE = 60.0
"""Seconds that an empty slot stays; one beyond the size of its group is not filled again."""
SWEPT_AT_ONCE = 4
"""Services removed after one look."""


class SlotSweep:
    """The empty slots of one namespace, and since when."""

    def __init__(self, watch: TaskWatch) -> None:
        self._watch, self._services = watch, watch.services
        self._empty_since: dict[str, tuple[int, float]] = {}

    async def remove_all(self) -> None:
        """Remove every slot in which nothing lives; the records of epochs stay, as older leaders
        may.
        """
        await self._watch.look()
        for held in self._empty():
            with suppress(VersionConflict):
                await self._remove_empty(held)

    async def _remove_empty(self, held: SlotService) -> None:
        """Remove a slot's service, marked first; raises VersionConflict if it changed."""
        if not held.is_leaving:
            await self._services.update(held.service, leaving(held.service.spec))
        await self._services.remove(held.service)

    async def sweep(self) -> None:
        """Remove services of slots that have been empty for long: each is marked first, by an
        update that is refused if the slot was filled meanwhile.
        """
        now = asyncio.get_running_loop().time()
        empty = self._empty()
        since = self._empty_since
        self._empty_since = {
            held.service.id: (held.service.version, since[held.service.id][1])
            if since.get(held.service.id, (0, 0.0))[0] == held.service.version
            else (held.service.version, now)
            for held in empty
        }
        old = [
            held
            for held in empty
            if held.is_leaving or now - self._empty_since[held.service.id][1] >= SPARE
        ]
        for held in old[:SWEPT_AT_ONCE]:
            try:
                await self._remove_empty(held)
            except VersionConflict:
                continue

    def _empty(self) -> list[SlotService]:
        """Return the slots in which nothing lives, and nothing is being made or ended by this
        plugin.
        """
        watch = self._watch
        busy = {one.held.service.id for one in watch.living.values()}
        return [
            held
            for held in watch.slots.values()
            if held.service.id not in busy
            and (held.occupant is None or held.occupant.instance not in watch.awaited)
        ]
