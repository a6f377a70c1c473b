"""Follows every plugin of a directory: those that run, and those that come. Called by ``stream`` and ``watch``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..rpc import discovery

if TYPE_CHECKING:
    from ..rpc.peers import Peers
    from ..spi.events import EventBatch

LOOK_AGAIN = 0.5
"""Seconds between two looks for plugins that have come."""

log = logging.getLogger(__name__)


async def follow(found: Peers, directory: Path, take: Callable[[str, EventBatch], None]) -> None:
    """Hand every batch of every plugin to ``take``, for ever; the first one of each connection has ``gap``."""
    following: set[str] = set()
    if not discovery.listing(directory):
        log.info("No plugin runs in %s yet; waiting for the first", directory)
    async with asyncio.TaskGroup() as tasks:
        while True:
            for name, _ in discovery.listing(directory):
                if name not in following:
                    following.add(name)
                    tasks.create_task(_follow(found, name, take))
            await asyncio.sleep(LOOK_AGAIN)


async def _follow(found: Peers, name: str, take: Callable[[str, EventBatch], None]) -> None:
    async for batch in found.events(name):
        take(name, batch)


def cause(several: BaseExceptionGroup) -> BaseException:
    """Return what ended a group of tasks: one of them ended the others, and that is the news."""
    first = several.exceptions[0]
    return cause(first) if isinstance(first, BaseExceptionGroup) else first
