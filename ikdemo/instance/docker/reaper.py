"""What is done about dead containers: why one ended, from its exit status and from what the engine
told before; the end of its output, which is kept; and its removal, after what is more urgent.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Container
from contextlib import suppress

from ...engine import Engine, Row
from ...spi.errors import IkdemoError
from ..common import EARLY, FROM_OUTSIDE, ExitReason
from ..output import Outputs
from ..single_flight import SingleFlight

TOLD_FOR = 60.0
"""Seconds after a signal sent through the engine in which a container's end is that signal's
doing.
"""
AFTER = 2.0
"""Seconds that a dead container stays: removing it costs the engine as much as half its
replacement.
"""
AT_ONCE = 2
"""Removals in flight at a time."""
LINES = 200
"""Lines of a dead container's output that are kept."""
OUTPUT_WAIT = 1.0
"""Seconds that reading a container's output may take."""
AT_THE_END = 5.0
"""Seconds that the removals may take at the end, when nothing else is waited for."""


class ExitSignals:
    """What was told of containers that still lived: that they were sent a signal, that they had no
    memory left.
    """

    def __init__(self) -> None:
        self._signalled: dict[str, int] = {}
        self._starved: set[str] = set()

    def note(self, container: str, event: Row) -> None:
        """Remember an event of one of the kinds kill and oom."""
        if event["Action"] == "oom":
            self._starved.add(container)
        else:
            self._signalled[container] = time_of(event)

    def reason(self, container: str, began: int, event: Row) -> ExitReason:
        """Say how a container ended that began at ``began``, in the engine's nanoseconds."""
        now, status = time_of(event), int(event["Actor"]["Attributes"].get("exitCode") or 0)
        was_signalled = (
            container in self._signalled and now - self._signalled[container] < TOLD_FOR * 10**9
        )
        return exit_reason_of(
            status,
            max(0, now - began) / 10**9,
            was_signalled=was_signalled,
            starved=container in self._starved,
        )

    def keep(self, containers: Container[str]) -> None:
        """Forget what concerns others than these."""
        self._signalled = {name: at for name, at in self._signalled.items() if name in containers}
        self._starved = {name for name in self._starved if name in containers}


def time_of(event: Row) -> int:
    """Return when an event happened, in nanoseconds of the engine's clock."""
    return int(event.get("timeNano") or 0)


def exit_reason_of(
    status: int, age: float, *, was_signalled: bool = False, starved: bool = False
) -> ExitReason:
    """Say how a container ended. ``was_signalled``: it was sent a signal through the engine.
    ``starved``: it had no more memory.

    >>> exit_reason_of(137, 60.0)
    ExitReason(code='killed', text='was ended by SIGKILL after 60.0 s')
    >>> exit_reason_of(137, 0.2).code, exit_reason_of(3, 60.0).code
    ('early', 'died')
    >>> exit_reason_of(0, 60.0, was_signalled=True).code
    'killed'
    """
    if starved:
        return ExitReason("died", f"needed more memory than it may have, after {age:.1f} s")
    number = status - 128  # so the engine, and a shell, passes a signal on
    if number not in FROM_OUTSIDE:
        return ExitReason(
            "killed" if was_signalled else "died", f"exited with status {status} after {age:.1f} s"
        )
    code = "killed" if was_signalled or age >= EARLY else "early"
    return ExitReason(code, f"was ended by {signal.Signals(number).name} after {age:.1f} s")


class Reaper:
    """Removals that are under way, and the outputs of what was removed."""

    def __init__(self, engine: Engine) -> None:
        self.outputs = Outputs()
        self._engine = engine
        self._removals = SingleFlight[str, None]()
        self._stopping = asyncio.Event()
        self._in_flight = asyncio.Semaphore(AT_ONCE)

    def __contains__(self, container: str) -> bool:
        return container in self._removals

    async def keep_output(self, container: str, instance: str) -> str:
        """Remember the end of an instance's output; return its last line, or nothing if it cannot
        be read.
        """
        try:
            async with asyncio.timeout(OUTPUT_WAIT):
                text = await self._engine.logs(container, LINES)
        except (IkdemoError, TimeoutError):
            return ""
        return self.outputs.keep(instance, text) if text else ""

    def remove(
        self, container: str, instance: str = "", report: Callable[[str], None] | None = None
    ) -> None:
        """Remove a container: at once, or that of an instance after its output was kept and its
        replacement had its time.

        ``report`` is called as soon as can be with the last line that the instance printed.
        """
        self._removals.begin(
            container,
            lambda: self._remove(container, instance, report),
            name=f"removal of {container}",
        )

    async def finish(self) -> None:
        """Do what is to be done without waiting for anything; what takes too long is left to the
        next start.
        """
        self._stopping.set()
        left = list(self._removals.tasks.values())
        if left:
            await asyncio.wait(left, timeout=AT_THE_END)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _remove(
        self, container: str, instance: str, report: Callable[[str], None] | None
    ) -> None:
        if report is not None:
            report(await self.keep_output(container, instance))
        if instance:
            with suppress(TimeoutError):
                async with asyncio.timeout(AFTER):
                    await self._stopping.wait()
            if self.outputs.of(instance) is None:
                await self.keep_output(container, instance)
        async with self._in_flight:
            with suppress(IkdemoError):  # it is found again when the engine answers again
                await self._engine.remove(container)
