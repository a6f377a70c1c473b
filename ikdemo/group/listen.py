"""Who hears what: one watch per plugin, not per group; each event wakes only the supervisors it can concern.

Called by ``Groups`` whenever a group begins, changes or ends.
"""

from __future__ import annotations

import asyncio

from ..spi.contracts import Lookup
from .supervisor import Supervisor


class Listeners:
    """Follows the event streams of every plugin that some group uses, and of no other."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._audience: dict[str, set[Supervisor]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def follow(self, supervisor: Supervisor) -> None:
        """Let a supervisor hear the plugins that its group uses now, and no longer those it used before."""
        properties = supervisor.record.properties
        self._seat(supervisor, {properties.instance.plugin, properties.flavor.plugin})

    def leave(self, supervisor: Supervisor) -> None:
        """Let a supervisor hear nothing more."""
        self._seat(supervisor, set())

    def _seat(self, supervisor: Supervisor, names: set[str]) -> None:
        for name in names:
            self._audience.setdefault(name, set()).add(supervisor)
            if name not in self._tasks:
                self._tasks[name] = asyncio.create_task(self._listen(name), name=f"events of {name}")
        for name in self._audience.keys() - names:
            self._audience[name].discard(supervisor)
            if not self._audience[name]:  # nobody listens any longer
                del self._audience[name]
                self._tasks.pop(name).cancel()

    async def close(self) -> None:
        """Stop following everything."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        self._audience.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self, name: str) -> None:
        async for batch in self._lookup.events(name):
            for supervisor in list(self._audience.get(name, ())):
                if batch.gap:
                    supervisor.wake()
                for event in batch.events:
                    supervisor.hear(event)
