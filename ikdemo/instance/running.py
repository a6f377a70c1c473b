"""One running instance: the process group behind a record, its end noticed at once, and how it is ended.

A group lives in a session of its own. As long as its dead leader is not reaped the leader's pid is nobody else's, so the rest
of the group is killed before that; where somebody else reaps (after a restart of the plugin) the rest is looked for by group
and session. Made by ``living``.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from typing import NamedTuple

from ..spi.errors import PluginFailure
from . import procfs
from .register import Record

AFTER_KILL = 5.0
"""Seconds that a killed process may take to be gone; it is longer only when the kernel itself is stuck."""
STEP = 0.02
"""Seconds between two looks at a group whose leader has ended."""
BEGINNING = 1.0
"""Seconds of life after which a signal from outside is surely somebody's doing, and not a way of failing to start."""
FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Ending(NamedTuple):
    """How a leader ended. ``code``: "died" by itself, or "killed" by somebody, which says nothing against its command.

    "early" where it may be either, as it was ended in its first second. "unknown" where somebody else reaped it, or nobody was
    there; it lived on through a restart of the plugin, so its command can live.
    """

    code: str
    text: str


class Running:
    """A process group by its leader, from ``Running(...)`` until it has ended or ``let_go``.

    ``ended`` is called once, when the leader ends without ``end`` having been asked for; what was left of its group has been
    killed by then. ``is_ending``: it was asked for.
    """

    def __init__(self, record: Record, ended: Callable[[Running, Ending], None]) -> None:
        """Hold the process of a record; raises ProcessLookupError when it is no more, or is another one by now."""
        self.record = record
        self.is_ending = False
        self._ended = ended
        self._gone = asyncio.Event()
        self._held = os.pidfd_open(record.pid)  # first held, then looked at: it cannot change in between
        now = procfs.stat(record.pid)
        if record.boot != procfs.boot() or now is None or now.start != record.start:
            os.close(self._held)
            raise ProcessLookupError(record.pid)
        asyncio.get_running_loop().add_reader(self._held, self._noticed)

    async def end(self, grace: float) -> None:
        """Ask the whole group to end, kill it after ``grace`` seconds, and return when nothing of it is left.

        Raises PluginFailure when the kernel cannot end it.
        """
        self.is_ending = True
        deadline = time.monotonic() + grace
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)  # a stopped process ends only when it may go on
        if not await self._is_gone(grace):
            self._signal(signal.SIGKILL)
            if not await self._is_gone(AFTER_KILL):
                self.is_ending = False
                raise PluginFailure(f"{self.record.id} (pid {self.record.pid}) does not end although it was killed")
        await self._is_deserted(deadline)
        for pid in self._rest():
            self._kill(pid)
        await self._is_deserted(time.monotonic() + AFTER_KILL)

    def let_go(self) -> None:
        """Hold the process no longer; it goes on."""
        if self._held >= 0:
            asyncio.get_running_loop().remove_reader(self._held)
            os.close(self._held)
            self._held = -1

    async def _is_deserted(self, deadline: float) -> None:
        """Wait until nobody is left of the group of an ended leader; the kernel has no event for that."""
        while self._rest() and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(STEP)

    async def _is_gone(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._gone.wait()
        except TimeoutError:
            return False
        return True

    def _signal(self, number: int) -> None:
        """Signal the whole group; only while its leader is held and not reaped, or somebody of it is left."""
        if self._gone.is_set():
            return
        try:
            os.killpg(self.record.pid, number)
        except (ProcessLookupError, PermissionError):
            pass

    def _noticed(self) -> None:
        """The leader has ended: finish its group unless that is being done, reap it, and tell."""
        if not self.is_ending and self._is_child():
            self._signal(signal.SIGKILL)  # its pid is still its own, for it is not reaped yet
        ending = self._reap()
        self.let_go()
        self._gone.set()
        if self.is_ending:
            return
        for pid in self._rest():
            self._kill(pid)
        self._ended(self, ending)

    def _is_child(self) -> bool:
        try:
            return os.waitid(os.P_PIDFD, self._held, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return False

    def _reap(self) -> Ending:
        age = time.time() - self.record.began
        try:
            result = os.waitid(os.P_PIDFD, self._held, os.WEXITED | os.WNOHANG)
        except ChildProcessError:
            return Ending(
                "early" if age < BEGINNING else "unknown",
                f"ended after {age:.1f} s; how is not known, its plugin was restarted meanwhile",
            )
        status = result.si_status if result else 0
        if result is None or result.si_code == os.CLD_EXITED:
            number, text = status - 128, f"exited with status {status} after {age:.1f} s"  # so a shell passes a signal on
        else:
            name = signal.Signals(status).name if status in set(signal.Signals) else str(status)
            number, text = status, f"was ended by {name} after {age:.1f} s"
        if number not in FROM_OUTSIDE:
            return Ending("died", text)
        return Ending("early" if age < BEGINNING else "killed", text)

    def _rest(self) -> list[int]:
        """Return who is left of the group after its leader; the kernel is asked the short question first."""
        try:
            os.killpg(self.record.pid, 0)
        except ProcessLookupError:
            return []
        except PermissionError:
            pass
        return procfs.members(self.record.pid, self.record.start)

    def _kill(self, pid: int) -> None:
        if (now := procfs.stat(pid)) is not None and now.group == self.record.pid:
            procfs.kill(pid, now.start)
