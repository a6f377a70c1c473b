"""What a container is made from: the properties of its spec, read and looked over, and the document
the engine wants.

Nothing here asks the engine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

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

_SHARED = re.compile(r"host|container:.+")
_LOG = {"Type": "json-file", "Config": {"max-size": "256k", "max-file": "2"}}
"""Where the output goes: two files that take turns, so that what an instance prints is bounded."""


class DockerProperties(ContainerProperties, frozen=True):
    """Properties of a container instance. ``network``: a network's name, host, none, or
    container:NAME. ``pull``: when to fetch the image.
    """

    pull: Literal["never", "missing", "always"] = "missing"

    @property
    def shares_network(self) -> bool:
        """Say whether several instances have one address, so that each needs a port of its own."""
        return _SHARED.fullmatch(self.network) is not None


def read_properties(raw: bytes, path: str) -> DockerProperties:
    """Decode properties and look at what types cannot say; raises SpecError."""
    read = read_container(raw, DockerProperties, path)
    for index, text in enumerate(read.ports or ()):
        if published(text).public and (read.shares_network or read.network == "none"):
            raise wrong_property(
                f"{path}.Ports[{index}]",
                f"no published port in the network {read.network}",
                ascii(text),
            )
    return read


def config_of(
    properties: DockerProperties,
    spec: InstanceSpec,
    labels: Labels,
    owner_labels: Mapping[str, str],
    init: bool,
) -> dict[str, Any]:
    """Return the container as Docker's API wants it described.

    ``owner_labels``: those of its plugin. ``init``: the engine has a first process that passes
    signals on.
    Raises SpecError.
    """
    check_script(spec.init)
    ports = [published(text) for text in properties.ports or ()]
    host: dict[str, Any] = {"LogConfig": _LOG, "Init": init, "Memory": memory_of(properties.memory)}
    if properties.network:
        host["NetworkMode"] = properties.network
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in ports:
        if port.public:
            bindings.setdefault(f"{port.own}/tcp", []).append(
                {"HostIp": port.ip, "HostPort": port.public}
            )
    host["PortBindings"] = bindings
    own = {**(properties.env or {}), **environment_of(labels)}
    config: dict[str, Any] = {
        "Image": properties.image,
        "Env": [f"{name}={text}" for name, text in own.items()],
        "Labels": {**(properties.labels or {}), **labels.to_dict(owner_labels)},
        "ExposedPorts": {}
        if properties.shares_network
        else {f"{port.own}/tcp": {} for port in ports},
        "HostConfig": host,
    }
    if properties.command is not None:
        config["Cmd"] = properties.command
    elif spec.init:
        # in place of what the image begins with, which would take it for arguments
        config["Entrypoint"] = ["sh", "-c", spec.init]
    return config
