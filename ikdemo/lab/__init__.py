"""What a notebook imports: start and stop plugin processes, break things, and look at what happened.

``from ikdemo.lab import Lab, collabnix`` is all that a notebook needs.
"""

from __future__ import annotations

from .judge import Judge
from .lab import Lab
from .outage import side_by_side
from .recovery import Recovery, compare
from .rollout import Rollout, paces
from .servers import Servers
from .specs import collabnix, collabnix_processes
from .table import Table

__all__ = [
    "Judge",
    "Lab",
    "Recovery",
    "Rollout",
    "Servers",
    "Table",
    "collabnix",
    "collabnix_processes",
    "compare",
    "paces",
    "side_by_side",
]
