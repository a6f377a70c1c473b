"""Draws the slots of a view model as SVG: a lane for each with its instances as bars, or a small
tile for each of very many.

Pure, and one path per kind of tile, so that a thousand cost hardly more than fifty.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...reconcile.analysis.lives import Life
from ..show.tables import visible_html
from ..show.theme import EMPTY, GONE, GREEN, NEW, OLD, ORANGE, SILENT, SKY, SLOTS, UNHEALTHY, Sign
from .view_model import WINDOW, Lane, ViewModel

WIDTH, LEFT, RIGHT = 620, 96, 92
PLOT = WIDTH - LEFT - RIGHT
"""Pixels: the whole picture, the margins that hold names and words, and what is between them."""
MOST_LANES, IN_ONE_COLUMN = 50, 12
MOST_TILES = 1000
LONGEST_NAME = 11
"""Letters of a slot's name that have room beside its lane."""
WIDE = 9.0
"""Pixels that a letter of small words takes at most, about."""
FILLS = (SKY, ORANGE, GREEN)
"""The colours of the instances of one slot, one after the other; each bar that has room says which
it is, too.
"""


def draw_slots(model: ViewModel, top: int) -> tuple[str, int]:
    """Return the slots, drawn from ``top`` on, and where the picture ends."""
    if len(model.lanes) > MOST_LANES:
        return _tiles(model.lanes, top)
    if len(model.lanes) > IN_ONE_COLUMN:
        half = (len(model.lanes) + 1) // 2
        wide = WIDTH // 2 - LEFT - 74
        left = _lanes(model.lanes[:half], model.now, top, 20, LEFT - 20, wide)
        right = _lanes(model.lanes[half:], model.now, top, 20, WIDTH // 2 + LEFT - 20, wide)
        return left + right, top + 20 * half + 8
    return _lanes(model.lanes, model.now, top, 28, LEFT, PLOT), top + 28 * max(
        1, len(model.lanes)
    ) + 6


def in_words(model: ViewModel) -> str:
    """Name the slots that are not simply filled, a few of each kind."""
    said = []
    for sign in (EMPTY, UNHEALTHY, SILENT, OLD, NEW):
        slots = [lane.slot for lane in model.lanes if lane.sign is sign]
        if slots:
            more = f" and {len(slots) - 8} more" if len(slots) > 8 else ""
            said.append(f"{sign.word.capitalize()}: slot {', '.join(slots[:8])}{more}.")
    return " ".join(said)


def _lanes(lanes: Sequence[Lane], now: float, top: int, pitch: int, left: int, wide: int) -> str:
    return "".join(
        _lane(lane, now, top + pitch * row, pitch, left, wide) for row, lane in enumerate(lanes)
    )


def _lane(lane: Lane, now: float, y: int, pitch: int, left: int, wide: int) -> str:
    """Draw one lane ``pitch`` pixels high: its name, its bars, and the sign of what it is now."""
    edge = 0 if left < WIDTH // 2 else WIDTH // 2  # of the column that the lane is in
    middle, name = y + pitch / 2, lane.slot.removesuffix("#0")
    name = name if len(name) <= LONGEST_NAME else f"{name[:5]}…{name[-6:]}"
    label = f"slot {name}" if lane.slot.isdecimal() and pitch > 20 else name
    first = lane.ever - len(lane.lives)
    bars = [
        _bar(life, first + nth, now, middle, pitch - 7, left, wide)
        for nth, life in enumerate(lane.lives)
    ]
    bars += [
        _end(life, _at(life.died, now, left, wide), middle)
        for life in lane.lives
        if life.died is not None
    ]
    narrow = squeezed(label, left - edge - 12)
    return (
        f'<text x="{left - 8}" y="{middle + 4.5}" '
        f'text-anchor="end"{narrow}>{visible_html(label)}</text>'
        f'<path class="grid" d="M{left} {middle}h{wide}" stroke-dasharray="2 5"/>{"".join(bars)}'
        f'<path class="shape" d="{lane.sign.shape}" fill-rule="evenodd" '
        f'transform="translate({left + wide + 18} {middle})"/>'
        f'<text x="{left + wide + 30}" y="{middle + 4.5}">{lane.sign.word}</text>'
    )


def _bar(life: Life, nth: int, now: float, middle: float, high: int, left: int, wide: int) -> str:
    """Draw one instance from its beginning to its end, and say which of its slot it is where there
    is room.
    """
    start = _at(life.born, now, left, wide)
    end = _at(now if life.died is None else life.died, now, left, wide)
    place = (
        f'x="{start:.1f}" y="{middle - high / 2}" width="{max(1.0, end - start):.1f}" '
        f'height="{high}"'
    )
    bar = f'<rect {place} fill="{FILLS[nth % len(FILLS)]}"/>'
    served = min([end, *(_at(down.start, now, left, wide) for down in life.down)])
    for down in life.down:
        since = _at(down.start, now, left, wide)
        until = end if down.end is None else _at(down.end, now, left, wide)
        hollow = (
            f'x="{since:.1f}" y="{middle - high / 2 + 1}" '
            f'width="{max(1.0, until - since):.1f}" height="{high - 2}"'
        )
        bar += f'<rect class="hollow" {hollow}/>'
        if until - since > 7.7 * len(down.why) + 8:
            bar += (
                f'<text x="{(since + until) / 2:.0f}" y="{middle + 4.5}" '
                f'text-anchor="middle">{down.why}</text>'
            )
    said = f"{'first' if nth == 0 else f'nr {nth + 1}'} …{life.instance[-4:]}"
    if served - start > 7.7 * len(said) + 20:
        bar += (
            f'<text class="on" x="{(start + served) / 2:.0f}" y="{middle + 4.5}" '
            f'text-anchor="middle">{visible_html(said)}</text>'
        )
    return bar


def _end(life: Life, at: float, middle: float) -> str:
    """Draw a cross where an instance was lost, and a stroke where it was destroyed."""
    shape = (
        f"M{at:.1f} {middle - 7}v14"
        if life.ended == "destroyed"
        else f"M{at - 5:.1f} {middle - 5}l10 10m0-10l-10 10"
    )
    return f'<path class="halo" d="{shape}"/><path class="line" stroke-width="2.5" d="{shape}"/>'


def _at(time: float, now: float, left: int, wide: int) -> float:
    return left + wide * min(1.0, max(0.0, 1 - (now - time) / WINDOW))


def squeezed(said: str, room: float, letter: float = WIDE) -> str:
    """Return what makes words narrower that might need more than ``room`` pixels; nothing for those
    that fit.
    """
    return (
        f' textLength="{room:.0f}" lengthAdjust="spacingAndGlyphs"'
        if len(said) * letter > room
        else ""
    )


def _tiles(lanes: Sequence[Lane], top: int) -> tuple[str, int]:
    """Draw a tile for every slot, in rows that begin with their first slot's name, above how many
    there are of each kind.
    """
    shown = lanes[:MOST_TILES]
    across, pitch = (25, 20) if len(shown) <= 200 else (50, 10)
    paths: dict[Sign, list[str]] = {sign: [] for sign in SLOTS}
    for index, lane in enumerate(shown):
        row, column = divmod(index, across)
        paths[lane.sign].append(f"M{LEFT + column * pitch} {top + row * pitch}")
    parts = [_kind(sign, places, pitch) for sign, places in paths.items()]
    rows = (len(shown) + across - 1) // across
    for row in range(0, rows, 1 if pitch > 12 else 2):
        name, y = shown[row * across].slot[:10], top + row * pitch + pitch / 2 + 4
        parts.append(f'<text x="{LEFT - 8}" y="{y}" text-anchor="end">{visible_html(name)}</text>')
    bottom = top + rows * pitch + 22
    counts = ", ".join(f"{len(places)} {sign.word}" for sign, places in paths.items() if places)
    more = f"; {len(lanes) - MOST_TILES} more are not drawn" if len(lanes) > MOST_TILES else ""
    parts.append(
        f'<text x="{LEFT}" y="{bottom}" font-size="15" font-weight="bold">{len(shown)} slots: '
        f"{counts}{more}</text>"
    )
    return "".join(parts), bottom + 10


def _kind(sign: Sign, places: Sequence[str], pitch: int) -> str:
    """Draw all tiles of one kind: two paths, one for the squares and one for the mark in each."""
    if not places:
        return ""
    side, half = pitch - 2, (pitch - 2) / 2
    square = f"h{side}v{side}h-{side}z"
    mark = {
        NEW: f"m{half} 2v{side - 4}m{2 - half} {2 - half}h{side - 4}",
        OLD: f"m1 {side - 1}l{side - 2} {2 - side}",
        UNHEALTHY: f"m2 {half}h{side - 4}",
        SILENT: f"m{half - 2} 2v{side - 4}m4 0v{4 - side}",
        EMPTY: f"m2 2l{side - 4} {side - 4}m0 {4 - side}l{4 - side} {side - 4}",
    }.get(sign)
    ink = {EMPTY: 'class="line"', GONE: 'class="grid"'}.get(sign, f'fill="{sign.colour}"')
    drawn = f'<path {ink} d="{"".join(place + square for place in places)}"/>'
    if mark:
        ink = 'class="line"' if sign is EMPTY else 'stroke="#000" fill="none"'
        drawn += f'<path {ink} stroke-width="1.6" d="{"".join(place + mark for place in places)}"/>'
    return drawn
