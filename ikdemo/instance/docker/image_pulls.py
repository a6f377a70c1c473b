"""Images being fetched: each one once, however many instances wait for it, and none waits for ever.

Called by ``docker``.
"""

from __future__ import annotations

import asyncio

from ...engine import Engine
from ...spi.errors import IkdemoError, PluginFailure, SpecError

PATIENCE = 60.0
"""Seconds that one provision waits; after that its group is told how far the pull is, and comes back."""
LONGEST = 3600.0
"""Seconds until a pull is given up."""


class Pulls:
    """The pulls under way at one engine. ``patience``: seconds that a caller waits."""

    def __init__(self, engine: Engine, patience: float = PATIENCE) -> None:
        self._engine, self._patience = engine, patience
        self._pulls: dict[str, asyncio.Task[None]] = {}
        self._come: dict[str, int] = {}

    async def pull(self, image: str) -> None:
        """Wait until an image has come; raises PluginFailure when it cannot be had, or has not come in time."""
        if image not in self._pulls:
            self._pulls[image] = asyncio.create_task(self._pull(image), name=f"pull of {image}")
            self._pulls[image].add_done_callback(lambda task: self._ended(image, task))
        try:
            async with asyncio.timeout(self._patience):
                await asyncio.shield(self._pulls[image])
        except TimeoutError:
            come = f"{self._come[image]} %" if image in self._come else "nothing has come yet"
            raise PluginFailure(f"image {image} is being pulled: {come}") from None

    def close(self) -> None:
        """Wait for nothing any longer; the engine ends what nobody waits for."""
        for task in list(self._pulls.values()):
            task.cancel()

    def _ended(self, image: str, task: asyncio.Task[None]) -> None:
        del self._pulls[image]
        self._come.pop(image, None)
        if not task.cancelled():
            task.exception()  # whoever waits has it; perhaps nobody does

    async def _pull(self, image: str) -> None:
        try:
            async with asyncio.timeout(LONGEST):
                await self._engine.pull(image, lambda percent: self._come.__setitem__(image, percent))
        except TimeoutError:
            raise PluginFailure(f"image {image} cannot be pulled: it has not come in {LONGEST:g} s") from None
        except SpecError:
            raise
        except IkdemoError as error:
            raise PluginFailure(f"image {image} cannot be pulled: {error}") from None
