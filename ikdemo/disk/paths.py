"""What may become the name of a file, how a path is told to people, and directories held open."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..spi.errors import PluginFailure, SpecError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


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


@contextmanager
def opened(directory: Path) -> Iterator[int]:
    """Hold a directory open, for what is done in it; raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def path_of(directory: int) -> Path:
    """Return where an open directory is."""
    return Path(f"/proc/self/fd/{directory}").readlink()


def sync_directory(directory: Path) -> None:
    """Make earlier renames and deletions in a directory survive a power cut."""
    with opened(directory) as descriptor:
        os.fsync(descriptor)
