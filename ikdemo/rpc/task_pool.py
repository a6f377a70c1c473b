"""Does pieces of work side by side, with a task of its own only for a piece that waits: most calls
of a batch never do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class TaskPool(Generic[T, R]):
    """Workers that take the pieces from one pile, each the next one; whenever all of them wait,
    another one joins.

    So a piece that waits holds back no other, as with a task for each, and a thousand that do not
    wait need no task at all.
    """

    def __init__(self, do: Callable[[T], Awaitable[R]], pieces: Sequence[T]) -> None:
        self._do = do
        self._left = iter(enumerate(pieces))
        self._done: dict[int, R] = {}
        self._loop = asyncio.get_running_loop()
        self._joining: asyncio.Handle | None = None

    async def work(self) -> list[R]:
        """Do everything and return what came of it, in the order of the pieces. If cancelled, so is
        what is under way.
        """
        async with asyncio.TaskGroup() as self._others:
            await self._take()
        return [self._done[number] for number in range(len(self._done))]

    async def _take(self) -> None:
        try:
            for number, piece in self._left:
                if self._joining is None:  # it has its turn when this worker waits, and not before
                    self._joining = self._loop.call_soon(self._join)
                self._done[number] = await self._do(piece)
        finally:
            if self._joining is not None:
                self._joining.cancel()
                self._joining = None

    def _join(self) -> None:
        self._joining = None
        self._others.create_task(self._take())
