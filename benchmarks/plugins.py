"""Plugin programs for a measurement: started as processes in a directory of their own, all ended
afterwards.

Whose programs are run, ours or InfraKit's, is said by the commands that ``ours``, ``theirs`` and
``through`` make. Called by every benchmark that needs plugins.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 60.0
"""Seconds after which a wait has failed."""


def ours(*words: str) -> list[str]:
    """Return the command of one of our programs, which ends with the benchmark, however that
    ends.
    """
    return through("ikdemo", *words)


def theirs(folder: Path, *words: str) -> list[str]:
    """Return the command of a program in a folder; it need not know more than InfraKit v0.1.0
    does.
    """
    return [str(folder / words[0]), *words[1:]]


def through(module: str, *words: str) -> list[str]:
    """Return the command of one of our programs run by a Python module."""
    return [sys.executable, "-m", module, *words, "--exit-with-stdin"]


def is_ours(command: Sequence[str]) -> bool:
    """Say whether a command is one of ours."""
    return command[0] == sys.executable


def environment(directory: Path) -> dict[str, str]:
    """Return the environment of a program whose sockets are in a directory; compiled modules are
    kept, as they usually are.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "INFRAKIT_PLUGINS_DIR": str(directory)}


@contextmanager
def plugins(
    root: Path, programs: Mapping[str, Sequence[str]]
) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Run plugin programs by the names they get, with their sockets in ``root/p``; afterwards none
    is left.

    ``{root}`` in an argument stands for the directory.
    """
    started = {}
    with (root / "log").open("wb") as log:
        try:
            for name, command in programs.items():
                started[name] = subprocess.Popen(
                    [*(word.format(root=root) for word in command), "--name", name],
                    env=environment(root / "p"),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                )
            wait_until(lambda: all(listens(root / "p" / name) for name in programs), root / "log")
            yield started
        finally:
            stop(started.values())


def stop(processes: Iterable[subprocess.Popen[bytes]]) -> None:
    """Ask programs to end, wake those that are frozen, and kill what does not end."""
    running = list(processes)
    for process in running:
        process.terminate()
        process.send_signal(signal.SIGCONT)
    for process in running:
        try:
            process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def listens(path: Path) -> bool:
    """Say whether somebody can be reached at a socket; it is there a moment before."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def wait_until(condition: Callable[[], bool], log: Path) -> None:
    """Wait for the plugins to listen."""
    until = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > until:
            raise SystemExit(f"the plugins did not start: {log.read_text()}")
        time.sleep(0.001)
