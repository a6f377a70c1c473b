"""The instance files that appear in a directory, as the kernel tells of them: nobody lists the
directory while time is taken.

Ours appear by a rename, InfraKit's by their creation; nothing else is asked for, as each notice
costs the watcher, and the plugin too. Called by ``trio``.
"""

from __future__ import annotations

import time
from pathlib import Path

from inotify_simple import INotify, flags

MANY = 100
"""While more are missing than this, notices are read in heaps: the watcher is not to compete with
what it watches.
"""
HEAP = 0.002
"""Seconds in which a heap gathers."""


class Arrivals:
    """A watch on one directory, from construction to ``close``. ``created``: files may also appear
    by their creation.
    """

    def __init__(self, directory: Path, *, created: bool) -> None:
        self._inotify = INotify()
        self._inotify.add_watch(
            directory, flags.MOVED_TO | flags.CREATE if created else flags.MOVED_TO
        )
        self._names: list[str] = []

    def wait_for(self, count: int, patience: float) -> tuple[float, list[str]]:
        """Wait until so many files came since the last time; return the time of the last and all
        their names.
        """
        until = time.monotonic() + patience
        while len(self._names) < count:
            left = until - time.monotonic()
            if left <= 0:
                raise SystemExit(
                    f"{len(self._names)} of {count} instance files after {patience:.0f} s"
                )
            if count - len(self._names) > MANY:
                time.sleep(HEAP)
            for event in self._inotify.read(timeout=int(left * 1000)):
                if event.mask & flags.Q_OVERFLOW:
                    raise SystemExit("more files came at once than the kernel tells of")
                if event.name.startswith("instance-"):
                    self._names.append(event.name)
        at, names, self._names = time.perf_counter(), self._names[:count], self._names[count:]
        return at, names

    def close(self) -> None:
        """Stop watching."""
        self._inotify.close()
