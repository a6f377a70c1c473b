"""The launcher of a lab: one process that has imported what plugins need, and forks each plugin
program that the lab orders.

Only here is known how it is told what to start (``ikdemo up --on-demand`` has the other side). What
it forks are no children of this Python: each is held by a pidfd, so that no signal ever reaches a
process that got the same pid later. Made by ``Plugins``.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ...rpc.discovery import ENVIRONMENT
from ...spi.errors import PluginUnavailable
from .plugin_process import python_path

ANSWER_WITHIN = 20.0
"""Seconds that the launcher has to begin and to start a plugin."""
LONGEST_COMPLAINT = 2**16
"""Bytes of what a launcher wrote that are read."""
REAPED_WITHIN = 5.0
"""Seconds after which the exit status of a plugin that has ended is not waited for any longer."""
UNKNOWN = 255
"""The exit status of a plugin whose launcher ended before it."""


class Launcher:
    """Begins at once, so that it is ready when the first plugin is started; one that was killed is
    replaced at the next start.
    """

    def __init__(self, plugin_dir: Path, log: Path) -> None:
        self._plugin_dir, self._log_file = plugin_dir, log
        self._begin()

    def start(self, words: Sequence[str], output: int) -> Forked:
        """Start the plugin program that the words say, its output going to the descriptor
        ``output``.
        """
        if self._process.poll() is not None:
            self.close()
            self._begin()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        order = {
            "Words": list(words),
            "Directory": str(self._plugin_dir),
            "Environment": self._environment(),
        }
        try:
            with theirs, open(os.memfd_create("order"), "w+b") as written:  # noqa: PTH123  a descriptor
                written.write(json.dumps(order).encode())
                written.seek(0)
                socket.send_fds(self._orders, [b"!"], [theirs.fileno(), output, written.fileno()])
            ours.settimeout(ANSWER_WITHIN)
            answer, held, _, _ = socket.recv_fds(ours, 4096, 1)
            told: dict[str, Any] = json.loads(answer) if answer else {"Refused": self._complaint()}
            if "Refused" in told:
                raise PluginUnavailable(f"{words[0]} cannot be started: {told['Refused']}")
            return Forked(told["Pid"], held[0], ours)
        except BaseException as error:
            ours.close()
            if isinstance(error, ConnectionError):
                raise PluginUnavailable(
                    f"{words[0]} cannot be started: {self._complaint()}"
                ) from None
            if isinstance(error, OSError):
                raise PluginUnavailable(
                    f"{words[0]} cannot be started: {error.strerror or error}"
                ) from None
            raise

    def descriptors(self) -> Iterator[int]:
        """Yield the socket at whose end the launcher ends."""
        if self._orders.fileno() >= 0:
            yield self._orders.fileno()

    def close(self) -> None:
        """End the launcher, and with it whatever it forked that still runs."""
        self._orders.close()
        self._process.kill()
        self._process.wait()
        self._log.close()

    def _begin(self) -> None:
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # each plugin has one of its own: here is only why the launcher itself ended
        self._log = self._log_file.open("a+b")
        self._log_from = self._log.tell()
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "ikdemo", "up", "--on-demand"],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=self._log,
                    env={**self._environment(), "PYTHONPATH": python_path()},
                    cwd="/",
                    # an interrupted cell sends SIGINT to the kernel's whole process group
                    start_new_session=True,
                )
        except OSError as error:
            self._orders.close()
            self._log.close()
            raise PluginUnavailable(
                f"No plugin can be started: {error.strerror or error}"
            ) from None

    def _complaint(self) -> str:
        """Say why the launcher has ended: by the last line that it wrote, else by its exit
        status.
        """
        try:
            status = f"exit status {self._process.wait(REAPED_WITHIN)}"
        except subprocess.TimeoutExpired:
            status = "it does not answer"
        said = (
            os.pread(self._log.fileno(), LONGEST_COMPLAINT, self._log_from)
            .decode("utf-8", "replace")
            .split("\n")
        )
        return (
            "the launcher has ended: "
            f"{next((line.strip() for line in reversed(said) if line.strip()), status)}"
        )

    def _environment(self) -> dict[str, str]:
        return {**os.environ, ENVIRONMENT: str(self._plugin_dir)}


class Forked:
    """A process that the launcher forked; ``poll``, ``wait`` and the signals are those of
    ``subprocess.Popen``.

    ``held`` is its pidfd, ``told`` the socket over which the launcher tells its exit status.
    """

    def __init__(self, pid: int, held: int, told: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        told.setblocking(False)
        self._held, self._told = held, told.detach()
        self._reading = threading.Lock()  # a cell, a button and the view may ask at the same time
        for descriptor in (self._told, self._held):
            # Closed when nobody can be waiting; a lab that is closed at exit still needs them.
            weakref.finalize(self, os.close, descriptor).atexit = False

    def descriptors(self) -> Iterator[int]:
        """Yield its pidfd, and the socket over which its end is told."""
        yield from (self._held, self._told)

    def poll(self) -> int | None:
        """Return the exit status, None while the process runs or is not yet reaped."""
        if self.returncode is None and _readable(self._held, 0.0) and _readable(self._told, 0.0):
            self._read_status()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until the process has ended and is reaped; raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            if not _readable(self._held, timeout):
                raise subprocess.TimeoutExpired(["plugin", str(self.pid)], timeout or 0.0)
            _readable(self._told, REAPED_WITHIN)
            self._read_status()
        return UNKNOWN if self.returncode is None else self.returncode

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._held, number)

    def _read_status(self) -> None:
        with self._reading:
            if self.returncode is None:
                try:
                    told = os.read(self._told, 4096)
                except OSError:  # the launcher hangs
                    told = b""
                self.returncode = json.loads(told)["Status"] if told else UNKNOWN


def _readable(descriptor: int, timeout: float | None) -> bool:
    waiting = select.poll()  # not select: a notebook may hold more than a thousand files
    waiting.register(descriptor, select.POLLIN)
    return bool(waiting.poll(None if timeout is None else timeout * 1000))
