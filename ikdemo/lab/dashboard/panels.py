"""The two panels of a dashboard: the plugins, each with a lamp and buttons that start, stop and
kill it, and the loop by hand, observe, plan and act, with the tables of each step.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ipywidgets import HTML, Button, HBox, Layout, VBox

from ...spi.errors import IkdemoError
from ...spi.plans import Action, Plan, Reason
from ..show.step_view import StepView
from ..show.tables import Table, say_event, visible_html
from ..show.theme import sign_of_process
from .buttons import Buttons, toolbar

if TYPE_CHECKING:
    from .dashboard import Controls

MOST_ROWS = 12
"""Rows of each table that are shown; of more, only the number."""
HINT = "Pause the loop, break something, and go through the loop yourself: observe, plan, act."
OVER = "The group has changed since. Observe again to see what is there now."


class PluginPanel:
    """A row for every plugin that the lab knows; ``look`` keeps it in step with the processes.

    No button is ever switched off: a person at the keyboard would lose the place. One that makes no
    sense now says so.
    """

    def __init__(self, lab: Controls, buttons: Buttons) -> None:
        self._lab, self._dashboard_buttons = lab, buttons
        self._states: list[list[str]] = []
        self._leads, self._mark = dict[str, str](), 0
        self._lamps: dict[str, HTML] = {}
        self._buttons: dict[str, tuple[Button, Button, Button]] = {}
        self._title = HTML("<b>Plugins</b>")
        self.box = toolbar(VBox([self._title, HTML("No plugin was started yet: lab.start()")]))

    def look(self) -> bool:
        """Show what runs now; true when something has changed."""
        found = list(self._lab.plugins())
        if not self._has_new_leader() and found == self._states:
            return False
        self._states = found
        states = {name: (program, state) for name, program, state in found}
        new = [name for name in states if name not in self._lamps]
        for name in new:
            self._lamps[name] = HTML()
            if self._lab.is_process(name):
                self._buttons[name] = self._three(name)
        for name, (program, state) in states.items():
            leads = self._leads.get(name, "") if state == "running" else ""
            self._lamps[name].value = _lamp(name, program, state, leads)
        if new:
            self.box.children = [self._title, *(self._row(name) for name in states)]
        return True

    def lamp(self, name: str) -> str:
        """Return what the lamp of a plugin shows, as HTML; nothing when there is none yet."""
        return str(self._lamps[name].value) if name in self._lamps else ""

    def _has_new_leader(self) -> bool:
        """Take in what managers have told of who leads; say whether there was anything."""
        events, self._mark = self._lab.session.record.since(self._mark)
        told = {e.plugin: say_event(e) for e in events if e.kind in ("elected", "stepped-down")}
        self._leads.update(told)
        return bool(told)

    def _three(self, name: str) -> tuple[Button, Button, Button]:
        doing = partial(self._dashboard_buttons.button, margin="0 4px 0 0")
        return (
            doing("start", f"start {name}", lambda: self._start(name)),
            doing("stop", f"stop {name}", lambda: self._stop(name)),
            doing("kill -9", f"kill -9 {name}", lambda: self._kill(name)),
        )

    def _row(self, name: str) -> HBox:
        return HBox(
            [self._lamps[name], *self._buttons.get(name, ())],
            layout=Layout(flex_flow="row wrap", align_items="center"),
        )

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


def _lamp(name: str, program: str, state: str, leads: str = "") -> str:
    """Say what a plugin is: its sign, its name and, if it ended by itself, its last words; of a
    manager, whether it ``leads``.
    """
    words = state.partition(": ")[2] or leads
    last = f"<br>{visible_html(words)}" if words else ""
    return (
        '<div style="display:flex;align-items:center;gap:8px;width:235px;line-height:1.4" '
        f'title="{visible_html(program)}">'
        f'<span style="flex:none;min-width:98px">{sign_of_process(state).pill()}</span>'
        f'<span style="overflow-wrap:anywhere">{visible_html(name)}{last}</span></div>'
    )


class StepPanel:
    """Three buttons, and what the last of them showed."""

    def __init__(self, lab: Controls, group: str, buttons: Buttons) -> None:
        self._lab, self._group = lab, group
        self._seen: tuple[float, StepView] | None = None
        self._at = float("inf")
        self.shown = HTML(_room(HINT))
        self.buttons = (
            buttons.button(
                "1 observe", "observe: see what is there, and change nothing", self._observe
            ),
            buttons.button("2 plan", "plan: say what would be done about it, and why", self._plan),
            buttons.button("3 act", "act: let the loop make one pass", self._act),
        )

    def look(self, changed: float) -> None:
        """Take the tables away when the group has changed after them, in seconds since the epoch:
        they are no longer true.
        """
        if changed > self._at:
            self._seen, self._at = None, float("inf")
            self.shown.value = _room(OVER)

    def step(self) -> str:
        """Make one whole pass and show all of it."""
        done = self._pass()
        self._show(self._now(), _observed(done), _planned(done), _outcomes(done))
        return f"One pass was made: {_actions(done)}."

    def _observe(self) -> str:
        at, seen = self._look_now()
        self._show(at, _observed(seen))
        return f"Observed: {_instances(len(seen.observed))}. Nothing was changed."

    def _plan(self) -> str:
        at, seen = self._seen or self._look_now()
        self._show(at, _observed(seen), _planned(seen))
        return (
            f"Planned from what was observed: {_number(len(seen.planned), 'action')}. Nothing "
            "was changed."
        )

    def _act(self) -> str:
        done = self._pass()
        self._show(self._now(), _planned(done), _outcomes(done))
        return f"The loop looked once more, planned, and acted: {_actions(done)}."

    def _look_now(self) -> tuple[float, StepView]:
        at = self._now()  # before the question: what changes meanwhile may not be in the answer
        self._seen = at, self._lab.plan(self._group)
        return self._seen

    def _now(self) -> float:
        return self._lab.session.record.now()

    def _pass(self) -> StepView:
        self._seen = None
        return self._lab.step(self._group)

    def _show(self, at: float, *parts: str) -> None:
        """Show what was true at a time; what the pass itself did lies before it."""
        self.shown.value = _room("".join(parts))
        self._at = at


def _room(inside: str) -> str:
    style = "<style>.ik-steps td,.ik-steps th{padding-right:1em}</style>"
    return f'{style}<div class="ik-steps" style="line-height:1.4">{inside}</div>'


def _observed(done: StepView) -> str:
    return _part("Observed", done.observed)


def _planned(done: StepView) -> str:
    """Lay the plan out with the reason of each action in words."""
    plan = done.step.plan
    rows = [
        (one.verb, one.slot or "-", one.instance or "-", _because(one, plan))
        for one in plan.actions
    ]
    return _part(
        "Planned",
        Table(
            ["action", "slot", "instance", "because"],
            rows,
            empty=f"Nothing to do. {_why_nothing(plan)}",
        ),
    )


def _outcomes(done: StepView) -> str:
    return _part("Done", done.done)


def _because(action: Action, plan: Plan) -> str:
    """Return the reason of an action in the planner's words, after its code."""
    said = next(
        (
            reason.text
            for reason in plan.reasons
            if reason.code == action.code and _about(reason, action)
        ),
        "",
    )
    return f"{action.code}: {said}" if said else action.code


def _about(reason: Reason, action: Action) -> bool:
    return action.slot == reason.slot if reason.slot else action.instance == reason.instance


def _why_nothing(plan: Plan) -> str:
    return (
        "The group is as wanted."
        if plan.converged
        else "; ".join(reason.text for reason in plan.reasons[:2])
    )


def _part(title: str, table: Table) -> str:
    shown = Table(table.columns, list(table)[:MOST_ROWS], empty=table.empty)
    more = f"<p>and {len(table) - MOST_ROWS} more</p>" if len(table) > MOST_ROWS else ""
    return f"<p><b>{visible_html(title)}</b></p>{shown._repr_html_()}{more}"


def _actions(done: StepView) -> str:
    failed = sum(bool(outcome.error) for outcome in done.step.outcomes)
    wrong = f", {failed} of them in vain" if failed else ""
    return f"{_number(len(done.done), 'action')}{wrong}"


def _instances(count: int) -> str:
    return _number(count, "instance")


def _number(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
