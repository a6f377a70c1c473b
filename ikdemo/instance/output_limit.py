"""Keeps the outputs of instances short while they are written: cuts a file soon after the kernel
says that it grew.

The bound: ``KEPT`` bytes, and what an instance writes until its file is looked at and cut: at most
``LATER`` seconds and the time that the machine takes for it (some 20 MB of a program that does
nothing else, more when many do so at once). While the plugin is away or is stopped nothing is cut,
as instances write on without it; its next start cuts at once. Where the kernel notices nothing
every file is looked at each ``EVERY`` seconds. Cutting is done in a thread, for an instance that
writes holds the file.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from .notices import MODIFIED, Notices
from .output import KEPT, cut

SOON, LATER = 0.005, 0.02
"""Seconds between two looks at outputs that grow: while they have to be cut, and the most after
doubling while they have not.
"""
EVERY = 1.0
"""Seconds between two looks at all outputs, for file systems that notice nothing."""


class OutputLimit:
    """The looks at the outputs of a plugin's instances, from construction to ``stop``. ``alive``
    returns their IDs, ``outputs_of`` the files that an instance writes.
    """

    def __init__(
        self,
        alive: Callable[[], Iterable[str]],
        outputs_of: Callable[[str], Iterable[Path]],
        directory: int | None = None,
    ) -> None:
        """Begin, with a look at everything; a kernel that gives no watch is no error.

        ``directory``: a descriptor of the one in which each output is, as ``INSTANCE.log``; None
        where they are elsewhere, so that the kernel tells of none.
        """
        self._alive, self._outputs_of = alive, outputs_of
        self._loop = asyncio.get_running_loop()
        self._grew = asyncio.Event()
        self._notices: Notices | None = None
        if directory is not None:
            try:
                self._notices = Notices(directory, MODIFIED)
            except OSError:
                pass
        self._task = asyncio.create_task(self._cut(), name="cutting of outputs")

    async def stop(self) -> None:
        """Look no more; a cut that was begun is finished."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self.drop()

    def drop(self) -> None:
        """Look no more, and wait for nothing."""
        self._task.cancel()
        if self._notices is not None:
            self._loop.remove_reader(self._notices.fileno())
            self._notices.close()
            self._notices = None

    async def _cut(self) -> None:
        pause, looked_at_all = LATER, 0.0
        while True:
            if self._loop.time() - looked_at_all >= EVERY:
                looked_at_all, grown = self._loop.time(), set(self._alive())
            else:
                grown = self._grown()
            long = [
                log
                for instance in grown
                for log in self._outputs_of(instance)
                if _length(log) > KEPT
            ]
            if long:
                cutting = asyncio.to_thread(_cut_all, long)
                await asyncio.shield(asyncio.ensure_future(cutting))
            pause = SOON if long else min(LATER, 2 * pause)
            await asyncio.sleep(pause)  # who writes all the time costs little
            await self._wait(looked_at_all + EVERY)

    async def _wait(self, until: float) -> None:
        """Wait until something grew, or until it is time for a look at everything."""
        self._grew.clear()
        if self._notices is not None:
            self._loop.add_reader(self._notices.fileno(), self._noticed)
        try:
            async with asyncio.timeout_at(until):
                await self._grew.wait()
        except TimeoutError:
            pass

    def _noticed(self) -> None:
        assert self._notices is not None
        self._loop.remove_reader(self._notices.fileno())
        self._grew.set()

    def _grown(self) -> set[str]:
        """Return the living whose output grew since this was asked last; all of them when that
        cannot be told.
        """
        noticed = self._notices.take() if self._notices is not None else None
        known = set(self._alive())
        return known if noticed is None else known & {name.removesuffix(".log") for name in noticed}


def _cut_all(logs: Iterable[Path]) -> None:
    for log in logs:
        cut(log)


def _length(log: Path) -> int:
    try:
        return os.stat(log).st_size  # noqa: PTH116  many times a second
    except OSError:
        return 0
