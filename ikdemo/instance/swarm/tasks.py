"""Which instances live, as the services and tasks of a swarm say at one moment, and how one ended.
Nothing here asks a swarm.

A filled slot has a task, or will have one in a moment: the leading manager makes it after the
service was changed. A task lives as long as Swarm wants it to run and does not say that it ended;
one of a node that was given up is not wanted any longer, whatever runs there.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from ...engine import Row
from ...spi.documents import Description
from ..common import EARLY, FROM_OUTSIDE, ExitReason
from ..container_labels import ADDRESS_TAG, PORT_TAG, Labels, labels_of
from .slot_service import SlotService

ENDED = ("complete", "shutdown", "failed", "rejected", "remove", "orphaned")
WANTED = ("ready", "running")
"""Desired states of a task that is to run, at once or as soon as the one before has ended."""
UNPLACED = "no suitable node"
"""How Swarm begins to say why it cannot place a task."""


class LiveInstance(NamedTuple):
    """An instance that lives in a service. ``task``: None as long as Swarm has not made it."""

    labels: Labels
    held: SlotService
    task: Row | None

    @property
    def state(self) -> str:
        """What its task does, such as ``running``; ``new`` before there is one."""
        return "new" if self.task is None else str(self.task["Status"]["State"])

    @property
    def publishes(self) -> bool:
        """Say whether its node has a port for it."""
        return bool(_ports(self.task or {}))

    @property
    def unplaced(self) -> str:
        """Why Swarm can place it nowhere; empty if it can, or has not tried yet."""
        said = "" if self.task is None else str(self.task["Status"].get("Err") or "")
        return said if self.state == "pending" and said.startswith(UNPLACED) else ""

    def description(self, nodes: Mapping[str, Row]) -> Description:
        """Describe it, with where it answers if that can be told from here."""
        host, port = _reached(self.task or {}, nodes)
        where = {ADDRESS_TAG: host, PORT_TAG: port or self.labels.port}
        tags = {**(where if all(where.values()) else {}), **self.labels.tags}
        return replace(self.labels.description, tags=tags)


def _reached(task: Row, nodes: Mapping[str, Row]) -> tuple[str, str]:
    """Return the address and the published port of a task: its node's, or its own in a network of
    the swarm.
    """
    for port in _ports(task):
        if port.get("PublishedPort"):
            node = nodes.get(task.get("NodeID", "")) or {}
            address = str((node.get("Status") or {}).get("Addr") or "")
            return address, str(port["PublishedPort"])
    for network in task.get("NetworksAttachments") or ():
        for address in network.get("Addresses") or ():
            return str(address).partition("/")[0], ""
    return "", ""


def _ports(task: Row) -> list[Row]:
    return ((task.get("Status") or {}).get("PortStatus") or {}).get("Ports") or []


def is_wanted(task: Row, ended: Container[str] = ()) -> bool:
    """Say whether a task lives and is to run on. ``ended``: tasks whose containers were seen to
    end.
    """
    return (
        task["DesiredState"] in WANTED
        and task["Status"]["State"] not in ENDED
        and task["ID"] not in ended
    )


def living(
    slots: Iterable[SlotService],
    tasks: Iterable[Row],
    ended: Container[str],
    is_over: Container[str],
) -> dict[str, LiveInstance]:
    """Return the living instances by ID, at most one for each slot: the one that its service names,
    if a task of it is wanted, or none is known to have ended. ``is_over``: those that have.
    """
    wanted: dict[str, list[Row]] = {}
    for task in tasks:
        if is_wanted(task, ended):
            wanted.setdefault(task["ServiceID"], []).append(task)
    found = {}
    for held in slots:
        if (labels := held.occupant) is None:
            continue
        newest = newest_of(labels.instance, wanted.get(held.service.id, ()))
        if newest is not None or labels.instance not in is_over:
            found[labels.instance] = LiveInstance(labels, held, newest)
    return found


def _made(task: Row) -> int:
    return int((task.get("Version") or {}).get("Index") or 0)


def newest_of(instance: str, tasks: Iterable[Row]) -> Row | None:
    """Return the newest task of an instance, None if there is none."""
    own = [
        task
        for task in tasks
        if (labels := labels_of(_carried(task))) is not None and labels.instance == instance
    ]
    return max(own, key=_made, default=None)


def _carried(task: Row) -> Mapping[str, str]:
    return ((task.get("Spec") or {}).get("ContainerSpec") or {}).get("Labels") or {}


def exit_reason(task: Row, age: float | None, node: Row | None) -> ExitReason:
    """Say how a task ended, or why Swarm wants it no longer. ``age``: seconds that it is known to
    have run; ``node``: where it was, if the swarm knows it.

    >>> failed = {"Status": {"State": "failed", "ContainerStatus": {"ExitCode": 137}}}
    >>> exit_reason({**failed, "DesiredState": "shutdown"}, 60.0, None)
    ExitReason(code='killed', text='was ended by SIGKILL after 60.0 s')
    """
    status = task["Status"]
    state, said = status["State"], str(status.get("Err") or "")
    name = str(((node or {}).get("Description") or {}).get("Hostname") or "its node")
    if state not in ENDED:
        if ((node or {}).get("Status") or {}).get("State") == "down":
            return ExitReason("killed", f"node {name} is down")
        if ((node or {}).get("Spec") or {}).get("Availability") == "drain":
            return ExitReason("killed", f"node {name} was drained")
        return ExitReason("killed", f"Swarm ended it on {name}")
    code = int((status.get("ContainerStatus") or {}).get("ExitCode") or 0)
    if state == "rejected":
        return ExitReason("died", f"could not be started on {name}: {said or 'it was rejected'}")
    return exit_reason_of_status(code, age, said, state)


def exit_reason_of_status(
    code: int, age: float | None, said: str = "", state: str = "failed"
) -> ExitReason:
    """Say how a container ended, from its exit status. ``age``: see ``exit_reason``."""
    after = f" after {age:.1f} s" if age is not None else ""
    number = code - 128
    if number in FROM_OUTSIDE:
        signal = FROM_OUTSIDE[FROM_OUTSIDE.index(number)].name
        is_early = age is not None and age < EARLY
        return ExitReason("early" if is_early else "killed", f"was ended by {signal}{after}")
    if state in ("shutdown", "remove", "orphaned"):
        return ExitReason("killed", said or f"Swarm says that it is {state}")
    if code or not said or said.startswith("task: non-zero exit"):
        return ExitReason("died", f"exited with status {code}{after}")
    return ExitReason("died", said)
