"""Operations that several callers share: for each key at most one is under way, and all who ask for
it meanwhile wait for that one.

An operation goes on when a caller goes away, as what it does (a container that is being made, a
process that is being ended) must not be left half done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

K = TypeVar("K")
T = TypeVar("T")


class SingleFlight(Generic[K, T]):
    """The operations under way, each a task under its key in ``tasks``."""

    def __init__(self) -> None:
        self.tasks: dict[K, asyncio.Task[T]] = {}

    def __contains__(self, key: K) -> bool:
        return key in self.tasks

    def begin(
        self, key: K, operation: Callable[[], Coroutine[Any, Any, T]], name: str
    ) -> asyncio.Task[T]:
        """Return the task of the operation under way for a key; one called ``name`` is begun if
        there is none.
        """
        task = self.tasks.get(key)
        if task is None or task.done():  # its callback comes in the next turn of the loop
            task = self.tasks[key] = asyncio.create_task(operation(), name=name)
            task.add_done_callback(lambda task: self._ended(key, task))
        return task

    async def do(self, key: K, operation: Callable[[], Coroutine[Any, Any, T]], name: str) -> T:
        """Wait for the operation under way for a key, begun if need be; return its result, or raise
        its error.
        """
        return await asyncio.shield(self.begin(key, operation, name))

    async def finish(self) -> None:
        """Wait until everything that is under way has ended, however it ends."""
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)

    def cancel(self) -> None:
        """Cancel everything that is under way."""
        for task in list(self.tasks.values()):
            task.cancel()

    def _ended(self, key: K, task: asyncio.Task[T]) -> None:
        if self.tasks.get(key) is task:
            del self.tasks[key]
        if not task.cancelled():
            task.exception()  # retrieved here: all callers may have gone away
