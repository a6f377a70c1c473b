"""One plugin process, started as a person would start it in a terminal, and never outliving the lab.

The process is to exit when its standard input ends; the lab holds the other end of that pipe, so that even a ``kill -9`` of the
kernel leaves no plugin behind. Called by ``Bench``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

STOP_WITHIN = 15.0
"""Seconds a plugin gets to finish its calls in flight; after that it is killed."""


class PluginProcess:
    """A running plugin: what the arguments tell this Python to run; its log goes to a file that ``complaint`` reads."""

    def __init__(self, name: str, arguments: Sequence[str], *, plugin_dir: Path, log: Path) -> None:
        self.name, self.arguments, self.log = name, arguments, log
        self._ended = ""
        self.began = time.time()
        self._log_from = log.stat().st_size if log.exists() else 0
        with log.open("ab") as stream:
            self._process = subprocess.Popen(
                [sys.executable, *arguments],
                stdin=subprocess.PIPE,
                stdout=stream,
                stderr=stream,
                env={**os.environ, "INFRAKIT_PLUGINS_DIR": str(plugin_dir)},
                cwd=plugin_dir,
                start_new_session=True,  # an interrupted cell sends SIGINT to the kernel's whole process group
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def state(self) -> str:
        """Say "running", how it was ended, or what it said when it ended by itself."""
        if self.running:
            return "running"
        self._ended = self._ended or f"ended: {self.complaint()}"  # the log is read once, however often this is asked
        return self._ended

    def complaint(self) -> str:
        """Return the last line that the program wrote to its log since it was started."""
        lines = self.log.read_bytes()[self._log_from :].decode("utf-8", "replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), f"exit status {self._process.returncode}")

    def stop(self) -> None:
        """End the plugin gracefully; afterwards its socket is gone and the process is reaped."""
        self._process.terminate()
        try:
            self._process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            pass
        self.kill()
        self._ended = "stopped"

    def kill(self) -> None:
        """End the plugin as ``kill -9`` does: at once, its socket stays behind."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._ended = "killed"
