"""The dashboard of one group: its live view, buttons that break and stop things, and its plugins
with lamps.

Everything can be reached with the keyboard and has a name. It ends with its session: then the
picture stands still and no button can be pressed.
"""

from __future__ import annotations

from typing import Any, Protocol, Self

from ...spi.errors import IkdemoError
from ...spi.text import visible
from ..host.session import Session
from ..show.step_view import StepView
from ..show.tables import Table
from .status import Why
from .view import LiveView, box, show
from .view_model import ViewModel

SHARES = (0.2, 0.4, 0.6, 0.8, 1.0)


class Controls(Protocol):
    """What a dashboard needs of a lab."""

    @property
    def session(self) -> Session: ...
    def plugins(self) -> Table: ...
    def is_process(self, name: str) -> bool: ...
    def start_again(self, name: str) -> Table: ...
    def stop_plugin(self, name: str) -> Table: ...
    def kill_plugin(self, name: str) -> Table: ...
    def plan(self, group: str) -> StepView: ...
    def step(self, group: str) -> StepView: ...
    def pause(self, group: str) -> str: ...
    def resume(self, group: str) -> str: ...
    def kill(self, group: str, n: int = 1) -> Table: ...


class Dashboard:
    """A live view with controls below its picture; without ipywidgets only the picture."""

    def __init__(self, lab: Controls, group: str, why: Why) -> None:
        self.group, self._lab, self._session = group, lab, lab.session
        self.view = LiveView(group, self._session, why, self._look)
        self._living = 0
        self.box: Any = None
        if self.view.drawing is not None:
            self.box = self._build()

    def start(self) -> Self:
        """Show what there is, and keep it fresh."""
        self.view.start()
        return self

    def __repr__(self) -> str:
        return visible(f"Dashboard of group {self.group}")

    def still(self) -> dict[str, Any]:
        """Return the last picture of the group, and its words."""
        return self.view.still()

    def moving(self) -> dict[str, Any]:
        """Return the widget, beside the last picture."""
        return self.view.bundle(self.box, repr(self))

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        return self.moving()

    def _ipython_display_(self) -> None:
        show(self, self._session)

    def _build(self) -> Any:
        from ipywidgets import Dropdown, Layout

        from .buttons import Buttons, row
        from .panels import PluginPanel, StepPanel

        self.buttons = Buttons(self._session, self.view.wake)
        self.plugins = PluginPanel(self._lab, self.buttons)
        # the view looks for the last time before the plugins have ended
        self._session.at_end(self.plugins.look)
        self.steps = StepPanel(self._lab, self.group, self.buttons)
        self.share = Dropdown(
            options=[(f"{share:.0%}", share) for share in SHARES],
            value=0.4,
            description="share",
            tooltip="how many are killed by “kill a share”",
            layout=Layout(width="120px"),
            style={"description_width": "44px"},
        )
        press, group = self.buttons.button, self.group
        faults = (
            press("kill one", "kill one: an instance chosen by chance", lambda: self._kill(1)),
            self.share,
            press(
                "kill a share", "kill a share: as much of the group as is chosen", self._kill_share
            ),
        )
        loop = (
            press(
                "pause",
                "pause the loop: it looks, and changes nothing",
                lambda: f"{self._lab.pause(group)}.",
            ),
            press("step", "step: one whole pass of the loop", self.steps.step),
            press(
                "resume", "resume the loop: it acts again", lambda: f"{self._lab.resume(group)}."
            ),
        )
        return box(
            self.view.drawing,
            self.view.reason,
            self.buttons.said,
            row("Break", *faults),
            row("Loop", *loop),
            row("By hand", *self.steps.buttons),
            self.plugins.box,
            self.view.replay.box,
            self.steps.shown,
            self.view.log,
        )

    def _look(self, model: ViewModel, ended: str) -> None:
        self._living = model.living
        if self.box is None:
            return
        self.steps.look(self.view.changed)
        if self.plugins.look():
            self.view.status.again()
        if ended:
            self.buttons.end(ended)
            self.share.disabled = True

    def _kill_share(self) -> str:
        return self._kill(max(1, round(self.share.value * self._living)))

    def _kill(self, count: int) -> str:
        if not self._living:
            raise IkdemoError(f"Group {self.group} has no instance that could be killed")
        return _killed(self._lab.kill(self.group, count))


def _killed(killed: Table) -> str:
    """Say which instances were killed, a few by their slots."""
    slots = killed.column("slot")
    more = f" and {len(slots) - 8} more" if len(slots) > 8 else ""
    return (
        f"Killed {len(slots)}: {'slot' if len(slots) == 1 else 'slots'} "
        f"{', '.join(slots[:8])}{more}."
    )
