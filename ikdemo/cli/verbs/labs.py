"""The verb ``ikdemo labs``: the labs that notebooks have open, and how a terminal gets to see one.
Loaded by ``commands``.
"""

from __future__ import annotations

import shlex
import sys

from ...lab.host.open_labs import OpenLab, open_labs, this_server
from ...rpc.discovery import ENVIRONMENT
from ...spi.errors import IkdemoError
from ...spi.text import visible
from .. import columns
from ..commands import Invocation, Verb
from ..flags import Flag, switch

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


VERBS = (
    Verb("labs", "", "List the labs that notebooks have open, the latest first", labs, (EXPORT,)),
)
