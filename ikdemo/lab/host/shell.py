"""Runs a shell command where a lab is, as a learner would type it in a terminal. Called by
``Lab.run``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from ...spi.errors import OutcomeUnknown

COMMAND_WITHIN = 30.0
"""Seconds a command may take."""


def run(command: str, root: Path, plugin_dir: Path) -> str:
    """Run a command in ``root`` with this lab's plugins in sight, and return what it printed, both
    streams together.

    ``infrakit`` and ``ikdemo`` are those of this Python. The lab's directory is printed as
    ``$LAB``, which the command may use, too. Raises OutcomeUnknown when the command takes too long;
    it is killed then.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    environment = {
        **os.environ,
        "INFRAKIT_PLUGINS_DIR": str(plugin_dir),
        "PATH": path,
        "LAB": str(root),
    }
    child = subprocess.Popen(
        ["/bin/sh", "-c", command],
        cwd=root,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # so that whatever the command started can be ended with it
    )
    try:
        output, _ = child.communicate(timeout=COMMAND_WITHIN)
    except BaseException as error:
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise OutcomeUnknown(
                f"The command took longer than {COMMAND_WITHIN:.0f} s: {command}"
            ) from None
        raise
    printed = output.decode("utf-8", "replace").replace(str(root), "$LAB").rstrip()
    return (
        printed
        if child.returncode == 0
        else f"{printed}\n(exit status {child.returncode})".lstrip()
    )
