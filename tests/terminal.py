"""A pseudo-terminal with a program in it, and its screen as a person reads it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyte
from asking import until


class Terminal:
    """A program in a terminal of its own, ``width`` times ``height`` characters, until
    ``close``.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        *,
        width: int = 80,
        height: int = 24,
    ) -> None:
        self.written = b""
        self._screen = pyte.Screen(width, height)
        self._stream = pyte.ByteStream(self._screen)
        self._end, program = pty.openpty()
        # held open: what the settings are afterwards can be asked, and nothing written is lost
        self._program = program
        self.resize(width, height)
        self.settings = termios.tcgetattr(program)
        self.pid = os.fork()
        if not self.pid:
            try:
                os.chdir(folder)
                _login(program)
                os.execvpe(command[0], list(command), dict(environment))
            finally:
                os._exit(127)

    def resize(self, width: int, height: int) -> None:
        fcntl.ioctl(self._end, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        self._screen.resize(height, width)

    def type(self, keys: str) -> None:
        os.write(self._end, keys.encode())

    def rows(self) -> list[str]:
        """Return what the screen shows now."""
        while select.select([self._end], [], [], 0)[0]:
            part = os.read(self._end, 65536)
            self.written += part
            self._stream.feed(part)
        return [row.rstrip() for row in self._screen.display]

    def text(self) -> str:
        return "\n".join(self.rows())

    def sees(self, *words: str) -> str:
        """Wait until the screen shows all of these at once, and return it."""
        until(
            lambda: all(word in self.text() for word in words),
            say=lambda: (words, self.text(), self.written[-2000:]),
        )
        return self.text()

    def ends(self) -> int:
        """Wait for the end of the program and return its exit status."""
        status: list[int] = []

        def ended() -> bool:
            self.rows()
            pid, code = os.waitpid(self.pid, os.WNOHANG)
            status.append(code)
            return bool(pid)

        until(ended, say=self.text)
        self.pid = 0
        return os.waitstatus_to_exitcode(status[-1])

    def is_as_before(self) -> bool:
        """Say whether the settings of the terminal are those that the program found."""
        return termios.tcgetattr(self._program) == self.settings

    def close(self) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._end)
        os.close(self._program)


def _login(program: int) -> None:
    """Make a terminal that of a session of its own."""
    os.setsid()
    fcntl.ioctl(program, termios.TIOCSCTTY, 0)
    for descriptor in range(3):
        os.dup2(program, descriptor)
