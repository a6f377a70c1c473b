"""Cleans up after a lab whose Python was killed: its plugins end by themselves, and then its
directory goes.

Nothing can be done in a process that gets SIGKILL, so a small shell waits outside for the end of a
pipe. What even that leaves, as after a power cut, is found by ``place.sweep``. Kept by ``Place``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from ...instance.docker.orphans import end_orphaned_containers
from ...instance.process import procfs
from ...instance.process.orphans import end_orphans
from ...instance.process.spawn import MARK
from ...rpc.discovery import ENVIRONMENT
from ...spi.durations import stop_within
from .plugin_process import python_path

_WAIT = 'read -r closed || exec "$@"'
_CLEAN = "import sys; from ikdemo.lab.host.cleanup import clean_up; clean_up(sys.argv[1])"


class Cleanup:
    """A shell of a megabyte that becomes a Python, which cleans up, only when this process ends
    without a word.
    """

    def __init__(self, root: Path) -> None:
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", _WAIT, "sh", sys.executable, "-c", _CLEAN, str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": python_path()},
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
    """End what killed plugins left running from below a directory: their containers, then their
    processes.
    """
    end_orphaned_containers(directory)
    end_orphans(directory)


def _plugins(plugin_dir: Path) -> list[int]:
    """Return the launcher and the plugins, as all that was started to see them, but no instances:
    those end with their plugin.
    """
    told = procfs.with_variable(ENVIRONMENT)
    own, instance = os.fsencode(plugin_dir), os.fsencode(MARK)
    return [
        pid
        for pid, variables in told
        if variables[os.fsencode(ENVIRONMENT)] == own and instance not in variables
    ]
