"""The plugins of a dashboard: a lamp for each, and the buttons that start, stop and kill it. Made by ``Dashboard``."""

from __future__ import annotations

from functools import partial

from ipywidgets import HTML, Button, HBox, Layout, VBox

from ...spi.errors import IkdemoError
from ..faults.inject import Breaking
from ..show.tables import visible_html
from ..show.theme import sign_of_process
from .buttons import Clicks, toolbar


class PluginPanel:
    """A row for every plugin that the lab knows; ``look`` keeps it in step with the processes.

    No button is ever switched off: whoever uses the keyboard would lose the place. One that makes no sense now says so.
    """

    def __init__(self, lab: Breaking, clicks: Clicks) -> None:
        self._lab, self._clicks = lab, clicks
        self._states: list[list[str]] = []
        self._lamps: dict[str, HTML] = {}
        self._buttons: dict[str, tuple[Button, Button, Button]] = {}
        self._title = HTML("<b>Plugins</b>")
        self.box = toolbar(VBox([self._title, HTML("No plugin was started yet: lab.start()")]))

    def look(self) -> bool:
        """Show what runs now; true when something has changed."""
        found = list(self._lab.plugins())
        if found == self._states:
            return False
        self._states = found
        states = {name: (program, state) for name, program, state in found}
        new = [name for name in states if name not in self._lamps]
        for name in new:
            self._lamps[name] = HTML()
            if self._lab.is_process(name):
                self._buttons[name] = self._three(name)
        for name, (program, state) in states.items():
            self._lamps[name].value = _lamp(name, program, state)
        if new:
            self.box.children = [self._title, *(self._row(name) for name in states)]
        return True

    def lamp(self, name: str) -> str:
        """Return what the lamp of a plugin shows, as HTML; nothing when there is none yet."""
        return str(self._lamps[name].value) if name in self._lamps else ""

    def _three(self, name: str) -> tuple[Button, Button, Button]:
        doing = partial(self._clicks.button, margin="0 4px 0 0")
        return (
            doing("start", f"start {name}", lambda: self._start(name)),
            doing("stop", f"stop {name}", lambda: self._stop(name)),
            doing("kill -9", f"kill -9 {name}", lambda: self._kill(name)),
        )

    def _row(self, name: str) -> HBox:
        return HBox([self._lamps[name], *self._buttons.get(name, ())], layout=Layout(flex_flow="row wrap", align_items="center"))

    def _start(self, name: str) -> str:
        self._lab.start_again(name)
        return f"{name} is started, as it was before, and answers."

    def _stop(self, name: str) -> str:
        self._must_run(name)
        self._lab.stop_plugin(name)
        return f"{name} was asked to end, and has ended. Its socket is gone."

    def _kill(self, name: str) -> str:
        self._must_run(name)
        self._lab.kill_plugin(name)
        return f"{name} was killed. Its socket is still there, and nobody answers."

    def _must_run(self, name: str) -> None:
        if [name, "running"] not in [[row[0], row[2]] for row in self._lab.plugins()]:
            raise IkdemoError(f"{name} does not run, so it cannot be ended. Start it first.")


def _lamp(name: str, program: str, state: str) -> str:
    """Say what a plugin is: its sign, its name and, if it ended by itself, its last words."""
    complaint = state.partition(": ")[2]
    last = f"<br>{visible_html(complaint)}" if complaint else ""
    return (
        f'<div style="display:flex;align-items:center;gap:8px;min-width:235px;line-height:1.4" title="{visible_html(program)}">'
        f'<span style="min-width:98px">{sign_of_process(state).pill()}</span><span>{visible_html(name)}{last}</span></div>'
    )
