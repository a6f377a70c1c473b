"""What the task of an instance is made from: the properties of its spec, read and looked over, and
the documents the swarm wants.

Nothing here asks a swarm.
"""

from __future__ import annotations

import re
from typing import Any

from ...spi.documents import InstanceSpec
from ..common import memory_of
from ..container_config import (
    ContainerProperties,
    check_script,
    published,
    read_container,
    wrong_property,
)
from ..container_labels import Labels, environment_of
from .slot_service import NAMESPACE

_LOG = {"Name": "json-file", "Options": {"max-size": "256k", "max-file": "2"}}
"""Where the output goes: two files that take turns, so that what an instance prints is bounded."""
_CONSTRAINT = re.compile(r"\s*[\w.\-/]+\s*[!=]=\s*\S.*")
_SPREAD = re.compile(r"spread=(\S+)")


class TaskProperties(ContainerProperties, frozen=True):
    """Properties of an instance that Swarm places. ``ports``: published ones are those of the node
    that it runs on. ``constraints``: what its node has to be, such as "node.role==worker".
    ``preferences``: by what Swarm spreads, such as "spread=node.labels.rack".
    """

    constraints: list[str] | None = None
    preferences: list[str] | None = None


def read_task_properties(raw: bytes, path: str) -> TaskProperties:
    """Decode properties and look at what types cannot say; raises SpecError."""
    read = read_container(raw, TaskProperties, path)
    for index, text in enumerate(read.constraints or ()):
        if not _CONSTRAINT.fullmatch(text):
            raise wrong_property(
                f"{path}.Constraints[{index}]",
                "a constraint such as node.role==worker",
                ascii(text),
            )
    for index, text in enumerate(read.preferences or ()):
        if not _SPREAD.fullmatch(text):
            raise wrong_property(
                f"{path}.Preferences[{index}]",
                "a preference such as spread=node.labels.rack",
                ascii(text),
            )
    for index, text in enumerate(read.ports or ()):
        if published(text).ip:
            raise wrong_property(
                f"{path}.Ports[{index}]",
                "no address: Swarm publishes on all of a node's",
                ascii(text),
            )
    return read


def task_of(
    properties: TaskProperties, spec: InstanceSpec, labels: Labels, namespace: str, grace: float
) -> dict[str, Any]:
    """Return the task of an instance, as Docker's API wants it described. ``grace``: seconds
    between asking it to end and killing it. Raises SpecError.
    """
    check_script(spec.init)
    own = {**(properties.env or {}), **environment_of(labels)}
    container: dict[str, Any] = {
        "Image": properties.image,
        "Env": [f"{name}={text}" for name, text in own.items()],
        "Labels": {**(properties.labels or {}), **labels.to_dict({NAMESPACE: namespace})},
        "StopGracePeriod": int(grace * 10**9),
    }
    if properties.command is not None:
        container["Args"] = properties.command
    elif spec.init:
        # in place of what the image begins with, which would take it for arguments
        container["Command"] = ["sh", "-c", spec.init]
    placement = {
        "Constraints": properties.constraints or [],
        "Preferences": [
            {"Spread": {"SpreadDescriptor": text.removeprefix("spread=")}}
            for text in properties.preferences or ()
        ],
    }
    task: dict[str, Any] = {
        "ContainerSpec": container,
        "Resources": {"Limits": {"MemoryBytes": memory_of(properties.memory)}},
        "RestartPolicy": {"Condition": "none"},
        "Placement": placement,
        "LogDriver": _LOG,
    }
    if properties.network:
        task["Networks"] = [{"Target": properties.network}]
    return task


def ports_of(properties: TaskProperties) -> dict[str, Any]:
    """Return where an instance is reached: at its node, without Swarm's own balancing."""
    ports = []
    for port in map(published, properties.ports or ()):
        if port.public:
            ports.append(
                {
                    "Protocol": "tcp",
                    "TargetPort": int(port.own),
                    "PublishedPort": int(port.public),
                    "PublishMode": "host",
                }
            )
    return {"Mode": "dnsrr", "Ports": ports}
