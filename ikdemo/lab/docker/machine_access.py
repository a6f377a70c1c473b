"""The machines that a notebook uses, if any can be booted here; if none can, a recording stands in
for the cells that need them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ...spi.errors import IkdemoError
from ..lab import Lab
from ..show.tables import Words
from .recording import Recording, step_aside

if TYPE_CHECKING:
    from ..machines.lab_machines import Machines

VARIABLE = "IKDEMO_MACHINES"
"""Set to ``no`` where no machine is to be booted, as on a server that many learners share."""


def machines_or_recording(
    lab: Lab, number: int = 3, *, recording: str = "08-swarm"
) -> Machines | Words:
    """Boot a swarm of so many machines; where there can be none, say why in one line, and show what
    was recorded in place of running the cells that need them.
    """
    try:
        if os.environ.get(VARIABLE) == "no":
            raise IkdemoError(f"{VARIABLE} is set to “no”")
        machines = lab.machines(number)
    except IkdemoError as error:
        recorded = Recording(recording)
        recorded.stand_in()
        return Words(
            f"No machine is booted here: {error}. Cells that begin with “# engine” are not run "
            f"here. What they show was {recorded.label}, by {recorded.by}."
        )
    step_aside()
    return machines
