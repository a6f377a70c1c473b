"""Keys as they are pressed: taken from standard input without waiting, and told apart. Called by ``watch``."""

from __future__ import annotations

import asyncio
import os
import sys
import termios
import tty
from collections.abc import Callable
from contextlib import suppress
from typing import Any

KEYS = {"\x1b[A": "up", "\x1bOA": "up", "\x1b[B": "down", "\x1bOB": "down"}
PART = 256
"""Bytes of typed keys that are taken at a time."""


def keys(text: str) -> tuple[list[str], str]:
    r"""Take typed text apart into keys, and return what may be the beginning of another one.

    >>> keys("k\x1b[A\x1bOB7\x1b[")
    (['k', 'up', 'down', '7'], '\x1b[')
    """
    found = []
    while text:
        sequence = next((one for one in KEYS if text.startswith(one)), "")
        if not sequence and any(one.startswith(text) for one in KEYS):
            break
        if not sequence and text.startswith("\x1b["):  # a key that means nothing here, such as F5 or Delete
            end = next((at for at, letter in enumerate(text[2:], 3) if "@" <= letter <= "~"), len(text))
            text = text[end:]
            continue
        if sequence or text[0].isprintable():
            found.append(KEYS.get(sequence, text[0].lower()))
        text = text[len(sequence) or 1 :]
    return found, text


class Keyboard:
    """Calls ``press`` with each key that is typed, and with "q" when there is nobody to type any more.

    From ``take`` until ``give_back`` the terminal does not show what is typed, nor wait for Enter.
    """

    def __init__(self, press: Callable[[str], None]) -> None:
        self._press, self._begun = press, ""
        self._descriptor = sys.stdin.fileno()
        self._before: list[Any] | None = None

    def take(self) -> None:
        """Begin to read keys."""
        if os.isatty(self._descriptor):
            self._before = termios.tcgetattr(self._descriptor)
            tty.setcbreak(self._descriptor, termios.TCSANOW)
        with suppress(PermissionError):  # a file, or /dev/null: nobody types there
            asyncio.get_running_loop().add_reader(self._descriptor, self._read)

    def give_back(self) -> None:
        """Read no more, and leave the terminal as it was."""
        asyncio.get_running_loop().remove_reader(self._descriptor)
        if self._before is not None:
            with suppress(termios.error):  # it was closed
                termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._before)

    def _read(self) -> None:
        try:
            typed = os.read(self._descriptor, PART)
        except BlockingIOError:
            return
        except OSError:  # the terminal was closed
            typed = b""
        if not typed:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            self._press("q")
            return
        pressed, self._begun = keys(self._begun + typed.decode(errors="replace"))
        for key in pressed:
            self._press(key)
