"""What a notebook imports: start and stop plugin processes, break things, and look at what happened.

``from ikdemo.lab import Lab, collabnix`` is all that a notebook needs.
"""

from __future__ import annotations

from .chaos.availability import availability
from .chaos.crashes import crash_loops
from .chaos.experiment import Experiment
from .chaos.overcreation import overcreation
from .chaos.simulated import Simulated
from .containers.docker import Docker
from .judge import Judge
from .lab import Lab
from .outage import side_by_side
from .recovery import Recovery, compare
from .rollout import Rollout, paces
from .servers import Servers
from .specs import collabnix, collabnix_containers, collabnix_processes
from .table import Table

__all__ = [
    "Docker",
    "Experiment",
    "Judge",
    "Lab",
    "Recovery",
    "Rollout",
    "Servers",
    "Simulated",
    "Table",
    "availability",
    "collabnix",
    "collabnix_containers",
    "collabnix_processes",
    "compare",
    "crash_loops",
    "overcreation",
    "paces",
    "side_by_side",
]
