"""The verb ``ikdemo lab``: open JupyterLab on the first notebook. Loaded by ``commands``."""

from __future__ import annotations

import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path

from ..spi.errors import IkdemoError
from .commands import Call, Verb

FIRST = Path("notebooks", "00-welcome.ipynb")
INSTALL = f"{sys.executable} -m pip install 'ikdemo[lab]'"
"""What to type when JupyterLab is missing."""


def clone() -> Path | None:
    """Return the folder that holds the notebooks: the clone this package is installed from, else the current one."""
    return next((at for at in (Path(__file__).parents[2], Path.cwd()) if (at / FIRST).is_file()), None)


def lab(call: Call) -> None:
    """Become JupyterLab, with our programs first on the PATH of its terminals."""
    if find_spec("jupyterlab") is None:
        raise IkdemoError(f"JupyterLab is not installed; this installs it: {INSTALL}")
    at = clone()
    if at is None:
        raise IkdemoError(f"{FIRST} is neither beside the installed package nor here; run this in a clone of the repository")
    os.chdir(at)
    programs = Path(sys.executable).parent
    environment = os.environ | {"PATH": f"{programs}:{os.environ.get('PATH', os.defpath)}"}
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--ServerApp.terminado_settings={json.dumps({'shell_command': shell(programs)})}",
    ]
    # not as a file argument: its folder would become the root, and the address that --no-browser prints would lack it
    command.append(f"--LabApp.default_url=/lab/tree/{FIRST}")
    if os.geteuid() == 0:
        command.append("--allow-root")  # Jupyter refuses root otherwise, and in a container there is nobody else
    os.execve(sys.executable, [*command, *call.arguments], environment)


def shell(programs: Path) -> list[str]:
    """Return the shell of the terminals: never a login shell, which would reset the PATH.

    In a virtual environment its activation is the rc file: a person's own may put another Python first.
    """
    activate = programs / "activate"
    return ["bash", "--rcfile", str(activate)] if activate.is_file() else [os.environ.get("SHELL") or "/bin/sh"]


VERBS = (Verb("lab", "", "Open the notebooks in JupyterLab; what follows -- is handed to it", lab),)
