"""One queue for what changes groups: commands are carried out one at a time, in the order in which
they came, and the reconciliation that a change of leadership asks for before the next of them.

A command goes on although its client has gone away, so it is never left half-way.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from ..spi.errors import IkdemoError, OutcomeUnknown, PluginFailure

LONGEST = 256
"""Commands that wait at most."""
STOP_WAIT = 5.0
"""Seconds that the command at work gets to end."""

T = TypeVar("T")

log = logging.getLogger(__name__)


class CommandQueue:
    """Carries out commands, and ``reconcile`` when it is asked for, however often it was asked."""

    def __init__(self, reconcile: Callable[[], Awaitable[None]]) -> None:
        self._reconcile = reconcile
        self._due = False
        self._commands: deque[tuple[Callable[[], Awaitable[Any]], asyncio.Future[Any]]] = deque()
        self._wake = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self._stopped = False

    def start(self) -> None:
        """Begin to carry out."""
        self._worker = asyncio.get_running_loop().create_task(self._work(), name="manager's queue")

    async def stop(self) -> None:
        """Let the command at work end, and refuse the others."""
        self._stopped = True
        for _, answer in self._commands:
            if not answer.done():
                answer.set_exception(PluginFailure("the manager stopped"))
        self._commands.clear()
        self._wake.set()
        if self._worker is not None:
            await asyncio.wait((self._worker,), timeout=STOP_WAIT)
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)

    def reconcile(self) -> None:
        """Have it reconciled before the next command."""
        self._due = True
        self._wake.set()

    async def carry_out(self, work: Callable[[], Awaitable[T]]) -> T:
        """Carry out a command when it is its turn; return what it returns, raise what it raises."""
        if self._stopped:
            raise PluginFailure("the manager stopped")
        if len(self._commands) >= LONGEST:
            raise PluginFailure(f"{LONGEST} commands wait already; try again later")
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._commands.append((work, answer))
        self._wake.set()
        return await asyncio.shield(answer)

    async def _work(self) -> None:
        while not self._stopped:
            await self._wake.wait()
            if self._due:
                self._due = False
                await self._guarded_reconcile()
            elif self._commands:
                await self._answer(*self._commands.popleft())
            else:
                self._wake.clear()

    async def _guarded_reconcile(self) -> None:
        try:
            await self._reconcile()
        except asyncio.CancelledError:
            if self._stopped:
                raise
        except Exception:
            log.exception("Reconciling failed unexpectedly; the next look asks for it again")

    async def _answer(
        self, work: Callable[[], Awaitable[Any]], answer: asyncio.Future[Any]
    ) -> None:
        try:
            result = await work()
        except asyncio.CancelledError:
            if not answer.done():
                answer.set_exception(OutcomeUnknown("it was cut off; it may have happened"))
            if self._stopped:
                raise
        except Exception as error:
            if not isinstance(error, IkdemoError):
                log.exception("A command failed unexpectedly")
            if not answer.done():
                answer.set_exception(error)
                answer.exception()  # its client may have gone away: that is no bug of ours
        else:
            if not answer.done():
                answer.set_result(result)
