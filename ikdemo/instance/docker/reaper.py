"""Removes dead containers, after what is more urgent, and keeps the end of their output."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from ...engine import Engine
from ...spi.errors import IkdemoError
from ..output import Outputs
from ..single_flight import SingleFlight

AFTER = 2.0
"""Seconds that a dead container stays: removing it costs the engine as much as half its
replacement.
"""
AT_ONCE = 2
"""Removals in flight at a time."""
LINES = 200
"""Lines of a dead container's output that are kept."""
OUTPUT_WAIT = 1.0
"""Seconds that reading a container's output may take."""
AT_THE_END = 5.0
"""Seconds that the removals may take at the end, when nothing else is waited for."""


class Reaper:
    """Removals that are under way, and the outputs of what was removed."""

    def __init__(self, engine: Engine) -> None:
        self.outputs = Outputs()
        self._engine = engine
        self._removals = SingleFlight[str, None]()
        self._stopping = asyncio.Event()
        self._in_flight = asyncio.Semaphore(AT_ONCE)

    def __contains__(self, container: str) -> bool:
        return container in self._removals

    async def keep_output(self, container: str, instance: str) -> str:
        """Remember the end of an instance's output; return its last line, or nothing if it cannot
        be read.
        """
        try:
            async with asyncio.timeout(OUTPUT_WAIT):
                text = await self._engine.logs(container, LINES)
        except (IkdemoError, TimeoutError):
            return ""
        return self.outputs.keep(instance, text) if text else ""

    def remove(
        self, container: str, instance: str = "", report: Callable[[str], None] | None = None
    ) -> None:
        """Remove a container: at once, or that of an instance after its output was kept and its
        replacement had its time.

        ``report`` is called as soon as can be with the last line that the instance printed.
        """
        self._removals.begin(
            container,
            lambda: self._remove(container, instance, report),
            name=f"removal of {container}",
        )

    async def finish(self) -> None:
        """Do what is to be done without waiting for anything; what takes too long is left to the
        next start.
        """
        self._stopping.set()
        left = list(self._removals.tasks.values())
        if left:
            await asyncio.wait(left, timeout=AT_THE_END)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _remove(
        self, container: str, instance: str, report: Callable[[str], None] | None
    ) -> None:
        if report is not None:
            report(await self.keep_output(container, instance))
        if instance:
            with suppress(TimeoutError):
                async with asyncio.timeout(AFTER):
                    await self._stopping.wait()
            if self.outputs.of(instance) is None:
                await self.keep_output(container, instance)
        async with self._in_flight:
            with suppress(IkdemoError):  # it is found again when the engine answers again
                await self._engine.remove(container)
