"""What an engine tells by itself of the instances of a namespace: that a container of its own has
ended, before Swarm knows; and that something changed, so that it is worth looking.

Swarm itself tells of no task. An engine that works for the swarm only tells of its own containers;
one that manages it, of services and nodes too. Without any of it everything is noticed a little
later.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from ...engine import EngineEvents, Row, Services
from ...spi.errors import IkdemoError
from ..container_labels import INSTANCE
from .slot_service import NAMESPACE

LISTEN_EVERY = 5.0
"""Seconds between two attempts to follow an engine's events."""
REMEMBERED = 2000
"""Instances, and tasks, of which it is remembered that they ended."""
TASK_ID = "com.docker.swarm.task.id"

log = logging.getLogger(__name__)


class TaskEvents:
    """The events of the engine that is asked. ``ended``: tasks whose containers were seen to end,
    with their exit statuses; ``on_news`` is called when something changed.
    """

    def __init__(self, services: Services, namespace: str, on_news: Callable[[], None]) -> None:
        self.ended: dict[str, int] = {}
        self._services, self._namespace, self._on_news = services, namespace, on_news
        self._stream: EngineEvents | None = None
        self._followed: object = None
        self._next_listen = 0.0
        self._task: asyncio.Task[None] | None = None

    async def stop(self) -> None:
        """Follow no events any longer."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._stream is not None:
            self._stream.close()

    def listen(self, now: float) -> None:
        """Follow the events of the engine that is asked, if it is not followed already; ``now`` is
        the loop's time.
        """
        engine = self._services.engine
        if self._stream is not None and (self._stream.over.done() or self._followed is not engine):
            self._stream.close()
            self._stream = None
        if self._stream is not None or now < self._next_listen:
            return
        self._next_listen = now + LISTEN_EVERY
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._follow(engine), name="engine events")

    async def _follow(self, engine: object) -> None:
        try:
            self._stream = await self._services.follow(self._on_event)
        except IkdemoError:
            return  # looking does without it
        self._followed = engine
        self._on_news()

    def _on_event(self, event: Row) -> None:
        """Take an event; one that makes no sense is passed over."""
        try:
            is_news = self._apply(event)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            log.warning("The engine told what makes no sense (%s): %.200r", error, event)
            return
        if is_news:
            self._on_news()

    def _apply(self, event: Row) -> bool:
        kind, action, actor = event["Type"], event["Action"], event["Actor"]
        known: Any = actor.get("Attributes") or {}
        if kind == "service":
            return str(known.get("name", "")).startswith("ik-")
        if kind != "container":
            return True
        if known.get(NAMESPACE) != self._namespace or INSTANCE not in known:
            return False
        if action == "die" and (task := known.get(TASK_ID)):
            remember(self.ended, str(task), int(known.get("exitCode") or 0))
        return action in ("die", "start")


def remember(known: dict[str, Any], name: str, value: object) -> None:
    """Keep a value, and the latest ``REMEMBERED`` of them."""
    known.pop(name, None)
    known[name] = value
    while len(known) > REMEMBERED:
        del known[next(iter(known))]
