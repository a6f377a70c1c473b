"""The control groups of a machine's containers: where they are on this host, and their removal."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


def mount_cgroups() -> None:
    """Mount the control groups where nobody did, as in a chroot or on a machine without systemd;
    they stay mounted. Raises OSError, or CalledProcessError.
    """
    if ROOT.is_mount():
        return
    controllers = [line.split() for line in Path("/proc/cgroups").read_text().splitlines()[1:]]
    if not any(int(hierarchy) for _, hierarchy, *_ in controllers):  # none is taken by version 1
        subprocess.run(["mount", "-t", "cgroup2", "none", ROOT], check=True)
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "none", ROOT], check=True)
    for name, _, _, enabled in controllers:
        if enabled == "1":
            (ROOT / name).mkdir()
            subprocess.run(["mount", "-t", "cgroup", "-o", name, "none", ROOT / name], check=True)


def remove_cgroup(name: str) -> None:
    """Remove a control group and all below it from every hierarchy; what has processes stays."""
    for root in _roots():
        for folder, _, _ in os.walk(root / name, topdown=False):
            with suppress(OSError):
                Path(folder).rmdir()


def _roots() -> Iterator[Path]:
    yield ROOT
    with suppress(OSError):
        yield from [entry for entry in ROOT.iterdir() if entry.is_dir()]
