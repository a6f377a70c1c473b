"""The services that stand for slots: what they are called, what their labels say, and what they are
asked to become. Nothing here asks a swarm.

A slot is one service for good; its replicas are 0 or 1, so it is empty or filled. Whose it is, and
the latest epoch that acted on it, are labels of the service: changing them restarts nothing. Who
the instance in it is are labels of its container: another identity is another task. An instance
without a slot has a service of its own, which is removed with it. One more service, always empty,
keeps the latest epoch of a group.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from ...engine import Row, Service
from ...spi.documents import slot_of
from ...spi.errors import SpecError
from ..container_labels import INSTANCE, PREFIX, SLOT, Labels, labels_of

NAMESPACE, GROUP, EPOCH, LEAVING = (
    PREFIX + name for name in ("namespace", "group", "epoch", "leaving")
)
"""Labels of a service: whose it is; its group; the latest epoch that acted on it; that it is being
removed, and must not be filled any longer."""
EMPTY_IMAGE = "scratch"
"""The image of a service that is never filled: it has to name one."""


class SlotService(NamedTuple):
    """A service of ours. ``slot``: None for an instance without one; ``epoch``: 0 if no leader with
    one acted on it; ``occupant``: the instance in it, None when it is empty.
    """

    service: Service
    group: str
    slot: str | None
    epoch: int
    occupant: Labels | None
    is_leaving: bool

    @property
    def is_one_off(self) -> bool:
        """Say whether it is the service of an instance without a slot."""
        return self.slot is None


def service_name(namespace: str, group: str, slot: str | None, instance: str = "") -> str:
    """Return the name of the service of a slot, or of an instance that has none.

    >>> service_name("lab", "web", "0"), service_name("lab", "web", None, "instance-7")
    ('ik-5c63588dcc8cedbb5f73', 'ik-ab29171b8fb4397a9581')
    """
    return _name(
        [namespace, group, slot] if slot is not None else [namespace, group, None, instance]
    )


def record_name(namespace: str, group: str) -> str:
    """Return the name of the service that keeps the latest epoch of a group."""
    return _name([namespace, group])


def _name(parts: list[str | None]) -> str:
    return "ik-" + hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:20]


def slot_service_of(service: Service, namespace: str) -> SlotService | None:
    """Read a service, None if it is no slot's of this namespace: its name has to be the one that
    its labels make.
    """
    labels = service.labels
    if labels.get(NAMESPACE) != namespace or GROUP not in labels:
        return None
    group, instance = labels[GROUP], labels.get(INSTANCE, "")
    try:
        slot = slot_of(labels.get(SLOT))
    except SpecError:  # no slot has such a name
        return None
    if slot is None and not instance:
        return None
    if service.name != service_name(namespace, group, slot, instance) or service.replicas < 0:
        return None
    held = labels_of(service.container.get("Labels") or {}) if service.replicas else None
    return SlotService(service, group, slot, _epoch(labels.get(EPOCH, "")), held, LEAVING in labels)


def record_epoch_of(service: Service, namespace: str) -> tuple[str, int] | None:
    """Return the group and the epoch that a service keeps, None if it keeps none of this
    namespace.
    """
    labels = service.labels
    group = labels.get(GROUP)
    if labels.get(NAMESPACE) != namespace or group is None:
        return None
    return (
        (group, _epoch(labels.get(EPOCH, "")))
        if service.name == record_name(namespace, group)
        else None
    )


def _epoch(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 19 else 0


def record_spec(namespace: str, group: str, epoch: int) -> dict[str, Any]:
    """Return the service that keeps an epoch of a group."""
    return {
        "Name": record_name(namespace, group),
        "Labels": {NAMESPACE: namespace, GROUP: group, EPOCH: str(epoch)},
        "TaskTemplate": {"ContainerSpec": {"Image": EMPTY_IMAGE}},
        "Mode": {"Replicated": {"Replicas": 0}},
    }


def slot_spec(
    namespace: str, labels: Labels, epoch: int, task: Mapping[str, Any], ports: Row
) -> dict[str, Any]:
    """Return the service of a slot, filled. ``task``: what a task of it is made from; ``ports``:
    where it is reached.
    """
    own = {NAMESPACE: namespace, GROUP: labels.group}
    if epoch:
        own[EPOCH] = str(epoch)
    own |= {INSTANCE: labels.instance} if labels.slot is None else {SLOT: labels.slot}
    return {
        "Name": service_name(namespace, labels.group, labels.slot, labels.instance),
        "Labels": own,
        "TaskTemplate": task,
        "Mode": {"Replicated": {"Replicas": 1}},
        "UpdateConfig": {
            "Parallelism": 0,
            "Order": "stop-first",
            "FailureAction": "continue",  # one that was halted would not be updated again
            "Monitor": 1_000_000,
        },
        "EndpointSpec": ports,
    }


def emptied(spec: Row) -> dict[str, Any]:
    """Return a spec without an instance; all else stays as it is."""
    return {**spec, "Mode": {"Replicated": {"Replicas": 0}}}


def touched(spec: Row, epoch: int) -> dict[str, Any]:
    """Return a spec on which an epoch has acted."""
    return {**spec, "Labels": {**(spec.get("Labels") or {}), EPOCH: str(epoch)}}


def leaving(spec: Row) -> dict[str, Any]:
    """Return a spec that is empty and will be removed."""
    return {**emptied(spec), "Labels": {**(spec.get("Labels") or {}), LEAVING: "true"}}
