"""Machines that nobody keeps any longer: ended, and what they have left on the host removed.

Their processes are found by the mark of their plugin's directory, their disks in it. Everything
here blocks.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Container, Iterator
from pathlib import Path

from ... import disk
from ...spi.errors import PluginFailure
from .. import procfs
from ..ownership import OWNER, read_owner
from .machine import OFF_WITHIN, MachinePlace, erase

log = logging.getLogger(__name__)

_DISK = re.compile(r"m(\d+)")
_STEP = 0.02


def end_orphaned_machines(directory: Path) -> None:
    """End every machine whose disk is below a directory, and remove what it has left; one that
    does not end is spoken of.
    """
    for home in _homes(directory.resolve()):
        try:
            with disk.opened(home) as opened:
                owner = read_owner(opened)
            if owner:
                end_machines(owner)
        except (OSError, PluginFailure) as error:
            log.warning("Machines of %s may be left: %s", home, error)
            continue
        for number in disks_in(home):
            erase(MachinePlace(home, number, owner, ""))


def end_machines(owner: str, but: Container[str] = ()) -> None:
    """Kill all processes of the machines of an owner, except those of some instances; none is left
    on return. Raises PluginFailure.
    """
    deadline = time.monotonic() + OFF_WITHIN
    while found := _processes(owner, but):
        if time.monotonic() > deadline:
            raise PluginFailure(f"the processes {sorted(found)} of machines do not end")
        for pid, start in found.items():
            procfs.kill(pid, start)
        time.sleep(_STEP)


def disks_in(home: Path) -> list[int]:
    """Return the numbers of the machines that have a disk in a plugin's directory."""
    found = (_DISK.fullmatch(entry.name) for entry in home.iterdir())
    return [int(match[1]) for match in found if match is not None]


def _processes(owner: str, but: Container[str]) -> dict[int, int]:
    """Return pid and start time of every process that was started for a machine of this owner."""
    found = {}
    for pid, variables in procfs.with_variable(OWNER):
        instance = os.fsdecode(variables.get(b"INSTANCE_ID", b""))
        if variables[os.fsencode(OWNER)] == owner.encode() and instance not in but:
            now = procfs.stat(pid)
            if now is not None and now.lives:
                found[pid] = now.start
    return found


def _homes(directory: Path) -> Iterator[Path]:
    """Yield the directories at or below this one in which machines have disks."""
    for folder, names, _ in os.walk(directory):
        disks = [name for name in names if _DISK.fullmatch(name)]
        disks = [name for name in disks if (Path(folder) / name / "init").exists()]
        if disks:
            yield Path(folder)
        names[:] = [name for name in names if name not in disks]
