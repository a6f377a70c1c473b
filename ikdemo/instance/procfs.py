"""What the kernel says of processes: which ones there are, who began them, what is in their
environment, who is still the same.

The only reader of ``/proc``. A pid alone names no process, it is given away again; a pid and its
start time in one boot do. A process is gone only when the kernel says so (ENOENT, ESRCH): anything
else that keeps us from looking raises PluginFailure.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from .. import disk
from ..boottime import since_boot

_PROC = "/proc"
_PART = 2**16
_TICKS = os.sysconf("SC_CLK_TCK")
_PF_KTHREAD = 0x00200000
_TRIES, _TRY_AGAIN = 10, 0.0002
"""Looks at a process that is just beginning its program, and the seconds between two of them."""


class Stat(NamedTuple):
    """One line of ``/proc/PID/stat``: ``start`` is in clock ticks since boot; a dead process not
    yet reaped is a zombie.
    """

    state: str
    parent: int
    group: int
    session: int
    flags: int
    start: int

    @property
    def lives(self) -> bool:
        return self.state not in "ZX"

    @property
    def is_kernel(self) -> bool:
        """Whether it is one of the kernel's own threads, which were never started with anything."""
        return bool(self.flags & _PF_KTHREAD)


def parse(line: bytes) -> Stat:
    """Read what stands after the program's name, which may itself hold blanks and brackets.

    >>> parse(b"7 (a) b) S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0")
    Stat(state='S', parent=1, group=7, session=7, flags=0, start=4711)
    """
    fields = line[line.rindex(b")") + 2 :].split()
    return Stat(
        fields[0].decode(),
        int(fields[1]),
        int(fields[2]),
        int(fields[3]),
        int(fields[6]),
        int(fields[19]),
    )


def stat(pid: int) -> Stat | None:
    """Return what is known of a process; None when there is none. Raises PluginFailure when that
    cannot be told.
    """
    line = _read(f"{pid}/stat")
    return parse(line) if line else None


def start_of(pid: int) -> int:
    """Return when a process began, in clock ticks since boot; 0 when there is none. Raises
    PluginFailure.
    """
    now = stat(pid)
    return now.start if now is not None else 0


def age_of(start: int) -> float:
    """Return the seconds since a process began, by the clock that no one sets and that counts while
    the machine sleeps.
    """
    return max(0.0, since_boot() - start / _TICKS)


@cache
def boot() -> str:
    """Return what names this boot of the machine; start times of another boot mean nothing. Raises
    PluginFailure.
    """
    return (_read("sys/kernel/random/boot_id") or b"").decode().strip()


def pids() -> list[int]:
    """Return every process there is; raises PluginFailure."""
    try:
        return [int(name) for name in os.listdir(_PROC) if name.isdecimal()]  # noqa: PTH208  names, not paths: thousands of them
    except OSError as error:
        raise disk.refusal("read", _PROC, error) from None


def children(parent: int) -> list[int]:
    """Return the processes that a process began and that have not been reaped; raises
    PluginFailure.
    """
    found = ((pid, stat(pid)) for pid in pids())
    return [pid for pid, one in found if one is not None and one.parent == parent]


def members(leader: int, start: int) -> list[int]:
    """Return the living processes of a group by its leader's pid, whether or not the leader still
    lives.

    Empty when the pid belongs to another process by now: the kernel gives it away only when the
    group is empty.
    """
    now = stat(leader)
    if now is not None and now.start != start:
        return []
    found = ((pid, stat(pid)) for pid in pids())
    return [
        pid
        for pid, one in found
        if one is not None and one.lives and one.group == one.session == leader
    ]


def environment(pid: int) -> dict[bytes, bytes]:
    """Return what a process was started with; nothing of one that is gone, or of another user's.
    Raises PluginFailure.

    Between two programs a process shows neither an environment nor a command; it is looked at again
    then.
    """
    for _ in range(_TRIES):
        text = _read(f"{pid}/environ", others=True)
        if text or text is None or _read(f"{pid}/cmdline", others=True):
            break
        if (now := stat(pid)) is None or not now.lives or now.is_kernel:
            break
        time.sleep(_TRY_AGAIN)
    text = text or b""
    return dict(row.partition(b"=")[::2] for row in text.split(b"\0") if row)


def with_variable(name: str) -> Iterator[tuple[int, dict[bytes, bytes]]]:
    """Yield every living process that was started with this environment variable, and its
    environment.
    """
    wanted = os.fsencode(name)
    for pid in pids():
        variables = environment(pid)
        if wanted in variables:
            yield pid, variables


def hold(pid: int, start: int, what: str) -> int:
    """Return a descriptor of the process that began at ``start``, which is readable when it has
    ended; ``what`` names it.

    Raises ProcessLookupError when it is gone, PluginFailure in doubt.
    """
    refused: OSError | None = None
    pidfd = -1
    try:
        pidfd = os.pidfd_open(pid)  # first held, then looked at: it cannot change in between
    except ProcessLookupError:
        raise
    except OSError as error:  # none is left, or the number is a thread's by now
        refused = error
    try:
        now = stat(pid)
        if now is None or now.start != start:
            raise ProcessLookupError(pid)
        if refused is not None:
            raise disk.refusal("hold", what, refused)
    except BaseException:
        if pidfd >= 0:
            os.close(pidfd)
        raise
    return pidfd


def kill(pid: int, start: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Signal a process if it is still the one that began at ``start``; one that is gone is no
    error. Raises PluginFailure.
    """
    try:
        held = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    except OSError as error:
        raise disk.refusal("signal", f"{_PROC}/{pid}", error) from None
    try:
        now = stat(pid)
        if now is not None and now.start == start:
            signal.pidfd_send_signal(held, number)
    except ProcessLookupError:
        pass
    except OSError as error:
        raise disk.refusal("signal", f"{_PROC}/{pid}", error) from None
    finally:
        os.close(held)


def _read(name: str, *, others: bool = False) -> bytes | None:
    """Return what a file of ``/proc`` holds; None when it, or its process, is no more, or for
    ``others`` another user's.
    """
    path, parts = f"{_PROC}/{name}", []
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            while part := os.read(file, _PART):
                parts.append(part)
        finally:
            os.close(file)
    except (FileNotFoundError, ProcessLookupError):
        return None
    except PermissionError as error:
        if others:
            return None
        raise disk.refusal("read", path, error) from None
    except OSError as error:
        raise disk.refusal("read", path, error) from None
    return b"".join(parts)
