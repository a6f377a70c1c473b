"""Passes on the health events of the flavors inside a combo, one stream for each flavor."""

from __future__ import annotations

import asyncio

from ..spi.contracts import Lookup
from ..spi.events import Emit, Event


class HealthRelay:
    """The streams that are followed, until ``stop``; there can be no more of them than plugins."""

    def __init__(self, lookup: Lookup, emit: Emit) -> None:
        self._lookup, self._emit = lookup, emit
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def follow(self, name: str) -> None:
        """Pass on the health events of a flavor from now on."""
        if name not in self._tasks:
            self._tasks[name] = asyncio.create_task(
                self._listen(name), name=f"health events of {name}"
            )

    async def stop(self) -> None:
        """Follow nothing any longer."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self, name: str) -> None:
        async for batch in self._lookup.events(name):
            if batch.gap:  # what is held may be long past: ask again
                self._emit(
                    Event(
                        "health",
                        code="missed",
                        text=f"{name}: changes of health may have been missed",
                    )
                )
                continue
            for event in batch.events:
                if event.kind == "health":
                    self._emit(event)
