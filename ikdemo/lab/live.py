"""A live view of one group: a tile for every slot, redrawn whenever a plugin tells something.

``tiles`` draws (a pure function of the record); ``LiveView`` puts it into a notebook widget and keeps it fresh from a thread.
Where no widget can be shown, and in a notebook that was only opened, the last picture stands still. Made by ``Lab.watch``.
"""

from __future__ import annotations

import threading
import time
from base64 import b64encode
from html import escape
from typing import Any

from ..reconcile.recovery import Life
from ..spi.events import Event
from .line import Line
from .recovery import Recovery
from .timeline import sentence

REDRAW = 0.1
"""Seconds between two pictures at least."""
FRESH = 1.5
"""Seconds for which a replacement is marked as new."""
MOST_TILES = 60
FILLED, NEW, OLD, EMPTY = ("#56B4E9", "filled"), ("#009E73", "new"), ("#E69F00", "old"), ("#FFFFFF", "EMPTY")
"""Old is what was made from another configuration than the committed one."""


def tiles(recovery: Recovery) -> str:
    """Return the group as SVG text at the time ``recovery.until``: colour, word and border all say the same."""
    lanes: dict[str, list[Life]] = {}
    if not any(life.slot and not life.slot.isdecimal() for life in recovery.lives):
        lanes = {str(n): [] for n in range(min(recovery.size, MOST_TILES))}
    for life in recovery.lives:
        if life.slot in lanes or not life.slot.isdecimal():
            lanes.setdefault(life.slot, []).append(life)
    shown = list(lanes.items())[:MOST_TILES]
    filled = sum(_state(lived, recovery) is not EMPTY for _, lived in shown)
    words = f"Group {recovery.group}: {filled} of {len(shown)} slots are filled."
    across = 10
    height = 34 + 74 * ((len(shown) + across - 1) // across)
    parts = [f'<text x="4" y="20" font-size="15" font-weight="bold">{escape(words)}</text>']
    parts += [_tile(slot, lived, index, across, recovery) for index, (slot, lived) in enumerate(shown)]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(words)}" width="800" height="{height}"'
    return f'{head} viewBox="0 0 800 {height}" font-family="sans-serif">{"".join(parts)}</svg>'


def _state(lived: list[Life], recovery: Recovery) -> tuple[str, str]:
    alive = [life for life in lived if life.died is None]
    if not alive:
        return EMPTY
    if recovery.sha and alive[-1].sha not in ("", recovery.sha):
        return OLD
    return NEW if len(lived) > 1 and recovery.until - alive[-1].born < FRESH else FILLED


def _tile(slot: str, lived: list[Life], index: int, across: int, recovery: Recovery) -> str:
    colour, word = _state(lived, recovery)
    x, y = 4 + 79 * (index % across), 32 + 74 * (index // across)
    dash = ' stroke-dasharray="5 4"' if word == "EMPTY" else ""
    replaced = f"{len(lived) - 1} replaced" if len(lived) > 1 else "&#160;"
    rows = ((18, 12, f"slot {escape(slot)}"), (38, 14, word), (56, 11, replaced))
    texts = "".join(
        f'<text x="{x + 36}" y="{y + dy}" font-size="{size}" text-anchor="middle">{row}</text>' for dy, size, row in rows
    )
    return f'<rect x="{x}" y="{y}" width="72" height="66" rx="6" fill="{colour}" stroke="#333" stroke-width="2"{dash}/>{texts}'


class LiveView:
    """The tiles and the last few events of one group, until the lab is closed."""

    def __init__(self, group: str, line: Line) -> None:
        self.group, self._line, self._record = group, line, line.record
        self._widget = html_widget()
        if self._widget is not None:
            self._widget.value = self.html()
            threading.Thread(target=self._refresh, name=f"live view of {group}", daemon=True).start()

    def html(self) -> str:
        """Return the picture of this moment as HTML."""
        recovery = Recovery(self.group, self._record.events(self.group), time.time())
        told = [event for event in recovery.events if event.kind not in ("acted", "planned")][-5:]
        start = recovery.events[0].time if recovery.events else 0.0
        lines = "".join(f"<li>{_line(event, start)}</li>" for event in told)
        return f'{tiles(recovery)}<ul style="font-family:monospace;list-style:none;padding:0">{lines}</ul>'

    def _refresh(self) -> None:
        """Redraw after every change, and once more when what is new has become old."""
        seen, fresh_until = -1, 0.0
        while self._line.open and self._widget is not None:
            if len(self._record) != seen:
                seen, fresh_until = len(self._record), time.monotonic() + FRESH + REDRAW
            elif time.monotonic() > fresh_until:
                self._record.wait_for(lambda: len(self._record) != seen, 0.5)  # noqa: B023
                continue
            self._widget.value = self.html()
            time.sleep(REDRAW)

    def __repr__(self) -> str:
        return f"Live view of group {self.group}"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        recovery = Recovery(self.group, self._record.events(self.group), time.time())
        data = b64encode(tiles(recovery).encode()).decode()
        words = f"Live view of group {self.group}, standing still. Run the cell to see it move."
        still = {"text/plain": repr(self), "text/html": f'<img alt="{escape(words)}" src="data:image/svg+xml;base64,{data}"/>'}
        return still if self._widget is None else {**self._widget._repr_mimebundle_(), **still}


def _line(event: Event, start: float) -> str:
    return f"{event.time - start:8.3f} s  {escape(event.plugin)}: {escape(sentence(event))}"


def html_widget() -> Any:
    """Return an empty HTML widget, or None where widgets are not installed."""
    try:
        from ipywidgets import HTML
    except ModuleNotFoundError:
        return None
    return HTML()
