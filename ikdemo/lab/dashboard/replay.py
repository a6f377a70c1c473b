"""The last fall once more, slower than it was: a file heals in milliseconds, which nobody sees.

Here is decided which fall is told again, how much slower, and when; ``past`` draws it. It is always called a replay. Kept by
``LiveView``.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from typing import Any

from ...reconcile.analysis.service import APPEARED, NOTICED, VANISHED
from ...spi.events import Event
from .model import Scene
from .past import Past, draw_past

TOO_FAST = 1.0
"""Seconds: what takes longer can be seen in the live picture."""
KINDS = APPEARED | VANISHED | NOTICED | {"fault"}
KEPT = 2000
"""Events that are remembered; of a fall with more, the last ones."""


class Replay:
    """The events of the latest fall, a widget that plays them, and a button that plays them again."""

    def __init__(self, group: str) -> None:
        self.group = group
        self.past: Past | None = None
        self.picture, self.button, self.box = _widgets()
        self._events: deque[Event] = deque(maxlen=KEPT)
        self._known, self._next = 0.0, 0.0
        self._turn = 0
        if self.button is not None:
            self.button.on_click(lambda _: self._play())

    def look(self, events: Iterable[Event], scene: Scene) -> None:
        """Take in what has happened; when a fall is over, and no earlier one is being played, play it."""
        self._events.extend(event for event in events if event.group == self.group and event.kind in KINDS)
        fall = scene.fall
        if fall is None or fall.seconds is None or not scene.steps or scene.steps[-1].filled < scene.size:
            return
        ended = scene.steps[-1].time
        if ended == self._known or fall.seconds >= TOO_FAST or time.monotonic() < self._next:
            return
        self._known = ended
        began = ended - fall.seconds
        self.past = Past(self.group, began, ended, self._between(began, ended))
        self._play()

    def _between(self, began: float, ended: float) -> tuple[Event, ...]:
        chosen = [event for event in self._events if began - 1e-6 <= event.time <= ended]  # arithmetic loses a little
        return tuple(sorted(chosen, key=lambda event: event.time))

    def _play(self) -> None:
        if self.past is None or self.picture is None:
            return
        self._turn += 1
        self._next = time.monotonic() + self.past.shown
        self.picture.value = draw_past(self.past, self._turn)
        self.box.layout.display = None


def _widgets() -> tuple[Any, Any, Any]:
    """Return picture, button and the box around them, which is hidden; nothing where widgets are not installed."""
    try:
        from ipywidgets import HTML, Button, HBox, Layout, VBox
    except ModuleNotFoundError:
        return None, None, None
    picture = HTML()
    button = Button(description="Again", tooltip="play the last fall again, slowly", layout=Layout(width="auto"))
    bar = HBox([HTML("<b>Replay</b>"), button], layout=Layout(align_items="center", flex_flow="row wrap"))
    bar.add_class("ik-toolbar")
    box = VBox([bar, picture], layout=Layout(display="none"))
    box.add_class("ik-replay")
    return picture, button, box
