"""Forks this process into one that serves a plugin: a process of its own, with a session and a name of its own.

What the modules of a plugin cost to import is paid once, by the process that forks; what must not be shared, such as signals and
open files, is parted with only here. The process that forks has one thread and no event loop. Called by ``up`` and ``orders``.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

NAME = 15
"""Bytes of a process's name that the kernel keeps, as ``ps -e`` and ``top`` show it."""


class Leash:
    """A pipe that nobody writes to: the standard input of all that is forked, which ends with the process that forks."""

    def __init__(self) -> None:
        while (given := os.open(os.devnull, os.O_RDWR)) <= 2:
            pass  # one of the three was closed when we began: the pipe must not take its place
        os.close(given)
        self.end, self._held = os.pipe()


def fork(serve: Callable[[], int], *, name: str, leash: Leash, output: int | None = None) -> int:
    """Fork a process called ``name`` that runs ``serve`` and exits with the status it returns; return its pid.

    ``output`` is the descriptor of its output, by default that of this process. Every other descriptor is closed in it.
    Raises OSError when no process can be made now.
    """
    gc.freeze()  # a collection in the fork would otherwise write to, and so copy, every page that is shared
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, as somebody may have left it, it would lose every exit status
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # one sent at once finds the defaults in place
    pid = os.fork()
    if pid:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return pid
    status = 1
    try:
        _part(name, leash, output)
        status = serve()
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001  a bug of ours: say where, and never return into the loop of the process that forked
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(status)


def _part(name: str, leash: Leash, output: int | None) -> None:
    """Leave behind, in the process that was forked, what belongs to the one that forked."""
    os.setsid()  # Ctrl-C, and an interrupted cell, go to a whole process group
    with contextlib.suppress(OSError):  # a container's /proc may be read-only, and a name is not worth a plugin
        Path("/proc/self/comm").write_bytes(os.fsencode(name)[:NAME])
    os.dup2(leash.end, 0)
    if output is not None:
        os.dup2(output, 1)
        os.dup2(output, 2)
    for descriptor in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        if descriptor > 2:
            with contextlib.suppress(OSError):  # the one that listed them
                os.close(descriptor)
    sys.stdin = os.fdopen(0, closefd=False)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
