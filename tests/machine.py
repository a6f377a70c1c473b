"""What this machine lacks, said before the tests begin: ``PYTHONPATH=tests python -m machine``.

The fixtures skip for the same reasons; in CI, where nothing may be skipped, they fail.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator

from browser import chromium
from engine import etcd3, image_inputs, private, swarm3

IN_CI = any(os.environ.get(name) for name in ("CI", "IKDEMO_CI"))


def skipped() -> Iterator[tuple[str, str]]:
    """Give what is not tested here: the tests, and the reason in words."""
    if reason := private.lacking():
        yield "containers (tests/engine)", reason
    elif not shutil.which("docker"):
        yield "the walk-through's containers", "Docker's own command: apt-get install docker.io"
    if reason := swarm3.lacking():
        yield "machines and swarms (tests/engine/test_*machines.py and test_swarm3.py)", reason
    if reason := etcd3.lacking():
        yield "leaders by etcd (tests/engine/test_etcd_*.py and test_manager_failover.py)", reason
    if reason := image_inputs.not_built():
        yield "the lab's image (tests/engine/test_lab_image.py)", reason
    if chromium.program() is None:
        yield "what a learner sees (tests/browser)", chromium.MISSING
    if os.geteuid() != 0:
        yield "full and read-only disks", "mounting a file system of its own needs root"
    if not IN_CI and not os.environ.get("IKDEMO_CLONE_TEST"):
        yield (
            "the README in a new clone (tests/ground/test_front_page.py)",
            "it installs everything once more; IKDEMO_CLONE_TEST=1 does it",
        )


def main() -> None:
    """Print one line for each."""
    told = list(skipped())
    if told:
        print("Not tested on this machine:")
    for tests, reason in told:
        print(f"  {tests}: {reason}")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
