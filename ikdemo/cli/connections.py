"""Reach the plugin that a verb names: the look at the directory, and the connection for as long as
the verb runs.

Every verb that talks to a plugin comes through here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..rpc import discovery
from ..spi.errors import IkdemoError, PluginFailure

if TYPE_CHECKING:
    from ..rpc.peers import Peers
    from ..spi.contracts import Found, GroupPlugin


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
