"""What the kernel says of processes: who is in a process group, what is in its environment, who is still the same.

The only reader of ``/proc``. A pid alone is nobody's name, it is given away again; a pid and its start time in one boot are.
Called by ``running``, ``strays`` and ``process``.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_PROC = "/proc"


class Stat(NamedTuple):
    """One line of ``/proc/PID/stat``: ``start`` is in clock ticks since boot; a dead process not yet reaped is a zombie."""

    state: str
    group: int
    session: int
    start: int

    @property
    def lives(self) -> bool:
        return self.state not in "ZX"


def parse(line: bytes) -> Stat:
    """Read what stands after the program's name, which may itself hold blanks and brackets.

    >>> parse(b"7 (a) b) S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0")
    Stat(state='S', group=7, session=7, start=4711)
    """
    fields = line[line.rindex(b")") + 2 :].split()
    return Stat(fields[0].decode(), int(fields[2]), int(fields[3]), int(fields[19]))


def stat(pid: int) -> Stat | None:
    """Return what is known of a process; None when there is none."""
    try:
        return parse(Path(_PROC, str(pid), "stat").read_bytes())
    except (OSError, ValueError):
        return None


def start_of(pid: int) -> int:
    """Return when a process began, in clock ticks since boot; 0 when there is none."""
    now = stat(pid)
    return now.start if now is not None else 0


def boot() -> str:
    """Return what names this boot of the machine; start times of another boot mean nothing."""
    try:
        return Path(_PROC, "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def pids() -> list[int]:
    """Return every process there is."""
    return [int(name) for name in os.listdir(_PROC) if name.isdecimal()]  # noqa: PTH208  names, not paths: thousands of them


def members(leader: int, start: int) -> list[int]:
    """Return the living processes of a group by its leader's pid, whether or not the leader still lives.

    Empty when the pid belongs to another process by now: the kernel gives it away only when nobody is left in the group.
    """
    now = stat(leader)
    if now is not None and now.start != start:
        return []
    found = ((pid, stat(pid)) for pid in pids())
    return [pid for pid, one in found if one is not None and one.lives and one.group == one.session == leader]


def with_variable(name: str) -> Iterator[tuple[int, dict[bytes, bytes]]]:
    """Yield every living process that was started with this environment variable, and its environment."""
    wanted = os.fsencode(f"{name}=")
    for pid in pids():
        try:
            variables = Path(_PROC, str(pid), "environ").read_bytes().split(b"\0")
        except OSError:
            continue  # somebody else's, or gone meanwhile
        if any(row.startswith(wanted) for row in variables):
            yield pid, dict(row.partition(b"=")[::2] for row in variables if row)


def kill(pid: int, start: int) -> None:
    """Kill a process if it is still the one that began at ``start``; one that is gone is no error."""
    try:
        held = os.pidfd_open(pid)
    except OSError:
        return
    try:
        now = stat(pid)
        if now is not None and now.start == start:
            signal.pidfd_send_signal(held, signal.SIGKILL)
    except ProcessLookupError:
        pass
    finally:
        os.close(held)
