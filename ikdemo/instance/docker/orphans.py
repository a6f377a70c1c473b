"""Whose containers are; and containers whose plugin's directory is being removed: found, and
removed with it.

A plugin leaves a note in its directory: where its engine is, so that no engine is asked where there
never was a container, and a mark, which all its containers bear.
"""

from __future__ import annotations

import logging
import secrets
from functools import partial
from pathlib import Path
from typing import Any

from ... import disk
from ...engine.engine_client import EngineClient
from ...spi.errors import CorruptState, IkdemoError, PluginFailure
from .labels import MARK, OWNER, has_labels

NOTE = "engine"
"""File in the directory of a plugin for containers: a line that says where the engine is, and one
with the mark.
"""
LIMIT = 4096
TIMEOUT = 10.0

log = logging.getLogger(__name__)


def leave_note(directory: disk.Lease, path: Path, host: str) -> dict[str, str]:
    """Note in a plugin's directory where its containers are; return the labels that say whose they
    are.

    The mark stays what it was once made. Raises PluginFailure when it cannot be read or written:
    with another one, nothing that lives would be known again.
    """
    try:
        known = (
            disk.read_regular(directory.fd, NOTE, LIMIT)[0].decode("utf-8", "replace").split("\n")
        )
    except FileNotFoundError:
        known = []
    except OSError as error:
        raise disk.refusal("open", path / NOTE, error) from None
    except CorruptState as error:
        raise PluginFailure(f"{disk.shown(path / NOTE)} {error}") from None
    mark = known[1] if len(known) > 1 and known[1] else secrets.token_hex(16)
    if known[:2] != [host, mark]:
        disk.write_atomic(directory.fd, NOTE, f"{host}\n{mark}\n".encode(), mode=0o600)
    return {OWNER: disk.shown(path), MARK: mark}


def end_orphaned_containers(directory: Path) -> None:
    """Remove every container of a plugin whose directory is below this one, as far as the engine in
    use has it.
    """
    for note in directory.resolve().rglob(f"*/{NOTE}"):
        try:
            engine = EngineClient(TIMEOUT, 1)
            removed = engine.ask(partial(_remove_all, f"{MARK}={_mark_in(note)}"))
            engine.disconnect()
        except IkdemoError as error:
            log.warning("Containers of %s may be left: %s", note.parent, error)
        else:
            for container in removed:
                log.warning(
                    "Container %s was made for %s, which nobody keeps any longer, and is removed",
                    container,
                    note.parent,
                )


def _mark_in(note: Path) -> str:
    try:
        mark = note.read_text(errors="replace")[:LIMIT].split("\n")[1]
    except (OSError, IndexError):
        mark = ""
    if not mark:
        raise PluginFailure(f"{disk.shown(note)} does not say which they are")
    return mark


def _remove_all(label: str, api: Any) -> list[str]:
    found = [
        row["Id"]
        for row in api.containers(all=True, filters={"label": label})
        if has_labels(row, [label])
    ]
    for container in found:
        api.remove_container(container, force=True, v=True)
    return found
