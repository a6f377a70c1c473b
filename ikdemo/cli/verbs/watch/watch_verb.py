"""Shows a group in the terminal from the first look until a key, a signal or a failure ends that,
and gives the terminal back.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol

from ....assembly import ending_signals
from ....spi.errors import IkdemoError, PluginFailure
from ...commands import Invocation, Verb
from ...event_merge import cause
from ...verb_inputs import peers
from ..group_verbs import listed

if TYPE_CHECKING:
    from ....rpc.peers import Peers
    from .monitor import GroupMonitor
    from .terminal import Keyboard

APART, MOVING = 0.1, 0.25
"""Seconds between two pictures at least, and between two while they change by themselves."""
IDLE = 9
"""Times as long as drawing took, at least, that nothing is drawn."""


class Display(Protocol):
    """Where a group is shown: ``prepare`` draws, and what it returns writes."""

    is_whole_screen: bool

    def take(self) -> None: ...
    def give_back(self) -> None: ...
    def prepare(self, monitor: GroupMonitor) -> Callable[[], None]: ...


async def watch(call: Invocation) -> None:
    async with peers(call.directory) as found:
        groups = await _groups(found, call["name"])
        group = call.arguments[0] if call.arguments else groups[0]
        from .monitor import GroupMonitor

        monitor = GroupMonitor(found, call.directory, call["name"], group)
        await monitor.begin()
        display = _display()
        while await _show(monitor, display) == "g":
            monitor = await _next(
                monitor, GroupMonitor(found, call.directory, call["name"], await _after(monitor))
            )


async def _groups(found: Peers, name: str) -> list[str]:
    groups = [spec.id for spec in await listed(await found.group(name))]
    if not groups:
        raise PluginFailure(
            f"No group is kept by {name!r} yet, so there is nothing to watch: infrakit group "
            "commit FILE"
        )
    return groups


async def _after(monitor: GroupMonitor) -> str:
    """Return the group after the one that is shown, which is itself when there is no other, or
    none can be listed.
    """
    with suppress(IkdemoError):
        groups = await _groups(monitor.found, monitor.group_plugin)
        return next((group for group in groups if group > monitor.group), groups[0])
    return monitor.group


async def _next(before: GroupMonitor, after: GroupMonitor) -> GroupMonitor:
    """Return the monitor to show: the one before when there is no other group, or it cannot be
    seen.
    """
    if after.group == before.group:
        before.say("There is no other group.")
        return before
    try:
        await after.begin()
    except IkdemoError as error:
        before.say(f"{error}.")
        return before
    return after


def _display() -> Display:
    """Return a whole screen where there is one, else a display that tells in words; raises
    IkdemoError if Rich is missing.
    """
    from .plain_output import PlainOutput

    if not sys.stdout.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        return PlainOutput()
    try:
        from .terminal import Screen, can_show
    except ModuleNotFoundError:
        raise IkdemoError(
            "ikdemo watch draws with Rich, which is not installed: pip install 'ikdemo[watch]'"
        ) from None
    return Screen() if can_show() else PlainOutput()


async def _show(monitor: GroupMonitor, display: Display) -> str:
    """Show a group until a key, a signal or a failure ends that; return the key."""
    from .key_actions import KeyActions
    from .terminal import Keyboard

    left: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    actions = KeyActions()

    def press(key: str) -> None:
        if key not in ("q", "g"):
            actions.press(monitor, key)
        elif not left.done():
            left.set_result(key)

    working = asyncio.gather(monitor.run(), _draw(monitor, display))
    with (
        _terminal(monitor, display, Keyboard(press), lambda: press("q")),
        _log_on_screen(monitor, display),
    ):
        try:
            ends: list[asyncio.Future[Any]] = [left, working]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if left.done():
                return left.result()
            working.result()  # it never ends but by an error
            return "q"
        except BaseExceptionGroup as several:
            raise cause(several) from None
        finally:
            working.cancel()
            actions.drop()
            with suppress(asyncio.CancelledError, BaseExceptionGroup):
                await working


async def _draw(monitor: GroupMonitor, display: Display) -> None:
    """Show the group whenever something has changed, and while it changes by itself; for ever."""
    while True:
        monitor.changed.clear()
        began = time.monotonic()
        write = display.prepare(monitor)
        took = time.monotonic() - began
        await asyncio.to_thread(write)
        # thousands of slots leave time for everything else, too
        await asyncio.sleep(max(APART, IDLE * took))
        with suppress(TimeoutError):
            async with asyncio.timeout(MOVING if monitor.is_moving() else None):
                await monitor.changed.wait()


@contextmanager
def _terminal(
    monitor: GroupMonitor, display: Display, keyboard: Keyboard, leave: Callable[[], None]
) -> Iterator[None]:
    """Have the terminal, follow its size, give it to the shell at Ctrl-Z, and give it back in the
    end, whatever that is.
    """
    loop = asyncio.get_running_loop()

    def take() -> None:
        display.take()
        keyboard.take()

    def give_back() -> None:
        keyboard.give_back()
        display.give_back()

    def suspend() -> None:
        give_back()
        loop.remove_signal_handler(signal.SIGTSTP)
        os.kill(os.getpid(), signal.SIGTSTP)  # stands still here until it is continued
        loop.add_signal_handler(signal.SIGTSTP, suspend)
        take()
        monitor.changed.set()

    handlers: dict[int, Callable[[], object]] = {
        signal.SIGWINCH: monitor.changed.set,
        signal.SIGTSTP: suspend,
    }
    handlers |= dict.fromkeys(ending_signals() - {signal.SIGINT}, leave)
    take()
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number in handlers:
            loop.remove_signal_handler(number)
        give_back()


@contextmanager
def _log_on_screen(monitor: GroupMonitor, display: Display) -> Iterator[None]:
    """Show on the screen what would be logged over it."""
    root = logging.getLogger()
    before = list(root.handlers)
    if display.is_whole_screen:
        root.handlers[:] = [_LogOnScreen(monitor)]
    try:
        yield
    finally:
        root.handlers[:] = before


class _LogOnScreen(logging.Handler):
    def __init__(self, monitor: GroupMonitor) -> None:
        super().__init__()
        self._monitor = monitor

    def emit(self, record: logging.LogRecord) -> None:
        self._monitor.said = record.getMessage()
        self._monitor.changed.set()


WATCH = (
    Verb(
        "watch",
        "[GROUP]",
        "Watch a group heal, and break it with a key: lanes, curve, plugins and events in this "
        "terminal",
        watch,
    ),
)
