"""The flavor ``swarm``: its instances are machines that join a Docker swarm, as workers or as
managers.

Each machine's engine has a label that no other one has, which is also a tag of the instance: so an
instance's node is found in the swarm. What counts as its health, and which nodes are removed with
it, is decided here. What the swarm does not say for certain is doubt: no word of it makes an
instance unhealthy or removes a node.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Awaitable, Iterable
from typing import TypeVar

from msgspec import Raw
from msgspec.structs import replace

from ..engine import Node, Swarm, SwarmNodes
from ..engine.swarm_nodes import GONE, READY, UNKNOWN
from ..spi.contracts import Interface
from ..spi.documents import Allocation, Attachment, Description, Document, Health, InstanceSpec
from ..spi.errors import IkdemoError, PluginFailure, SpecError
from ..spi.events import Emit
from .join_script import join_script
from .vanilla import read

T = TypeVar("T")
ASSOCIATION_TAG, SWARM_TAG = "swarm-association-id", "swarm-id"
"""Tags, in InfraKit's words: which machine, the same as the label of its engine; and which swarm.
"""
MANAGER, WORKER = "manager", "worker"
EBS = "ebs"
REFUSED = "Error response from daemon: "
"""What Docker's own client puts before an engine's refusal, and so InfraKit's flavor."""
_LETTERS = string.ascii_letters + string.digits


class SwarmProperties(Document, frozen=True):
    """``type``: what the machines are in the swarm. ``attachments``: what is attached to the
    machine of a logical ID. ``docker_restart_command``: restarts the engine, on the machine.
    """

    type: str = ""
    attachments: dict[str, list[Attachment]] | None = None
    docker_restart_command: str = ""


class SwarmFlavor:
    """A flavor for the nodes of the swarm that one engine manages. No two calls to prepare have the
    same answer.
    """

    interface: Interface = "Flavor"
    offers = frozenset({"Bury"})

    def __init__(self, swarm: Swarm) -> None:
        self._nodes = SwarmNodes(swarm)

    async def start(self, emit: Emit) -> None:
        """Ask nothing yet: an engine may come later than this flavor."""

    async def stop(self) -> None:
        """Let go of the engine."""
        self._nodes.disconnect()

    async def validate(self, properties: Raw, allocation: Allocation) -> None:
        """Accept machines of a known role, managers by 1, 3 or 5 logical IDs, and volumes for some
        of these; raises SpecError. The engine is not asked.
        """
        wanted, ids = read(properties, SwarmProperties), allocation.logical_ids or []
        _check_restart(wanted)
        if wanted.type == MANAGER and len(ids) not in (1, 3, 5):
            raise SpecError(
                "Must have 1, 3, or 5 manager logical IDs", path="$.Allocation.LogicalIDs"
            )
        if wanted.type not in (MANAGER, WORKER):
            raise _wrong_type("Unrecognized node Type")
        if (twice := _first_repeated(ids)) is not None:
            raise SpecError(
                f"LogicalID {twice} specified more than once", path="$.Allocation.LogicalIDs"
            )
        _check_attachments(wanted.attachments or {}, ids)

    async def prepare(
        self, properties: Raw, spec: InstanceSpec, allocation: Allocation
    ) -> InstanceSpec:
        """Return the spec with Init replaced by a script that joins the swarm, the two tags, and
        the attachments of its logical ID.

        The machine joins through the engine that this flavor asks. Raises SpecError for properties
        that no machine can be made of, and what the engine's silence or refusal is.
        """
        wanted = read(properties, SwarmProperties)
        if wanted.type not in (MANAGER, WORKER):
            raise _wrong_type("Unsupported node type")
        _check_restart(wanted)
        if wanted.type == MANAGER and spec.logical_id is None:
            raise SpecError(
                "Manager nodes require a LogicalID, which will be used as an assigned private IP "
                "address",
                path="$.Spec.LogicalID",
            )
        tokens = await _told("Failed to fetch Swarm join tokens: ", self._nodes.join_tokens())
        await _told("Failed to fetch node self info: ", self._nodes.own_id())
        address = await _told("Failed to fetch Swarm node status: ", self._nodes.own_address())
        association = "".join(secrets.choice(_LETTERS) for _ in range(8))
        init = join_script(
            role=wanted.type,
            label=f"{ASSOCIATION_TAG}={association}",
            restart=wanted.docker_restart_command,
            address=address,
            token=tokens.manager if wanted.type == MANAGER else tokens.worker,
        )
        own = (wanted.attachments or {}).get(spec.logical_id or "", [])
        return replace(
            spec,
            init=init,
            tags={**(spec.tags or {}), ASSOCIATION_TAG: association, SWARM_TAG: tokens.swarm},
            attachments=[*(spec.attachments or []), *own] if own else spec.attachments,
        )

    async def healthy(self, properties: Raw, instance: Description) -> Health:
        """Judge the instance by its node; one that has not joined yet is neither healthy nor
        unhealthy, one that never can is unhealthy.
        """
        read(properties, SwarmProperties)
        association = _association(instance)
        if not association:
            return Health.UNHEALTHY
        return health_of(await _told("", self._nodes_of(association)))

    async def drain(self, properties: Raw, instance: Description) -> None:
        """Remove a worker's node, ready or not, so that the swarm puts its tasks elsewhere; leave a
        manager to its swarm.

        Raises PluginFailure when there is no such node, or more than one that is ready: then it
        cannot be told which is meant, and neither is removed.
        """
        if read(properties, SwarmProperties).type == MANAGER:
            return
        association = _association(instance)
        if not association:
            raise PluginFailure(f"Unable to drain {instance.id} without an association tag")
        nodes = await _told("", self._nodes_of(association))
        if not nodes:
            raise PluginFailure(f"Unable to drain {instance.id}, not found in swarm")
        ready = [node.id for node in nodes if node.state == READY]
        if len(ready) > 1:
            raise PluginFailure(
                f"Expected at most one node with label {association}, but found {', '.join(ready)}"
            )
        for node in nodes:
            await _told("", self._nodes.remove(node.id, force=True))

    async def bury(self, properties: Raw, instance: Description) -> None:
        """Remove the nodes of a machine that is gone, each only if the swarm says that it is down.

        One that managed the swarm is demoted first: each machine that takes its place adds a
        manager, and dead ones count when the living ask for a majority. Raises PluginFailure for a
        node that is not down, as its swarm has not noticed yet, or the machine lives on; and for
        one that still manages.
        """
        read(properties, SwarmProperties)
        association = _association(instance)
        if not association:
            return
        nodes = await _told("", self._nodes_of(association))
        for node in nodes:
            if node.state in GONE and node.manages:
                await _told("", self._nodes.demote(node.id))
                raise PluginFailure(f"node {node.id} of {instance.id} is not removed yet: demoted")
            if node.state in GONE:
                await _told("", self._nodes.remove(node.id, force=False))
        for node in nodes:
            if node.state not in GONE:
                raise PluginFailure(f"node {node.id} of {instance.id} is {node.state}, not down")

    async def _nodes_of(self, association: str) -> list[Node]:
        return await self._nodes.labelled(f"{ASSOCIATION_TAG}={association}")


def health_of(nodes: Iterable[Node]) -> Health:
    """Judge a machine by its nodes: several, when its engine has left the swarm and joined again.

    One that is ready is enough. A new leader of the swarm does not know its nodes yet: that is
    doubt.

    >>> down, unknown, ready = (Node("a", state) for state in ("down", UNKNOWN, READY))
    >>> [health_of(nodes).name for nodes in ([], [down], [down, unknown], [down, ready])]
    ['UNKNOWN', 'UNHEALTHY', 'UNKNOWN', 'HEALTHY']
    """
    states = {node.state for node in nodes}
    if READY in states:
        return Health.HEALTHY
    return Health.UNKNOWN if not states or UNKNOWN in states else Health.UNHEALTHY


async def _told(prefix: str, answer: Awaitable[T]) -> T:
    """Return an answer, or raise its error in InfraKit's words."""
    try:
        return await answer
    except PluginFailure as error:
        raise PluginFailure(f"{prefix}{REFUSED}{error}") from None
    except IkdemoError as error:
        if not prefix:
            raise
        raise type(error)(f"{prefix}{error}") from None


def _association(instance: Description) -> str:
    return (instance.tags or {}).get(ASSOCIATION_TAG, "")


def _check_restart(wanted: SwarmProperties) -> None:
    if not wanted.docker_restart_command.strip():
        raise SpecError(
            "DockerRestartCommand must be specified", path="$.Properties.DockerRestartCommand"
        )


def _wrong_type(sentence: str) -> SpecError:
    return SpecError(sentence, path="$.Properties.Type", expected="manager or worker")


def _check_attachments(attachments: dict[str, list[Attachment]], ids: list[str]) -> None:
    """Refuse volumes for a machine that is not in the group, of an unknown type, or for two
    machines at once; raises SpecError.
    """
    for logical_id in sorted(attachments):
        path = f"$.Properties.Attachments.{logical_id}"
        if logical_id not in ids:
            raise SpecError(
                f"LogicalID {logical_id} used for an attachment but is not in group LogicalIDs",
                path=path,
            )
        for at, attachment in enumerate(attachments[logical_id]):
            if not attachment.type:
                raise SpecError(
                    f"Attachment Type {EBS} must be specified for '{attachment.id}'",
                    path=f"{path}[{at}].Type",
                )
            if attachment.type != EBS:
                raise SpecError(
                    f"Invalid attachment Type '{attachment.type}', only {EBS} is supported",
                    path=f"{path}[{at}].Type",
                )
    every = [one.id for logical_id in sorted(attachments) for one in attachments[logical_id]]
    if (twice := _first_repeated(every)) is not None:
        raise SpecError(
            f"Attachment {twice} specified more than once", path="$.Properties.Attachments"
        )


def _first_repeated(texts: list[str]) -> str | None:
    """Return the first text that stands in a list once more.

    >>> _first_repeated(["a", "b", "a"]), _first_repeated(["a", "b"])
    ('a', None)
    """
    seen = set[str]()
    for text in texts:
        if text in seen:
            return text
        seen.add(text)
    return None
