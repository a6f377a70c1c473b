"""A live view of one group: its picture, the reason while it is not as wanted, and the last events
in words.

Kept fresh by a thread of its own, which redraws when something happened or still moves, and ends
with the session. In a notebook that was only opened, and where no widget can be shown, the last
picture stands still.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any, Protocol, Self

from ...spi.text import visible
from ..host.session import Session
from ..show.images import shown_image
from ..show.tables import visible_html
from ..show.theme import ENDED
from .group_history import COUNTS, GroupHistory
from .replay import Replay
from .status import GroupStatus, Why
from .view_drawing import draw, words
from .view_model import WINDOW, ViewModel

STAGE = "application/vnd.ikdemo.stage+json"
"""What our extension of JupyterLab shows beside the notebook (``desk/stage``); a front end without
it passes over this type.
"""

REDRAW = 0.15
"""Seconds between two pictures at least."""
IDLE = 1.0
"""Seconds between two looks while nothing happens."""


class LiveView:
    """The moving picture of one group. ``also`` is called in the view's thread with each model,
    and how it ended at the last.
    """

    def __init__(
        self,
        group: str,
        session: Session,
        why: Why,
        also: Callable[[ViewModel, str], None] | None = None,
    ) -> None:
        self.group, self._session, self._also = group, session, also
        self.status = GroupStatus(group, session, why)
        self._history, self._mark = GroupHistory(group), 0
        self._still, self._words = "", ""
        self._ended, self._woken = "", False
        self.changed = 0.0
        """When the group changed last, in seconds since the epoch."""
        self.reason = html_widget()
        self.drawing = html_widget("ik-picture")
        self.log = html_widget()
        self.replay = Replay(group)
        self._box = box(self.drawing, self.reason, self.replay.box, self.log)

    def start(self) -> Self:
        """Draw the first picture, and keep it fresh where widgets can be shown."""
        self._session.views.pop(self.group, lambda: None)()
        self._session.views[self.group] = self._give_way
        self._frame()
        if self.drawing is not None:
            self._session.spawn(self._refresh, f"live view of {self.group}")
        return self

    def wake(self) -> None:
        """Look again at once: something was done that no event need tell."""
        self._woken = True
        self.status.again()
        self._session.record.add([])

    def bundle(self, shown: Any, name: str) -> dict[str, Any]:
        """Return what a notebook shows: the widget ``shown``, and the last picture where there is
        none.
        """
        if shown is None:
            return self.still()
        return {
            **self.still(),
            "text/plain": name,
            **widget_view(shown),
            STAGE: {"since": self._session.record.now()},
        }

    def still(self) -> dict[str, Any]:
        """Return the last picture and its words."""
        data = b64encode(self._still.encode()).decode()
        said = visible_html(f"{self._words} Run the cell to see it move.")
        return {
            "text/plain": visible(self._words),
            "text/html": shown_image(f"data:image/svg+xml;base64,{data}", said),
        }

    def moving(self) -> dict[str, Any]:
        """Return the widget, beside the last picture."""
        return self.bundle(self._box, repr(self))

    def __repr__(self) -> str:
        return visible(f"Live view of group {self.group}")

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        return self.moving()

    def _ipython_display_(self) -> None:
        show(self, self._session)

    def _give_way(self) -> None:
        self._ended = "newer view open"
        self.wake()

    def _refresh(self) -> None:
        """Draw until the session or the view has ended; what goes wrong in this thread is said in
        the view, for it is shown nowhere else.
        """
        record = self._session.record
        try:
            while self._frame():
                record.wait_for(lambda: not self._session.open, REDRAW)
                moving = record.now() - self._history.latest < WINDOW
                record.wait_for(self._is_due, 0.0 if moving else IDLE)
        except Exception as error:  # noqa: BLE001
            self.reason.value = _reason(
                f"This view has broken down: {type(error).__name__}: {error}"
            )

    def _is_due(self) -> bool:
        return (
            self._woken
            or bool(self._session.ended)
            or self._mark != self._session.record.mark
            or self.status.has_news()
            or not self._session.open
        )

    def _frame(self) -> bool:
        """Draw what there is now; false when this was the last picture."""
        ended, self._woken = self._ended or self._session.ended, False
        events, self._mark = self._session.record.since(self._mark)
        self._history.read(events)
        self.changed = max(
            (one.time for one in events if one.group == self.group and one.kind in COUNTS),
            default=self.changed,
        )
        if not ended:
            self.status.look(bool(events))
        model = self._history.model_at(self._session.record.now())
        sign = ENDED._replace(word=ended) if ended else self.status.sign(model)
        self._still, self._words = draw(model, sign), words(model, sign)
        if self.drawing is not None:
            self.drawing.value = self._still
            self.reason.value = _reason("" if ended else self.status.sentence())
            if events:
                self.log.value = _log(self._history.lines())
            self.replay.look(events, model)
        if self._also is not None:
            self._also(model, ended)
        return not ended


def _reason(sentence: str) -> str:
    said = f"<b>Why:</b> {visible_html(sentence)}" if sentence else "&#160;"
    return f'<div role="status" style="line-height:1.4;min-height:1.4em">{said}</div>'


def _log(lines: list[tuple[float, str, str]]) -> str:
    cell = "padding-right:1em;white-space:nowrap;vertical-align:top"
    rows = "".join(
        f'<tr><td style="{cell};text-align:right">{seconds:.3f} s</td><td '
        f'style="{cell}">{visible_html(plugin)}</td>'
        f'<td style="overflow-wrap:anywhere">{visible_html(said)}</td></tr>'
        for seconds, plugin, said in lines
    )
    style = (
        "font-variant-numeric:tabular-nums;line-height:1.4;text-align:left;border-collapse:collapse"
    )
    return f'<table aria-label="The last events" style="{style}">{rows}</table>'


def html_widget(kind: str = "") -> Any:
    """Return an empty HTML widget, or None where widgets are not installed; ``kind`` is a name for
    style sheets.
    """
    try:
        from ipywidgets import HTML
    except ModuleNotFoundError:
        return None
    return HTML().add_class(kind) if kind else HTML()


def box(*inside: Any) -> Any:
    """Return what a live view shows, one widget below the other, or None where widgets are not
    installed.
    """
    try:
        from ipywidgets import VBox
    except ModuleNotFoundError:
        return None
    return VBox(inside).add_class("ik-live")


WIDGET = "application/vnd.jupyter.widget-view+json"


class Moving(Protocol):
    """What moves as long as its lab is open."""

    def still(self) -> dict[str, Any]:
        """Return what is seen where nothing can move: a picture and its words."""

    def moving(self) -> dict[str, Any]:
        """Return what moves where there is a front end for it, beside what is seen elsewhere."""


def show(one: Moving, session: Session) -> None:
    """Show it as the output of the cell that runs; where that cannot be changed any more, show the
    still picture.
    """
    from IPython.core.getipython import get_ipython
    from IPython.display import display

    publish: Any = display
    if not hasattr(get_ipython(), "kernel"):  # a terminal
        publish(one.still(), raw=True)
        return
    output = publish(one.moving(), raw=True, display_id=True)
    session.at_end(lambda: output.update(one.still(), raw=True))


def widget_view(widget: Any) -> dict[str, Any]:
    """Return what makes a front end show a widget, of ipywidgets 7 as well; nothing where there is
    no widget.
    """
    return (
        {}
        if widget is None
        else {WIDGET: {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}}
    )
