"""The one loop of a group: make a pass, then sleep until an event, a wake-up time or the poll.

One task per group makes every pass, so a group's actions never overlap; if it ends unexpectedly it
is begun again. What a pass does is in ``reconciler``. What is wanted may change at any time
(``set_desired``): a pass under way finishes what it began and begins nothing more. A command that
waits for a pass (``step``) or for the end (``wait_until_gone``) gets an answer, also when something
else comes first. Only ``Registry`` changes the record.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial

from ..spi.contracts import Lookup
from ..spi.errors import IkdemoError, PluginFailure
from ..spi.events import Emit, Event
from ..spi.plans import Step
from .clock import Clock
from .reconciler import Reconciler
from .store import Record

log = logging.getLogger(__name__)

STOP_WAIT = 8.0
"""Seconds that a pass under way may take to end."""
RESTART_AFTER = 1.0
"""Seconds after which a loop that ended unexpectedly is begun again."""


class Supervisor:
    """Keeps one group as its record wants it, from ``start`` until ``end`` or, when destroying,
    until none is left.

    ``removal_error``: what kept the store from forgetting a group of which nothing is left; empty
    otherwise.
    """

    def __init__(
        self,
        record: Record,
        lookup: Lookup,
        emit: Emit,
        poll_interval: float,
        persist: Callable[[Supervisor, Callable[[Record], Record]], Awaitable[None]],
        *,
        resumed: bool,
        clock: Clock,
    ) -> None:
        self.reconciler = Reconciler(
            record,
            lookup,
            emit,
            poll_interval,
            partial(persist, self),
            resumed=resumed,
            clock=clock,
        )
        self._wake = asyncio.Event()
        self._pass_failed = asyncio.Event()
        self._steps: list[asyncio.Future[Step]] = []
        self._ended_by = self.removal_error = ""
        self._task: asyncio.Task[None] | None = None

    @property
    def record(self) -> Record:
        """The group's record, as it was changed last."""
        return self.reconciler.record

    def start(self, when_gone: Callable[[], Awaitable[None]]) -> None:
        """Begin; ``when_gone`` is awaited once, at the end, if the group was to be destroyed and
        nothing of it is left.
        """
        self._task = asyncio.create_task(
            self._run(when_gone), name=f"supervisor of {self.record.id}"
        )

    async def end(self, by: str) -> None:
        """Finish what was begun, begin nothing more, and return when the loop is over; ``by`` says
        why to the commands that wait.

        A call to a plugin that is not answered within ``STOP_WAIT`` is given up.
        """
        self._ended_by = self._ended_by or by
        self.reconciler.cancel()
        self._wake.set()
        if self._task is not None and not self._task.done():
            await asyncio.wait([self._task], timeout=STOP_WAIT)
            self._task.cancel()
            await asyncio.wait([self._task])
        self._fail_steps(self._steps)

    def set_desired(self, record: Record, *, by: str) -> None:
        """Take another record as what is wanted, from now on; ``by`` names the command, for a step
        that it cuts short.
        """
        self.reconciler.set_desired(record, by=by)
        self._pass_failed.clear()
        self._wake.set()

    def on_event(self, event: Event) -> None:
        """Wake for a plugin's event, unless it is the echo of what this loop did."""
        if self.reconciler.on_event(event):
            self._wake.set()

    def wake(self) -> None:
        """Make a pass soon, and observe in it: events may have been missed, of health too."""
        self.reconciler.invalidate()
        self._wake.set()

    def retry_now(self) -> None:
        """Make a pass soon, and have ``wait_until_gone`` return for failed passes only from now
        on.
        """
        self._pass_failed.clear()
        self.removal_error = ""
        self.wake()

    async def step(self) -> Step:
        """Have the loop make one acting pass, paused or not, and return what it did.

        Raises PluginFailure when the loop ends before the pass could be made.
        """
        waiting: asyncio.Future[Step] = asyncio.get_running_loop().create_future()
        self._steps.append(waiting)
        if self._ended_by:
            self._fail_steps(self._steps)
        self._wake.set()
        return await waiting

    async def wait_until_gone(self, timeout: float) -> bool:
        """Wait until the loop has ended because nothing is left.

        False after ``timeout`` seconds, or when a pass was in doubt since the group was marked for
        destruction. Raises PluginFailure when the loop ended for another reason, which it names.
        """
        if self._task is None:
            return True
        pass_failed = asyncio.create_task(self._pass_failed.wait())
        await asyncio.wait(
            [self._task, pass_failed], timeout=timeout, return_when=asyncio.FIRST_COMPLETED
        )
        pass_failed.cancel()
        if self._task.done() and self._ended_by:
            raise PluginFailure(
                f"Group '{self.record.id}' was being destroyed and was overtaken by "
                f"{self._ended_by}"
            )
        return self._task.done()

    async def _run(self, when_gone: Callable[[], Awaitable[None]]) -> None:
        """Keep the loop going until it ends as it should: what ends it otherwise is a bug, and
        healing must survive that.
        """
        try:
            while True:
                try:
                    return await self._loop(when_gone)
                except Exception:
                    log.exception(
                        "The loop of group %s ended unexpectedly and is begun again", self.record.id
                    )
                self.reconciler.invalidate()
                await asyncio.sleep(RESTART_AFTER)
        finally:
            await self.reconciler.stop()

    async def _loop(self, when_gone: Callable[[], Awaitable[None]]) -> None:
        while not self._ended_by:
            self._wake.clear()
            record, (waiting, self._steps) = self.record, (self._steps, [])
            try:
                step = await self.reconciler.make_pass(asked=bool(waiting))
            except BaseException:
                self._fail_steps(waiting)
                raise
            if self.reconciler.in_doubt:
                self._pass_failed.set()
            # something else is desired meanwhile: make another pass, also for the steps that wait
            if step is None:
                self._steps = waiting + self._steps
                continue
            for future in waiting:
                if not future.done():
                    future.set_result(step)
            if record.destroying and step.plan.converged and await self._end(when_gone):
                return
            # after acting, observe again at once: was it enough, and when is the next attempt?
            if step.outcomes:
                # but not before others had their turn: two passes over thousands take long
                await asyncio.sleep(0)
                continue
            await self._sleep(self.reconciler.seconds_to_next_pass(step.plan))

    async def _end(self, when_gone: Callable[[], Awaitable[None]]) -> bool:
        """Await ``when_gone``; false when the store failed, so that it is tried again."""
        try:
            await when_gone()
        except IkdemoError as error:
            log.warning(
                "Nothing is left of group %s, but it cannot be forgotten yet: %s",
                self.record.id,
                error,
            )
            self.removal_error = str(error)
            self._pass_failed.set()
            return False
        return True

    def _fail_steps(self, waiting: list[asyncio.Future[Step]]) -> None:
        """Answer the steps that wait for a pass that will not be made."""
        for future in waiting:
            if not future.done():
                by = self._ended_by or "a failure of the loop"
                future.set_exception(
                    PluginFailure(f"The step of group '{self.record.id}' was overtaken by {by}")
                )
        waiting.clear()

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(max(seconds, 0.001)):
                await self._wake.wait()
        except TimeoutError:
            pass
