"""The colours of every picture, and the signs of the live ones: a word, a colour and a shape that
always go together.

Colours are those of Okabe and Ito. Whatever is said is said by the word and the shape as well;
black text can be read on every colour.
"""

from __future__ import annotations

from typing import NamedTuple

from .tables import visible_html

BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#666666"
SKY, ORANGE, GREEN, PURPLE, SILVER = "#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#BBBBBB"

DISC = "M-6 0a6 6 0 1 0 12 0a6 6 0 1 0-12 0z"
PLUS = "M-2-6h4v4h4v4h-4v4h-4v-4h-4v-4h4z"
DIAMOND = "M0-7L7 0L0 7L-7 0z"
TRIANGLE = "M0-7L7 6H-7z"
CROSS = "M-6-4L-4-6L0-2L4-6L6-4L2 0L6 4L4 6L0 2L-4 6L-6 4L-2 0z"
BARS = "M-5-6h4v12h-4zM1-6h4v12h-4z"
SQUARE = "M-5-5h10v10h-10z"
DASH = "M-6-2h12v4h-12z"
RING = "M-6 0a6 6 0 1 0 12 0a6 6 0 1 0-12 0zM-3 0a3 3 0 1 1 6 0a3 3 0 1 1-6 0z"
"""Shapes as SVG paths around the origin, 14 pixels wide at most."""


class Sign(NamedTuple):
    """What something is, said three times."""

    word: str
    colour: str
    shape: str

    def pill(self) -> str:
        """Return the sign as HTML: shape and word in black on its colour, to be read in light and
        dark.
        """
        shape = (
            '<svg aria-hidden="true" width="14" height="14" viewBox="-7 -7 14 14"><path '
            f'd="{self.shape}"/></svg>'
        )
        room = "display:inline-flex;align-items:center;gap:6px;padding:2px 10px;border-radius:10px"
        text = f"background:{self.colour};color:#000;font-weight:600;line-height:1.4"
        text += ";white-space:nowrap"
        return f'<span style="{room};{text}">{shape}{visible_html(self.word)}</span>'


FILLED = Sign("filled", SKY, DISC)
NEW = Sign("new", GREEN, PLUS)
OLD = Sign("old", ORANGE, DIAMOND)
UNHEALTHY = Sign("sick", PURPLE, TRIANGLE)
SILENT = Sign("silent", SILVER, BARS)
EMPTY = Sign("EMPTY", "none", RING)
GONE = Sign("gone", "none", DASH)
SLOTS = (FILLED, NEW, OLD, UNHEALTHY, SILENT, EMPTY, GONE)
"""What a slot can be. Silent is what was made to hang and was not called unhealthy yet. Old is what
was made from another configuration than the committed one; gone is empty and not wanted."""

AS_WANTED = Sign("as wanted", GREEN, DISC)
DIFFERENT = Sign("not as wanted", ORANGE, TRIANGLE)
PAUSED = Sign("paused", SKY, BARS)
DESTROYING = Sign("being destroyed", PURPLE, DASH)
STORM = Sign("storm", VERMILION, DIAMOND)
AWAY = Sign("nobody answers", VERMILION, CROSS)
NOTHING = Sign("nothing wanted", SILVER, SQUARE)
ENDED = Sign("ended", SILVER, SQUARE)
"""What a group can be."""


def sign_of_process(state: str) -> Sign:
    """Return the lamp of a plugin by the state that ``Lab.plugins`` lists.

    >>> sign_of_process("ended: no such directory").word
    'ended'
    """
    word = state.partition(":")[0]
    looks = {"running": (GREEN, DISC), "stopped": (SILVER, SQUARE), "killed": (VERMILION, CROSS)}
    return Sign(word, *looks.get(word, (ORANGE, TRIANGLE)))
