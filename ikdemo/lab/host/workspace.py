"""Where a lab lives: a directory of its own, near enough for a socket's 107 bytes, and swept away
when its owner is dead.

Only here is chosen and removed where a lab keeps its sockets, instances and logs. Called by ``Lab``
when it opens and closes, and by ``nearby``.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from ...disk import Lease
from ...spi.errors import IkdemoError
from .cleanup import Cleanup, end_left_running

PREFIX = "ikdemo-lab-"
LONGEST = 40
"""Bytes that the parent may have, so that ``PARENT/ikdemo-lab-XXXXXXXX/plugins/NAME`` fits a socket
with a NAME of 36.
"""
YOUNG = 60.0
"""Seconds during which an unlocked directory is left alone: it may belong to a lab that is just
opening.
"""


class Workspace:
    """A lab's own directory (mode 0700), held by a lease as long as the lab lives, and gone soon
    after.
    """

    def __init__(self) -> None:
        parent = home()
        sweep(parent)
        self.root = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        self._lease = Lease(self.root)
        self.plugins = self.root / "plugins"
        self.logs = self.root / "logs"
        self._furnish()
        self._caretaker = Cleanup(self.root)

    def instances(self, name: str) -> Path:
        """Return the directory in which the file plugin of this name keeps its instances; it exists
        afterwards.
        """
        directory = self.root / "instances" / name
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return directory

    def descriptors(self) -> Iterator[int]:
        """Yield what tells others that the directory is held."""
        yield from self._caretaker.descriptors()
        if self._lease.fd >= 0:
            yield self._lease.fd

    def clear(self) -> None:
        """Empty the directory, and end what a killed plugin left running from it; it stays ours."""
        end_left_running(self.root)
        for left in self.root.iterdir():
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)
        self._furnish()

    def remove(self) -> None:
        """Give the directory back, with everything in it, and end what a killed plugin left running
        from it.
        """
        end_left_running(self.root)
        shutil.rmtree(self.root, ignore_errors=True)
        self._caretaker.dismiss()
        self._lease.release()

    def _furnish(self) -> None:
        for directory in (self.plugins, self.logs):
            directory.mkdir(mode=0o700, exist_ok=True)


def home() -> Path:
    """Return the runtime or temporary directory: the first that is there, ours to write and near
    enough.
    """
    try:
        temporary = tempfile.gettempdir()
    except FileNotFoundError:  # it tries to write, and finds no room anywhere
        temporary = ""
    for candidate in (os.environ.get("XDG_RUNTIME_DIR", ""), temporary, "/tmp", "/var/tmp"):
        if (
            candidate.startswith("/")
            and len(os.fsencode(candidate)) <= LONGEST
            and os.access(candidate, os.W_OK | os.X_OK)
        ):
            return Path(candidate)
    raise IkdemoError(
        "A lab needs a writable temporary directory with a short name, such as /tmp; set "
        "TMPDIR to one"
    )


def sweep(parent: Path) -> None:
    """Remove what labs left behind that were killed: directories of ours whose lease nobody
    holds.
    """
    for left in parent.glob(PREFIX + "*"):
        try:
            if (
                left.is_symlink()
                or left.stat().st_uid != os.getuid()
                or time.time() - left.stat().st_mtime < YOUNG
            ):
                continue
            lease = Lease(left)
        except (OSError, IkdemoError):
            continue
        end_left_running(left)
        shutil.rmtree(left, ignore_errors=True)
        lease.release()


class Holds(Protocol):
    """What holds something open."""

    def descriptors(self) -> Iterator[int]:
        """Yield every descriptor that it holds open."""


class Owned(Holds, Protocol):
    """What must not be had twice."""

    def disown(self) -> None:
        """Become a closed one, in this process; nothing is told to anybody."""


_owned: weakref.WeakSet[Owned] = weakref.WeakSet()


def own(one: Owned) -> None:
    """From now on, let every process that is forked from this one let go of it."""
    _owned.add(one)


def _let_go() -> None:
    """Put nothing in the place of each descriptor: whatever object has it here may still close it,
    and closes nobody else's.
    """
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for one in list(_owned):
        for descriptor in one.descriptors():
            os.dup2(nothing, descriptor, inheritable=False)
        one.disown()
    os.close(nothing)


os.register_at_fork(after_in_child=_let_go)
