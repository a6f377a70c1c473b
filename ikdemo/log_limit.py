"""Bounds how many lines a plugin logs of what it does: while facts are few each has a line, and a
flood of them is counted.

``BURST`` lines of a kind may come within a second. How many were left out is said at its end, or
before the next line of another kind, so that the order is that of the facts. Levels, form and
stream are the program's. It counts in one thread, that of the event loop.
"""

from __future__ import annotations

import asyncio
import logging

BURST = 20
PERIOD = 1.0


class LineLimit:
    """Says of each line whether there is room for it. A kind is named in words, such as "instances
    provisioned".
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._room: dict[str, int] = {}
        self._left_out: dict[str, int] = {}
        # the one that will end the present second
        self._loop: asyncio.AbstractEventLoop | None = None

    def has_room(self, kind: str, level: int = logging.INFO) -> bool:
        """Say whether a line of this kind is to be logged now; false for one that is only counted,
        or not wanted.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # without a loop there is nothing that comes in floods
            return self._log.isEnabledFor(level)
        if loop is self._loop and not self._room.get(kind, BURST):
            self._left_out[kind] = self._left_out.get(kind, 0) + 1
            return False
        if not self._log.isEnabledFor(level):
            return False
        if loop is not self._loop:
            self._begin(loop)
        self._room[kind] = self._room.get(kind, BURST) - 1
        if self._left_out:
            self._sum_up()
        return True

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._room.clear()
        self._loop = loop
        loop.call_later(PERIOD, self._end, loop)

    def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        if loop is self._loop:
            self._loop = None
            self._sum_up()

    def _sum_up(self) -> None:
        left_out, self._left_out = self._left_out, {}
        for kind, number in left_out.items():
            self._log.info("%d more: %s", number, kind)
