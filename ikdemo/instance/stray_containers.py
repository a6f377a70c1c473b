"""Containers that were started for an instance which nobody keeps any longer: found by their label, and removed.

A plugin leaves a note in its directory, so that no engine is asked where there never was a container. Called by ``docker``,
and by ``strays`` when a directory is removed with everything that was in it.
"""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Any

from .. import disk
from ..engine.client import Client
from ..spi.errors import IkdemoError
from .badge import OWNER

NOTE = "engine"
"""File in the directory of a plugin for containers: where the engine is."""
TIMEOUT = 10.0

log = logging.getLogger(__name__)


def leave_note(directory: disk.Lease, host: str) -> None:
    """Note in a plugin's directory where its containers are; raises PluginFailure."""
    disk.write_atomic(directory.fd, NOTE, f"{host}\n".encode(), mode=0o600)


def end_stray_containers(directory: Path) -> None:
    """Remove every container of a plugin whose directory is below this one, as far as the engine in use has it."""
    for note in directory.resolve().rglob(f"*/{NOTE}"):
        try:
            engine = Client(TIMEOUT, 1)
            removed = engine.ask(partial(_remove_all, str(note.parent)))
            engine.forget()
        except IkdemoError as error:
            log.warning("Containers of %s may be left: %s", note.parent, error)
        else:
            for container in removed:
                log.warning("Container %s was made for %s, which nobody keeps any longer, and is removed", container, note.parent)


def _remove_all(owner: str, api: Any) -> list[str]:
    found = [row["Id"] for row in api.containers(all=True, filters={"label": f"{OWNER}={owner}"})]
    for container in found:
        api.remove_container(container, force=True, v=True)
    return found
