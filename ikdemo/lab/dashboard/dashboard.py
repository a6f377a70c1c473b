"""The dashboard of one group: its live view, buttons that break and stop things, and its plugins
with lamps.

Everything can be reached with the keyboard and has a name. It ends with its lab: then the picture
stands still and no button can be pressed. Made by ``Lab.dashboard``.
"""

from __future__ import annotations

from typing import Any, Self

from ...spi.errors import IkdemoError
from ...spi.text import visible
from ..faults.inject import FaultInjection
from ..host.session import Session
from ..show.tables import Table
from .model import ViewModel
from .status import Why
from .view import LiveView, box, show

SHARES = (0.2, 0.4, 0.6, 0.8, 1.0)


class Dashboard:
    """A live view with controls below its picture; without ipywidgets only the picture."""

    def __init__(self, lab: FaultInjection, group: str, line: Session, why: Why) -> None:
        self.group, self._lab, self._line = group, lab, line
        self.view = LiveView(group, line, why, self._look)
        self._living = 0
        self.box: Any = None
        if self.view.picture is not None:
            self.box = self._furnish(line)

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
        show(self, self._line)

    def _furnish(self, line: Session) -> Any:
        from ipywidgets import Dropdown, Layout

        from .buttons import Buttons, row
        from .panels import PluginPanel, StepPanel

        self.clicks = Buttons(line, self.view.wake)
        self.plugins = PluginPanel(self._lab, self.clicks)
        # the view looks for the last time before the plugins have ended
        line.at_end(self.plugins.look)
        self.steps = StepPanel(self._lab, self.group, self.clicks)
        self.share = Dropdown(
            options=[(f"{share:.0%}", share) for share in SHARES],
            value=0.4,
            description="share",
            tooltip="how many are killed by “kill a share”",
            layout=Layout(width="120px"),
            style={"description_width": "44px"},
        )
        press, group = self.clicks.button, self.group
        breaking = (
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
            self.view.picture,
            self.view.reason,
            self.clicks.said,
            row("Break", *breaking),
            row("Loop", *loop),
            row("By hand", *self.steps.buttons),
            self.plugins.box,
            self.view.replay.box,
            self.steps.shown,
            self.view.log,
        )

    def _look(self, scene: ViewModel, ended: str) -> None:
        self._living = scene.living
        if self.box is None:
            return
        self.steps.look(self.view.changed)
        if self.plugins.look():
            self.view.doubt.again()
        if ended:
            self.clicks.end(ended)
            self.share.disabled = True

    def _kill_share(self) -> str:
        return self._kill(max(1, round(self.share.value * self._living)))

    def _kill(self, count: int) -> str:
        if not self._living:
            raise IkdemoError(f"Group {self.group} has no instance that could be killed")
        return _killed(self._lab.kill(self.group, count))


def _killed(victims: Table) -> str:
    """Say who was killed, a few by their slots."""
    slots = victims.column("slot")
    more = f" and {len(slots) - 8} more" if len(slots) > 8 else ""
    return (
        f"Killed {len(slots)}: {'slot' if len(slots) == 1 else 'slots'} "
        f"{', '.join(slots[:8])}{more}."
    )
