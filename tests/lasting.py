"""What the tests of processes and of containers share: instances that last, what is told of them,
and what they print.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

from msgspec import Raw

from ikdemo.instance.docker.plugin import DockerInstances
from ikdemo.instance.process.plugin import ProcessInstances
from ikdemo.instance.swarm.plugin import SwarmInstances
from ikdemo.spi.documents import InstanceSpec
from ikdemo.spi.events import Event

FOREVER = "exec sleep 1000"


class Ear:
    """Collects events; ``next`` waits for one of a kind that was not asked for yet."""

    def __init__(self) -> None:
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self.told: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.told.append(event)
        self._events.put_nowait(event)

    async def next(self, kind: str) -> Event:
        async with asyncio.timeout(100):
            while (event := await self._events.get()).kind != kind:
                pass
            return event


def spec(script: str = "", sha: str = "s", **properties: Any) -> InstanceSpec:
    return InstanceSpec(
        Raw(json.dumps(properties).encode()),
        {"infrakit.group": "g", "infrakit.config_sha": sha},
        script,
    )


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 100))


Printing = DockerInstances | ProcessInstances | SwarmInstances


async def printed(made: Printing, instance: str, lines: int) -> list[str]:
    """Wait until an instance has printed so many lines."""
    async with asyncio.timeout(100):
        while len(text := await made.logs(instance)) < lines:  # noqa: ASYNC110  nothing tells what was printed
            await asyncio.sleep(0.01)
    return text
