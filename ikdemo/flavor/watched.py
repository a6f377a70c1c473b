"""An instance under watch: checked again and again, judged only after several failures in a row.

What makes an instance healthy or unhealthy is decided only here. Made by ``probe``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple

from ..spi.documents import Description, Health
from .health_check import Check, Place, passes


class Orders(NamedTuple):
    """How an instance is to be checked. Times are in seconds; ``variables`` are for a command."""

    check: Check
    place: Place | None
    variables: tuple[tuple[str, str], ...]
    interval: float
    timeout: float
    threshold: int


class Judgement:
    """Health from single checks: healthy after a good one, unhealthy after ``threshold`` bad ones in a row.

    What was never healthy is only starting, and unknown, for ``start_up`` seconds from ``now`` on.

    >>> judged = Judgement(2, 30.0, now=0.0)
    >>> [judged.after(good, now=1.0).name for good in (False, False, False, True, False, False, True)]
    ['UNKNOWN', 'UNKNOWN', 'UNKNOWN', 'HEALTHY', 'HEALTHY', 'UNHEALTHY', 'HEALTHY']
    """

    def __init__(self, threshold: int, start_up: float, now: float) -> None:
        self._threshold, self._starts_until = threshold, now + start_up
        self._failures = 0
        self.health = Health.UNKNOWN

    def after(self, good: bool, now: float) -> Health:
        """Return the health after one more check."""
        self._failures = 0 if good else self._failures + 1
        if good:
            self.health = Health.HEALTHY
        elif self._failures >= self._threshold and (self.health is not Health.UNKNOWN or now >= self._starts_until):
            self.health = Health.UNHEALTHY
        return self.health


class Watched:
    """One instance, from construction to ``stop``; ``changed`` is called with each new health and why."""

    def __init__(
        self,
        instance: Description,
        orders: Orders,
        gate: asyncio.Semaphore,
        start_up: float,
        changed: Callable[[Description, Health, str], None],
    ) -> None:
        self.instance, self.orders = instance, orders
        self.asked = time.monotonic()
        self._gate, self._changed = gate, changed
        self._judgement = Judgement(orders.threshold, start_up, self.asked)
        self._task = asyncio.create_task(self._watch())

    @property
    def health(self) -> Health:
        return self._judgement.health

    def stop(self) -> asyncio.Task[None]:
        """Check no more; return what is to be awaited for its end."""
        self._task.cancel()
        return self._task

    async def _watch(self) -> None:
        due = time.monotonic()
        while True:
            orders, before = self.orders, self.health
            async with self._gate:
                wrong = await passes(orders.check, orders.place, dict(orders.variables), orders.timeout)
            if self._judgement.after(not wrong, time.monotonic()) is not before:
                self._changed(self.instance, self.health, wrong)
            due = max(due + orders.interval, time.monotonic())  # from begin to begin: a slow answer delays nothing
            await asyncio.sleep(due - time.monotonic())
