"""What a notebook imports: start and stop plugin processes, break things, and look at what happened.

``from ikdemo.lab import Lab, collabnix`` is all that a notebook needs.
"""

from __future__ import annotations

from .judge import Judge
from .lab import Lab
from .recovery import Recovery, compare
from .rollout import Rollout, paces
from .specs import collabnix
from .table import Table

__all__ = ["Judge", "Lab", "Recovery", "Rollout", "Table", "collabnix", "compare", "paces"]
