"""The verb ``ikdemo labs``: the labs that notebooks have open, and how a terminal gets to see one. Loaded by ``commands``."""

from __future__ import annotations

import shlex
import sys

from ..lab.nearby import OpenLab, open_labs
from ..rpc.discovery import ENVIRONMENT
from ..spi.errors import IkdemoError
from ..spi.text import visible
from . import columns
from .commands import Call, Verb
from .flags import Flag, switch

EXPORT = Flag("export", 'print what lets a shell see the first one: eval "$(ikdemo labs --export)"', switch, False)


def labs(call: Call) -> None:
    found = open_labs()
    if not found:
        raise IkdemoError("No lab is open. Run the first code cell of a notebook, then try again")
    if call["export"]:
        print(f"export {ENVIRONMENT}={shlex.quote(str(found[0].plugin_dir))} LAB={shlex.quote(str(found[0].root))}")
        print(visible(_greeting(found)), file=sys.stderr)  # stdout is for the shell
    else:
        print(columns.table(("LAB", "NOTEBOOK", "PLUGINS"), [(str(lab.root), lab.notebook, _names(lab)) for lab in found]))


def _greeting(found: list[OpenLab]) -> str:
    first, *others = found
    by = f" of {first.notebook}" if first.notebook else ""
    more = f" ({len(others)} more open: ikdemo labs)" if others else ""
    return f"This terminal sees the lab{by}, with the plugins {_names(first)}{more}"


def _names(lab: OpenLab) -> str:
    return ", ".join(lab.plugins) or "none"


VERBS = (Verb("labs", "", "List the labs that notebooks have open, the latest first", labs, (EXPORT,)),)
