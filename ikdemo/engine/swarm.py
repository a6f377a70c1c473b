"""The swarm that an engine is part of: which of its nodes the engine is, whether that node leads,
and the swarm's spec, whose labels are changed only as long as nobody else has changed it.

What counts as doubt is decided here: silence, an answer that makes no sense, a refusal, a swarm
without a leader. All of it is an error, and none of it means "this node does not lead"; only the
swarm's own word does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from ..spi.errors import IkdemoError, OutcomeUnknown, PluginFailure, SpecError, VersionConflict
from .calls import Engine, Row
from .engine_client import EngineAddress

T = TypeVar("T")
DEADLINE = 3.0
"""Seconds for a call, all in all. An engine answers in milliseconds, and while its swarm elects a
leader not at all for 6 seconds and more.
"""
OUT_OF_SEQUENCE = "update out of sequence"
"""How an engine refuses to change what is not of that version any longer."""


class SwarmSpec(NamedTuple):
    """The spec of a swarm: ``document`` as the engine tells it, members that are not known here
    included, and the number of its version, which each change raises.
    """

    version: int
    document: Row

    @property
    def labels(self) -> Mapping[str, str]:
        return self.document.get("Labels") or {}


class Swarm:
    """The swarm of one engine, for one event loop."""

    def __init__(self, address: EngineAddress | None = None, deadline: float = DEADLINE) -> None:
        """Find out where the engine is, without asking it; raises IkdemoError when that cannot be
        told. ``deadline``: seconds for a call.
        """
        self._engine = Engine(deadline, address)
        self._node = ""
        self.host = self._engine.host
        self.disconnect = self._engine.disconnect

    async def node_id(self) -> str:
        """Return the ID of the engine's node, asked for once: for the engine it is the dearest of
        all questions.

        Raises PluginFailure when the engine is in no swarm, or only works for one.
        """
        if not self._node:
            self._node = await self.ask(lambda api: self._own_node(api.info()))
        return self._node

    async def node_leads(self) -> bool:
        """Say whether the engine's node is the leader of the managing ones, as the swarm has it.

        A swarm that is cut in two can have it wrong for some 14 seconds, until its leader notices.
        """
        return await self.of_own_node(_leads)

    async def of_own_node(self, read: Callable[[Any, str], T]) -> T:
        """Return what ``read`` makes of what the swarm says of the engine's node, and of its ID."""
        node = await self.node_id()
        try:
            return await self.ask(lambda api: read(api.inspect_node(node), node))
        except IkdemoError:
            self._node = ""  # it may have left, or have joined another swarm
            raise

    async def spec(self) -> SwarmSpec:
        """Return the swarm's spec as it is."""
        return await self.ask(lambda api: _spec(api.inspect_swarm()))

    async def set_labels(self, spec: SwarmSpec, labels: Mapping[str, str | None]) -> None:
        """Set labels of a spec that was read, remove those that are None, and leave all else as it
        is; a majority of the managing nodes has stored it when this returns.

        Raises VersionConflict when the spec has changed since it was read, OutcomeUnknown when no
        answer came: then it may have happened, and the spec tells.
        """
        changed = {
            name: text for name, text in {**spec.labels, **labels}.items() if text is not None
        }
        document = {**spec.document, "Labels": changed}
        await self.ask(lambda api: api.update_swarm(spec.version, document))

    async def ask(self, question: Callable[[Any], T]) -> T:
        """Ask a question of the SDK's low-level client, and raise as ``EngineClient.ask`` does.

        But SpecError is PluginFailure, as no spec of a group can help; VersionConflict means that
        what was to be changed is not of the version that was read.
        """
        deadline = self._engine.timeout
        try:
            async with asyncio.timeout(deadline):  # the SDK's is for each byte that it waits for
                return await self._engine.ask(question)
        except TimeoutError:
            raise OutcomeUnknown(
                f"the Docker engine at {self.host} went silent: no answer within {deadline:g} s"
            ) from None
        except SpecError as error:
            raise PluginFailure(str(error)) from None  # no spec of a group can help
        except PluginFailure as error:
            if OUT_OF_SEQUENCE in str(error):
                raise VersionConflict(
                    f"the spec of the swarm of {self.host} was changed by another one meanwhile"
                ) from None
            raise

    def _own_node(self, said: Any) -> str:
        swarm = said["Swarm"]
        if swarm.get("LocalNodeState") != "active":
            raise PluginFailure(
                f"the Docker engine at {self.host} is in no swarm: its node is "
                f"{swarm.get('LocalNodeState') or 'inactive'}"
            )
        if not swarm.get("ControlAvailable"):
            raise PluginFailure(
                f"the Docker engine at {self.host} is a worker of its swarm: only those that "
                "manage it know who leads and keep specs"
            )
        node = swarm["NodeID"]
        if not (isinstance(node, str) and node):
            raise ValueError("a node without an ID")
        return node


def _leads(said: Any, node: str) -> bool:
    """Read what the swarm says of a node; raises ValueError where it makes no sense.

    >>> _leads({"ID": "a", "ManagerStatus": {"Leader": True}}, "a"), _leads({"ID": "a"}, "a")
    (True, False)
    """
    if said["ID"] != node:
        raise ValueError(f"node {node} was asked for")
    leads = (said.get("ManagerStatus") or {}).get("Leader", False)
    if not isinstance(leads, bool):
        raise ValueError("true or false was expected")
    return leads


def _spec(said: Any) -> SwarmSpec:
    """Read what the engine says of its swarm; raises ValueError where it makes no sense.

    >>> _spec({"Version": {"Index": 7}, "Spec": {"Labels": None, "Other": [1]}})
    SwarmSpec(version=7, document={'Labels': None, 'Other': [1]})
    """
    version, document = said["Version"]["Index"], said["Spec"]
    if not (isinstance(version, int) and isinstance(document, dict)):
        raise ValueError("a version and a spec were expected")
    labels = document.get("Labels") or {}
    if not (isinstance(labels, dict) and all(isinstance(text, str) for text in labels.values())):
        raise ValueError("labels are texts")
    return SwarmSpec(version, document)
