"""When the group plugin behind is brought to what it has to keep: at each change of leadership,
when it was started again, and once more for as long as something of it failed. A call that failed
may have arrived and be carried out later, after the next one, so what is kept is looked at for a
while after the last failure.

What is done is in ``handover``; it is done in its turn, by the manager's queue.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from ..spi.errors import IkdemoError, NotLeader
from .handover import Handover
from .leadership import Leadership

RETRY_AFTER = (0.5, 30.0)
"""Seconds after which a handover that failed is tried again: at first, and at most."""
DOUBT, CHECK_EVERY = 90.0, 15.0
"""Seconds after a failure in which what is kept is looked at again, and between two such looks: a
call is given up after 30 s, and may be carried out later than that.
"""
FREE_WAIT = 20.0
"""Seconds that the groups get to be freed when leadership is lost, before that is tried again."""

log = logging.getLogger(__name__)


class Reconciliation:
    """``ask``: has ``reconcile`` called in its turn."""

    def __init__(self, leadership: Leadership, handover: Handover, ask: Callable[[], None]) -> None:
        self._leadership, self._handover, self._ask = leadership, handover, ask
        self._retry: asyncio.TimerHandle | None = None
        self._check: asyncio.TimerHandle | None = None
        self._pause = RETRY_AFTER[0]
        self._doubt_until = 0.0
        self._said = ""

    async def reconcile(self) -> None:
        """Bring the group plugin to what it has to keep; try again later what fails."""
        if not self._leadership.asked:  # the first look asks for this
            return
        term = self._leadership.term
        try:
            if term is None:
                async with asyncio.timeout(FREE_WAIT):
                    await self._handover.keep_nothing()
            else:
                await self._handover.keep_stored(term.epoch)
        except NotLeader:
            return  # the next look tells, and asks for this again
        except (IkdemoError, TimeoutError) as error:
            self.note(f"The stored groups are not all kept yet: {error}" if term else "")
            self.later()
            return
        self.note("")
        if self._handover.failed:
            self.later()
        else:
            self._pause = RETRY_AFTER[0]
            self._check_later()

    def at_once(self) -> None:
        """Ask for it without the pause that earlier failures have left."""
        self._pause = RETRY_AFTER[0]
        self._ask()

    def later(self) -> None:
        """Ask for it after a pause that grows from time to time: something of it failed."""
        self._doubt_until = asyncio.get_running_loop().time() + DOUBT
        if self._retry is None:
            self._retry = asyncio.get_running_loop().call_later(self._pause, self._now)
            self._pause = min(self._pause * 2, RETRY_AFTER[1])

    def stop(self) -> None:
        """Ask for it no longer."""
        for timer in (self._retry, self._check):
            if timer is not None:
                timer.cancel()

    def note(self, text: str) -> None:
        """Log what is in the way, once for as long as it stays the same."""
        if text and text != self._said:
            log.error("%s", text)
        self._said = text

    def _check_later(self) -> None:
        """Look again what is kept, for as long as a call that failed may be carried out late."""
        loop = asyncio.get_running_loop()
        if self._check is None and loop.time() < self._doubt_until:
            self._check = loop.call_later(CHECK_EVERY, self._check_now)

    def _check_now(self) -> None:
        self._check = None
        self._ask()

    def _now(self) -> None:
        self._retry = None
        self._ask()
