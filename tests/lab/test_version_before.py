"""What version 0.1.0 kept on disk is read by this one: a lab's directory, a learner's copy, a way
through the notebooks.

The files in ``kept_by_0_1_0`` were written by that version. What it recorded for notebook 07 and
for the README's picture is read by ``test_docker_recorded`` and ``test_readme_pictures``.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ikdemo.cli.working_copy import deliver
from ikdemo.lab import Lab, progress
from ikdemo.lab.host.open_labs import NOTEBOOK
from ikdemo.lab.host.workspace import PREFIX, YOUNG

KEPT = Path(__file__).with_name("kept_by_0_1_0")
FILES = {path.name for path in (KEPT / "lab/instances/instance-file").iterdir()}


@pytest.fixture
def lab() -> Iterator[Lab]:
    """A lab in whose directory another version's plugins kept their state."""
    with Lab() as opened:
        shutil.copytree(KEPT / "lab", opened.root, dirs_exist_ok=True)
        yield opened


def test_groups_and_instances_go_on_as_they_were_committed(lab: Lab) -> None:
    lab.start("instance-file", "flavor-vanilla", "instance-process", "group")
    lab.wait("collabnix")
    assert set(lab.describe("collabnix").column("instance")) == FILES
    assert lab.describe("collabnix").column("slot") == ["0", "1", "2"]
    assert json.loads(lab.inspect("collabnix"))["Allocation"]["Size"] == 3
    lab.wait("one")  # its process was on another machine, as far as this one knows
    (row,) = lab.processes("one")
    assert Path(f"/proc/{row[-1]}").exists()
    made = [what for _, who, what in lab.timeline() if who == "instance-file" and "made" in what]
    assert made == []


def test_a_directory_that_is_left_over_is_removed_when_the_next_lab_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = shutil.copytree(KEPT / "lab", tmp_path / f"{PREFIX}a1b2c3d4")
    os.utime(left, (0, left.stat().st_mtime - 2 * YOUNG))
    monkeypatch.setattr("ikdemo.lab.host.workspace.home", lambda: tmp_path)
    with Lab() as lab:
        assert [path.name for path in tmp_path.iterdir()] == [lab.root.name]


def test_a_learners_copy_gets_what_is_new_and_keeps_what_was_typed(tmp_path: Path) -> None:
    desk = shutil.copytree(KEPT / "desk", tmp_path / "desk")
    shipped = tmp_path / "shipped"
    (shipped / "notebooks").mkdir(parents=True)
    for path in (desk / "recorded").iterdir():
        notebook = json.loads(path.read_text())
        notebook["cells"] = [
            {**cell, "source": ["print('new')"]}
            for cell in notebook["cells"]
            if cell["cell_type"] == "code"
        ]
        name = path.name.replace("-recorded", "")
        (shipped / "notebooks" / name).write_text(json.dumps(notebook))
    (said,) = deliver(shipped, desk)
    assert said.startswith("Changed by you, and not from this version: 01-second. ")
    assert "new" in (desk / "notebooks/00-first.ipynb").read_text()
    assert "typed in" in (desk / "notebooks/01-second.ipynb").read_text()


def test_what_was_noted_is_on_the_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = shutil.copytree(KEPT / "desk", tmp_path / "desk")
    monkeypatch.setenv(NOTEBOOK, str(desk / "notebooks/00-first.ipynb"))
    assert progress().rows == [["00-first", "yes", "yes"], ["01-second", "not yet", "not yet"]]
