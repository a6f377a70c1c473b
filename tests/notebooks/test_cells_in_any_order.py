"""Cells skipped, run twice or in another order are survived: a sentence instead of a traceback, and nothing is left behind.

Nor is anything left when the kernel gets SIGKILL in the middle of a notebook.
"""

from __future__ import annotations

import os
import random
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode

from ikdemo.instance import procfs
from ikdemo.rpc.discovery import ENVIRONMENT
from ikdemo.spi import errors

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
STARTUP = ROOT / "ikdemo" / "desk" / "startup.py"
OURS = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.IkdemoError)}
WITHIN = 200.0
"""Seconds for one order of one notebook on a slow, busy machine."""
LONGEST = 2
"""Lines of an error: what is wrong, and what to do."""


@pytest.fixture
def home(short_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the directory in which labs are opened; afterwards nothing is left of them, nor of what a cell wrote elsewhere."""
    for name in ("JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_dir))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-engine.sock")
    (tmp_path / "desk").mkdir()
    yield short_dir
    deadline = time.monotonic() + 20
    while (list(short_dir.iterdir()) or seeing(short_dir)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert seeing(short_dir) == []
    assert [path.name for path in short_dir.iterdir()] == []
    assert [path.name for path in (tmp_path / "desk").iterdir()] == []


def seeing(home: Path) -> list[int]:
    """Return every process that was started to see the plugins of a lab in ``home``."""
    own = os.fsencode(f"{home}/")
    return [pid for pid, told in procfs.with_variable(ENVIRONMENT) if told[os.fsencode(ENVIRONMENT)].startswith(own)]


class Learner:
    """Somebody who runs the cells of a notebook as they like, in a kernel of the lab's own desk."""

    def __init__(self, path: Path, folder: Path) -> None:
        self.notebook = nbformat.read(path, as_version=4)
        self.code = [cell for cell in self.notebook.cells if cell.cell_type == "code"]
        self._environment = {**os.environ, "PYTHONSTARTUP": str(STARTUP), "JPY_SESSION_NAME": str(path)}
        self._desk = folder / "desk"

    def run_and_be_killed(self, home: Path, until: str) -> None:
        """Run the cells from the top up to the first that says ``until``, then lose the kernel by SIGKILL."""
        client = NotebookClient(self.notebook, timeout=90, store_widget_state=False)
        with client.setup_kernel(cwd=str(self._desk), env=self._environment):
            for index, cell in enumerate(self.notebook.cells):
                client.execute_cell(cell, index)
                if until in cell.source:
                    break
            assert len(seeing(home)) >= 3
            assert list(home.iterdir()) != []
            os.kill(client.km.provisioner.pid, signal.SIGKILL)
            with pytest.raises(DeadKernelError):
                client.execute_cell(self.code[-1], len(self.notebook.cells) - 1)

    def run(self, chosen: list[NotebookNode]) -> list[dict[str, Any]]:
        """Run these cells in this order, whatever they say, and return the errors that were shown."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell.source) for cell in chosen])
        client = NotebookClient(notebook, timeout=90, allow_errors=True, store_widget_state=False)
        client.execute(cwd=str(self._desk), env=self._environment)
        return [output for cell in notebook.cells for output in cell.outputs if output.output_type == "error"]


def takes_long(cell: NotebookNode) -> bool:
    """Say whether a cell measures for many seconds."""
    return any(call in cell.source for call in ("lab.measure(", "web.outages(", "Experiment(", "availability("))


def not_a_sentence(shown: dict[str, Any]) -> str:
    """Return what is wrong with an error as it is shown to a learner, or nothing."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(shown["traceback"]))
    known = shown["ename"] in OURS or text.startswith("There is no `")
    return "" if known and len(text.splitlines()) <= LONGEST else text


@pytest.mark.timeout(WITHIN)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
class TestOneNotebook:
    def test_without_the_first_cell_the_step_is_named(self, path: Path, home: Path, tmp_path: Path) -> None:
        learner = Learner(path, tmp_path)
        shown = learner.run(learner.code[1:])
        assert [wrong for wrong in map(not_a_sentence, shown) if wrong] == []
        said = "\n".join(line for error in shown for line in error["traceback"])
        assert "There is no `lab` yet: the first code cell makes it, and was not run.\nRun the cells above this one first" in said
        assert len(shown) >= len(learner.code) // 2

    def test_each_cell_twice(self, path: Path, home: Path, tmp_path: Path) -> None:
        learner = Learner(path, tmp_path)
        shown = learner.run([cell for cell in learner.code for _ in range(1 if takes_long(cell) else 2)])
        assert [wrong for wrong in map(not_a_sentence, shown) if wrong] == []

    def test_skipped_repeated_and_in_no_order(self, path: Path, home: Path, tmp_path: Path) -> None:
        chance, learner = random.Random(path.stem), Learner(path, tmp_path)
        first, *others, last = learner.code
        chance.shuffle(others)
        chosen = [cell for cell in others for _ in range(chance.choice((0, 1) if takes_long(cell) else (0, 1, 1, 2)))]
        shown = learner.run([first, *chosen, last])
        assert [wrong for wrong in map(not_a_sentence, shown) if wrong] == []


@pytest.mark.timeout(WITHIN)
@pytest.mark.parametrize(
    ("name", "until"),
    [
        ("00-welcome", "lab.dashboard("),
        ("03-self-healing", "lab.mute("),
        ("06-real-processes", "lab.signal("),
        ("10-your-own-plugin", "lab.start_script("),
    ],
)
def test_a_killed_kernel_leaves_nothing(name: str, until: str, home: Path, tmp_path: Path) -> None:
    """The fixture looks at what is left, for as long as its plugins may take to end."""
    Learner(ROOT / "notebooks" / f"{name}.ipynb", tmp_path).run_and_be_killed(home, until)
