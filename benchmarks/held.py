"""What processes hold and use, as the kernel tells of it: memory, processor time.

Called by ``trio``, ``resting`` and ``fleet``.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def busy(pid: int) -> float:
    """Return the seconds for which the threads of a process have run, to the nanosecond."""
    nanoseconds = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError):  # a thread that ended meanwhile
            nanoseconds += int((task / "schedstat").read_text().split()[0])
    return nanoseconds / 1e9


def used(pid: int) -> float:
    """Return the seconds of processor time that a process has used, its ended threads included, to
    a hundredth.
    """
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def status(pid: int) -> dict[str, str]:
    """Return what the kernel says of a process, by its names."""
    return dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())


def memory(pid: int) -> tuple[float, float]:
    """Return what a process holds and the most that it held, resident, in millions of bytes."""
    told = status(pid)
    now, most = (int(told[name].split()[0]) * 1024 / 1e6 for name in ("VmRSS", "VmHWM"))
    return now, most
