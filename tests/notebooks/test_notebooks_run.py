"""Every notebook runs top to bottom in a fresh kernel, by the command that a person types, and
leaves nothing running.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
WITHIN = 200.0
"""Seconds for one notebook on a slow, busy machine; it takes less than 30 on an idle one."""


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook(path: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "-p", "no:cacheprovider"]
    # with an engine, the notebook about Docker is run by the tests of containers
    nowhere = f"unix://{tmp_path}/no-engine.sock"
    environment = {**os.environ, "DOCKER_HOST": nowhere}
    environment |= {
        "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime"),
        "IPYTHONDIR": str(tmp_path / "ipython"),
    }
    run = subprocess.Popen(
        [*command, str(path)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = run.communicate(timeout=WITHIN)
    except subprocess.TimeoutExpired:
        os.killpg(run.pid, signal.SIGKILL)
        output, _ = run.communicate()
        pytest.fail(f"{path.name} did not end within {WITHIN:.0f} s:\n{output}")
    assert run.returncode == 0, output
