"""What the words of a verb name: the plugin that it talks to, for as long as it runs, and the
documents that it reads.

Every verb that talks to a plugin, or reads a FILE, comes through here; a mistake in a document is
told with its file.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from msgspec import Raw

from ..rpc import discovery
from ..spi.decode import decode
from ..spi.errors import IkdemoError, PluginFailure, SpecError
from ..spi.sources import STANDARD_INPUT, file_of, plain
from ..spi.text import compact

if TYPE_CHECKING:
    from ..rpc.peers import Peers
    from ..spi.contracts import Found, GroupPlugin

T = TypeVar("T")
LARGEST = 8 << 20
"""The largest document, in bytes, that a plugin takes."""


def ready(directory: Path) -> None:
    """Make sure of the plugin directory; raises IkdemoError, in InfraKit's words where it has some,
    when it cannot be one.
    """
    failed = "Failed to initialize plugin discovery"
    try:
        if not directory.is_dir() and directory.exists():
            raise IkdemoError(f"{failed}: Plugin dir {directory} is a file")
        directory.stat()
    except FileNotFoundError:
        pass
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise IkdemoError(
            f"{failed}: Failed to access plugin dir {directory}: stat {directory}: {why}"
        ) from None
    try:
        discovery.ensure_dir(directory)
    except IkdemoError as error:
        raise IkdemoError(f"{failed}: {error}") from None


def find(directory: Path, name: str) -> None:
    """Look whether a plugin of this name is there; raises PluginNotFound."""
    ready(directory)
    discovery.find(directory, name)


@asynccontextmanager
async def peers(directory: Path) -> AsyncIterator[Peers]:
    """Hand out the plugins of a directory by name, and close every connection at the end."""
    from ..rpc.peers import Peers  # brings the event loop with it

    found = Peers(directory)
    try:
        yield found
    finally:
        await found.close()


def reconciling(found: Found[GroupPlugin], name: str) -> GroupPlugin:
    """Return the group plugin if it has the Reconcile extension; InfraKit's own has not."""
    if "Reconcile" not in found.offers:
        raise PluginFailure(
            f"the group plugin {name} cannot do this: it does not offer the Reconcile extension"
        )
    return found.plugin


def read_document(file: str, kind: type[T]) -> T:
    """Read one JSON value of ``kind`` from a file, a ``file://`` URL, or standard input for ``-``.

    Raises OSError when it cannot be read, SpecError with the file's name when it is not what it
    should be.
    """
    path = file_of(file)
    with sys.stdin.buffer if file == STANDARD_INPUT else Path(path).open("rb") as stream:
        text = stream.read(LARGEST + 1)
    if file == STANDARD_INPUT and not text:  # in InfraKit's words, which knows no standard input
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), file)
    try:
        if len(text) > LARGEST:
            raise SpecError(f"larger than {LARGEST >> 20} MiB")
        return decode(plain(text), kind)
    except SpecError as error:
        raise SpecError(f"{file}: {error}", path=error.path, expected=error.expected) from None


def read_properties(file: str) -> Raw:
    """Read a file that is a plugin's Properties: any one JSON value, sent as it is but for white
    space.
    """
    return packed(read_document(file, Raw))


def packed(raw: Raw) -> Raw:
    """Return opaque JSON as it travels, without white space."""
    return Raw(compact(bytes(raw)))
