"""A small reconciler that speaks InfraKit's wire protocol, and a lab to break it in.

``Group`` runs a self-healing group inside your program, ``serve`` and ``connect`` put plugins on
sockets and talk to them, ``plan`` is the pure planner, ``config_sha`` InfraKit's hash of a
configuration, ``Lab`` what the notebooks use. Names are loaded when first used, so that importing
the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .assembly import connect as connect
    from .assembly import serve as serve
    from .embedding import Group as Group
    from .lab import Lab as Lab
    from .reconcile.plan import plan as plan
    from .spi.config_sha import config_sha as config_sha

__version__ = "0.2.0"
__all__ = ["Group", "Lab", "config_sha", "connect", "plan", "serve"]

_HOMES = {
    "Group": "embedding",
    "Lab": "lab",
    "config_sha": "spi.config_sha",
    "connect": "assembly",
    "plan": "reconcile.plan",
    "serve": "assembly",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
