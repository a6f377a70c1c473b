"""Processes that were started for an instance which nobody keeps any longer: found by their environment, and killed.

Called by ``living`` when a plugin starts, and by a lab when it is removed with everything that was in it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Container
from pathlib import Path

from . import procfs
from .spawn import MARK
from .stray_containers import end_stray_containers

log = logging.getLogger(__name__)


def end_strays(directory: Path, *, below: bool = True, but: Container[str] = ()) -> None:
    """Kill every process started for an instance whose register is ``directory`` (or below it), but those of some instances.

    They end soon after; this does not wait. Containers of plugins whose directories are below it are removed.
    """
    directory = directory.resolve()
    if below:
        end_stray_containers(directory)
    for pid, variables in procfs.with_variable(MARK):
        register = Path(os.fsdecode(variables[os.fsencode(MARK)]))
        instance = os.fsdecode(variables.get(b"INSTANCE_ID", b""))
        is_its = register == directory or (below and register.is_relative_to(directory))
        if is_its and instance not in but and pid != os.getpid():
            log.warning("Process %d was started for %s, which nobody keeps any longer, and is killed", pid, instance)
            procfs.kill(pid, procfs.start_of(pid))
