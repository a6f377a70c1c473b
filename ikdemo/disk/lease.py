"""Directories that have one owner. The only place that locks one."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..spi.errors import InUse, PluginFailure
from .paths import path_of, refusal, shown

LOCK_PAUSE = 0.02
"""Seconds between two tries to take a lock file."""


class Lease:
    """Ownership of a directory by this process, from construction to ``release`` or death.

    The lock is on the directory itself, so no file can be deleted from under it, and the kernel
    gives it back the moment its owner dies. ``fd`` is the directory, for opening what is in it.
    """

    def __init__(self, directory: Path) -> None:
        """Take an existing directory; raises InUse when another process has it, PluginFailure when
        it cannot be opened.
        """
        self._directory, self._path = directory, os.fspath(directory)
        try:
            self.fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise refusal("open", directory, error) from None
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = _owner(os.fstat(self.fd))
            os.close(self.fd)
            raise InUse(f"{shown(directory)} is in use by {owner}") from None
        except OSError as error:
            os.close(self.fd)
            raise refusal("lock", directory, error) from None
        self._taken = os.fstat(self.fd)

    def holds(self) -> bool:
        """Say whether the path still leads to the directory that was taken."""
        try:
            return self.fd >= 0 and os.path.samestat(self._directory.stat(), self._taken)
        except OSError:
            return False

    def check_place(self) -> None:
        """Raise PluginFailure unless the path leads to the directory that was taken, by device and
        inode.
        """
        try:
            found = os.stat(self._path)  # noqa: PTH116  this comes before every answer, and a Path takes twice as long
        except OSError as error:
            raise refusal("open", self._directory, error) from None
        if found.st_ino != self._taken.st_ino or found.st_dev != self._taken.st_dev:
            raise PluginFailure(
                f"{shown(self._directory)} is another directory than the one that was taken: "
                "that one was moved away, unmounted, "
                "or has a file system mounted over it"
            )

    def is_removed(self) -> bool:
        """Say whether the directory that was taken was deleted: it held nothing any longer then,
        and cannot come back.
        """
        try:
            return os.fstat(self.fd).st_nlink == 0
        except OSError:
            return False

    def release(self) -> None:
        """Give the directory back; releasing twice is no error."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)


def _owner(directory: os.stat_result) -> str:
    """Name the process that holds the lock, as far as the kernel tells."""
    try:
        rows = Path("/proc/locks").read_text().splitlines()
    except OSError:
        rows = []
    for row in map(str.split, rows):  # 1: FLOCK ADVISORY WRITE pid major:minor:inode 0 EOF
        if row[1] == "FLOCK" and row[5].endswith(f":{directory.st_ino}") and int(row[4]) > 0:
            return f"pid {row[4]}"
    return "another process"


@contextmanager
def locked(directory: int, name: str, wait: float) -> Iterator[None]:
    """Hold the lock file ``name`` of an open directory, made where it is missing, from entry to
    exit, against other processes and threads.

    Raises InUse after ``wait`` seconds, OSError when the file cannot be had. Blocks its thread.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    lock = os.open(name, flags, 0o644, dir_fd=directory)
    try:
        until = time.monotonic() + wait
        while not _takes(lock):
            if time.monotonic() > until:
                raise InUse(
                    f"{shown(path_of(directory) / name)} is in use by {_owner(os.fstat(lock))} "
                    f"since {wait:.0f} s or more"
                )
            time.sleep(LOCK_PAUSE)
        yield
    finally:
        os.close(lock)


def _takes(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
