"""Whether this manager leads, now: the one place that asks the back end, and that knows the time.

A term is confirmed by each look and is over at its deadline, whatever happens meanwhile: a look
that hangs, a process that was stopped, a machine that was suspended. ``ensure`` stands immediately
before each act; what is done after it is guarded by the term's epoch, where the other side can be
told one. That it cannot be known who leads counts as not leading: at once where asking again is of
no use, and otherwise when the term is over.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from ..boottime import since_boot
from ..spi.errors import IkdemoError, NotLeader, OutcomeUnknown, PluginUnavailable
from .backend import Backend, Term

LOOK_WAIT = 30.0
"""Seconds that a look may take while this manager does not lead."""
RETRY = 0.5
"""Seconds after which a look that failed is made again, at most."""
GRACE = 0.5
"""Seconds that a look gets at least, although the term is over by then; nothing is done in them."""
WATCH_PAUSE = 0.05
"""Seconds between two looks for which the back end asks, at least."""
LEADS_NOT = "another manager leads"

T = TypeVar("T")

log = logging.getLogger(__name__)


class Leadership:
    """What is known of who leads. ``looked`` is called after each look, in the event loop.

    ``term`` is the confirmed one, which may be over by now; None while this manager does not lead,
    and then ``why`` says why not. ``asked``: a look has ended, so that this is known. ``since`` and
    ``renewed`` are seconds since the epoch.
    """

    def __init__(
        self,
        backend: Backend,
        looked: Callable[[], None],
        now: Callable[[], float] = since_boot,
    ) -> None:
        self.asked = False
        self.term: Term | None = None
        self.why = "it has not been asked yet who leads"
        self.since = self.renewed = 0.0
        self._backend, self._looked, self._now = backend, looked, now
        self._look_now = asyncio.Event()
        self._look: asyncio.Task[None] | None = None
        self._over: asyncio.Future[None] | None = None
        self._confirmed = False
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to look."""
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._forever(self._look_on), name="leadership"),
            loop.create_task(self._forever(self._follow), name="changes of leadership"),
        ]

    async def stop(self) -> None:
        """Look no more; what is known stays."""
        tasks = [*self._tasks, *([self._look] if self._look else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks = []

    async def ensure(self, epoch: int | None = None) -> Term:
        """Return the term if this manager may act now; ask once more who leads if it is over.

        Raises NotLeader when it does not lead, or leads another term than that of ``epoch``.
        """
        if self.term is not None and self._now() >= self.term.until:
            await self.look()
        term = self.term
        if term is None or (epoch is not None and term.epoch != epoch) or self._is_over(term):
            raise NotLeader
        return term

    async def while_leading(self, epoch: int, act: Callable[[], Awaitable[T]]) -> T:
        """Make sure of the term and then act, but wait for that no longer than the term lasts.

        Raises NotLeader when nothing was begun, OutcomeUnknown when leadership was lost meanwhile.
        """

        async def guarded() -> T:
            await self.ensure(epoch)
            return await act()

        await self.ensure(epoch)
        assert self._over is not None
        task = asyncio.ensure_future(guarded())
        try:
            await asyncio.wait((task, self._over), return_when=asyncio.FIRST_COMPLETED)
        finally:
            finished = task.done()
            task.cancel()
        if not finished:
            await asyncio.gather(task, return_exceptions=True)
            raise OutcomeUnknown("leadership was lost before the answer; it may have happened")
        return task.result()

    def lose(self, why: str) -> None:
        """Note that leadership is lost, whoever has found that out, and ask at once who leads."""
        self._settle(None, why)
        self._look_now.set()

    def ask_soon(self) -> None:
        """Ask who leads before the interval is over: something speaks for another leader."""
        self._look_now.set()

    async def look(self) -> None:
        """Ask who leads, or wait for the answer to that question if it is being asked."""
        if self._look is None or self._look.done():
            self._look = asyncio.get_running_loop().create_task(self._ask(), name="a look")
        await asyncio.shield(self._look)

    async def _ask(self) -> None:
        held = self.term
        wait = LOOK_WAIT
        if held is not None:  # what is over by now, on a slow machine, may be confirmed yet
            wait = min(wait, max(GRACE, held.until - self._now()))
        try:
            async with asyncio.timeout(wait):
                term = await self._backend.look()
        except (PluginUnavailable, OutcomeUnknown, TimeoutError) as error:
            why = f"it cannot be known who leads: {error or 'no answer came in time'}"
            term = None if held is None or self._is_over(held) else held
            if term is not None:
                log.info("%s; leading goes on until the term is over", why)
            self._settle(term, why, confirmed=False)
        except IkdemoError as error:
            self._settle(None, f"it cannot be known who leads: {error}")
        except Exception as error:
            log.exception("The look at who leads failed unexpectedly")
            self._settle(None, f"it cannot be known who leads: {type(error).__name__}")
        else:
            self._settle(term, LEADS_NOT if term is None else "")

    def _settle(self, term: Term | None, why: str, *, confirmed: bool = True) -> None:
        """Make ``term`` what is known."""
        self.asked = True
        before, self.term, self.why, self._confirmed = self.term, term, why, confirmed
        if term is None or before is None or before.epoch != term.epoch:
            if self._over is not None and not self._over.done():
                self._over.set_result(None)
            if term is not None:
                self._over = asyncio.get_running_loop().create_future()
                self.since = time.time()
        if term is not None and confirmed:
            self.renewed = time.time()
        self._looked()

    def _is_over(self, term: Term) -> bool:
        return self._now() >= term.until

    async def _look_on(self) -> None:
        """Look, again and again; end the term at its deadline."""
        while True:
            self._look_now.clear()
            await self.look()
            try:
                async with asyncio.timeout(self._pause()):
                    await self._look_now.wait()
            except TimeoutError:
                pass

    def _pause(self) -> float:
        """Return the seconds until the next look: sooner where this one told nothing."""
        told = self._confirmed and self.why in ("", LEADS_NOT)
        pause = self._backend.interval if told else min(self._backend.interval, RETRY)
        if self.term is not None:
            pause = min(pause, max(0.0, self.term.until - self._now()))
        return pause

    async def _follow(self) -> None:
        """Look at once when the back end says that it is worth it."""
        while True:
            await self._backend.changed()
            self._look_now.set()
            await asyncio.sleep(WATCH_PAUSE)

    async def _forever(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            try:
                await work()
            except Exception as error:
                if isinstance(error, IkdemoError):
                    log.info("Watching who leads is begun again: %s", error)
                else:
                    log.exception("Watching who leads ended unexpectedly and is begun again")
            await asyncio.sleep(RETRY)
