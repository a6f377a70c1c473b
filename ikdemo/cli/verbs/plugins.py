"""The verb of ``infrakit plugin``. Loaded by ``commands``."""

from __future__ import annotations

from ...rpc import discovery
from .. import columns
from ..commands import QUIET, Invocation, Verb, show
from ..connections import ready


def ls(call: Invocation) -> None:
    ready(call.directory)
    show(columns.plugin_rows(discovery.listing(call.directory), call["quiet"]))


VERBS = (Verb("ls", "", "List the plugins and where they listen", ls, (QUIET,)),)
