"""Notebook 08 where no machine can be booted: it says so in one line, runs to its end, and shows
what was recorded, never as live.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from notebook_runs import run_notebook, texts

from ikdemo.lab.docker.recording import RECORDINGS, Recording, marked_cells

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "08-swarm.ipynb"
STORED = json.loads(NOTEBOOK.read_text())["cells"]
RECORDED = json.loads((RECORDINGS / "08-swarm.json").read_text())


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Give the notebook as it was run without machines."""
    folder = tmp_path_factory.mktemp("desk")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IKDEMO_MACHINES", "no")
        return run_notebook(NOTEBOOK, folder)


def test_it_says_in_one_line_why_there_are_no_machines(notebook: Any) -> None:
    (said,) = texts(notebook.cells[1])
    assert said == (
        "No machine is booted here: IKDEMO_MACHINES is set to “no”. Cells that begin with “# "
        f"engine” are not run here. What they show was {Recording('08-swarm').label}, by this "
        "project."
    )


def test_every_cell_that_needs_machines_shows_its_recording_and_says_so(notebook: Any) -> None:
    marked, stored = marked_cells(notebook.cells), marked_cells(STORED)
    assert list(marked) == list(stored) == list(RECORDED["cells"])
    for name, cell in marked.items():
        label, *shown = texts(cell)
        assert label == f"Not live: {Recording('08-swarm').label}.", name
        assert shown == texts(stored[name]), name
        assert shown, name


def test_the_figure_is_shown_with_its_words(notebook: Any) -> None:
    html = "".join(
        output.get("data", {}).get("text/html", "")
        for output in marked_cells(notebook.cells)["cut"]["outputs"]
    )
    assert re.search(r'<img alt="12 instances were counted when the cable [^"]+" src="data:', html)


def test_what_was_recorded_is_the_whole_story() -> None:
    (said,) = [part["text/plain"] for part in RECORDED["cells"]["cut"]]
    assert "Up to 16 containers ran, and never more than 12 were counted" in said
    assert re.search(r"The cable was back after 6\.\d\d s\. \d", said), "and then it was over"
    assert "SWMTKN" not in json.dumps(RECORDED), "a token that lets machines join"


def test_what_needs_no_machine_runs_as_always(notebook: Any) -> None:
    errors = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "error"
    ]
    assert errors == []
    *_, last = (cell for cell in notebook.cells if cell.cell_type == "code")
    assert texts(last) == ["Lab, closed"]
