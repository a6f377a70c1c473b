"""Tells a fact about a group: as an event, to whoever listens, and as a line of the log, to whoever watches the terminal.

Which facts there are is decided by those who call; here are their words. Called by ``Facts``, ``Registry`` and ``Groups``.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ..log_limit import LineLimit
from ..spi.events import Emit, Event
from ..spi.plans import Action
from ..spi.text import visible

log = logging.getLogger(__name__)
limit = LineLimit(log)

WORDS = {
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
GRAVE = ("halted", "failed")


def announce(emit: Emit, event: Event, *, failed: bool = False) -> None:
    """Emit an event of a group, and log it, unless too many came before it; ``failed``: it tells of an action that failed.

    >>> announce(lambda event: print(event.kind), Event("paused", group="web"))
    paused
    """
    emit(event)
    kind = "failed" if failed else event.kind
    level = logging.WARNING if kind in GRAVE else logging.INFO
    if kind in WORDS and limit.has_room(COUNTED.get(kind, f"groups were {kind}"), level):
        log.log(level, "%s", visible(WORDS[kind].format(group=event.group, text=event.text)))


def log_watched(group: str) -> None:
    """Log that a group is kept on, which was committed to an earlier process."""
    if limit.has_room("groups are watched again"):
        log.info("%s", visible(f"Watching group {group} again"))


def log_plan(group: str, actions: Sequence[Action], size: int) -> None:
    """Log that actions are about to be carried out, so that a group of ``size`` has what it should."""
    if limit.has_room(COUNTED["planned"]):
        log.info("%s", plan_words(group, actions, size))


def plan_words(group: str, actions: Sequence[Action], size: int) -> str:
    """Say what a plan does.

    >>> plan_words("web", [Action("provision", "missing", slot="3"), Action("provision", "missing", slot="4")], 5)
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
