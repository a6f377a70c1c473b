"""Turns a drawn figure into bytes, text and HTML, each with its words: the same record gives the
same picture, light or dark.

Nothing goes through pyplot (no global state, no window, safe in any thread).
"""

from __future__ import annotations

import io
import re
from base64 import b64encode
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

from ...spi.errors import IkdemoError
from .tables import visible_html

if TYPE_CHECKING:
    from matplotlib.figure import Figure


DARK_PAGES = ('[data-jp-theme-light="false"]', ".vscode-dark", ".vscode-high-contrast")
"""How JupyterLab, Notebook, nbconvert and VS Code mark a page whose theme is dark."""
ON_DARK = (
    "<style>"
    + ",".join(f"{page} .ik-on-paper" for page in DARK_PAGES)
    + "{filter:invert(.93) hue-rotate(180deg)}</style>"
)
"""Light becomes dark and colours keep their hue; a page that takes no styles shows the picture as
it is.
"""


class Drawable(Protocol):
    """What can be shown: a figure, what it is called, and the same in words."""

    @property
    def title(self) -> str: ...
    @property
    def words(self) -> str: ...
    def figure(self) -> Figure: ...


def svg_text(drawable: Drawable) -> str:
    """Return the figure as SVG: text stays text, identifiers are the same every time, and no date
    is inside.
    """
    from .plotting import own_style

    stream = io.StringIO()
    with own_style():
        nothing_else = {"Date": None, "Creator": None, "Format": None, "Type": None}
        drawable.figure().savefig(stream, format="svg", metadata=nothing_else)
    told = 'role="img" aria-labelledby="ikdemo-title ikdemo-desc">'
    told += f'\n <title id="ikdemo-title">{visible_html(drawable.title)}</title>'
    told += f'\n <desc id="ikdemo-desc">{visible_html(drawable.words)}</desc>'
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    return re.sub(
        r"(<svg [^>]*?)>", lambda match: f"{match[1]} {told}", text, count=1, flags=re.DOTALL
    )


def save(drawable: Drawable, path: str) -> None:
    """Write the figure to a file, in the form that its ending says; an SVG has its words inside.
    Raises IkdemoError, OSError.
    """
    if path.endswith(".svg"):
        Path(path).write_text(svg_text(drawable), encoding="utf-8")
    else:
        _write(drawable, path)


def _write(drawable: Drawable, file: str | IO[bytes], form: str | None = None) -> None:
    from .plotting import own_style

    with own_style():
        drawable.figure().savefig(
            file, format=form, dpi=144, metadata={"Software": None} if form == "png" else None
        )


def shown_image(source: str, words: str) -> str:
    """Return a picture that stands on white paper as HTML; ``words`` are escaped. On a dark page
    its paper is dark as well.
    """
    return (
        f'{ON_DARK}<img alt="{words}" src="{source}" class="ik-on-paper" style="max-width:100%"/>'
    )


def faces(drawable: Drawable) -> dict[str, str]:
    """Return what a notebook shows: the picture with its words below it, or the words alone where
    nothing can be drawn.

    The picture stands there twice: in a page with its words, and by itself for what makes no page,
    such as LaTeX.
    """
    stream = io.BytesIO()
    try:
        _write(drawable, stream, "png")
    except IkdemoError as missing:
        return {"text/plain": f"{drawable!r}\n{missing}"}
    data, words = b64encode(stream.getvalue()).decode(), visible_html(drawable.words)
    image = shown_image(f"data:image/png;base64,{data}", words)
    html = f'<figure style="margin:0">{image}<figcaption>{words}</figcaption></figure>'
    return {"text/plain": repr(drawable), "text/html": html, "image/png": data}
