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
    """Become JupyterLab. Its terminals find our programs on their PATH: not as login shells, which would reset it."""
    if find_spec("jupyterlab") is None:
        raise IkdemoError(f"JupyterLab is not installed; this installs it: {INSTALL}")
    at = clone()
    if at is None:
        raise IkdemoError(f"{FIRST} is neither beside the installed package nor here; run this in a clone of the repository")
    os.chdir(at)
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"}
    shell = json.dumps({"shell_command": [os.environ.get("SHELL") or "/bin/sh"]})
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.terminado_settings={shell}"]
    if os.geteuid() == 0:
        command.append("--allow-root")  # Jupyter refuses root otherwise, and in a container there is nobody else
    os.execve(sys.executable, [*command, *call.arguments, str(FIRST)], environment)


VERBS = (Verb("lab", "", "Open the notebooks in JupyterLab; what follows -- is handed to it", lab),)
