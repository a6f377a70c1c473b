"""Tells a stage in words, line by line: where the terminal cannot move its cursor, or the output is
not a terminal at all.

Called by ``watch``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ....lab.dashboard.view_drawing import words
from ...commands import say
from .actions import HELP
from .stage import Stage


class Plain:
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

    def prepare(self, stage: Stage) -> Callable[[], None]:
        """Find what is new, and return what prints it."""
        news = []
        for line in stage.lines():
            if line not in self._told:
                self._told.append(line)
                news.append(f"{line[0]:8.3f}s {line[1]:<16} {line[2]}")
        scene = stage.scene()
        lamps = ", ".join(f"{name} {sign.word}" for name, sign in stage.lamps.items())
        news += self._new("group", words(scene, stage.sign(scene)))
        news += self._new("why", f"Why: {stage.why()}" if stage.why() else "")
        news += self._new("lamps", f"Plugins: {lamps}" if lamps else "")
        news += self._new("said", stage.said)

        def tell() -> None:
            for line in news:
                say(line)

        return tell

    def _new(self, what: str, sentence: str) -> list[str]:
        if sentence == self._last.get(what, ""):
            return []
        self._last[what] = sentence
        return [sentence] if sentence else []
