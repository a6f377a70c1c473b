"""Tells what became of an instance: as an event, to whoever listens, and as a line of the log, to whoever watches the terminal.

Called by every instance plugin, once for each fact.
"""

from __future__ import annotations

import logging

from ..log_limit import LineLimit
from ..spi.events import Emit, Event
from ..spi.text import visible

log = logging.getLogger(__name__)
limit = LineLimit(log)

VERBS = {"provisioned": "Provisioned", "destroyed": "Destroyed", "lost": "Lost", "changed": "Changed"}


def announce(emit: Emit, event: Event) -> None:
    """Emit an event of an instance, and log it, unless too many came before it.

    >>> announce(lambda event: print(event.kind), Event("lost", instance="instance-7", group="web"))
    lost
    """
    emit(event)
    if limit.has_room(f"instances were {event.kind}"):
        log.info("%s", sentence(event))


def sentence(event: Event) -> str:
    r"""Say what became of an instance, in one line whatever its texts hold.

    >>> sentence(Event("lost", instance="instance-7", group="web", slot="3", text="its file vanished"))
    'Lost instance-7 in slot 3 of group web: its file vanished'
    >>> sentence(Event("provisioned", instance="instance-8", group="a\nb"))
    'Provisioned instance-8 of group a\\nb'
    """
    slot = f" in slot {event.slot}" if event.slot else ""
    group = f" of group {event.group}" if event.group else ""
    text = f": {event.text}" if event.text else ""
    return visible(f"{VERBS.get(event.kind, event.kind)} {event.instance}{slot}{group}{text}")
