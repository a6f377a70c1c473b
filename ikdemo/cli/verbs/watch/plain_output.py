"""Tells in words, line by line, what is known of a group: where the terminal cannot move its
cursor, or the output is not a terminal at all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ....lab.dashboard.view_drawing import words
from ...commands import say
from .key_actions import HELP
from .monitor import GroupMonitor


class PlainOutput:
    """Prints what is new: events, what the group is, why, which plugins answer, what came of a
    key.
    """

    is_whole_screen = False

    def __init__(self) -> None:
        self._told: deque[tuple[float, str, str]] = deque(maxlen=64)
        self._last: dict[str, str] = {}

    def take(self) -> None:
        """Say which keys there are."""
        say(f"Keys: {HELP}")

    def give_back(self) -> None:
        """There is nothing to put back."""

    def prepare(self, monitor: GroupMonitor) -> Callable[[], None]:
        """Find what is new, and return what prints it."""
        news = []
        for line in monitor.lines():
            if line not in self._told:
                self._told.append(line)
                news.append(f"{line[0]:8.3f}s {line[1]:<16} {line[2]}")
        model = monitor.view_model()
        plugins = ", ".join(f"{name} {sign.word}" for name, sign in monitor.plugin_signs.items())
        news += self._new("group", words(model, monitor.sign(model)))
        news += self._new("why", f"Why: {monitor.why()}" if monitor.why() else "")
        news += self._new("plugins", f"Plugins: {plugins}" if plugins else "")
        news += self._new("said", monitor.said)

        def tell() -> None:
            for line in news:
                say(line)

        return tell

    def _new(self, what: str, sentence: str) -> list[str]:
        if sentence == self._last.get(what, ""):
            return []
        self._last[what] = sentence
        return [sentence] if sentence else []
