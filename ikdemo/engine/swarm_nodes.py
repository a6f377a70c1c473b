"""The nodes of a swarm, and what a machine needs to become one of them.

A node is known by a label of its engine, which it has from the machine that it runs on. What makes
no sense is an error, as is silence: only the swarm's own list says that there is no such node.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .swarm import Swarm

READY, UNKNOWN, GONE = "ready", "unknown", ("down", "disconnected")
"""States of a node. Unknown is each of them to a swarm that has just elected a leader."""


class Node(NamedTuple):
    """One node, and what the swarm knows of it: ``ready``, ``down``, ``disconnected``,
    ``unknown``. ``manages``: it is one of those that manage the swarm.
    """

    id: str
    state: str
    manages: bool = False


class JoinTokens(NamedTuple):
    """The swarm's ID, and the secrets by which a machine becomes a node that works or manages."""

    swarm: str
    worker: str
    manager: str


class SwarmNodes:
    """The nodes of the swarm that one engine manages, or helps to. Every question raises what
    ``Swarm.ask`` raises.
    """

    def __init__(self, swarm: Swarm) -> None:
        self._swarm = swarm
        self.disconnect = swarm.disconnect

    async def labelled(self, label: str) -> list[Node]:
        """List the nodes whose engine has this label, ``key=value``."""
        return await self._swarm.ask(lambda api: _nodes(api.nodes(filters={"label": label})))

    async def remove(self, node: str, *, force: bool) -> None:
        """Take a node out of the swarm; one that is gone is no error. Without ``force`` the swarm
        refuses to remove one that is ready.
        """
        await self._swarm.ask(lambda api: _remove(api, node, force))

    async def demote(self, node: str) -> None:
        """Let a node manage the swarm no longer; soon after it only works, and may be removed.

        Raises PluginFailure where those that manage would have no majority without it.
        """
        await self._swarm.ask(lambda api: _demote(api, node))

    async def join_tokens(self) -> JoinTokens:
        """Return what a machine joins the swarm by."""
        return await self._swarm.ask(lambda api: _tokens(api.inspect_swarm()))

    async def own_id(self) -> str:
        """Return the ID of the engine's own node; raises PluginFailure when it manages nothing."""
        return await self._swarm.node_id()

    async def own_address(self) -> str:
        """Return host and port at which the engine's own node takes in others."""
        return await self._swarm.of_own_node(lambda said, _: _address(said))


def _remove(api: Any, node: str, force: bool) -> None:
    from docker.errors import NotFound

    try:
        api.remove_node(node, force=force)
    except NotFound:
        pass


def _demote(api: Any, node: str) -> None:
    there = api.inspect_node(node)
    if there["Spec"]["Role"] != "worker":
        api.update_node(node, there["Version"]["Index"], {**there["Spec"], "Role": "worker"})


def _nodes(listed: Any) -> list[Node]:
    """Read a list of nodes; raises ValueError where it makes no sense.

    >>> _nodes([{"ID": "a", "Status": {"State": "down", "Message": "heartbeat failure"}}])
    [Node(id='a', state='down', manages=False)]
    """
    if not isinstance(listed, list):
        raise ValueError("a list of nodes was expected")
    nodes = [
        Node(_text(one, "ID"), _text(one["Status"], "State"), bool(one.get("ManagerStatus")))
        for one in listed
    ]
    if len({node.id for node in nodes}) < len(nodes):
        raise ValueError("a node is listed twice")
    return nodes


def _tokens(said: Any) -> JoinTokens:
    """Read what the engine says of its swarm; raises ValueError where it makes no sense.

    >>> _tokens({"ID": "s", "JoinTokens": {"Worker": "w", "Manager": "m"}})
    JoinTokens(swarm='s', worker='w', manager='m')
    """
    tokens = said["JoinTokens"]
    return JoinTokens(_text(said, "ID"), _text(tokens, "Worker"), _text(tokens, "Manager"))


def _address(said: Any) -> str:
    """Read where a node takes in others; raises ValueError for one that does not say.

    >>> _address({"ID": "a", "ManagerStatus": {"Addr": "10.0.0.1:2377"}})
    '10.0.0.1:2377'
    """
    address = _text(said["ManagerStatus"], "Addr")
    if address.startswith(("0.0.0.0:", "[::]:")):
        raise ValueError(f"{address} is no address at which other machines reach the node")
    return address


def _text(said: Mapping[str, Any], name: str) -> str:
    text = said[name]
    if not (isinstance(text, str) and text):
        raise ValueError(f"{name} is no text")
    return text
