"""Emits and logs the facts about a group, each once.

What was emitted last (converged or not, halted by what) is remembered here, and so is the wording
of the log. A flood of facts is logged as a few lines and a count (``log_limit``).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ..log_limit import LineLimit
from ..reconcile.plan import sentences
from ..spi.events import Emit, Event
from ..spi.plans import Action, Outcome, Plan
from ..spi.text import visible

STOPPED = ("halted", "too-many-sick", "spec-refused", "fenced")
"""Reasons that only a person, a leader or a change of the world ends."""


class EventRecorder:
    """Emits the events of one group. ``converged``: what was emitted last (None: nothing yet)."""

    def __init__(self, group: str, emit: Emit, converged: bool | None) -> None:
        self._group, self._emit = group, emit
        self.converged = converged
        self._halted: set[str] = set()

    def reset(self) -> None:
        """Forget what was emitted: something else is desired now."""
        self.converged = None

    def on_plan(self, plan: Plan, size: int, destroying: bool) -> None:
        """Emit what a new plan shows: converged, drifted from it, halted."""
        if plan.converged and self.converged is not True and not destroying:
            announce(
                self._emit,
                Event(
                    "converged", group=self._group, size=size, text=f"{size} instances as wanted"
                ),
            )
        elif plan.reasons and self.converged is True:
            first, rest = plan.reasons[0], len(plan.reasons) - 1
            text = sentences([first])[0] + (f" (and {rest} more)" if rest else "")
            announce(
                self._emit,
                Event(
                    "drifted",
                    group=self._group,
                    size=size,
                    slot=first.slot,
                    code=first.code,
                    text=text,
                ),
            )
        self.converged = plan.converged
        halted = {reason.text: reason.code for reason in plan.reasons if reason.code in STOPPED}
        for text in sorted(halted.keys() - self._halted):
            announce(self._emit, Event("halted", group=self._group, code=halted[text], text=text))
        self._halted = set(halted)

    def on_acting(self, actions: tuple[Action, ...], size: int) -> None:
        """Emit that a plan is about to be carried out."""
        log_plan(self._group, actions, size)
        provisions = sum(action.verb == "provision" for action in actions)
        text = f"provision {provisions}, destroy {len(actions) - provisions}"
        self._emit(Event("planned", group=self._group, code=actions[0].code, text=text, size=size))

    def on_outcome(self, outcome: Outcome) -> None:
        """Emit what came of one action."""
        action = outcome.action
        where = f" in slot {action.slot}" if action.slot else ""
        if outcome.error:
            text = (
                f"could not {action.verb} {action.instance or 'an instance'}{where}: "
                f"{outcome.error}"
            )
        else:
            text = (
                f"{'provisioned' if action.verb == 'provision' else 'destroyed'} "
                f"{outcome.instance}{where}"
            )
        event = Event(
            "acted",
            group=self._group,
            instance=outcome.instance,
            slot=action.slot,
            code=action.code,
            text=text,
        )
        announce(self._emit, event, failed=bool(outcome.error))


log = logging.getLogger(__name__)
line_limit = LineLimit(log)

LOG_TEXTS = {
    "committed": "Committed group {group}: {text}",
    "paused": "Paused group {group}",
    "resumed": "Resumed group {group}",
    "freed": "Freed group {group}",
    "destroying": "Destroying group {group}",
    "gone": "Group {group} is destroyed: no instance of it is left",
    "converged": "Group {group} has {text}",
    "drifted": "Group {group} is not as wanted: {text}",
    "halted": "Group {group} has stopped: {text}",
    "acted": "Group {group}: {text}",
    "failed": "Group {group}: {text}",
}
COUNTED = {
    "converged": "groups have become as wanted",
    "drifted": "groups were not as wanted",
    "planned": "plans were begun",
    "acted": "instances were provisioned or destroyed",
    "failed": "instances could not be provisioned or destroyed",
}
"""How those that had no line are counted."""
WARNED = ("halted", "failed")


def announce(emit: Emit, event: Event, *, failed: bool = False) -> None:
    """Emit an event of a group, and log it, unless too many came before it; ``failed``: it is about
    an action that failed.

    >>> announce(lambda event: print(event.kind), Event("paused", group="web"))
    paused
    """
    emit(event)
    kind = "failed" if failed else event.kind
    level = logging.WARNING if kind in WARNED else logging.INFO
    if kind in LOG_TEXTS and line_limit.has_room(COUNTED.get(kind, f"groups were {kind}"), level):
        log.log(level, "%s", visible(LOG_TEXTS[kind].format(group=event.group, text=event.text)))


def log_watched(group: str) -> None:
    """Log that a group is kept on, which was committed to an earlier process."""
    if line_limit.has_room("groups are watched again"):
        log.info("%s", visible(f"Watching group {group} again"))


def log_plan(group: str, actions: Sequence[Action], size: int) -> None:
    """Log that actions are about to be carried out, so that a group of ``size`` has what it
    should.
    """
    if line_limit.has_room(COUNTED["planned"]):
        log.info("%s", plan_words(group, actions, size))


def plan_words(group: str, actions: Sequence[Action], size: int) -> str:
    """Say what a plan does.

    >>> plan_words(
    ...     "web",
    ...     [Action("provision", "missing", slot="3"), Action("provision", "missing", slot="4")],
    ...     5,
    ... )
    'Adding 2 instances to group web to reach 5 (missing)'
    """
    added = sum(action.verb == "provision" for action in actions)
    removed = len(actions) - added
    parts = [f"adding {_instances(added)} to"] if added else []
    parts += [f"removing {_instances(removed)} from"] if removed else []
    said = " and ".join(parts)
    why = ", ".join(dict.fromkeys(action.code for action in actions))
    return visible(f"{said[0].upper()}{said[1:]} group {group} to reach {size} ({why})")


def _instances(number: int) -> str:
    return f"{number} instance" if number == 1 else f"{number} instances"
