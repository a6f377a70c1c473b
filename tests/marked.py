"""Processes that were started for instances, told by what is in their environment."""

from __future__ import annotations

import os
from pathlib import Path

from ikdemo.instance import procfs
from ikdemo.instance.ownership import MARK


def marked(register: Path) -> list[int]:
    """Return every living process that was started for an instance of this register."""
    wanted = os.fsencode(register.resolve())
    return [
        pid
        for pid, variables in procfs.with_variable(MARK)
        if variables[os.fsencode(MARK)] == wanted
    ]
