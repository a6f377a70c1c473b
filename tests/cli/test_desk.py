"""The desk without a browser: terminals that find the notebook's plugins, and what JupyterLab is
given.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from asking import until
from desk import Desk

import ikdemo
from ikdemo.cli import working_copy
from ikdemo.cli.jupyter import DESK
from ikdemo.lab import Lab, collabnix
from ikdemo.lab.host.open_labs import KERNEL_OF, NOTEBOOK, TERMINAL_OF, open_labs
from ikdemo.lab.teaching.progress import NotDone

BANNER = re.findall(
    r"^  (ikdemo \S+|infrakit \S+|here|ls)", (DESK / "terminal.bash").read_text(), re.MULTILINE
)


@pytest.fixture
def apart(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep labs in a place where no other lab of this machine is."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_dir))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    for name in ("INFRAKIT_PLUGINS_DIR", NOTEBOOK, KERNEL_OF, TERMINAL_OF):
        monkeypatch.delenv(name, raising=False)
    return short_dir


def terminal(typed: str) -> str:
    """Type lines into a terminal of the desk and return all that it shows."""
    bash = ["bash", "--rcfile", str(DESK / "terminal.bash"), "-i"]
    done = subprocess.run(
        bash, input=typed, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=100
    )
    return done.stdout


def files(lab: Lab) -> set[str]:
    return {path.name for path in lab.directory("instance-file").glob("instance-*")}


def test_a_terminal_finds_the_plugins_of_the_notebook_and_breaks_what_they_keep(
    apart: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NOTEBOOK, "/somewhere/notebooks/00-welcome.ipynb")
    monkeypatch.setenv(KERNEL_OF, str(os.getpid()))  # this process is what starts the terminal, too
    with Lab() as lab:
        lab.start()
        lab.commit(collabnix(size=3))
        lab.wait("collabnix")
        assert [(found.root, found.notebook) for found in open_labs()] == [
            (lab.root, "00-welcome.ipynb")
        ]
        before = files(lab)
        said = terminal("here\ninfrakit plugin ls --quiet\nrm $LAB/instances/*/instance-*\nexit\n")
        assert (
            "This terminal sees the lab of 00-welcome.ipynb, with the plugins flavor-vanilla, "
            "group, instance-file" in said
        )
        assert re.findall(r"^(\S+) +\t/", said, re.MULTILINE) == [
            "flavor-vanilla",
            "group",
            "instance-file",
        ]
        until(lambda: len(files(lab)) == 3 and not files(lab) & before, say=lambda: said)
    assert open_labs() == []


def test_the_lab_that_started_a_plugin_last_comes_first(apart: Path, desk) -> None:
    with Lab() as first, Lab() as second:
        second.start("flavor-vanilla")
        first.start("instance-file")
        assert [found.root for found in open_labs()] == [first.root, second.root]
        listed = desk.run("ikdemo labs").stdout.splitlines()
        rows = [line.split() for line in listed[1:]]
        assert rows == [
            [str(lab.root), "no", "JupyterLab", name]
            for lab, name in ((first, "instance-file"), (second, "flavor-vanilla"))
        ]
        assert "1 more open: ikdemo labs" in desk.run("ikdemo labs --export").stderr


def test_a_terminal_sees_no_lab_of_another_jupyterlab(
    apart: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NOTEBOOK, "/somewhere/notebooks/03-self-healing.ipynb")
    monkeypatch.setenv(KERNEL_OF, "4711")
    with Lab() as another:
        another.start("flavor-vanilla")
        said = terminal('here\necho "sees: ${INFRAKIT_PLUGINS_DIR:-nothing}"\nexit\n')
        assert "No lab of this JupyterLab is open. Run the first code cell" in said
        assert "There is one of 03-self-healing.ipynb, in the JupyterLab with pid 4711" in said
        assert "sees: nothing" in said
        monkeypatch.setenv(KERNEL_OF, str(os.getpid()))
        with Lab() as own:
            own.start("flavor-vanilla")
            monkeypatch.setenv(KERNEL_OF, "4711")
            another.start("instance-file")  # so that it is not the latest change that decides
            said = terminal('here\necho "sees: ${INFRAKIT_PLUGINS_DIR:-nothing}"\nexit\n')
            assert f"sees: {own.plugin_dir}" in said
            assert "1 more open: ikdemo labs" in said


def test_a_terminal_that_is_of_no_jupyterlab_is_told_whose_lab_it_sees(
    apart: Path, monkeypatch: pytest.MonkeyPatch, desk: Desk
) -> None:
    monkeypatch.setenv(NOTEBOOK, "/somewhere/notebooks/03-self-healing.ipynb")
    monkeypatch.setenv(KERNEL_OF, "4711")
    with Lab():
        assert (
            "the lab of 03-self-healing.ipynb in the JupyterLab with pid 4711"
            in desk.run("ikdemo labs --export").stderr
        )
        assert "the JupyterLab with pid 4711" in desk.run("ikdemo labs").stdout


def test_without_a_lab_a_terminal_says_what_to_do_and_stays_as_it_is(apart: Path) -> None:
    (apart / "ikdemo-lab-dead").mkdir()
    (apart / "ikdemo-lab-dead" / "plugins").mkdir()  # left behind by a lab that was killed
    said = terminal('here\necho "sees: ${INFRAKIT_PLUGINS_DIR:-nothing}"\nexit\n')
    assert "No lab is open. Run the first code cell of a notebook, then try again" in said
    assert "sees: nothing" in said


def test_the_banner_names_verbs_that_exist_and_fits_a_narrow_terminal(desk) -> None:
    assert len(BANNER) == 6
    for words in BANNER:
        if " " in words:
            assert desk.run(f"{words} --help").returncode == 0, words
    banner = (DESK / "terminal.bash").read_text().partition("<<'END'\n")[2]
    assert max(map(len, banner.splitlines())) <= 42


def test_the_card_is_of_this_version_and_opens_the_notebook_of_the_layout() -> None:
    assert json.loads((DESK / "launcher/package.json").read_text())["version"] == ikdemo.__version__
    script = (DESK / "launcher/static/launcher.js").read_text()
    notebook = json.loads((DESK / "workspace.json").read_text())["data"][
        "notebook:notebooks/00-welcome.ipynb"
    ]["data"]["path"]
    assert f'NOTEBOOK = "{notebook}"' in script


def test_what_is_added_to_the_notebooks_knows_the_folders_and_names_of_the_copy() -> None:
    assert (
        json.loads((DESK / "notebooks/package.json").read_text())["version"] == ikdemo.__version__
    )
    script = (DESK / "notebooks/static/notebooks.js").read_text()
    for constant, value in (("BANNER", working_copy.BANNER), ("BACKUPS", working_copy.BACKUPS)):
        assert f'const {constant} = "{value}"' in script
    assert f'"{NotDone.__name__}"' in script
