"""One running instance: the process group behind a record, its end noticed at once, and how it is
ended.

A group lives in a session of its own. As long as its dead leader is not reaped the leader's pid is
not given away, so the rest of the group is killed before that. What left the group, or is left
where another process reaps (after a restart of the plugin), is found by ``descendants``.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress

from ... import disk
from ...spi.errors import PluginFailure
from .. import procfs
from ..common import EARLY, FROM_OUTSIDE, ExitReason
from .descendants import ProcessScans, alive_of
from .process_record import ProcessRecord

AFTER_KILL = 5.0
"""Seconds that a killed process may take to be gone; it is longer only when the kernel itself is
stuck.
"""
STEP = 0.02
"""Seconds between two looks at a group whose leader has ended."""


class ProcessGroup:
    """A process group by its leader, and all else that it started, from ``ProcessGroup(...)`` until
    it has ended or ``release``.

    ``ended`` is called once, when the leader ends without ``end`` having been asked for; its group
    has been killed by then, and ``clear`` ends the rest. ``is_ending``: it was asked for.
    ``owner``: the mark of its plugin's directory.
    """

    def __init__(
        self,
        record: ProcessRecord,
        owner: str,
        scans: ProcessScans,
        ended: Callable[[ProcessGroup, ExitReason], None],
    ) -> None:
        """Hold the process of a record; raises ProcessLookupError when it is no more, or is another
        one by now.

        Raises PluginFailure when that cannot be told, or the process cannot be held for want of
        descriptors or memory.
        """
        self.record = record
        self.is_ending = False
        self._owner, self._scans, self._ended = owner, scans, ended
        self._gone = asyncio.Event()
        self._pidfd = _hold(record)
        try:
            asyncio.get_running_loop().add_reader(self._pidfd, self._on_exit)
        except OSError as error:
            os.close(self._pidfd)
            raise disk.refusal(
                "watch", f"the process of {record.id} (pid {record.pid})", error
            ) from None

    async def end(self, grace: float) -> None:
        """Ask all that belongs to it to end, kill it after ``grace`` seconds, and return when
        nothing of it is left.

        Raises PluginFailure when the kernel cannot end it, or it cannot be told what there is to
        end: then nothing was done yet, or the rest is done when this is asked again.
        """
        self.is_ending = True
        try:
            await self._end(time.monotonic() + grace)
        except PluginFailure:
            self.is_ending = False
            raise

    async def _end(self, deadline: float) -> None:
        # while the leader lives: what it began is still to be found by its parents
        known = await self._belonging()
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)  # a stopped process ends only when it may go on
        for number in (signal.SIGTERM, signal.SIGCONT):
            self._signal_others(known, number)
        if not await self._is_gone(deadline - time.monotonic()):
            self._signal(signal.SIGKILL)
            if not await self._is_gone(AFTER_KILL):
                raise PluginFailure(
                    f"{self.record.id} (pid {self.record.pid}) does not end although it was killed"
                )
        while self._alive_of(known) and time.monotonic() < deadline:  # noqa: ASYNC110  the kernel has no event for that
            await asyncio.sleep(STEP)
        await self.clear(known)

    async def clear(self, known: Mapping[int, int] | None = None) -> None:
        """Kill all that is left of it after its leader, also what left its group; ``known``: what
        was seen of it before.

        Raises PluginFailure when it cannot be told what there is, or that does not end.
        """
        deadline, known = time.monotonic() + AFTER_KILL, dict(known or {})
        while left := await self._belonging(known):
            if time.monotonic() > deadline:
                raise PluginFailure(
                    f"of {self.record.id} the processes {sorted(left)} do not end although they "
                    "were killed"
                )
            known |= left
            self._signal_others(left, signal.SIGKILL)
            while self._alive_of(left) and time.monotonic() < deadline:  # noqa: ASYNC110
                await asyncio.sleep(STEP)

    @property
    def has_ended(self) -> bool:
        """Whether the leader is no more."""
        return self._gone.is_set()

    def release(self) -> None:
        """Hold the process no longer; it goes on."""
        if self._pidfd >= 0:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1

    async def _belonging(self, known: Mapping[int, int] | None = None) -> dict[int, int]:
        """Return pid and start time of everything that belongs to it now; raises PluginFailure."""
        record = self.record
        processes = await self._scans.scan(record.start)
        found = processes.of_instance(record.id, self._owner, record.pid, record.start)
        same = [
            pid
            for pid, start in (known or {}).items()
            if pid in processes.stats and processes.stats[pid].start == start
        ]
        return found | processes.descendants(same)

    def _alive_of(self, known: Mapping[int, int]) -> Collection[int]:
        with self._scans.spare_descriptors:
            return alive_of(known)

    def _signal_others(self, known: Mapping[int, int], number: signal.Signals) -> None:
        """Signal processes one by one, but the leader: that one is held. Those that may not be
        signalled live on.
        """
        with self._scans.spare_descriptors:
            for pid, start in known.items():
                if pid != self.record.pid:
                    with suppress(PluginFailure):
                        procfs.kill(pid, start, number)

    async def _is_gone(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._gone.wait()
        except TimeoutError:
            return self._gone.is_set()
        return True

    def _signal(self, number: int) -> None:
        """Signal the whole group; only while its leader is held and not reaped, or a member of it
        is left.
        """
        if self._gone.is_set():
            return
        try:
            os.killpg(self.record.pid, number)
        except (ProcessLookupError, PermissionError):
            pass

    def _on_exit(self) -> None:
        """The leader has ended: finish its group unless that is being done, reap it, and tell."""
        if not self.is_ending and self._is_child():
            self._signal(signal.SIGKILL)  # its pid is still its own, for it is not reaped yet
        reason = self._reap()
        self.release()
        self._gone.set()
        if not self.is_ending:
            self._ended(self, reason)

    def _is_child(self) -> bool:
        try:
            return (
                os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
            )
        except ChildProcessError:
            return False

    def _reap(self) -> ExitReason:
        age = procfs.age_of(self.record.start)
        try:
            result = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)
        except ChildProcessError:
            return ExitReason(
                "early" if age < EARLY else "unknown",
                f"ended after {age:.1f} s; how is not known, its plugin was restarted meanwhile",
            )
        status = result.si_status if result else 0
        if result is None or result.si_code == os.CLD_EXITED:
            # so a shell passes a signal on
            number, text = status - 128, f"exited with status {status} after {age:.1f} s"
        else:
            name = signal.Signals(status).name if status in set(signal.Signals) else str(status)
            number, text = status, f"was ended by {name} after {age:.1f} s"
        if number not in FROM_OUTSIDE:
            return ExitReason("died", text)
        return ExitReason("early" if age < EARLY else "killed", text)


def _hold(record: ProcessRecord) -> int:
    """Return a descriptor of a record's process; raises ProcessLookupError when it is gone,
    PluginFailure in doubt.
    """
    if record.boot != procfs.boot():
        raise ProcessLookupError(record.pid)
    return procfs.hold(record.pid, record.start, f"the process of {record.id} (pid {record.pid})")
