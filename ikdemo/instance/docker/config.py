"""What a container is made from: the properties of its spec, read and looked over, and the document
the engine wants.

Nothing here asks the engine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from ...spi.decode import decode
from ...spi.documents import NULL, Document, InstanceSpec
from ...spi.errors import SpecError
from ..common import memory_of
from .labels import PREFIX, Labels

_PORT = re.compile(
    r"(?:(?:(?P<ip>[0-9.]+|\[[0-9a-fA-F:]+\]):)?(?P<public>[0-9]{1,5}):)?(?P<own>[0-9]{1,5})"
)
_SHARED = re.compile(r"host|container:.+")
_LOG = {"Type": "json-file", "Config": {"max-size": "256k", "max-file": "2"}}
"""Where the output goes: two files that take turns, so that what an instance prints is bounded."""


class DockerProperties(Document, frozen=True):
    """Properties of a container instance.

    ``command``: what to run in place of the image's own; without it the flavor's Init runs, as a
    shell script; without that, what the image says. ``ports``: where it listens, such as "80", or
    published, "8080:80" ("0:80" takes a free one). ``network``: a network's name, host, none, or
    container:NAME. ``memory``: such as "64M". ``pull``: when to fetch the image.
    """

    image: str = ""
    command: list[str] | None = None
    env: dict[str, str] | None = None
    ports: list[str] | None = None
    network: str = ""
    memory: str = ""
    pull: Literal["never", "missing", "always"] = "missing"
    labels: dict[str, str] | None = None

    @property
    def port(self) -> str:
        """The port on which it listens first; empty when that is not said."""
        return self.ports[0].rpartition(":")[2] if self.ports else ""

    @property
    def shares_network(self) -> bool:
        """Say whether several instances have one address, so that each needs a port of its own."""
        return _SHARED.fullmatch(self.network) is not None


class Published(NamedTuple):
    """A port of a container, and the address and port of the engine's machine that lead there;
    empty ones are not said.
    """

    own: str
    ip: str = ""
    public: str = ""


def read_properties(raw: bytes, path: str) -> DockerProperties:
    """Decode properties and look at what types cannot say; raises SpecError."""
    read = DockerProperties() if raw == bytes(NULL) else decode(raw, DockerProperties, path=path)
    if not read.image or read.image != "".join(read.image.split()):
        raise _wrong(
            f"{path}.Image", "the name of an image, such as busybox:1.37", repr(read.image)
        )
    if read.command is not None and not (read.command and read.command[0]):
        raise _wrong(f"{path}.Command", "a program and its arguments", "none")
    for name in read.env or {}:
        if not name or "=" in name:
            raise _wrong(f"{path}.Env", "names of variables", ascii(name))
    for name in read.labels or {}:
        if not name or name.startswith(PREFIX):
            raise _wrong(f"{path}.Labels", f"names that do not begin with {PREFIX}", ascii(name))
    texts = [*(read.command or ()), read.network]
    texts += [
        text for pair in (*(read.env or {}).items(), *(read.labels or {}).items()) for text in pair
    ]
    if any("\0" in text for text in texts):
        raise SpecError(
            f"{path}: no text here can hold a NUL", path=path, expected="texts without NUL"
        )
    for index, text in enumerate(read.ports or ()):
        if published(text, f"{path}.Ports[{index}]").public and (
            read.shares_network or read.network == "none"
        ):
            raise _wrong(
                f"{path}.Ports[{index}]",
                f"no published port in the network {read.network}",
                ascii(text),
            )
    memory_of(read.memory, f"{path}.Memory")
    return read


def _wrong(path: str, expected: str, got: str) -> SpecError:
    return SpecError(f"{path}: expected {expected}, got {got}", path=path, expected=expected)


def published(text: str, path: str = "$.Ports") -> Published:
    """Read a port; raises SpecError.

    >>> published("80"), published("127.0.0.1:8080:80")
    (Published(own='80', ip='', public=''), Published(own='80', ip='127.0.0.1', public='8080'))
    """
    found = _PORT.fullmatch(text)
    if found is None or not 0 < int(found["own"]) < 2**16 or int(found["public"] or 0) >= 2**16:
        raise _wrong(path, 'a port such as "80" or "8080:80"', ascii(text))
    return Published(found["own"], (found["ip"] or "").strip("[]"), found["public"] or "")


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
    if "\0" in spec.init:
        raise SpecError(
            "$.Spec.Init: no script can hold a NUL",
            path="$.Spec.Init",
            expected="a script without NUL",
        )
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


def environment_of(labels: Labels) -> dict[str, str]:
    """Return what an instance may want to know of itself, under the names that processes have
    it.
    """
    known = {
        "INSTANCE_ID": labels.instance,
        "SLOT": labels.slot or "",
        "GROUP": labels.group,
        "LOGICAL_ID": labels.logical_id or "",
        **({"PORT": labels.port} if labels.port else {}),
    }
    return {name: text.replace("\0", "") for name, text in known.items()}
