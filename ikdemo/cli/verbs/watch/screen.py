"""The screen of ``ikdemo watch``: whether the terminal can show one, in how many colours, and how it is written and given back.

Called by ``watch``.
"""

from __future__ import annotations

import curses
import os
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from rich.console import Console, Group

from .drawing import Look, Shown, draw
from .stage import Stage


def can_show() -> bool:
    """Say whether standard output is a terminal whose cursor can be moved."""
    return sys.stdout.isatty() and _terminfo(lambda: curses.tigetstr("cup") is not None, False)


def _terminfo(ask: Callable[[], Any], otherwise: Any) -> Any:
    """Ask the system's description of the terminal; ``otherwise`` is for one that nobody has described."""
    try:
        curses.setupterm(fd=sys.stdout.fileno())
        return ask()
    except (curses.error, OSError, ValueError):
        return otherwise


class Screen:
    """A whole terminal. What is drawn is written in a thread: a terminal may be slow, or stopped with Ctrl-S."""

    is_whole_screen = True

    def __init__(self) -> None:
        colours = _terminfo(lambda: curses.tigetnum("colors"), 0)
        size_is_asked = {name: text for name, text in os.environ.items() if name not in ("COLUMNS", "LINES")}
        self._console = Console(
            color_system="auto" if colours >= 8 else None, highlight=False, markup=False, emoji=False, _environ=size_is_asked
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

    def prepare(self, stage: Stage) -> Callable[[], None]:
        """Draw a stage as it is now, and return what writes it."""
        scene = stage.scene()
        shown = Shown(scene, stage.sign(scene), list(stage.lamps.items()), stage.chosen, stage.why(), stage.said, stage.lines())
        width, height = self._console.size
        frame = draw(shown, Look(width, height, self._unicode))
        return lambda: self._write(frame)

    def _write(self, frame: Group) -> None:
        with self._writing:
            if self._console.is_alt_screen:
                self._console.update_screen(frame)
