"""An event loop whose time is simulated: when nothing is ready it jumps to the next timer, and
threads are timers, too.

Nothing here waits, opens a socket or starts a thread, so a schedule of hours takes milliseconds,
and the same schedule always runs the same way. A process of the simulated world is what was begun
in its context (``PROCESS``): ``freeze`` ends it between two steps, as ``kill -9`` does: no
``finally`` of it runs, no answer reaches it.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any

MOST_STEPS = 400_000
"""Turns of the loop that one schedule may take; one that takes more goes round in circles."""


class Process:
    """One life of a program: what belongs to it, and whether it has ended."""

    def __init__(self, number: int) -> None:
        self.number, self.frozen = number, False
        self.kept: list[asyncio.Handle] = []


PROCESS: contextvars.ContextVar[Process | None] = contextvars.ContextVar("PROCESS", default=None)
ORIGIN: contextvars.ContextVar[int] = contextvars.ContextVar("ORIGIN", default=0)
"""The command, or the start of a process, that began a task. A group's loop has that of the commit
that began it.
"""


class Stuck(Exception):
    """Nothing is ready and nothing is scheduled, or the loop never comes to rest."""


class SimulatedLoop(asyncio.BaseEventLoop):
    """``thread_time`` says for each call in a thread how many seconds pass before its effect, and
    then before its answer.
    """

    def __init__(self, thread_time: Callable[[], tuple[float, float]]) -> None:
        super().__init__()
        self._now, self._steps, self._thread_time = 0.0, 0, thread_time
        self._selector = self
        self._clock_resolution = 1e-9
        self.world = contextvars.copy_context()
        self.begun: Callable[[asyncio.Task[Any], Process | None], None] = lambda task, process: None
        self.tasks: list[asyncio.Task[Any]] = []
        self.ended = False

    def time(self) -> float:
        return self._now

    def select(self, timeout: float | None) -> list[Any]:
        """Stand in for the selector: let time pass."""
        self._steps += 1
        if timeout is None or self._steps > MOST_STEPS:
            raise Stuck(
                "everybody waits for ever" if timeout is None else f"{MOST_STEPS} turns and no end"
            )
        self._now += timeout
        return []

    def close(self) -> None:
        self._selector = None
        super().close()

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass

    def call_soon(
        self, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        context = contextvars.copy_context() if context is None else context
        process = context.get(PROCESS)
        if process is not None and process.frozen and not self.ended:
            handle = asyncio.Handle(callback, args, self, context)
            process.kept.append(handle)
            return handle
        return super().call_soon(callback, *args, context=context)

    def in_world(self, seconds: float, callback: Callable[..., Any], *args: Any) -> None:
        """Have something happen that no process owns."""
        self.call_later(seconds, callback, *args, context=self.world)

    def run_in_executor(
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Let a call in a thread take effect and be answered later, whether or not it is waited for
        still.
        """
        answer = self.create_future()
        before, after = self._thread_time()

        def work() -> None:
            try:
                result = func(*args)
            except Exception as error:  # noqa: BLE001, as a thread does
                self.call_later(after, settle, answer, None, error)
            else:
                self.call_later(after, settle, answer, result, None)

        self.call_later(before, work)
        return answer

    def create_task(
        self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: Any = None
    ) -> asyncio.Task[Any]:
        task = super().create_task(coro, name=name, context=context)
        self.tasks.append(task)
        # its name is given to it only after this
        if getattr(coro, "__qualname__", "").startswith("Supervisor."):
            self.call_soon(self.begun, task, PROCESS.get(), context=self.world)
        return task

    def spawn(
        self, process: Process, work: Coroutine[Any, Any, Any], origin: int
    ) -> asyncio.Task[Any]:
        """Begin a task in a process; all that it begins has the same ``origin``."""
        context = self.world.copy()
        context.run(PROCESS.set, process)
        context.run(ORIGIN.set, origin)
        return self.create_task(work, context=context)

    def freeze(self, process: Process) -> None:
        """End a process where it stands."""
        process.frozen = True
        for handle in [*self._ready, *self._scheduled]:
            if not handle.cancelled() and handle._context.get(PROCESS) is process:
                if not isinstance(handle, asyncio.TimerHandle):
                    process.kept.append(
                        asyncio.Handle(handle._callback, handle._args, self, handle._context)
                    )
                handle.cancel()

    def remove_ended(self, processes: list[Process]) -> list[str]:
        """End every task, now that nothing counts any longer; return what died unheard before."""
        died = [
            f"{task.get_name()}: {task.exception()!r}"
            for task in self.tasks
            if task.done()
            and not task.cancelled()
            and task._log_traceback
            and task.exception() is not None
        ]
        self.ended = True
        for process in processes:
            self._ready.extend(process.kept)
            process.kept.clear()
        for _ in range(20):
            left = [task for task in self.tasks if not task.done()]
            if not left:
                break
            for task in left:
                task.cancel()
            self.run_until_complete(_rest())
        for task in [task for task in self.tasks if not task.done()]:
            task._log_destroy_pending = False
            task.get_coro().close()
        return died


async def _rest() -> None:
    for _ in range(5):
        await asyncio.sleep(0)
    await asyncio.sleep(30)


def settle(answer: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    """Answer a call, if anybody waits for it."""
    if answer.done():
        return
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(result)
