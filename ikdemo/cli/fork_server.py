"""Forks processes for plugins: for ``ikdemo up``, and for a lab, which asks over the socket that is
standard input.

A request is one message with three descriptors: the socket over which it is answered, the log of
the plugin, and a file with what is requested, for an environment may be longer than a message: a
JSON object with ``Words`` (a plugin program and its flags), ``Directory`` (where it runs) and
``Environment``. The answer is ``{"Pid": ...}`` with a pidfd of the process, then ``{"Status":
...}`` when it has ended and is reaped; or ``{"Refused": "why"}``. When the lab closes its end, or
dies, this ends, and all that it has forked.
"""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import os
import selectors
import signal
import socket
import stat
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from ..spi.errors import IkdemoError
from . import programs
from .exit_status import guarded

LONGEST = 2**24
"""Bytes of a request: Linux gives a program an environment of some 2 MiB at most, and JSON may need
several for one of them.
"""

log = logging.getLogger(__name__)


def serve_requests(usual: Iterable[str]) -> int:
    """Serve requests until the socket is closed, and return the exit status; ``usual`` plugins are
    made ready before.
    """
    if not stat.S_ISSOCK(os.fstat(0).st_mode):
        raise IkdemoError(
            "--on-demand needs a socket as standard input; without it, name the plugins to start"
        )
    for name in usual:
        programs.find(name).load()
    pipe = ParentPipe()
    with socket.socket(fileno=os.dup(0)) as requests, selectors.DefaultSelector() as waiting:
        waiting.register(requests, selectors.EVENT_READ)
        while True:
            for key, _ in waiting.select():
                if key.fileobj is not requests:
                    waiting.unregister(key.fileobj)
                    _ended(key.fd, *key.data)
                elif not _take(requests, pipe, waiting):
                    return 0


def _take(requests: socket.socket, pipe: ParentPipe, waiting: selectors.BaseSelector) -> bool:
    """Take one request; false when there will be no more."""
    try:
        message, descriptors, _, _ = socket.recv_fds(requests, 1, 3)
    except ConnectionError:
        return False
    if not message:
        return False
    if len(descriptors) < 3:
        for descriptor in descriptors:
            os.close(descriptor)
        log.error("an order has lost its descriptors: too many open files")
        return True
    answering, output, written = descriptors
    answer = socket.socket(fileno=answering)
    try:
        pid, held = _start(_read(written), pipe, output)
    except (OSError, IkdemoError, KeyError, TypeError, ValueError) as error:
        # a request of no use ends no others' plugins
        _say(answer, {"Refused": str(error)})
        answer.close()
        return True
    finally:
        os.close(output)
    if not _say(answer, {"Pid": pid}, [held]):
        os.kill(pid, signal.SIGKILL)  # its pidfd is lost, so nothing would end it
    waiting.register(held, selectors.EVENT_READ, (pid, answer))
    return True


def _read(written: int) -> dict[str, Any]:
    """Read what is requested, and close the file."""
    with open(written, "rb") as file:
        text = file.read(LONGEST + 1)
    if len(text) > LONGEST:
        raise IkdemoError(f"its environment and flags take more than {LONGEST >> 20} MiB")
    request: dict[str, Any] = json.loads(text)
    return request


def _start(request: dict[str, Any], pipe: ParentPipe, output: int) -> tuple[int, int]:
    """Fork what is requested; return its pid and a pidfd, which is surely its own: this process
    reaps it only in ``_ended``.
    """
    words: list[str] = request["Words"]

    def serve() -> int:
        os.environ.clear()
        # that of the lab may have changed since it began this process
        os.environ.update(request["Environment"])
        os.chdir(request["Directory"])
        return guarded(programs.run, words)

    programs.find(words[0]).load()
    pid = fork(serve, name=words[words.index("--name") + 1], pipe=pipe, output=output)
    try:
        return pid, os.pidfd_open(pid)
    except (OSError, AttributeError) as error:
        # an old Linux, a container that forbids it, a Python built for an old Linux
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        why = (
            error.strerror.lower()
            if isinstance(error, OSError) and error.strerror
            else "this Python was built without it"
        )
        raise IkdemoError(
            f"pidfd_open does not work here ({why}); ikdemo doctor says what to do"
        ) from None


def _ended(held: int, pid: int, answer: socket.socket) -> None:
    _, status = os.waitpid(pid, 0)
    os.close(held)
    _say(answer, {"Status": os.waitstatus_to_exitcode(status)})
    answer.close()


def _say(answer: socket.socket, document: dict[str, Any], descriptors: Sequence[int] = ()) -> bool:
    """Answer the lab; false when it does not want to know any more."""
    try:
        socket.send_fds(answer, [json.dumps(document).encode()], descriptors)
    except ConnectionError:
        return False
    return True


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


def fork(
    serve: Callable[[], int], *, name: str, pipe: ParentPipe, output: int | None = None
) -> int:
    """Fork a process called ``name`` that runs ``serve`` and exits with the status it returns;
    return its pid.

    ``output`` is the descriptor of its output, by default that of this process. Every other
    descriptor is closed in it. Raises OSError when no process can be made now.
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
        _part(name, pipe, output)
        status = serve()
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001  a bug of ours: say where, and never return into the loop of the process that forked
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(status)


def _part(name: str, pipe: ParentPipe, output: int | None) -> None:
    """Leave behind, in the process that was forked, what belongs to the one that forked."""
    os.setsid()  # Ctrl-C, and an interrupted cell, go to a whole process group
    # a container's /proc may be read-only, and a name is not worth a plugin
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_bytes(os.fsencode(name)[:NAME])
    os.dup2(pipe.end, 0)
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
