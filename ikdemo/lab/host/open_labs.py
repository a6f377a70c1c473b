"""Finds the labs that are open on this machine: a terminal beside a notebook asks for the
notebook's.

A lab is open as long as its directory is held; which notebook opened it, and in which Jupyter
server, the environment of what it started tells.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from ...disk import Lease
from ...instance import procfs
from ...rpc import discovery
from ...spi.errors import IkdemoError, InUse
from .workspace import PREFIX, home

NOTEBOOK = "JPY_SESSION_NAME"
"""What Jupyter tells a kernel, and so all that it starts: the path of its notebook."""
KERNEL_OF, TERMINAL_OF = "JPY_PARENT_PID", "IKDEMO_JUPYTER"
"""The Jupyter server that began a kernel, as Jupyter tells it; that of a terminal, as
``desk/terminal.bash`` does.
"""


class OpenLab(NamedTuple):
    """A lab that is open. ``notebook`` is empty when no notebook opened it, ``server``
    the pid of its Jupyter.
    """

    root: Path
    notebook: str = ""
    server: str = ""

    @property
    def plugin_dir(self) -> Path:
        """Where its sockets are."""
        return self.root / "plugins"

    @property
    def plugins(self) -> list[str]:
        """The names of its plugins, sorted."""
        return [name for name, _ in discovery.listing(self.plugin_dir)]


def this_server() -> str:
    """Return the pid of the Jupyter server in whose terminal this runs; empty in any other
    terminal.
    """
    return os.environ.get(TERMINAL_OF, "")


def open_labs() -> list[OpenLab]:
    """Return the labs of this account, the one in which a plugin came or went last first.

    In a terminal of a Jupyter server its own come before the rest, and those of another server
    last.
    """
    owners, near = _owners(), [this_server(), ""]
    found = []
    for root in home().glob(PREFIX + "*"):
        try:
            # made after the lease was taken: a lab that is just opening is not in its way
            changed = (root / "plugins").stat()
            if changed.st_uid == os.getuid() and _is_held(root):
                lab = owners.get(root, OpenLab(root))
                found.append(
                    (
                        -near.index(lab.server) if lab.server in near else -len(near),
                        changed.st_mtime_ns,
                        lab,
                    )
                )
        except (OSError, IkdemoError):
            continue  # closed while we looked
    return [lab for *_, lab in sorted(found, reverse=True)]


def _is_held(root: Path) -> bool:
    try:
        Lease(root).release()
    except InUse:
        return True
    return False


def _owners() -> dict[Path, OpenLab]:
    """Return each lab that a notebook opened, with the name of its file and the server: what
    the lab has started was told.
    """
    found: dict[Path, OpenLab] = {}
    for _, variables in procfs.with_variable(NOTEBOOK):
        notebook, server, plugins = (
            os.fsdecode(variables.get(os.fsencode(name), b""))
            for name in (NOTEBOOK, KERNEL_OF, discovery.ENVIRONMENT)
        )
        if plugins:
            root = Path(plugins).parent
            # the first was started when the lab was opened
            found.setdefault(root, OpenLab(root, Path(notebook).name, server))
    return found
