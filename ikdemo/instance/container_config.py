"""What every container is made from, whatever makes it: the properties that all kinds of containers
have, read and looked over.

Nothing here asks an engine.
"""

from __future__ import annotations

import re
from typing import NamedTuple, TypeVar

from ..spi.decode import decode
from ..spi.documents import NULL, Document
from ..spi.errors import SpecError
from .common import memory_of
from .container_labels import PREFIX

_PORT = re.compile(
    r"(?:(?:(?P<ip>[0-9.]+|\[[0-9a-fA-F:]+\]):)?(?P<public>[0-9]{1,5}):)?(?P<own>[0-9]{1,5})"
)


class ContainerProperties(Document, frozen=True):
    """Properties of an instance that is a container.

    ``command``: what to run in place of the image's own; without it the flavor's Init runs, as a
    shell script; without that, what the image says. ``ports``: where it listens, such as "80", or
    published, "8080:80" ("0:80" takes a free one). ``network``: a network's name. ``memory``: such
    as "64M".
    """

    image: str = ""
    command: list[str] | None = None
    env: dict[str, str] | None = None
    ports: list[str] | None = None
    network: str = ""
    memory: str = ""
    labels: dict[str, str] | None = None

    @property
    def port(self) -> str:
        """The port on which it listens first; empty when that is not said."""
        return self.ports[0].rpartition(":")[2] if self.ports else ""


P = TypeVar("P", bound=ContainerProperties)


class Published(NamedTuple):
    """A port of a container, and the address and port of the engine's machine that lead there;
    empty ones are not said.
    """

    own: str
    ip: str = ""
    public: str = ""


def read_container(raw: bytes, kind: type[P], path: str) -> P:
    """Decode properties and look at what types cannot say; raises SpecError."""
    read = kind() if raw == bytes(NULL) else decode(raw, kind, path=path)
    if not read.image or read.image != "".join(read.image.split()):
        raise wrong_property(
            f"{path}.Image", "the name of an image, such as busybox:1.37", repr(read.image)
        )
    if read.command is not None and not (read.command and read.command[0]):
        raise wrong_property(f"{path}.Command", "a program and its arguments", "none")
    for name in read.env or {}:
        if not name or "=" in name:
            raise wrong_property(f"{path}.Env", "names of variables", ascii(name))
    for name in read.labels or {}:
        if not name or name.startswith(PREFIX):
            raise wrong_property(
                f"{path}.Labels", f"names that do not begin with {PREFIX}", ascii(name)
            )
    texts = [*(read.command or ()), read.network]
    texts += [
        text for pair in (*(read.env or {}).items(), *(read.labels or {}).items()) for text in pair
    ]
    if any("\0" in text for text in texts):
        raise SpecError(
            f"{path}: no text here can hold a NUL", path=path, expected="texts without NUL"
        )
    for index, text in enumerate(read.ports or ()):
        published(text, f"{path}.Ports[{index}]")
    memory_of(read.memory, f"{path}.Memory")
    return read


def check_script(init: str) -> None:
    """Raise SpecError for an Init that no container can run."""
    if "\0" in init:
        raise SpecError(
            "$.Spec.Init: no script can hold a NUL",
            path="$.Spec.Init",
            expected="a script without NUL",
        )


def wrong_property(path: str, expected: str, got: str) -> SpecError:
    """Return the error for a property that is not what it has to be."""
    return SpecError(f"{path}: expected {expected}, got {got}", path=path, expected=expected)


def published(text: str, path: str = "$.Ports") -> Published:
    """Read a port; raises SpecError.

    >>> published("80"), published("127.0.0.1:8080:80")
    (Published(own='80', ip='', public=''), Published(own='80', ip='127.0.0.1', public='8080'))
    """
    found = _PORT.fullmatch(text)
    if found is None or not 0 < int(found["own"]) < 2**16 or int(found["public"] or 0) >= 2**16:
        raise wrong_property(path, 'a port such as "80" or "8080:80"', ascii(text))
    return Published(found["own"], (found["ip"] or "").strip("[]"), found["public"] or "")
