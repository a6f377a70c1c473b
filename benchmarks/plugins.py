"""Plugin programs for a measurement: started as processes in a directory of their own, all ended afterwards.

Called by ``heal``, ``processes`` and ``containers``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 60.0
"""Seconds after which a wait has failed."""


@contextmanager
def plugins(root: Path, programs: Mapping[str, Sequence[str]]) -> Iterator[None]:
    """Run plugin programs by the names they get, with their sockets in ``root/p``; afterwards none is left.

    ``{root}`` in an argument stands for the directory.
    """
    started = []
    with (root / "log").open("wb") as log:
        try:
            for name, command in programs.items():
                process = subprocess.Popen(
                    [
                        sys.executable,
                        "-m",
                        "ikdemo",
                        *(word.format(root=root) for word in command),
                        "--name",
                        name,
                        "--exit-with-stdin",
                    ],
                    env={**os.environ, "INFRAKIT_PLUGINS_DIR": str(root / "p")},
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                )
                started.append(process)
            wait_until(lambda: all((root / "p" / name).is_socket() for name in programs), root / "log")
            yield
        finally:
            for process in started:
                stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the input of a plugin, which ends the plugin; kill it if that does not."""
    try:
        process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_until(condition: Callable[[], bool], log: Path) -> None:
    """Wait for the plugins to listen."""
    until = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > until:
            raise SystemExit(f"the plugins did not start: {log.read_text()}")
        time.sleep(0.01)
