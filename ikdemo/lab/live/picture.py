"""Draws a scene as SVG: a headline, the curve Q(t) and below it the slots. Pure: the same scene gives the same text.

Text takes its colours from JupyterLab's theme where there is one, and stands black on white elsewhere. Called by ``LiveView``.
"""

from __future__ import annotations

from ..marks import BLUE, VERMILION, Sign
from ..table import say_seconds, visible_html
from .scene import WINDOW, Fall, Scene
from .slots import LEFT, PLOT, RIGHT, WIDTH, draw_slots, in_words

TOP, HEIGHT = 52, 84
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
.ik .shape{fill:var(--jp-ui-font-color0,#111)}
</style>"""


def draw(scene: Scene, sign: Sign) -> str:
    """Return a scene as SVG text; ``sign`` says what the group is."""
    slots, height = draw_slots(scene, TOP + HEIGHT + 34)
    said = visible_html(words(scene, sign))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" class="ik" role="img" aria-label="{said}" width="{WIDTH}" height="{height}"'
    look = 'style="display:block;width:100%;height:auto;max-width:820px"'
    paper = f'<rect class="paper" width="{WIDTH}" height="{height}" rx="6"/>'
    return f'{head} viewBox="0 0 {WIDTH} {height}" {look}>{STYLE}{paper}{_headline(scene, sign)}{_curve(scene)}{slots}</svg>'


def words(scene: Scene, sign: Sign) -> str:
    """Tell a scene in words."""
    filled = _filled(scene)
    said = (f"Group {scene.group}: {sign.word}.", f"{filled[0].upper()}{filled[1:]}.", _counts(scene), in_words(scene))
    return " ".join(filter(None, (*said, _fell(scene.fall))))


def _filled(scene: Scene) -> str:
    return f"{round(scene.quality * scene.size)} of {scene.size} slots filled" if scene.size else "no slot is wanted"


def _counts(scene: Scene) -> str:
    return f"Wanted: {scene.size}, alive: {scene.living}."


def _fell(fall: Fall | None) -> str:
    if fall is None:
        return "Nothing was lost yet."
    if fall.seconds is None:
        return f"It fell to {fall.lowest:.0%} and is not whole again yet."
    return f"Last fall: to {fall.lowest:.0%}, whole again {say_seconds(fall.seconds)} after the fault."


def _headline(scene: Scene, sign: Sign) -> str:
    name = scene.group if len(scene.group) <= 16 else f"{scene.group[:15]}…"
    wide = LETTER * len(sign.word) + 36
    left = WIDTH - 8 - wide
    return (
        f'<text x="8" y="25" font-size="19" font-weight="bold">{visible_html(name)}: {_filled(scene)}</text>'
        f'<text x="8" y="43">{_counts(scene)} {_fell(scene.fall)}</text>'
        f'<rect x="{left:.0f}" y="7" width="{wide:.0f}" height="24" rx="12" fill="{sign.colour}"/>'
        f'<path class="on" d="{sign.shape}" transform="translate({left + 16:.0f} 19)"/>'
        f'<text class="on" x="{left + 28:.0f}" y="24" font-size="14" font-weight="bold">{visible_html(sign.word)}</text>'
    )


def _curve(scene: Scene) -> str:
    bottom = TOP + HEIGHT
    rows = "".join(
        f'<path class="grid" d="M{LEFT} {y}h{PLOT}"/><text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{share} %</text>'
        for y, share in ((TOP + 6, 100), (TOP + 6 + (HEIGHT - 12) / 2, 50), (bottom - 6, 0))
    )
    marks = [(LEFT + PLOT * share, f"{WINDOW * (1 - share):.0f} s ago") for share in (0, 1 / 3, 2 / 3)]
    axis = "".join(
        f'<text x="{x:.0f}" y="{bottom + 16}" text-anchor="middle">{said}</text>' for x, said in [*marks, (LEFT + PLOT, "now")]
    )
    line = _steps(scene)
    top = f"V{TOP + 6}H{LEFT}z"
    return (
        f'{rows}{axis}<text x="{WIDTH - RIGHT + 12}" y="{TOP + 10}">Q: share of</text>'
        f'<text x="{WIDTH - RIGHT + 12}" y="{TOP + 27}">filled slots</text>'
        f'<path d="{line}{top}" fill="{VERMILION}" fill-opacity=".35"/>'
        f'<path d="{line}" fill="none" stroke="{BLUE}" stroke-width="5" stroke-linejoin="round"/>'
        f'<path d="{line}" fill="none" stroke="#9BD3F5" stroke-width="2" stroke-linejoin="round"/>'
    )


def _steps(scene: Scene) -> str:
    """Return the step curve as a path: what happens within one pixel is one stroke down to the lowest and back."""
    start, quality, columns = scene.now - WINDOW, 1.0, dict[int, tuple[float, float]]()
    for time, level in scene.steps:
        if time <= start:
            quality = level
            continue
        column = round(LEFT + PLOT * (min(time, scene.now) - start) / WINDOW)
        lowest, _ = columns.get(column, (1.0, level))
        columns[column] = min(lowest, level), level
    room = HEIGHT - 12
    path = [f"M{LEFT} {TOP + 6 + room * (1 - quality):.1f}"]
    for column, (lowest, level) in columns.items():
        path.append(f"H{column}V{TOP + 6 + room * (1 - lowest):.1f}V{TOP + 6 + room * (1 - level):.1f}")
    return f"{''.join(path)}H{LEFT + PLOT}"
