"""The learner's copy of the notebooks: delivered clean, kept as it was typed, and what is in its
way is said in a sentence.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ikdemo.cli import working_copy
from ikdemo.cli.verbs.lab_verbs import FIRST
from ikdemo.spi.errors import IkdemoError

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
NAME = FIRST.name


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    """Give what a version ships, free to be changed."""
    for folder in ("notebooks", "examples"):
        shutil.copytree(
            ROOT / folder, tmp_path / "shipped" / folder, ignore=shutil.ignore_patterns(".*")
        )
    return tmp_path / "shipped"


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def change(path: Path, source: str) -> None:
    """Type into the last cell of a notebook, as JupyterLab stores it."""
    notebook = read(path)
    notebook["cells"][-1]["source"] = source
    path.write_text(json.dumps(notebook))


def run(path: Path) -> None:
    """Leave an output in the first code cell of a notebook."""
    notebook = read(path)
    cell = next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    cell |= {
        "execution_count": 7,
        "outputs": [{"output_type": "stream", "name": "stdout", "text": "run here"}],
    }
    path.write_text(json.dumps(notebook))


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_every_notebook_is_delivered_without_what_another_machine_measured(
    shipped: Path, tmp_path: Path
) -> None:
    desk = tmp_path / "desk"
    assert working_copy.deliver(shipped, desk) == []
    assert sorted(path.name for path in (desk / "notebooks").iterdir()) == NAMES
    for name in NAMES:
        original, copy = read(shipped / "notebooks" / name), read(desk / "notebooks" / name)
        assert [cell["source"] for cell in copy["cells"]] == [
            cell["source"] for cell in original["cells"]
        ]
        code = [cell for cell in copy["cells"] if cell["cell_type"] == "code"]
        assert not any(cell["outputs"] or cell["execution_count"] for cell in code)
        banner, *recorded = read(desk / "recorded" / f"{name[:-6]}-recorded.ipynb")["cells"]
        assert banner["source"].startswith("**Recorded.**")
        assert [cell.get("outputs") for cell in recorded] == [
            cell.get("outputs") for cell in original["cells"]
        ]
    assert files(desk / "examples") == files(shipped / "examples")


def test_links_of_a_recorded_notebook_lead_to_the_learners_own(
    shipped: Path, tmp_path: Path
) -> None:
    working_copy.deliver(shipped, tmp_path / "desk")
    said = (tmp_path / "desk/recorded/01-plugins-recorded.ipynb").read_text()
    assert "](../notebooks/02-commit.ipynb)" in said
    assert "](../notebooks/00-welcome.ipynb#The-map)" in said
    assert "](02-" not in said


def test_a_second_start_changes_nothing(shipped: Path, tmp_path: Path) -> None:
    working_copy.deliver(shipped, tmp_path / "desk")
    run(tmp_path / "desk/notebooks" / NAME)
    change(tmp_path / "desk/notebooks" / NAMES[1], "mine = 1")
    before = files(tmp_path / "desk")
    assert working_copy.deliver(shipped, tmp_path / "desk") == []
    assert files(tmp_path / "desk") == before


def test_a_newer_notebook_takes_the_place_of_one_that_was_run_only(
    shipped: Path, tmp_path: Path
) -> None:
    working_copy.deliver(shipped, tmp_path / "desk")
    run(tmp_path / "desk/notebooks" / NAME)
    change(shipped / "notebooks" / NAME, "newer")
    assert working_copy.deliver(shipped, tmp_path / "desk") == []
    for place in ("notebooks/00-welcome.ipynb", "recorded/00-welcome-recorded.ipynb"):
        assert read(tmp_path / "desk" / place)["cells"][-1]["source"] == "newer"


def test_what_a_learner_typed_stays_and_the_other_version_is_named(
    shipped: Path, tmp_path: Path
) -> None:
    working_copy.deliver(shipped, tmp_path / "desk")
    mine = tmp_path / "desk/notebooks" / NAME
    change(mine, "mine = 1")
    before = mine.read_bytes()
    change(shipped / "notebooks" / NAME, "newer")
    for _ in range(2):
        (sentence,) = working_copy.deliver(shipped, tmp_path / "desk")
        assert sentence.startswith("Changed by you, and not from this version: 00-welcome. ")
        assert "Reset This Notebook" in sentence
        assert mine.read_bytes() == before
    assert (
        read(tmp_path / "desk/recorded/00-welcome-recorded.ipynb")["cells"][-1]["source"] == "newer"
    )


@pytest.mark.parametrize("left", ["", "{", "[]", '{"cells": [{}]}', "\xff"])
def test_a_notebook_that_was_broken_stays_for_whoever_can_mend_it(
    left: str, shipped: Path, tmp_path: Path
) -> None:
    working_copy.deliver(shipped, tmp_path / "desk")
    mine = tmp_path / "desk/notebooks" / NAME
    mine.write_text(left, encoding="latin-1")
    (sentence,) = working_copy.deliver(shipped, tmp_path / "desk")
    assert "00-welcome" in sentence
    assert mine.read_text(encoding="latin-1") == left


def test_what_was_typed_into_a_recorded_notebook_is_backed_up(
    shipped: Path, tmp_path: Path
) -> None:
    """It is read-only, which does not hold root back."""
    working_copy.deliver(shipped, tmp_path / "desk")
    recorded = tmp_path / "desk/recorded/00-welcome-recorded.ipynb"
    for number in range(2):
        recorded.chmod(0o644)
        change(recorded, f"typed {number}")
        change(shipped / "notebooks" / NAME, f"newer {number}")
        working_copy.deliver(shipped, tmp_path / "desk")
        assert read(recorded)["cells"][-1]["source"] == f"newer {number}"
    kept = sorted(
        read(path)["cells"][-1]["source"] for path in (tmp_path / "desk/backups").iterdir()
    )
    assert kept == ["typed 0", "typed 1"]


def test_an_example_that_was_changed_stays_and_is_named(shipped: Path, tmp_path: Path) -> None:
    working_copy.deliver(shipped, tmp_path / "desk")
    mine = tmp_path / "desk/examples/collabnix.json"
    mine.write_text("{}")
    (sentence,) = working_copy.deliver(shipped, tmp_path / "desk")
    assert sentence.startswith("Not as this version ships it: collabnix.json.")
    assert mine.read_text() == "{}"
    mine.unlink()
    assert working_copy.deliver(shipped, tmp_path / "desk") == []


def a_file(desk: Path) -> None:
    desk.write_text("")


def below_a_file(desk: Path) -> None:
    desk.mkdir()
    (desk / "notebooks").write_text("")


def a_link_to_nothing(desk: Path) -> None:
    desk.symlink_to("nowhere/at/all")


@pytest.mark.parametrize("in_the_way", [a_file, below_a_file, a_link_to_nothing])
def test_what_is_in_the_way_is_said_in_a_sentence(
    in_the_way: Callable[[Path], None], shipped: Path, tmp_path: Path
) -> None:
    in_the_way(tmp_path / "desk")
    with pytest.raises(
        IkdemoError, match=r"^The notebooks cannot be kept in .*IKDEMO_DESK=/some/folder$"
    ):
        working_copy.deliver(shipped, tmp_path / "desk")


@pytest.fixture
def mounted(tmp_path: Path) -> Path:
    """Give a folder that a file system of 3 MB can be mounted on; skip where that is not
    allowed.
    """
    probe = subprocess.run(["unshare", "--mount", "true"], capture_output=True)
    if probe.returncode:
        pytest.skip("mounting needs root")
    (tmp_path / "place").mkdir()
    return tmp_path / "place"


def prepare_on(place: Path, *steps: str) -> subprocess.CompletedProcess[str]:
    """Run shell steps, then lay the copy, in a mount namespace with a file system of 3 MB at
    ``place``.
    """
    lines = [
        f"mount -t tmpfs -o size=3m ikdemo-test {place}",
        *steps,
        f"IKDEMO_DESK={place}/desk {sys.executable} -m ikdemo lab --prepare",
    ]
    script = "\n".join(
        [*lines, f"echo status $?; cat {place}/desk/notebooks/{NAME} 2>/dev/null | tail -c 40"]
    )
    return subprocess.run(
        ["unshare", "--mount", "bash", "-c", script],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=100,
    )


def test_a_full_disk_is_named_and_leaves_no_half_notebook(mounted: Path) -> None:
    done = prepare_on(mounted, f"head -c 2900000 /dev/zero >{mounted}/filling")
    assert "status 1" in done.stdout
    assert f"The notebooks cannot be kept in {mounted}/desk (" in done.stderr
    assert "no space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout.splitlines()[1:] or done.stdout.endswith("}\n")


def test_a_read_only_folder_is_named_before_anything_is_typed_in_vain(mounted: Path) -> None:
    first = f"IKDEMO_DESK={mounted}/desk {sys.executable} -m ikdemo lab --prepare"
    done = prepare_on(mounted, first, f"mount -o remount,ro {mounted}")
    assert "status 1" in done.stdout
    assert "read-only file system" in done.stderr
    assert "name another folder: IKDEMO_DESK=" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_home_the_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "IKDEMO_DESK"):
        monkeypatch.delenv(name, raising=False)
    # an account without an entry, as in some containers
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    with pytest.raises(IkdemoError, match="IKDEMO_DESK=/some/folder"):
        working_copy.folder()


def test_the_verb_says_where_the_copy_is(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ikdemo", "lab", "--prepare"]
    environment = {**os.environ, "HOME": str(tmp_path)}
    environment.pop("IKDEMO_DESK", None)
    done = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert (
        done.stdout
        == f"Your copy of the notebooks is {tmp_path}/ikdemo-desk: what you type there is kept\n"
    )
    assert (tmp_path / "ikdemo-desk" / FIRST).is_file()
