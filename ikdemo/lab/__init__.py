"""What a notebook imports: start and stop plugin processes, break things, and look at what happened.

``from ikdemo.lab import Lab, collabnix`` is all that a notebook needs.
"""

from __future__ import annotations

from .lab import Lab
from .recovery import Recovery, compare
from .specs import collabnix
from .table import Table

__all__ = ["Lab", "Recovery", "Table", "collabnix", "compare"]
