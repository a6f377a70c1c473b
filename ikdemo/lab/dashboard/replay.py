"""A fall that is over, played slowly: drawn as SVG in which a curtain over the lanes moves away as
time goes on, and the widget that shows it.

Where motion is not wanted (the reader's own setting), the whole fall stands there at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from time import monotonic
from typing import Any

from ...reconcile.analysis.service import APPEARED, NOTICED, VANISHED
from ...spi.events import Event
from ..show.tables import say_seconds, visible_html
from ..show.theme import BLUE, GREEN, SKY
from .slots import LEFT, LONGEST_NAME, PLOT, WIDTH
from .view_drawing import STYLE
from .view_model import ViewModel

PLAYED = 5.0
"""Seconds that the fall itself takes at most when it is played."""
MOST_LANES, PITCH, TOP = 4, 22, 30
EDGE = 26
"""Pixels of a lane before the fault, and after the recovery."""
TOO_FAST = 1.0
"""Seconds: what takes longer can be seen in the live picture."""
KINDS = APPEARED | VANISHED | NOTICED | {"fault"}
KEPT = 2000
"""Events that are remembered; of a fall with more, the last ones."""


@dataclass(frozen=True)
class PastFall:
    """One fall of a group, from ``began`` to ``ended`` in seconds since the epoch, and the events
    between.
    """

    group: str
    began: float
    ended: float
    events: tuple[Event, ...]

    @property
    def seconds(self) -> float:
        """How long it took."""
        return max(self.ended - self.began, 1e-6)

    @property
    def shown(self) -> float:
        """Seconds for which the replay runs: the fall, and what stands before and after it in the
        picture.
        """
        return slower(self.seconds) * self.seconds * (WIDTH - LEFT) / (PLOT - 2 * EDGE)

    def at(self, time: float) -> float:
        """Return where a moment is in the picture."""
        return (
            LEFT + EDGE + (PLOT - 2 * EDGE) * min(1.0, max(0.0, (time - self.began) / self.seconds))
        )


def slower(seconds: float) -> int:
    """Say how many times slower a fall is played: 1, 2 or 5 times a power of ten, so that
    ``PLAYED`` is well used.

    >>> slower(0.0021), slower(0.00344), slower(0.9), slower(7.0)
    (2000, 1000, 5, 1)
    """
    factor = 1
    while factor * 10 * seconds <= PLAYED:
        factor *= 10
    return max(
        step * factor for step in (1, 2, 5) if step == 1 or step * factor * seconds <= PLAYED
    )


def draw_past(past: PastFall, turn: int) -> str:
    """Return the replay as SVG text; another ``turn`` makes it another text, which a browser plays
    from the beginning.
    """
    lanes = list(_slots(past).items())
    shown, left = lanes[:MOST_LANES], len(lanes) - MOST_LANES
    bottom = TOP + PITCH * max(1, len(shown))
    stamps = list(_stamps(past))
    height = bottom + 17 * len(stamps) + (24 if left > 0 else 8)
    move = f"ik-past-{turn % 2}"
    style = (
        f"<style>@keyframes {move}{{to{{transform:translateX({WIDTH - LEFT + 4}px)}}}}"
        f".ik .{move}{{animation:{move} {past.shown:.2f}s linear both}}"
        f"@media (prefers-reduced-motion:reduce){{.ik .{move}{{display:none}}}}</style>"
    )
    body = "".join(
        _lane(past, name, changes, TOP + PITCH * row) for row, (name, changes) in enumerate(shown)
    )
    body += "".join(
        _stamp(past, time, said, bottom + 17 * row)
        for row, (time, said) in enumerate(reversed(stamps))
    )
    if left > 0:
        body += (
            f'<text x="{LEFT}" y="{height - 7}">and {left} more '
            f"{'slot' if left == 1 else 'slots'}</text>"
        )
    curtain = (
        f'<g class="{move}"><rect class="paper" fill-opacity=".94" x="{LEFT}" y="{TOP - 2}" '
        f'width="{WIDTH}" height="{height}"/>'
        f'<path d="M{LEFT} {TOP - 2}V{bottom}" stroke="{BLUE}" stroke-width="3"/></g>'
    )
    look = 'style="display:block;width:100%;height:auto;max-width:820px"'
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" class="ik" role="img" '
        f'aria-label="{visible_html(words_of(past))}" '
        f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" {look}>{STYLE}{style}'
        f'<rect class="paper" width="{WIDTH}" height="{height}" rx="6"/>'
        '<text x="8" y="20" font-size="15" '
        f'font-weight="bold">{title_of(past)}</text>{body}{curtain}</svg>'
    )


def title_of(past: PastFall) -> str:
    """Say that this is a replay, of what, and how much slower it is."""
    factor = slower(past.seconds)
    return (
        f"Replay of the last quick fall, {factor:,} times slower: {say_seconds(past.seconds)} "
        f"take {factor * past.seconds:.1f} s"
    )


def words_of(past: PastFall) -> str:
    """Tell the fall in words, with the time of each step since the fault."""
    told = "; ".join(said for _, said in _stamps(past))
    return f"{title_of(past)}. Group {past.group}, slot {', '.join(_slots(past)) or '-'}: {told}."


def _stamps(past: PastFall) -> Iterator[tuple[float, str]]:
    """Return the moments that are named, in their order."""
    yield past.began, "fault"
    noticed = next((event.time for event in past.events if event.kind in NOTICED), None)
    if noticed is not None:
        yield noticed, f"noticed {say_seconds(noticed - past.began)}"
    yield past.ended, f"whole {say_seconds(past.seconds)}"


def _slots(past: PastFall) -> dict[str, list[tuple[float, bool]]]:
    """Return the slots of the fall, each with the times at which its instance went (False) or came
    (True).
    """
    found: dict[str, list[tuple[float, bool]]] = {}
    for event in past.events:
        came = event.kind in APPEARED
        if not came and event.kind not in VANISHED | {"fault"}:
            continue
        changes = found.setdefault(event.slot or f"…{event.instance[-6:]}", [])
        # a loss that was known from its fault is told only once
        if not changes or changes[-1][1] != came:
            changes.append((event.time, came))
    return found


def _lane(past: PastFall, name: str, changes: list[tuple[float, bool]], y: int) -> str:
    """Draw one slot: what left it, and what came instead."""
    middle, label = (
        y + PITCH / 2,
        f"slot {name}" if name.isdecimal() else name.removesuffix("#0")[:LONGEST_NAME],
    )
    drawn = (
        f'<text x="{LEFT - 8}" y="{middle + 4.5}" text-anchor="end">{visible_html(label)}</text>'
    )
    drawn += f'<path class="grid" d="M{LEFT} {middle}h{PLOT}" stroke-dasharray="2 5"/>'
    since, colour = None if changes[0][1] else float(LEFT), SKY
    for time, came in [*changes, (float("inf"), False)]:
        at = LEFT + PLOT if time == float("inf") else past.at(time)
        if came:
            since, colour = at, GREEN
            continue
        if since is not None:
            drawn += (
                f'<rect x="{since:.1f}" y="{middle - 7}" width="{max(1.0, at - since):.1f}" '
                f'height="14" fill="{colour}"/>'
            )
        if time != float("inf"):
            shape = f"M{at - 5:.1f} {middle - 5}l10 10m0-10l-10 10"
            drawn += (
                f'<path class="halo" d="{shape}"/><path class="line" stroke-width="2.5" '
                f'd="{shape}"/>'
            )
        since = None
    return drawn


def _stamp(past: PastFall, time: float, said: str, y: int) -> str:
    """Draw one named moment: a stroke through the lanes, down to its word. The last moment stands
    highest: no word is crossed.
    """
    x = past.at(time)
    line = f'<path class="line" stroke-dasharray="4 3" d="M{x:.1f} {TOP}V{y + 14}"/>'
    return f'{line}<text x="{x + 5:.1f}" y="{y + 14}">{visible_html(said)}</text>'


class Replay:
    """The events of the latest fall, a widget that plays them, and a button that plays them
    again.
    """

    def __init__(self, group: str) -> None:
        self.group = group
        self.past: PastFall | None = None
        self.drawing, self.button, self.box = _widgets()
        self._events: deque[Event] = deque(maxlen=KEPT)
        self._known, self._next = 0.0, 0.0
        self._turn = 0
        if self.button is not None:
            self.button.on_click(lambda _: self._play())

    def look(self, events: Iterable[Event], model: ViewModel) -> None:
        """Take in what has happened; when a fall is over, and no earlier one is being played, play
        it.
        """
        self._events.extend(
            event for event in events if event.group == self.group and event.kind in KINDS
        )
        fall = model.fall
        if (
            fall is None
            or fall.seconds is None
            or not model.steps
            or model.steps[-1].filled < model.size
        ):
            return
        ended = model.steps[-1].time
        if ended == self._known or fall.seconds >= TOO_FAST or monotonic() < self._next:
            return
        self._known = ended
        began = ended - fall.seconds
        self.past = PastFall(self.group, began, ended, self._between(began, ended))
        self._play()

    def _between(self, began: float, ended: float) -> tuple[Event, ...]:
        # arithmetic loses a little
        chosen = [event for event in self._events if began - 1e-6 <= event.time <= ended]
        return tuple(sorted(chosen, key=lambda event: event.time))

    def _play(self) -> None:
        if self.past is None or self.drawing is None:
            return
        self._turn += 1
        self._next = monotonic() + self.past.shown
        self.drawing.value = draw_past(self.past, self._turn)
        self.box.layout.display = None


def _widgets() -> tuple[Any, Any, Any]:
    """Return picture, button and the box around them, which is hidden; nothing where widgets are
    not installed.
    """
    try:
        from ipywidgets import HTML, Button, HBox, Layout, VBox
    except ModuleNotFoundError:
        return None, None, None
    picture = HTML()
    button = Button(
        description="Again", tooltip="play the last fall again, slowly", layout=Layout(width="auto")
    )
    bar = HBox(
        [HTML("<b>Replay</b>"), button], layout=Layout(align_items="center", flex_flow="row wrap")
    )
    bar.add_class("ik-toolbar")
    box = VBox([bar, picture], layout=Layout(display="none"))
    box.add_class("ik-replay")
    return picture, button, box
