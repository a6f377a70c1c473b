"""JupyterLab beside what a person has: a configuration of their own, and a server that runs on the
same copy already.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from served_lab import ServedLab

NOTEBOOK = "notebooks/00-welcome.ipynb"


SETTINGS = """
c.ServerApp.root_dir = c.ServerApp.preferred_dir = {notes!r}
c.FileContentsManager.root_dir = c.FileContentsManager.preferred_dir = {notes!r}
c.LabApp.default_url = '/lab/tree/elsewhere'
"""
"""Each of them alone would hide the notebooks, or open something else."""


@pytest.fixture(scope="module")
def lab() -> Iterator[ServedLab]:
    """Start JupyterLab for a person who has settings of their own."""
    folder = Path(tempfile.mkdtemp(prefix="ik-", dir="/tmp"))
    (folder / "notes").mkdir()
    made = ServedLab(folder, SETTINGS.format(notes=str(folder / "notes")))
    yield made
    made.close()
    shutil.rmtree(folder, ignore_errors=True)


def test_a_persons_own_configuration_does_not_hide_the_notebooks(lab: ServedLab) -> None:
    assert lab.holds(NOTEBOOK)
    assert "/lab/workspaces/ikdemo" in lab.said()


def test_a_second_server_on_the_same_copy_is_not_started_and_the_first_is_named(
    lab: ServedLab,
) -> None:
    done = subprocess.run(
        lab.command, env=lab.environment, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert (
        done.stdout.splitlines()[-1]
        == f"This copy is open already: {lab.url}lab/workspaces/ikdemo?token={lab.token}"
    )
    assert lab.holds(NOTEBOOK)
