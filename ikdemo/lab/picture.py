"""Turns a drawn figure into bytes, text and HTML, each with its words: the same record gives the same picture.

Nothing goes through pyplot (no global state, no window, safe in any thread). Called by ``Recovery`` and ``Rollout``.
"""

from __future__ import annotations

import io
import re
from base64 import b64encode
from typing import IO, TYPE_CHECKING, Protocol

from ..spi.errors import IkdemoError
from .table import visible_html

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Drawable(Protocol):
    """What can be shown: a figure, what it is called, and the same in words."""

    @property
    def title(self) -> str: ...
    @property
    def words(self) -> str: ...
    def figure(self) -> Figure: ...


def svg_text(drawable: Drawable) -> str:
    """Return the figure as SVG: text stays text, identifiers are the same every time, and no date is inside."""
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
    return re.sub(r"(<svg [^>]*?)>", lambda match: f"{match[1]} {told}", text, count=1, flags=re.DOTALL)


def save(drawable: Drawable, file: str | IO[bytes], form: str | None = None) -> None:
    """Write the figure to a file, in the form that its ending says, or in ``form``; raises IkdemoError, OSError."""
    from .plotting import own_style

    with own_style():
        drawable.figure().savefig(file, format=form, dpi=144, metadata={"Software": None} if form == "png" else None)


def faces(drawable: Drawable) -> dict[str, str]:
    """Return what a notebook shows: the picture with its words below it, or the words alone where nothing can be drawn."""
    stream = io.BytesIO()
    try:
        save(drawable, stream, "png")
    except IkdemoError as missing:
        return {"text/plain": f"{drawable!r}\n{missing}"}
    data, words = b64encode(stream.getvalue()).decode(), visible_html(drawable.words)
    image = f'<img alt="{words}" src="data:image/png;base64,{data}" style="max-width:100%"/>'
    html = f'<figure style="margin:0">{image}<figcaption>{words}</figcaption></figure>'
    return {"text/plain": repr(drawable), "text/html": html}
