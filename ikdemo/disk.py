"""Directories that have one owner, and files that are there wholly or not at all.

The only place that locks a directory, makes up temporary names and opens files by hand.
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .spi.errors import CorruptState, InUse, PluginFailure, SpecError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_TEMPORARY = re.compile(r"\.ikdemo-\d+-\d+\.tmp")
_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a FIFO"}
_NO_FILE = {
    errno.ELOOP: "is a symbolic link, not a file",
    errno.ENXIO: "is a socket, not a file",
}
_serial = itertools.count()
LOCK_PAUSE = 0.02
"""Seconds between two tries to take a lock file."""


def check_name(name: str) -> str:
    """Return ``name`` if it may become the name of a file; raises SpecError.

    >>> check_name("instance-1")
    'instance-1'
    """
    if not _NAME.fullmatch(name):
        expected = (
            "1 to 128 letters, digits, dots, dashes and underscores, the first one a "
            "letter or digit"
        )
        raise SpecError(f"{name!a} cannot be a file's name: expected {expected}", expected=expected)
    return name


def shown(path: Path | str) -> str:
    """Return a path as text that can be sent: what is no UTF-8 in it is replaced."""
    return os.fsencode(path).decode("utf-8", "replace")


def refusal(verb: str, path: Path | str, error: OSError) -> PluginFailure:
    """Put what the system refused into InfraKit's words, such as ``open DIR: no such file or
    directory``.
    """
    return PluginFailure(f"{verb} {shown(path)}: {(error.strerror or str(error)).lower()}")


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
def opened(directory: Path) -> Iterator[int]:
    """Hold a directory open, for what is done in it; raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


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


def write_atomic(
    directory: int | Path, name: str, data: bytes, *, mode: int = 0o644, durable: bool = False
) -> os.stat_result:
    """Write a file so that readers see the old one or the whole new one; return what ``stat`` says
    of it.

    ``directory`` is a path or an open directory. With ``durable`` it survives a power cut once this
    returns. Killed half-way leaves the old file, and a temporary one for ``clear_leftovers``.
    Raises PluginFailure when the system refuses.
    """
    if isinstance(directory, Path):
        try:
            with opened(directory) as descriptor:
                return write_atomic(descriptor, name, data, mode=mode, durable=durable)
        except OSError as error:
            raise refusal("open", directory, error) from None
    temporary = ""
    try:
        temporary, fd = _create(directory, mode)
        try:
            _write_all(fd, data)
            if durable:
                os.fsync(fd)
            written = os.fstat(fd)
        finally:
            os.close(fd)
        os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
        if durable:
            os.fsync(directory)
    except OSError as error:
        _unlink_quietly(directory, temporary)
        raise refusal(
            "open" if not temporary else "write", path_of(directory) / name, error
        ) from None
    return written


def check_writable(directory: int) -> None:
    """Raise PluginFailure when no file can be made in an open directory."""
    try:
        temporary, fd = _create(directory, 0o600)
    except OSError as error:
        raise refusal("write to", path_of(directory), error) from None
    os.close(fd)
    _unlink_quietly(directory, temporary)


def _create(directory: int, mode: int) -> tuple[str, int]:
    """Create a temporary file of a name that nothing reads; raises OSError."""
    while True:
        name = f".ikdemo-{os.getpid()}-{next(_serial)}.tmp"
        try:
            return name, os.open(
                name,
                os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC,
                mode,
                dir_fd=directory,
            )
        except FileExistsError:
            continue


def _write_all(fd: int, data: bytes) -> None:
    written = os.write(fd, data)
    while written < len(data):
        written += os.write(fd, memoryview(data)[written:])


def _unlink_quietly(directory: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=directory)
    except OSError:
        pass


def path_of(directory: int) -> Path:
    """Return where an open directory is."""
    return Path(f"/proc/self/fd/{directory}").readlink()


def keep_last(directory: Path, name: str, copy: str) -> None:
    """Keep the file as it is now under the name ``copy`` as well, before it is replaced; a missing
    one is no error.

    The copy is the file itself until a new one takes its name, so this costs nothing and is whole
    at every moment.
    """
    temporary = directory / f".ikdemo-{os.getpid()}-{next(_serial)}.tmp"
    try:
        os.link(directory / name, temporary, follow_symlinks=False)
        temporary.rename(directory / copy)
        temporary.unlink(missing_ok=True)  # a rename onto itself leaves both names
    except FileNotFoundError:
        pass
    except OSError as error:
        raise refusal("link", directory / name, error) from None


def sync_directory(directory: Path) -> None:
    """Make earlier renames and deletions in a directory survive a power cut."""
    with opened(directory) as descriptor:
        os.fsync(descriptor)


def clear_leftovers(directory: int | Path) -> None:
    """Remove what killed writers left half-written; only the directory's owner may call this.
    Raises PluginFailure.
    """
    try:
        with os.scandir(directory) as entries:
            found = [
                entry.path
                for entry in entries
                if _TEMPORARY.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)
            ]
        for leftover in found:
            os.unlink(leftover, dir_fd=directory if isinstance(directory, int) else None)
    except OSError as error:
        raise refusal(
            "clear", directory if isinstance(directory, Path) else path_of(directory), error
        ) from None


def read_regular(directory: int, name: str, limit: int) -> tuple[bytes, os.stat_result]:
    """Read a regular file of at most ``limit`` bytes, following no link; return it and what
    ``stat`` said of it before.

    Raises CorruptState, saying what it is instead, and OSError when that cannot be told, or the
    file may not be read.
    """
    try:
        fd = os.open(
            name,
            os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC,
            dir_fd=directory,
        )
    except OSError as error:
        if error.errno in _NO_FILE:
            raise CorruptState(_NO_FILE[error.errno]) from None
        raise
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise CorruptState(
                f"is {_KINDS.get(stat.S_IFMT(found.st_mode), 'a device')}, not a file"
            )
        data = os.read(fd, limit + 1) if found.st_size <= limit else b""
        if max(len(data), found.st_size) > limit:
            raise CorruptState(f"is larger than {limit} bytes")
        return data, found
    finally:
        os.close(fd)
