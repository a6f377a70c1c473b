"""Forks a process for a plugin: it has a name and a session of its own, and ends with the process
that forked it.
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


class ParentPipe:
    """A pipe that is never written to: the standard input of all that is forked, which ends with
    the process that forks.
    """

    def __init__(self) -> None:
        while (given := os.open(os.devnull, os.O_RDWR)) <= 2:
            pass  # one of the three was closed when we began: the pipe must not take its place
        os.close(given)
        self.end, self._held = os.pipe()


def fork(serve: Callable[[], int], *, name: str, pipe: ParentPipe) -> int:
    """Fork a process called ``name`` that runs ``serve`` and exits with the status it returns;
    return its pid.

    Every descriptor but its output and its errors is closed in it. Raises OSError when no process
    can be made now.
    """
    # a collection in the fork would otherwise write to, and so copy, every page that is shared
    gc.freeze()
    # ignored, as it may have been inherited, it would lose every exit status
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # one sent at once finds the defaults in place
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    pid = os.fork()
    if pid:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return pid
    status = 1
    try:
        _part(name, pipe)
        status = serve()
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001  a bug of ours: say where, and never return into the loop of the process that forked
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(status)


def _part(name: str, pipe: ParentPipe) -> None:
    """Leave behind, in the process that was forked, what belongs to the one that forked."""
    os.setsid()  # Ctrl-C, and an interrupted cell, go to a whole process group
    # a container's /proc may be read-only, and a name is not worth a plugin
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_bytes(os.fsencode(name)[:NAME])
    os.dup2(pipe.end, 0)
    for descriptor in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        if descriptor > 2:
            with contextlib.suppress(OSError):  # the one that listed them
                os.close(descriptor)
    sys.stdin = os.fdopen(0, closefd=False)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
