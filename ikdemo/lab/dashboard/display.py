"""Shows what moves in a notebook, and puts its last picture in its place when the lab is closed.

A notebook that is saved, exported or opened tomorrow has no kernel: a widget is empty there, a picture with its words is not.
Only here does an output know that it will change. Called by live views, dashboards and web pages.
"""

from __future__ import annotations

from typing import Any, Protocol

from ..host.session import Line

WIDGET = "application/vnd.jupyter.widget-view+json"


class Moving(Protocol):
    """What moves as long as its lab is open."""

    def still(self) -> dict[str, Any]:
        """Return what is seen where nothing can move: a picture and its words."""

    def moving(self) -> dict[str, Any]:
        """Return what moves where there is a front end for it, beside what is seen elsewhere."""


def show(one: Moving, line: Line) -> None:
    """Show it as the output of the cell that runs; where that cannot be changed any more, show the still picture."""
    from IPython.core.getipython import get_ipython
    from IPython.display import display

    publish: Any = display
    if not hasattr(get_ipython(), "kernel"):  # a terminal
        publish(one.still(), raw=True)
        return
    output = publish(one.moving(), raw=True, display_id=True)
    line.at_end(lambda: output.update(one.still(), raw=True))


def widget_view(widget: Any) -> dict[str, Any]:
    """Return what makes a front end show a widget, of ipywidgets 7 as well; nothing where there is no widget."""
    return {} if widget is None else {WIDGET: {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}}
