"""A Docker engine, wherever it is: how it is reached and what it is asked.

- ``engine_client``: where the engine is, Docker's client for it, and what its errors mean. Blocks.
- ``swarm``: the swarm that an engine is part of: who leads, and the labels of its spec.
- ``services``: its services, tasks and nodes, and services that are changed under guard.
- ``swarm_nodes``: its nodes, by the labels of their engines, and what a machine joins by.
- ``calls``: what an engine is asked, in a coroutine each; a thread for each call, and one for the
  engine's events.

The only importer of Docker's SDK.
"""

from __future__ import annotations

from .calls import Engine, EngineEvents, Row
from .engine_client import EngineAddress
from .services import Service, Services
from .swarm import Swarm, SwarmSpec
from .swarm_nodes import JoinTokens, Node, SwarmNodes

__all__ = [
    "Engine",
    "EngineAddress",
    "EngineEvents",
    "JoinTokens",
    "Node",
    "Row",
    "Service",
    "Services",
    "Swarm",
    "SwarmNodes",
    "SwarmSpec",
]
