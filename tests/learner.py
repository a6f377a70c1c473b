"""A learner who runs the cells of a notebook in any order, in a kernel as the desk starts it."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode

from ikdemo.instance import procfs
from ikdemo.rpc.discovery import ENVIRONMENT

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
BEGUN_ANEW = ("01-plugins", "04-rolling-update", "10-your-own-plugin")
"""Those whose cells are run up to the exercise, and once more, before it is solved."""
STARTUP = ROOT / "ikdemo" / "desk" / "startup.py"


def seeing(home: Path) -> list[int]:
    """Return every process that was started to see the plugins of a lab in ``home``."""
    own = os.fsencode(f"{home}/")
    return [
        pid
        for pid, told in procfs.with_variable(ENVIRONMENT)
        if told[os.fsencode(ENVIRONMENT)].startswith(own)
    ]


def takes_long(source: str) -> bool:
    """Say whether a cell of this source measures for many seconds."""
    return any(
        call in source for call in ("lab.measure(", "web.outages(", "Experiment(", "availability(")
    )


BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


class Learner:
    """A learner who runs the cells of a notebook, in a kernel of the lab's own desk."""

    def __init__(self, path: Path, folder: Path) -> None:
        self.notebook = nbformat.read(path, as_version=4)
        self.code: list[str] = [
            cell.source for cell in self.notebook.cells if cell.cell_type == "code"
        ]
        self._environment = {
            **os.environ,
            "PYTHONSTARTUP": str(STARTUP),
            "JPY_SESSION_NAME": str(path),
        }
        self._desk = folder / "desk"

    @property
    def turn(self) -> int:
        """The number of the code cell that is the learner's own, in the exercise."""
        return next(
            number for number, source in enumerate(self.code) if source.startswith("# your turn")
        )

    def solution(self) -> list[str]:
        """Return what solves the exercise: the cells of the folded solution, and the check that
        follows.
        """
        (folded,) = (cell.source for cell in self.notebook.cells if "<details>" in cell.source)
        return [*BLOCK.findall(folded), self.code[self.turn + 1]]

    def run_and_be_killed(self, home: Path, until: str) -> None:
        """Run the cells from the top up to the first that says ``until``, then lose the kernel by
        SIGKILL.
        """
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
                client.execute_cell(cell, index)

    def run(self, sources: list[str]) -> list[NotebookNode]:
        """Run these cells in this order, whatever they say, and return them with what they
        showed.
        """
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(source) for source in sources]
        )
        client = NotebookClient(
            notebook,
            timeout=90,
            allow_errors=True,
            store_widget_state=False,
            coalesce_streams=True,  # a busy kernel sends what was printed in pieces
        )
        client.execute(cwd=str(self._desk), env=self._environment)
        return list(notebook.cells)


def assert_solved(check: NotebookNode) -> None:
    """See that the cell that checks the exercise was content."""
    (shown,) = check.outputs
    assert "not yet" not in shown["data"]["text/plain"]
    assert shown["data"]["text/plain"].endswith("all good: True")
