"""Processes that were started for an instance which is in no state file any longer: found by their
marks, and killed with all theirs.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Container
from pathlib import Path

from ...spi.errors import PluginFailure
from .. import procfs
from ..ownership import read_owner
from .descendants import Marks, Processes, scan

ROUNDS = 10
"""Looks at most: who starts others faster than they are killed is left in the end."""

log = logging.getLogger(__name__)


def end_orphans(directory: Path) -> None:
    """Kill every process started for an instance whose state file is, or was, below a directory,
    and all that those started.

    They end soon after; this does not wait. A process that another directory's mark says to be its
    own is left alone, wherever that directory was. Raises PluginFailure when processes cannot be
    looked at.
    """
    directory = directory.resolve()
    owners: dict[Path, str] = {}

    def is_its(marks: Marks) -> bool:
        if not marks.directory.is_relative_to(directory):
            return False
        if marks.directory not in owners:
            owners[marks.directory] = _owner_at(marks.directory)
        return not marks.owner or owners[marks.directory] in ("", marks.owner)

    killed: dict[int, int] = {}
    for _ in range(ROUNDS):
        processes = scan()
        found = processes.descendants(
            pid for pid, marks in processes.marks.items() if is_its(marks)
        )
        if found.items() <= killed.items():
            return
        kill_orphans(processes, dict(found.items() - killed.items()))
        killed |= found


def find_orphans(processes: Processes, owner: str, but: Container[str]) -> dict[int, int]:
    """Return pid and start time of the processes of a plugin's instances, but those of some, with
    all that they started.

    Only the mark of its directory makes a process its own.
    """
    marks = processes.marks.items()
    return processes.descendants(
        [pid for pid, one in marks if one.owner == owner and one.instance not in but]
    )


def warn_of_others(processes: Processes, directory: Path, owner: str, but: Container[str]) -> None:
    """Warn of processes started for a directory that lack its mark: a former version's, or of
    one that was moved.

    They are left alone, for a path is no proof.
    """
    for pid, one in processes.marks.items():
        if one.directory == directory and one.owner != owner and one.instance not in but:
            log.warning(
                "Process %d was started for %s of another register in %s: left alone",
                pid,
                one.instance,
                directory,
            )


def kill_orphans(processes: Processes, orphans: dict[int, int]) -> None:
    """Kill processes, each by pid and start time; one that cannot be killed is spoken of."""
    for pid, start in orphans.items():
        marks = processes.marks.get(pid)
        what = (
            f"was started for {marks.instance}"
            if marks is not None
            else "was started by an instance"
        )
        try:
            procfs.kill(pid, start)
        except PluginFailure as error:
            log.warning(
                "Process %d %s, which nobody keeps any longer, and cannot be killed: %s",
                pid,
                what,
                error,
            )
        else:
            log.warning("Process %d %s, which nobody keeps any longer, and is killed", pid, what)


def _owner_at(directory: Path) -> str:
    """Return the mark of the directory that is at a path now; nothing where there is none, or none
    that can be read.
    """
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return read_owner(descriptor)
    except PluginFailure:
        return ""
    finally:
        os.close(descriptor)
