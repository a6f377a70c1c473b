"""Draws a view model as SVG: a headline, the curve of filled slots and below it the slots. Pure:
the same model gives the same text.

The curve begins where the group does, and grows; only what is below the most that was filled is
drawn as lost. Text takes its colours from JupyterLab's theme where there is one, and stands black
on white elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import groupby

from ..show.tables import say_seconds, visible_html
from ..show.theme import BLUE, VERMILION, Sign
from .slots import LEFT, PLOT, RIGHT, WIDTH, draw_slots, in_words, squeezed
from .view_model import WINDOW, CurveStep, Fall, ViewModel

TOP, HEIGHT = 71, 84
"""Where the room of the curve begins, and its height, in pixels."""
LETTER = 9.4
"""Pixels that a letter of the pill takes at most, about."""
STYLE = """<style>
.ik{font-family:var(--jp-ui-font-family,system-ui,sans-serif);font-size:13.5px}
.ik .paper{fill:var(--jp-layout-color0,#fff)}
.ik text{fill:var(--jp-ui-font-color0,#111)}
.ik .on{fill:#000}
.ik .halo{stroke:var(--jp-layout-color0,#fff);stroke-width:6;fill:none}
.ik .line{stroke:var(--jp-ui-font-color0,#111);fill:none}
.ik .grid{stroke:var(--jp-ui-font-color0,#111);stroke-opacity:.25;fill:none}
.ik .hollow{fill:var(--jp-layout-color0,#fff);stroke:var(--jp-ui-font-color0,#111);\
stroke-width:1.2;stroke-dasharray:3 2}
.ik .shape{fill:var(--jp-ui-font-color0,#111)}
</style>"""


def draw(model: ViewModel, sign: Sign) -> str:
    """Return a view model as SVG text; ``sign`` says what the group is."""
    slots, height = draw_slots(model, TOP + HEIGHT + 34)
    said = visible_html(words(model, sign))
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="ik" role="img" aria-label="{said}" '
        f'width="{WIDTH}" height="{height}"'
    )
    look = 'style="display:block;width:100%;height:auto;max-width:820px"'
    paper = f'<rect class="paper" width="{WIDTH}" height="{height}" rx="6"/>'
    return (
        f'{head} viewBox="0 0 {WIDTH} {height}" '
        f"{look}>{STYLE}{paper}{_headline(model, sign)}{_curve(model)}{slots}</svg>"
    )


def words(model: ViewModel, sign: Sign) -> str:
    """Tell a view model in words."""
    filled = _filled(model)
    said = (
        f"Group {model.group}: {sign.word}.",
        f"{filled[0].upper()}{filled[1:]}.",
        _rolled(model),
        _counts(model),
        in_words(model),
    )
    return " ".join(filter(None, (*said, _fell(model.fall), _unnoticed(model))))


def _filled(model: ViewModel) -> str:
    return f"{model.filled} of {model.size} slots filled" if model.size else "no slot is wanted"


def _rolled(model: ViewModel) -> str:
    """Say how far the wanted configuration has come, where not every filled slot has it."""
    return (
        ""
        if model.current == model.filled
        else f"{model.current} of {model.size} with the wanted configuration."
    )


def _counts(model: ViewModel) -> str:
    return f"Wanted: {model.size}, alive: {model.living}."


def _fell(fall: Fall | None) -> str:
    if fall is None:
        return "Nothing was lost yet."
    fewest = f"{fall.fewest} of {fall.size}"
    if fall.seconds is None:
        return f"It fell to {fewest} and is not whole again yet."
    return (
        f"Last fall: to {fewest}, whole again {say_seconds(fall.seconds)} after the {fall.cause}."
    )


def _unnoticed(model: ViewModel) -> str:
    if not model.unnoticed:
        return ""
    return (
        f"The loop does not know of {model.unnoticed} "
        f"{'loss' if model.unnoticed == 1 else 'losses'} yet."
    )


def _headline(model: ViewModel, sign: Sign) -> str:
    name = model.group if len(model.group) <= 16 else f"{model.group[:15]}…"
    wide = LETTER * len(sign.word) + 36
    left, head = WIDTH - 8 - wide, f"{name}: {_filled(model)}"
    return (
        '<text x="8" y="25" font-size="19" '
        f'font-weight="bold"{squeezed(head, left - 16, 11.2)}>{visible_html(head)}</text>'
        f'<text x="8" y="46">{_counts(model)} {_fell(model.fall)}</text>'
        f'<text x="8" y="63">{_rolled(model)} {_unnoticed(model)}</text>'
        f'<rect x="{left:.0f}" y="7" width="{wide:.0f}" height="24" rx="12" fill="{sign.colour}"/>'
        f'<path class="on" d="{sign.shape}" transform="translate({left + 16:.0f} 19)"/>'
        f'<text class="on" x="{left + 28:.0f}" y="24" font-size="14" '
        f'font-weight="bold">{visible_html(sign.word)}</text>'
    )


def _curve(model: ViewModel) -> str:
    bottom = TOP + HEIGHT
    rows = "".join(
        f'<path class="grid" d="M{LEFT} {y}h{PLOT}"/><text x="{LEFT - 8}" y="{y + 4}" '
        f'text-anchor="end">{share} %</text>'
        for y, share in ((TOP + 6, 100), (TOP + 6 + (HEIGHT - 12) / 2, 50), (bottom - 6, 0))
    )
    marks = [
        (LEFT + PLOT * share, f"{WINDOW * (1 - share):.0f} s ago") for share in (0, 1 / 3, 2 / 3)
    ]
    axis = "".join(
        f'<text x="{x:.0f}" y="{bottom + 16}" text-anchor="middle">{said}</text>'
        for x, said in [*marks, (LEFT + PLOT, "now")]
    )
    said = "".join(
        f'<text x="{WIDTH - RIGHT + 12}" y="{TOP + y}">{line}</text>' for y, line in _margin(model)
    )
    return f"{rows}{axis}{said}{''.join(_run(model, run, end) for run, end in _runs(model))}"


def _margin(model: ViewModel) -> list[tuple[int, str]]:
    """Return what stands beside the curve, a line at a time, each with its place."""
    said = [(10, "Q: share of"), (27, "filled slots")]
    if any(step.current != step.filled for step in model.steps):
        said += [(48, "dashed: as"), (65, "wanted")]
    return said


def _runs(model: ViewModel) -> Iterator[tuple[list[CurveStep], float]]:
    """Yield the steps of each size that was wanted, and when it was not any longer: another size is
    no fall.
    """
    run: list[CurveStep] = []
    for step in model.steps:
        if run and step.size != run[-1].size:
            yield run, step.time
            run = []
        if step.size:
            run.append(step)
    if run:
        yield run, model.now


def _run(model: ViewModel, run: list[CurveStep], end: float) -> str:
    """Draw what was filled, what was lost below the most that had been, and dashed what has the
    wanted configuration.
    """
    start, stop = _across(model, run[0].time), _across(model, end)
    filled = _levels(model, run, lambda step: step.filled / step.size)
    reached = _levels(model, run, lambda step: step.reached / step.size)
    line, back = _forth(filled, start, stop), _back(reached)
    return (
        f'<path d="{line}{back}z" fill="{VERMILION}" fill-opacity=".35"/>'
        f'<path class="curve" d="{line}" fill="none" stroke="{BLUE}" stroke-width="5" '
        'stroke-linejoin="round"/>'
        f'<path d="{line}" fill="none" stroke="#9BD3F5" stroke-width="2" stroke-linejoin="round"/>'
        f"{''.join(_outdated(model, run, end))}"
    )


def _outdated(model: ViewModel, run: list[CurveStep], end: float) -> Iterator[str]:
    """Draw, dashed, what has the wanted configuration, while some of what is filled has not."""
    ends = [*(step.time for step in run[1:]), end]
    for apart, spans in groupby(
        zip(run, ends, strict=True), key=lambda span: span[0].current != span[0].filled
    ):
        steps, until = zip(*spans, strict=True)
        if apart:
            start, stop = _across(model, steps[0].time), _across(model, until[-1])
            path = _forth(
                _levels(model, list(steps), lambda step: step.current / step.size), start, stop
            )
            yield f'<path class="line" d="{path}" stroke-width="1.8" stroke-dasharray="6 4"/>'


def _across(model: ViewModel, time: float) -> int:
    """Return where a time is, in whole pixels, kept inside the plot: what shares a pixel now does
    so in every later frame.
    """
    pixels = PLOT / WINDOW
    ago = math.floor(model.now * pixels) - math.floor(time * pixels)
    return LEFT + PLOT - min(PLOT, max(0, ago))


def _down(share: float) -> float:
    return TOP + 6 + (HEIGHT - 12) * (1 - share)


def _levels(
    model: ViewModel, run: list[CurveStep], share: Callable[[CurveStep], float]
) -> dict[int, tuple[float, float]]:
    """Return the lowest and the last share of each pixel in which something happened: a loss within
    one pixel is one stroke.

    What only grows there is no stroke: it would look like a loss.
    """
    columns: dict[int, tuple[float, float]] = {}
    for step in run:
        column, level = _across(model, step.time), share(step)
        lost = step.filled < step.reached and step.time > model.now - WINDOW
        columns[column] = min(columns.get(column, (1.0, 0.0))[0], level if lost else 1.0), level
    return {column: (min(lowest, level), level) for column, (lowest, level) in columns.items()}


def _forth(levels: dict[int, tuple[float, float]], start: int, stop: int) -> str:
    """Return a step curve as a path from ``start`` to ``stop``."""
    path = [f"M{start} {_down(levels[start][1]):.1f}"]
    path += [f"H{at}V{_down(low):.1f}V{_down(level):.1f}" for at, (low, level) in levels.items()]
    return f"{''.join(path)}H{stop}"


def _back(levels: dict[int, tuple[float, float]]) -> str:
    """Return a step curve as the rest of a path, from its end back to its beginning."""
    return "".join(f"V{_down(level):.1f}H{at}" for at, (_, level) in reversed(levels.items()))
