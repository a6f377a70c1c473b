"""What a notebook imports: start and stop plugin processes, break things, and look at what happened.

``from ikdemo.lab import Lab, collabnix`` is all that a notebook needs. Names are loaded when first used: a command that wants one
small part of a lab need not wait for all of it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .chaos.availability import availability as availability
    from .chaos.crashes import crash_loops as crash_loops
    from .chaos.experiment import Experiment as Experiment
    from .chaos.overcreation import overcreation as overcreation
    from .chaos.simulated import Simulated as Simulated
    from .containers.docker import Docker as Docker
    from .course import progress as progress
    from .judge import Judge as Judge
    from .lab import Lab as Lab
    from .outage import side_by_side as side_by_side
    from .recovery import Recovery as Recovery
    from .recovery import compare as compare
    from .rollout import Rollout as Rollout
    from .rollout import paces as paces
    from .servers import Servers as Servers
    from .specs import collabnix as collabnix
    from .specs import collabnix_containers as collabnix_containers
    from .specs import collabnix_processes as collabnix_processes
    from .table import Table as Table

_HOMES = {
    "Docker": "containers.docker",
    "Experiment": "chaos.experiment",
    "Judge": "judge",
    "Lab": "lab",
    "Recovery": "recovery",
    "Rollout": "rollout",
    "Servers": "servers",
    "Simulated": "chaos.simulated",
    "Table": "table",
    "availability": "chaos.availability",
    "collabnix": "specs",
    "collabnix_containers": "specs",
    "collabnix_processes": "specs",
    "compare": "recovery",
    "crash_loops": "chaos.crashes",
    "overcreation": "chaos.overcreation",
    "paces": "rollout",
    "progress": "course",
    "side_by_side": "outage",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
