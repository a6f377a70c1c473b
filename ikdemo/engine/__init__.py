"""A Docker engine, wherever it is: how it is reached and what it is asked. The only importer of
Docker's SDK.
"""

from __future__ import annotations

from .calls import Engine, EngineEvents, Row

__all__ = ["Engine", "EngineEvents", "Row"]
