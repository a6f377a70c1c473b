"""Files that are there wholly or not at all, and readers that follow no link.

The only place that makes up temporary names and opens files by hand.
"""

from __future__ import annotations

import errno
import itertools
import os
import re
import stat
from pathlib import Path

from ..spi.errors import CorruptState
from .paths import opened, path_of, refusal

_TEMPORARY = re.compile(r"\.ikdemo-\d+-\d+\.tmp")
_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a FIFO"}
_NO_FILE = {
    errno.ELOOP: "is a symbolic link, not a file",
    errno.ENXIO: "is a socket, not a file",
}
_serial = itertools.count()


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
