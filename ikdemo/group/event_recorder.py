"""What a group tells the world: one event per fact, and each fact once.

The memory of what was said last (converged or not, halted by what) is here. Called by the supervisor.
"""

from __future__ import annotations

from ..reconcile.plan import sentences
from ..spi.events import Emit, Event
from ..spi.plans import Action, Outcome, Plan
from .announcements import announce, log_plan

STOPPED = ("halted", "too-many-sick", "spec-refused")
"""Reasons that nothing but a person or a change of the world ends."""


class Facts:
    """Tells a group's events. ``converged``: what the loop said last of the world (None: nothing yet)."""

    def __init__(self, group: str, emit: Emit, converged: bool | None) -> None:
        self._group, self._emit = group, emit
        self.converged = converged
        self._halted: set[str] = set()

    def start_over(self) -> None:
        """Forget what was said: something else is wanted now."""
        self.converged = None

    def planned(self, plan: Plan, size: int, destroying: bool) -> None:
        """Tell what a new plan shows: converged, drifted from it, halted."""
        if plan.converged and self.converged is not True and not destroying:
            announce(self._emit, Event("converged", group=self._group, size=size, text=f"{size} instances as wanted"))
        elif plan.reasons and self.converged is True:
            first, rest = plan.reasons[0], len(plan.reasons) - 1
            text = sentences([first])[0] + (f" (and {rest} more)" if rest else "")
            announce(self._emit, Event("drifted", group=self._group, size=size, slot=first.slot, code=first.code, text=text))
        self.converged = plan.converged
        halted = {reason.text: reason.code for reason in plan.reasons if reason.code in STOPPED}
        for text in sorted(halted.keys() - self._halted):
            announce(self._emit, Event("halted", group=self._group, code=halted[text], text=text))
        self._halted = set(halted)

    def acting(self, actions: tuple[Action, ...], size: int) -> None:
        """Tell that a plan is about to be carried out."""
        log_plan(self._group, actions, size)
        provisions = sum(action.verb == "provision" for action in actions)
        text = f"provision {provisions}, destroy {len(actions) - provisions}"
        self._emit(Event("planned", group=self._group, code=actions[0].code, text=text, size=size))

    def acted(self, outcome: Outcome) -> None:
        """Tell what came of one action."""
        action = outcome.action
        where = f" in slot {action.slot}" if action.slot else ""
        if outcome.error:
            text = f"could not {action.verb} {action.instance or 'an instance'}{where}: {outcome.error}"
        else:
            text = f"{'provisioned' if action.verb == 'provision' else 'destroyed'} {outcome.instance}{where}"
        event = Event("acted", group=self._group, instance=outcome.instance, slot=action.slot, code=action.code, text=text)
        announce(self._emit, event, failed=bool(outcome.error))
