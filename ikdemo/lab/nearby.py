"""Finds the labs that are open on this machine: a terminal beside a notebook asks for the notebook's.

A lab is open as long as its directory is held; which notebook opened it, the environment of what it started tells. Called by the
verb ``ikdemo labs``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from ..disk import Lease
from ..instance import procfs
from ..rpc import discovery
from ..spi.errors import IkdemoError, InUse
from .place import PREFIX, home

NOTEBOOK = "JPY_SESSION_NAME"
"""What Jupyter tells a kernel, and so all that it starts: the path of its notebook."""


class OpenLab(NamedTuple):
    """A lab that somebody has open. ``notebook`` is empty when no notebook opened it."""

    root: Path
    notebook: str

    @property
    def plugin_dir(self) -> Path:
        """Where its sockets are."""
        return self.root / "plugins"

    @property
    def plugins(self) -> list[str]:
        """The names of its plugins, sorted."""
        return [name for name, _ in discovery.listing(self.plugin_dir)]


def open_labs() -> list[OpenLab]:
    """Return the labs of this account, the one in which a plugin came or went last first."""
    notebooks = _notebooks()
    found = []
    for root in home().glob(PREFIX + "*"):
        try:
            changed = (root / "plugins").stat()  # made after the lease was taken: a lab that is just opening is not in its way
            if changed.st_uid == os.getuid() and _is_held(root):
                found.append((changed.st_mtime_ns, OpenLab(root, notebooks.get(root, ""))))
        except (OSError, IkdemoError):
            continue  # closed while we looked
    return [lab for _, lab in sorted(found, reverse=True)]


def _is_held(root: Path) -> bool:
    try:
        Lease(root).release()
    except InUse:
        return True
    return False


def _notebooks() -> dict[Path, str]:
    """Return the file name of the notebook of each lab that a notebook opened: its launcher was told."""
    told = [variables for _, variables in procfs.with_variable(NOTEBOOK)]
    directories = [os.fsdecode(variables.get(os.fsencode(discovery.ENVIRONMENT), b"")) for variables in told]
    names = [Path(os.fsdecode(variables[os.fsencode(NOTEBOOK)])).name for variables in told]
    return {Path(directory).parent: name for directory, name in zip(directories, names, strict=True) if directory}
