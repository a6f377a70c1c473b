"""The verb ``ikdemo watch``: a group on a stage in the terminal, to see it heal and to break it
with a key.

``stage`` knows what is to be seen and keeps it up to date, ``deeds`` has what keys do, ``keyboard``
reads them, ``frame`` draws, ``screen`` owns the terminal, ``plain`` tells the same in words where
there is no screen; here is who begins, and what ends it. All of it is in the thread of the event
loop, but for writing. Loaded by ``commands``.
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
from ...connections import peers
from ...event_merge import cause
from ..groups import listed

if TYPE_CHECKING:
    from ....rpc.peers import Peers
    from .stage import Stage
    from .terminal import Keyboard

APART, MOVING = 0.1, 0.25
"""Seconds between two pictures at least, and between two while they change by themselves."""
IDLE = 9
"""Times as long as drawing took, at least, that nothing is drawn."""


class Surface(Protocol):
    """Where a stage is shown: ``prepare`` draws, and what it returns writes."""

    is_whole_screen: bool

    def take(self) -> None: ...
    def give_back(self) -> None: ...
    def prepare(self, stage: Stage) -> Callable[[], None]: ...


async def watch(call: Invocation) -> None:
    async with peers(call.directory) as found:
        groups = await _groups(found, call["name"])
        group = call.arguments[0] if call.arguments else groups[0]
        from .stage import Stage

        stage = Stage(found, call.directory, call["name"], group)
        await stage.begin()
        surface = _surface()
        while await _show(stage, surface) == "g":
            stage = await _next(
                stage, Stage(found, call.directory, call["name"], await _after(stage))
            )


async def _groups(found: Peers, name: str) -> list[str]:
    groups = [spec.id for spec in await listed(await found.group(name))]
    if not groups:
        raise PluginFailure(
            f"No group is kept by {name!r} yet, so there is nothing to watch: infrakit group "
            "commit FILE"
        )
    return groups


async def _after(stage: Stage) -> str:
    """Return the group after the one on the stage, which is itself when there is no other, or
    nobody can tell.
    """
    with suppress(IkdemoError):
        groups = await _groups(stage.found, stage.keeper)
        return next((group for group in groups if group > stage.group), groups[0])
    return stage.group


async def _next(before: Stage, after: Stage) -> Stage:
    """Return the next stage, or the one before when there is no other, or it cannot be seen."""
    if after.group == before.group:
        before.say("There is no other group.")
        return before
    try:
        await after.begin()
    except IkdemoError as error:
        before.say(f"{error}.")
        return before
    return after


def _surface() -> Surface:
    """Return a whole screen where there is one, else a surface that tells in words; raises
    IkdemoError if Rich is missing.
    """
    from .plain import Plain

    if not sys.stdout.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        return Plain()
    try:
        from .terminal import Screen, can_show
    except ModuleNotFoundError:
        raise IkdemoError(
            "ikdemo watch draws with Rich, which is not installed: pip install 'ikdemo[watch]'"
        ) from None
    return Screen() if can_show() else Plain()


async def _show(stage: Stage, surface: Surface) -> str:
    """Show a stage until a key, a signal or a failure ends that; return the key."""
    from .actions import Hands
    from .terminal import Keyboard

    left: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    hands = Hands()

    def press(key: str) -> None:
        if key not in ("q", "g"):
            hands.press(stage, key)
        elif not left.done():
            left.set_result(key)

    working = asyncio.gather(stage.run(), _draw(stage, surface))
    with _terminal(stage, surface, Keyboard(press), lambda: press("q")), _log_on(stage, surface):
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
            hands.drop()
            with suppress(asyncio.CancelledError, BaseExceptionGroup):
                await working


async def _draw(stage: Stage, surface: Surface) -> None:
    """Show the stage whenever something has changed, and while it changes by itself; for ever."""
    while True:
        stage.changed.clear()
        began = time.monotonic()
        write = surface.prepare(stage)
        took = time.monotonic() - began
        await asyncio.to_thread(write)
        # thousands of slots leave time for everything else, too
        await asyncio.sleep(max(APART, IDLE * took))
        with suppress(TimeoutError):
            async with asyncio.timeout(MOVING if stage.is_moving() else None):
                await stage.changed.wait()


@contextmanager
def _terminal(
    stage: Stage, surface: Surface, keyboard: Keyboard, leave: Callable[[], None]
) -> Iterator[None]:
    """Have the terminal, follow its size, give it to the shell at Ctrl-Z, and give it back in the
    end, whatever that is.
    """
    loop = asyncio.get_running_loop()

    def take() -> None:
        surface.take()
        keyboard.take()

    def give_back() -> None:
        keyboard.give_back()
        surface.give_back()

    def suspend() -> None:
        give_back()
        loop.remove_signal_handler(signal.SIGTSTP)
        os.kill(os.getpid(), signal.SIGTSTP)  # stands still here until it is continued
        loop.add_signal_handler(signal.SIGTSTP, suspend)
        take()
        stage.changed.set()

    handlers: dict[int, Callable[[], object]] = {
        signal.SIGWINCH: stage.changed.set,
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
def _log_on(stage: Stage, surface: Surface) -> Iterator[None]:
    """Show on the stage what would be logged over it."""
    root = logging.getLogger()
    before = list(root.handlers)
    if surface.is_whole_screen:
        root.handlers[:] = [_OnStage(stage)]
    try:
        yield
    finally:
        root.handlers[:] = before


class _OnStage(logging.Handler):
    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._stage = stage

    def emit(self, record: logging.LogRecord) -> None:
        self._stage.said = record.getMessage()
        self._stage.changed.set()


VERBS = (
    Verb(
        "watch",
        "[GROUP]",
        "Watch a group heal, and break it with a key: lanes, curve, plugins and events in this "
        "terminal",
        watch,
    ),
)
