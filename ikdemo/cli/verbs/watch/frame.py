"""Draws a group for a terminal of any size: what it is, its plugins, the curve of filled slots, a
lane for each slot, events.

Pure: the same content gives the same lines. Nothing is said by colour alone; where there is no
Unicode, letters of ASCII stand for the shapes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from rich.console import Group
from rich.text import Text

from ....lab.dashboard.slots import FILLS
from ....lab.dashboard.view_drawing import words
from ....lab.dashboard.view_model import WINDOW, CurveStep, Lane, ViewModel
from ....lab.show import theme
from ....lab.show.theme import Sign
from ....spi.text import visible
from .key_actions import HELP

NAME = 12
"""Columns for the name of a slot, with the mark of the chosen one."""
WORDS = 17
"""Columns for what is said beside a lane: shape, word, the end of the instance's ID."""
CURVE = 3
EVENTS = 4
"""Rows of the curve, and rows that events keep when there are many slots."""
LONGEST_NAME = 23
"""Columns for the name of a plugin beside what it tells."""
ID = re.compile(r"\binstance-\d+(\d{4})\b")
SHAPES = {
    theme.DISC: ("●", "o"),
    theme.PLUS: ("✚", "+"),
    theme.DIAMOND: ("◆", "*"),
    theme.TRIANGLE: ("▲", "!"),
    theme.CROSS: ("✖", "x"),
    theme.BARS: ("‖", "="),
    theme.SQUARE: ("■", "#"),
    theme.DASH: ("–", "-"),
    theme.RING: ("○", "."),
}


class TerminalStyle(NamedTuple):
    """The size of the terminal in characters, and whether it can show more than ASCII."""

    width: int
    height: int
    unicode: bool


class FrameContent(NamedTuple):
    """All that a frame shows. ``chosen``: the row of the slot that keys are about."""

    model: ViewModel
    sign: Sign
    plugin_signs: Sequence[tuple[str, Sign]]
    chosen: int
    why: str
    said: str
    lines: Sequence[tuple[float, str, str]]


def draw(content: FrameContent, terminal: TerminalStyle) -> Group:
    """Return the rows of a frame: as many as the terminal has, each as wide as it at most; the last
    one names the keys.
    """
    head = [
        _headline(content, terminal),
        *_wrapped(words(content.model, content.sign).partition(". ")[2], terminal.width, 2),
    ]
    head.append(_plugins(content.plugin_signs, terminal))
    foot = [
        *_wrapped(f"Why: {content.why}" if content.why else "", terminal.width, 2),
        *_wrapped(content.said, terminal.width, 2, "bold"),
    ]
    foot.append(Text(HELP, style="reverse"))
    room = terminal.height - len(head) - len(foot)
    curve = _curve(content.model, terminal) if room >= CURVE + 3 + EVENTS else []
    room -= len(curve)
    lanes = _lanes(content, terminal, max(1, room - min(EVENTS, max(0, room - 1))))
    events = _events(content.lines, max(0, room - len(lanes)))
    rows = [*head, *curve, *lanes, *events]
    rows = [
        *rows[: max(0, terminal.height - len(foot))],
        *([Text("")] * (terminal.height - len(foot) - len(rows))),
        *foot,
    ][-terminal.height :]
    for row in rows:
        row.no_wrap, row.overflow = True, "ellipsis" if terminal.unicode else "crop"
        row.truncate(terminal.width, overflow=row.overflow)
    return Group(*rows)


def _shape(sign: Sign, terminal: TerminalStyle) -> str:
    return SHAPES.get(sign.shape, ("?", "?"))[0 if terminal.unicode else 1]


def _style(sign: Sign) -> str:
    return sign.colour if sign.colour.startswith("#") else ""


def _headline(content: FrameContent, terminal: TerminalStyle) -> Text:
    line = Text(
        f" {_shape(content.sign, terminal)} {content.sign.word} ",
        style=f"bold {_style(content.sign)} reverse",
    )
    return Text.assemble((visible(f"{content.model.group}  "), "bold"), line)


def _wrapped(said: str, width: int, rows: int, style: str = "") -> list[Text]:
    """Break a sentence into rows between words; always so many rows, so that nothing below
    jumps.
    """
    lines, line = [], ""
    for word in visible(said).split():
        if line and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    lines.append(line)
    lines = [*lines[: rows - 1], " ".join(lines[rows - 1 :])]
    return [Text(line, style=style) for line in [*lines, *[""] * (rows - len(lines))]]


def _plugins(signs: Sequence[tuple[str, Sign]], terminal: TerminalStyle) -> Text:
    line = Text("Plugins: ")
    for name, sign in signs:
        line.append(f"{_shape(sign, terminal)} ", style=_style(sign))
        line.append(visible(name) + ("" if sign.word == "running" else f" {sign.word}") + "  ")
    return line


def _columns(terminal: TerminalStyle) -> int:
    return max(1, terminal.width - NAME - WORDS)


def _curve(model: ViewModel, terminal: TerminalStyle) -> list[Text]:
    """Draw the share of filled slots as bars, the lowest within each column: a fall of a
    millisecond is seen, too.
    """
    wide = _columns(terminal)
    shares = lowest(model.steps, model.now, wide)
    bars = " ▁▂▃▄▅▆▇█" if terminal.unicode else "  ...:::#"
    rows = []
    for row in range(CURVE - 1, -1, -1):
        label = {CURVE - 1: "full 100 %", 0: "0 %"}.get(row, "")
        line, cells = Text(f"{label:>{NAME - 1}} "), []
        for share in shares:
            level = 0 if share is None else max(0, min(8, round(share * 8 * CURVE) - 8 * row))
            cells.append(
                (bars[level], theme.SKY if share is None or share >= 1 else theme.VERMILION)
            )
        _append(line, cells)
        rows.append(line)
    axis = f"{WINDOW:.0f} s ago"
    return [*rows, Text(" " * NAME + axis + "now".rjust(max(0, wide - len(axis))))]


def lowest(steps: Sequence[CurveStep], now: float, wide: int) -> list[float | None]:
    """Return the lowest share of filled slots in each of ``wide`` equal parts of the window; None
    before the group was there.

    >>> full, fallen = CurveStep(0.0, 4, 4, 4, 4), CurveStep(10.0, 4, 1, 1, 4)
    >>> lowest([full, fallen, CurveStep(10.1, 4, 4, 4, 4)], 30.0, 3)
    [1.0, 0.25, 1.0]
    """
    start, part = now - WINDOW, WINDOW / wide
    shares: list[float | None] = [None] * wide
    for step, after in zip(steps, [*steps[1:], None], strict=True):
        share = step.filled / step.size if step.size else 1.0
        first = max(0, int((step.time - start) / part))
        last = wide - 1 if after is None else min(wide - 1, int((after.time - start) / part))
        for column in range(first, last + 1):
            before = shares[column]
            shares[column] = share if before is None else min(before, share)
    return shares


def _lanes(content: FrameContent, terminal: TerminalStyle, room: int) -> list[Text]:
    """Draw as many lanes as there is room for, with the chosen one; if that is not all, count how
    many there are of each kind.
    """
    lanes = content.model.lanes
    if len(lanes) <= room:
        return [
            _lane(lane, row == content.chosen, content.model.now, terminal)
            for row, lane in enumerate(lanes)
        ]
    kinds = {sign.word: sum(lane.sign is sign for lane in lanes) for sign in theme.SLOTS}
    counts = ", ".join(f"{number} {word}" for word, number in kinds.items() if number)
    first = min(max(0, content.chosen - (room - 1) // 2), len(lanes) - max(0, room - 1))
    drawn = range(first, first + max(0, room - 1))
    return [
        *(_lane(lanes[row], row == content.chosen, content.model.now, terminal) for row in drawn),
        Text(f"{len(lanes)} slots: {counts}"),
    ]


def _lane(lane: Lane, chosen: bool, now: float, terminal: TerminalStyle) -> Text:
    name = visible(f"slot {lane.slot}" if lane.slot.isdecimal() else lane.slot.removesuffix("#0"))
    name = name if len(name) < NAME - 2 else f"{name[: NAME - 4]}~"
    line = Text.assemble(
        (f"{'>' if chosen else ' '} {name:<{NAME - 2}}", "bold reverse" if chosen else "")
    )
    _append(line, bar(lane, now, _columns(terminal), terminal.unicode))
    living = next((life.instance for life in reversed(lane.lives) if life.died is None), "")
    line.append(f" {_shape(lane.sign, terminal)} ", style=_style(lane.sign))
    line.append(f"{lane.sign.word} {visible(living)[-4:]}")
    return line


def bar(lane: Lane, now: float, wide: int, unicode: bool) -> list[tuple[str, str]]:
    """Return what stands in each column of a lane, with its style: the end of an instance, else one
    that lived, else a gap.

    The letters of one instance and of its replacement differ, so that a change is seen without
    colour.
    """
    start, part = now - WINDOW, WINDOW / wide
    fills, gap = ("▇▓▒", "·") if unicode else ("#=+", ".")
    cells = [(gap, "")] * wide
    first = lane.ever - len(lane.lives)
    for nth, life in enumerate(lane.lives):
        begin = max(0, int((life.born - start) / part))
        end = wide - 1 if life.died is None else min(wide - 1, int((life.died - start) / part))
        fill = fills[(first + nth) % len(fills)], FILLS[(first + nth) % len(FILLS)]
        for column in range(begin, end + 1):
            down = life.failure(start + (column + 0.5) * part)
            if cells[column][0] not in "X|":
                cells[column] = ("?", theme.PURPLE) if down else fill
        if life.died is not None and end >= 0:
            cells[end] = "|" if life.ended == "destroyed" else "X", "bold"
    return cells


def _append(line: Text, cells: Sequence[tuple[str, str]]) -> None:
    """Add characters with their styles, those of one style at once: few bytes travel to a terminal
    that is far away.
    """
    for style, run in groupby(cells, key=lambda cell: cell[1]):
        line.append("".join(letter for letter, _ in run), style=style)


def _events(lines: Sequence[tuple[float, str, str]], room: int) -> list[Text]:
    """Tell the last events, the latest at the bottom."""
    told = lines[max(0, len(lines) - room) :] if room else []
    wide = min(LONGEST_NAME, max((len(plugin) for _, plugin, _ in told), default=0))
    rows = [
        (f"{seconds:8.3f}s {plugin[:wide]:<{wide}}", ID.sub(r"…\1", said))
        for seconds, plugin, said in told
    ]
    return [Text(visible(f"{who} {said}")) for who, said in rows]
