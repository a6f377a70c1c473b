"""The verb ``version``. Loaded by ``commands``."""

from __future__ import annotations

import platform

from ... import __version__
from ..commands import Invocation, Verb


def version(call: Invocation) -> None:
    if call.program == "infrakit":
        # InfraKit stamps both into its releases; a build of one's own, which is what our recordings
        # come from, says this
        print("Version: Unspecified\nRevision: Unspecified")
    else:
        print(f"ikdemo {__version__}, Python {platform.python_version()}")


VERBS = (Verb("version", "", "Print the version", version),)
