"""The directory of a lab: chosen, owned, emptied and removed here, also after its Python was killed
or forked.

It is short enough for a socket's 107 bytes and held by a lease as long as the lab is open. Nothing
can be done in a process that gets SIGKILL, so a small shell waits outside for the end of a pipe and
cleans up. What even that leaves, as after a power cut, the next lab finds and removes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from ...disk import Lease
from ...instance import procfs
from ...instance.docker.orphans import end_orphaned_containers
from ...instance.machine.orphans import end_orphaned_machines
from ...instance.ownership import MARK
from ...instance.process.orphans import end_orphans
from ...rpc.discovery import ENVIRONMENT
from ...spi.durations import stop_within
from ...spi.errors import IkdemoError
from .child_processes import python_path

PREFIX = "ikdemo-lab-"
LONGEST = 40
"""Bytes that the parent may have, so that ``PARENT/ikdemo-lab-XXXXXXXX/plugins/NAME`` fits a socket
with a NAME of 36.
"""
YOUNG = 60.0
"""Seconds during which an unlocked directory is left alone: it may belong to a lab that is just
opening.
"""
_WAIT = 'read -r closed || exec "$@"'
_CLEAN = "import sys; from ikdemo.lab.host.workspace import clean_up; clean_up(sys.argv[1])"


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
        self._make_folders()
        self._cleanup = Cleanup(self.root, self.plugins)

    def instances(self, name: str) -> Path:
        """Return the directory in which the file plugin of this name keeps its instances; it exists
        afterwards.
        """
        directory = self.root / "instances" / name
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return directory

    def descriptors(self) -> Iterator[int]:
        """Yield what tells others that the directory is held."""
        yield from self._cleanup.descriptors()
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
        self._make_folders()

    def remove(self) -> None:
        """Give the directory back, with everything in it, and end what a killed plugin left running
        from it.
        """
        end_left_running(self.root)
        shutil.rmtree(self.root, ignore_errors=True)
        self._cleanup.dismiss()
        self._lease.release()

    def _make_folders(self) -> None:
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
    """Remove what labs left behind that were killed: directories of ours whose lease is
    free.
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


class Cleanup:
    """A shell of a megabyte that becomes a Python, which cleans up, only when this process ends
    without closing the lab. Its environment also tells which notebook opened the lab.
    """

    def __init__(self, root: Path, plugins: Path) -> None:
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", _WAIT, "sh", sys.executable, "-c", _CLEAN, str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, ENVIRONMENT: str(plugins), "PYTHONPATH": python_path()},
            cwd="/",
            start_new_session=True,  # whatever ends the kernel and its group must not end this
        )

    def descriptors(self) -> Iterator[int]:
        """Yield the end of the pipe that it waits at the other end of."""
        if self._shell.stdin is not None and not self._shell.stdin.closed:
            yield self._shell.stdin.fileno()

    def dismiss(self) -> None:
        """Say that there is nothing left to clean up; the shell has ended afterwards."""
        self._shell.communicate(b"closed\n")


def clean_up(directory: str) -> None:
    """Wait until a lab's plugins have ended, end what they left running, and remove its
    directory.
    """
    root, deadline = Path(directory), time.monotonic() + stop_within()
    while _plugins(root / "plugins") and time.monotonic() < deadline:
        time.sleep(0.05)
    end_left_running(root)
    shutil.rmtree(root, ignore_errors=True)


def end_left_running(directory: Path) -> None:
    """End what killed plugins left running from below a directory: their machines and containers,
    then their processes.
    """
    end_orphaned_machines(directory)
    end_orphaned_containers(directory)
    end_orphans(directory)


def _plugins(plugin_dir: Path) -> list[int]:
    """Return every other process that was started to see these sockets, but no instances: those end
    with their plugin.
    """
    told = procfs.with_variable(ENVIRONMENT)
    own, instance = os.fsencode(plugin_dir), os.fsencode(MARK)
    return [
        pid
        for pid, variables in told
        if variables[os.fsencode(ENVIRONMENT)] == own
        and instance not in variables
        and pid != os.getpid()
    ]


class Holds(Protocol):
    """What holds something open."""

    def descriptors(self) -> Iterator[int]:
        """Yield every descriptor that it holds open."""


class Owned(Holds, Protocol):
    """What only one process may have."""

    def disown(self) -> None:
        """Become a closed one, in this process, and tell nothing to any other."""


_owned: weakref.WeakSet[Owned] = weakref.WeakSet()


def own(one: Owned) -> None:
    """From now on, let every process that is forked from this one let go of it."""
    _owned.add(one)


def _let_go() -> None:
    """Put /dev/null in the place of each descriptor: the object that has it here may still close
    it, and closes no descriptor of another object.
    """
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for one in list(_owned):
        for descriptor in one.descriptors():
            os.dup2(nothing, descriptor, inheritable=False)
        one.disown()
    os.close(nothing)


os.register_at_fork(after_in_child=_let_go)
