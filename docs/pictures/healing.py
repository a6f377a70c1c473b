"""Draws the README's moving picture from the record of a real run: ``python -m
docs.pictures.healing [--record]``.

``--record`` runs a group of five that loses two instances, and keeps what its plugins told in
``healing.json``. From that alone ``healing.svg`` is drawn, far slower than it was, and the README's
words about it are written, so that they cannot differ. The picture plays three times and rests;
a system that is set to less motion shows it at rest at once.
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

from benchmarks.pages import fill, picture

from .film import AFTER, BEFORE, GROUP, LEFT, LOSSES, PLOT, SIZE, TIMES, Bar, Film

ROOT = Path(__file__).parents[2]
RECORD, SVG = (Path(__file__).with_name(f"healing.{ending}") for ending in ("json", "svg"))
WIDTH = 820
TOP, ROOM, LANE = 122, 62, 30
STYLE = """
svg { font: 14px system-ui, sans-serif; --paper: #fff; --ink: #1a1a1a; --grid: #d0d0d0; --curve: \
#0072b2 }
@media (prefers-color-scheme: dark) { svg { --paper: #16191d; --ink: #e8e8e8; --grid: #444a52; \
--curve: #56b4e9 } }
text { fill: var(--ink) } .paper { fill: var(--paper) } .grid { stroke: var(--grid) } .ink { \
stroke: var(--ink); fill: none }
.big { font-size: 19px; font-weight: bold } .on { fill: #000 } .first { fill: #56b4e9 } .new { \
fill: #e69f00 }
.loss { fill: #d55e00; fill-opacity: .35 } .cross { stroke: #d55e00; stroke-width: 4; fill: none }
.curve { stroke: var(--curve); stroke-width: 3; fill: none } .empty { stroke: #d55e00; \
stroke-dasharray: 4 4; fill: none }
.curtain { transform: scaleX(0); transform-origin: %(right)dpx 0 } .head { transform: \
translateX(%(plot)dpx); stroke-opacity: 0 }
.told { opacity: 0 } .told:last-of-type { opacity: 1 }
@media (prefers-reduced-motion: no-preference) {
.moving { animation-duration: %(whole).1fs; animation-iteration-count: %(times)d }
.curtain, .head { animation-timing-function: linear } .told { animation-timing-function: step-end }
%(frames)s }
"""


def draw(record: dict[str, Any]) -> str:
    """Return the moving picture as SVG text; the same record gives the same text."""
    film = Film(record)
    height = TOP + ROOM + 26 + LANE * SIZE + 34
    body = "\n".join(
        [
            *_head(film),
            *_curve(film),
            *_lanes(film),
            *_stamps(film),
            *_curtain(height),
            *_axis(film, height),
        ]
    )
    style = STYLE % {
        "right": LEFT + PLOT,
        "plot": PLOT,
        "whole": film.whole_showing,
        "times": TIMES,
        "frames": "\n".join(_frames(film)),
    }
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}">'
    )
    title = f"<title>{GROUP} heals, in slow motion</title><desc>{film.words} {film.caption}</desc>"
    paper = f'<rect class="paper" width="{WIDTH}" height="{height}" rx="8"/>'
    return f"{head}{title}<style>{style}</style>\n{paper}\n{body}\n</svg>\n"


def _told(film: Film) -> list[tuple[float, str]]:
    """What is said in the picture, each with the moment from which on."""
    return [
        (-BEFORE, f"{SIZE} instances are wanted, {SIZE} are there."),
        (0.0, f"rm: {LOSSES} files are deleted. No program is told."),
        (
            film.noticed,
            f"After {film.noticed:.1f} ms the loop has noticed, and makes {LOSSES} new ones.",
        ),
        (film.whole, f"After {film.whole:.1f} ms there are {SIZE} again. No person gave an order."),
    ]


def _head(film: Film) -> Iterator[str]:
    yield f'<text class="big" x="16" y="30">Group {GROUP}</text>'
    yield (
        f'<text x="{WIDTH - 16}" y="30" text-anchor="end">recorded {film.date}, {film.slower:,} '
        f"times slower</text>"
    )
    said = "".join(
        f'<text class="told moving t{index}" x="16" y="56" font-size="17">{escape(text)}</text>'
        for index, (_, text) in enumerate(_told(film))
    )
    yield f"<g>{said}</g>"


def _curve(film: Film) -> Iterator[str]:
    def y(filled: int) -> float:
        return TOP + ROOM * (1 - filled / SIZE)

    path = f"M{LEFT} {y(film.filled(-BEFORE)):.1f}"
    for moment in film.changes():
        path += f"H{film.x(moment)}V{y(film.filled(moment)):.1f}"
    path += f"H{LEFT + PLOT}"
    for filled in (0, SIZE):
        yield f'<path class="grid" d="M{LEFT} {y(filled):.1f}h{PLOT}"/>'
        yield (
            f'<text x="{LEFT - 10}" y="{y(filled) + 5:.1f}" text-anchor="end">{filled} of '
            f"{SIZE}</text>"
        )
    yield f'<path class="loss" d="{path}V{TOP}H{LEFT}z"/><path class="curve" d="{path}"/>'


def _lanes(film: Film) -> Iterator[str]:
    top = TOP + ROOM + 26
    for slot in range(SIZE):
        y = top + LANE * slot
        yield f'<text x="{LEFT - 10}" y="{y + 19}" text-anchor="end">slot {slot}</text>'
        for bar in film.bars:
            if bar.slot == slot:
                yield from _bar(film, bar, y)
        yield from _gap(film, slot, y)


def _bar(film: Film, bar: Bar, y: float) -> Iterator[str]:
    start, end = film.x(bar.born), LEFT + PLOT if bar.died is None else film.x(bar.died)
    name = f"…{bar.instance[-4:]}"
    kind, said = ("new", f"new {name}") if bar.born > 0 else ("first", name)
    yield (
        f'<rect class="{kind}" x="{start}" y="{y + 3}" width="{end - start:.1f}" '
        f'height="{LANE - 8}" rx="3"/>'
    )
    if end - start > 60:
        yield f'<text class="on" x="{start + 8}" y="{y + 19}">{said}</text>'
    if bar.died is not None:
        yield f'<path class="cross" d="M{end - 6} {y + 8}l12 12m0 -12l-12 12"/>'


def _gap(film: Film, slot: int, y: float) -> Iterator[str]:
    """Mark the time in which a slot is empty."""
    for died in [bar.died for bar in film.bars if bar.slot == slot and bar.died is not None]:
        born = min(
            (bar.born for bar in film.bars if bar.slot == slot and bar.born > died),
            default=film.whole + AFTER,
        )
        start, width = film.x(died), film.x(born) - film.x(died)
        yield (
            f'<rect class="empty" x="{start}" y="{y + 3}" width="{width:.1f}" height="{LANE - 8}"/>'
        )
        if width > 90:
            yield f'<text x="{start + 14}" y="{y + 19}">empty</text>'


def _stamps(film: Film) -> Iterator[str]:
    """Name the three moments above the curve, each in a line of its own: two may be close
    together.
    """
    stamps = ((0.0, "1 deleted"), (film.noticed, "2 noticed"), (film.whole, "3 whole again"))
    for row, (moment, name) in enumerate(stamps):
        x = film.x(moment)
        yield (
            f'<path class="ink" stroke-dasharray="2 3" d="M{x} '
            f'{TOP - 44 + 16 * row}V{TOP + ROOM}"/>'
        )
        yield f'<text x="{x + 5}" y="{TOP - 38 + 16 * row}">{name}</text>'


def _curtain(height: float) -> Iterator[str]:
    """Hide what has not happened yet; the line is now."""
    top = TOP - 50
    yield (
        f'<rect class="paper curtain moving" x="{LEFT}" y="{top}" width="{PLOT + 20}" '
        f'height="{height - 34 - top}"/>'
    )
    yield f'<path class="ink head moving" d="M{LEFT} {top}V{height - 34}"/>'


def _axis(film: Film, height: float) -> Iterator[str]:
    for ms in range(int(film.whole + AFTER) + 1):
        yield f'<path class="ink" d="M{film.x(ms)} {height - 34}v5"/>'
        yield (
            f'<text x="{film.x(ms)}" y="{height - 14}" '
            f'text-anchor="middle">{ms}{" ms" if ms == 0 else ""}</text>'
        )


def _frames(film: Film) -> Iterator[str]:
    end = film.share(film.whole + AFTER)
    yield (
        f"@keyframes curtain "
        f"{{ 0% {{ transform: scaleX(1) }} {end}%, 100% {{ transform: scaleX(0) }} }}"
    )
    yield (
        f"@keyframes head {{ 0% {{ transform: none; stroke-opacity: 1 }} {end - 0.01:.2f}% {{ "
        f"transform: translateX({PLOT}px); "
        f"stroke-opacity: 1 }} {end}%, 100% {{ transform: translateX({PLOT}px); "
        "stroke-opacity: 0 } }"
    )
    yield ".curtain { animation-name: curtain } .head { animation-name: head }"
    told = [film.share(moment) for moment, _ in _told(film)]
    for index, (start, stop) in enumerate(zip(told, [*told[1:], 100.0], strict=True)):
        off = f"0% {{ opacity: 0 }} {start}% {{ opacity: 1 }}" if start else "0% { opacity: 1 }"
        on = f" {stop}% {{ opacity: 0 }}" if stop < 100 else " 100% { opacity: 1 }"
        yield f"@keyframes t{index} {{ {off}{on} }} .t{index} {{ animation-name: t{index} }}"


def run() -> dict[str, Any]:
    """Let a real group lose some instances and heal, and return what its plugins told, in
    milliseconds after the first fault.
    """
    from ikdemo import Lab
    from ikdemo.lab import collabnix

    with Lab() as lab:
        lab.start()
        lab.commit(collabnix(size=SIZE))
        lab.wait(GROUP)
        lab.kill(GROUP, LOSSES)
        lab.wait(GROUP)
        recovery = lab.recovery(GROUP)
    fall = recovery.last

    def after(time: float | None) -> float | None:
        return None if time is None else round(1000 * (time - fall.began), 3)

    lives = [
        {"slot": int(a.slot), "instance": a.instance, "born": after(a.born), "died": after(a.died)}
        for a in recovery.lives
    ]
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "noticed": after(fall.detected),
        "whole": after(fall.recovered),
        "fewest": fall.fewest,
        "lives": lives,
    }


def main(words: list[str]) -> None:
    """Record if asked to, draw, and write the README's words."""
    if words == ["--record"]:
        RECORD.write_text(json.dumps(run(), indent=1) + "\n")
    record = json.loads(RECORD.read_text())
    SVG.write_text(draw(record), encoding="utf-8")
    film = Film(record)
    caption = textwrap.fill(f"*{film.caption}*", 140)
    fill(
        ROOT / "README.md",
        "healing",
        f"{picture(film.words, 'docs/pictures/healing.svg')}\n\n{caption}",
    )


if __name__ == "__main__":
    main(sys.argv[1:])
