"""The terminal of ``ikdemo watch``: whether it can show a screen, in how many colours, how that is
written and given back, and which keys are typed.
"""

from __future__ import annotations

import asyncio
import curses
import os
import sys
import termios
import threading
import tty
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

from rich.console import Console, Group

from .frame import FrameContent, TerminalStyle, draw
from .monitor import GroupMonitor


def can_show() -> bool:
    """Say whether standard output is a terminal whose cursor can be moved."""
    return sys.stdout.isatty() and _terminfo(lambda: curses.tigetstr("cup") is not None, False)


def _terminfo(ask: Callable[[], Any], otherwise: Any) -> Any:
    """Ask the system's description of the terminal; ``otherwise`` is for one that it does
    not describe.
    """
    try:
        curses.setupterm(fd=sys.stdout.fileno())
        return ask()
    except (curses.error, OSError, ValueError):
        return otherwise


class Screen:
    """A whole terminal. What is drawn is written in a thread: a terminal may be slow, or stopped
    with Ctrl-S.
    """

    is_whole_screen = True

    def __init__(self) -> None:
        colours = _terminfo(lambda: curses.tigetnum("colors"), 0)
        size_is_asked = {
            name: text for name, text in os.environ.items() if name not in ("COLUMNS", "LINES")
        }
        self._console = Console(
            color_system="auto" if colours >= 8 else None,
            highlight=False,
            markup=False,
            emoji=False,
            _environ=size_is_asked,
        )
        is_old = os.environ.get("TERM", "").startswith("vt")
        self._unicode = sys.stdout.encoding.lower().startswith("utf") and not is_old
        self._writing = threading.Lock()
        self._shown = ExitStack()

    def take(self) -> None:
        """Show the other screen, without a cursor."""
        self._shown.enter_context(self._console.screen(hide_cursor=True))

    def give_back(self) -> None:
        """Show what was there before."""
        with self._writing:
            self._shown.close()

    def prepare(self, monitor: GroupMonitor) -> Callable[[], None]:
        """Draw a group as it is now, and return what writes it."""
        model = monitor.view_model()
        content = FrameContent(
            model,
            monitor.sign(model),
            list(monitor.plugin_signs.items()),
            monitor.chosen,
            monitor.why(),
            monitor.said,
            monitor.lines(),
        )
        width, height = self._console.size
        frame = draw(content, TerminalStyle(width, height, self._unicode))
        return lambda: self._write(frame)

    def _write(self, frame: Group) -> None:
        with self._writing:
            if self._console.is_alt_screen:
                self._console.update_screen(frame)


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
        # a key that means nothing here, such as F5 or Delete
        if not sequence and text.startswith("\x1b["):
            end = next(
                (at for at, letter in enumerate(text[2:], 3) if "@" <= letter <= "~"), len(text)
            )
            text = text[end:]
            continue
        if sequence or text[0].isprintable():
            found.append(KEYS.get(sequence, text[0].lower()))
        text = text[len(sequence) or 1 :]
    return found, text


class Keyboard:
    """Calls ``press`` with each key that is typed, and with "q" when nothing more can be
    typed.

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
        with suppress(PermissionError):  # a file, or /dev/null: no keys come from there
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
