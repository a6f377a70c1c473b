"""The verbs ``ikdemo lab``, which opens JupyterLab on the learner's copy of the notebooks, and
``ikdemo labs``, which lists the labs that notebooks have open and lets a terminal see one.

What is delivered into the copy, ``working_copy`` decides. What JupyterLab is given lies in
``ikdemo/desk``; only the installed settings and the launcher's card work without ``ikdemo lab``.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

from ...lab.host.open_labs import OpenLab, open_labs, this_server
from ...rpc.discovery import ENVIRONMENT
from ...spi.errors import IkdemoError
from ...spi.text import visible
from .. import columns, working_copy
from ..commands import Invocation, Verb, say
from ..flags import Flag, switch
from ..jupyter import DESK, WORKSPACE

FIRST = Path("notebooks", "00-welcome.ipynb")
INSTALL = f"{sys.executable} -m pip install 'ikdemo[lab]'"
"""What to type when JupyterLab is missing."""
PREPARE = Flag("prepare", "lay the copy of the notebooks, and start nothing", switch, False)


def clone() -> Path | None:
    """Return the folder that holds the notebooks: the clone this package is installed from, else
    the current one.
    """
    return next(
        (at for at in (Path(__file__).parents[3], Path.cwd()) if (at / FIRST).is_file()), None
    )


def lab(call: Invocation) -> None:
    """Bring the copy of the notebooks up to date, then become JupyterLab, our programs first on the
    PATH of its terminals.
    """
    if find_spec("jupyterlab") is None:
        raise IkdemoError(f"JupyterLab is not installed; this installs it: {INSTALL}")
    at = clone()
    if at is None:
        raise IkdemoError(
            f"{FIRST} is neither beside the installed package nor here; run this in a clone of "
            "the repository"
        )
    desk = working_copy.folder()
    for sentence in working_copy.deliver(at, desk):
        say(sentence)
    say(f"Your copy of the notebooks is {desk}: what you type there is kept")
    if call["prepare"]:
        return
    os.chdir(desk)
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
    }
    environment.setdefault("PYTHONSTARTUP", str(DESK / "startup.py"))  # a person's own comes first
    terminals = json.dumps({"shell_command": shell()})
    command = [
        sys.executable,
        "-m",
        "ikdemo.cli.jupyter",
        f"--ServerApp.terminado_settings={terminals}",
    ]
    # a person's own configuration may name other folders, and each of these settings wins over
    # another one
    command += [
        f"--{kind}.{name}={desk}"
        for kind in ("ServerApp", "FileContentsManager")
        for name in ("root_dir", "preferred_dir")
    ]
    # not as a file argument: its folder would become the root, and the address that --no-browser
    # prints would lack it
    command.append(f"--LabApp.default_url=/lab/workspaces/{WORKSPACE}")
    if os.geteuid() == 0:
        # Jupyter refuses root otherwise, and a container may have no other user
        command.append("--allow-root")
    os.execve(sys.executable, [*command, *call.arguments], environment)


def shell() -> list[str]:
    """Return the shell of the terminals: bash with our banner, never a login shell, which would
    reset the PATH.
    """
    bash = shutil.which("bash")
    return (
        [bash, "--rcfile", str(DESK / "terminal.bash")]
        if bash
        else [os.environ.get("SHELL") or "/bin/sh"]
    )


LAB = (
    Verb(
        "lab",
        "",
        "Open your copy of the notebooks in JupyterLab; what follows -- is handed to it",
        lab,
        (PREPARE,),
    ),
)


FIRST_CELL = "Run the first code cell of a notebook, then try again"
EXPORT = Flag(
    "export",
    'print what lets a shell see the first one: eval "$(ikdemo labs --export)"',
    switch,
    False,
)


def labs(call: Invocation) -> None:
    found = open_labs()
    if not found:
        raise IkdemoError(f"No lab is open. {FIRST_CELL}")
    if call["export"]:
        if this_server() and found[0].server not in (this_server(), ""):
            other = f"There is one of {found[0].notebook}, in {_whose(found[0])}"
            raise IkdemoError(
                "No lab of this JupyterLab is open. Run the first code cell of a notebook, then "
                f"try again. {other}"
            )
        print(
            f"export {ENVIRONMENT}={shlex.quote(str(found[0].plugin_dir))} "
            f"LAB={shlex.quote(str(found[0].root))}"
        )
        print(visible(_greeting(found)), file=sys.stderr)  # stdout is for the shell
    else:
        rows = [(str(lab.root), lab.notebook, _whose(lab), _names(lab)) for lab in found]
        print(columns.table(("LAB", "NOTEBOOK", "OF", "PLUGINS"), rows))


def _greeting(found: list[OpenLab]) -> str:
    first, *others = found
    by = f" of {first.notebook}" if first.notebook else ""
    whose = f" in {_whose(first)}" if first.server and first.server != this_server() else ""
    more = f" ({len(others)} more open: ikdemo labs)" if others else ""
    return f"This terminal sees the lab{by}{whose}, with the plugins {_names(first)}{more}"


def _whose(lab: OpenLab) -> str:
    """Say in which Jupyter server a lab was opened."""
    if not lab.server:
        return "no JupyterLab"
    return (
        "this JupyterLab"
        if lab.server == this_server()
        else f"the JupyterLab with pid {lab.server}"
    )


def _names(lab: OpenLab) -> str:
    return ", ".join(lab.plugins) or "none"


LABS = (
    Verb("labs", "", "List the labs that notebooks have open, the latest first", labs, (EXPORT,)),
)
