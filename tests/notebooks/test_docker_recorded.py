"""Notebook 07 where no engine answers: it says so, runs to its end, and shows what was recorded,
never as live.
"""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from notebook_runs import run_notebook, texts

from ikdemo.lab.docker.comparison import MIME, read
from ikdemo.lab.docker.recording import RECORDINGS, Recording, marked_cells

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "07-docker.ipynb"
STORED = json.loads(NOTEBOOK.read_text())["cells"]
RECORDED = json.loads((RECORDINGS / "07-docker.json").read_text())


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Give the notebook as it was run without an engine."""
    folder = tmp_path_factory.mktemp("desk")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", f"unix://{folder}/no-engine.sock")
        return run_notebook(NOTEBOOK, folder)


def test_it_says_in_one_line_that_there_is_no_engine(notebook: Any) -> None:
    (said,) = texts(notebook.cells[1])
    assert "\n" not in said
    assert re.match(
        r"There is no Docker engine to use: the Docker engine does not answer at unix://\S+: no "
        r"such file",
        said,
    )
    assert said.endswith(f"What they show was {Recording('07-docker').label}, by this project.")


def test_every_cell_that_needs_an_engine_shows_its_recording_and_says_so(notebook: Any) -> None:
    marked, stored = marked_cells(notebook.cells), marked_cells(STORED)
    assert list(marked) == list(stored) == list(RECORDED["cells"])
    for name, cell in marked.items():
        label, *shown = texts(cell)
        assert label == f"Not live: {Recording('07-docker').label}.", name
        assert len(shown) == len(texts(stored[name])) > 0, name
        if name != "compare":
            assert shown == texts(stored[name]), name


def test_every_picture_that_was_recorded_is_shown_with_its_words(notebook: Any) -> None:
    marked, stored = marked_cells(notebook.cells), marked_cells(STORED)
    for name, cell in marked.items():
        expected = sum(
            "<img " in "".join(output.get("data", {}).get("text/html", ""))
            for output in stored[name]["outputs"]
        )
        shown = [output.get("data", {}).get("text/html", "") for output in cell["outputs"]]
        pictures = [
            html for html in shown if re.search(r'<img alt="[^"]{30,}" src="data:image/', html)
        ]
        assert len(pictures) == expected, name
    assert "<img " in json.dumps(RECORDED["cells"]["recovery"])


def test_a_recorded_figure_is_never_called_live() -> None:
    compared = read(Recording("07-docker").find("compare", MIME))
    (stored,) = [output["data"][MIME] for output in marked_cells(STORED)["compare"]["outputs"]]
    assert [one.seconds for one in compared.healings] == [
        one.seconds for one in read("".join(stored)).healings
    ]
    assert len(compared.healings) == 4
    assert all(
        re.fullmatch(r"recorded on \d+ [A-Z]\w+ 20\d\d", one.measured) for one in compared.healings
    )
    assert "live" not in json.dumps(RECORDED["cells"]["compare"])
    assert time.strptime(RECORDED["date"], "%Y-%m-%d")
    assert RECORDED["engine"] in Recording("07-docker").label
    assert RECORDED["machine"] in Recording("07-docker").label


def test_what_needs_no_engine_runs_as_always(notebook: Any) -> None:
    plain = [
        cell
        for cell in notebook.cells
        if cell.cell_type == "code" and not cell.source.startswith("# engine: ")
    ]
    stored = [
        cell
        for cell in STORED
        if cell["cell_type"] == "code" and not "".join(cell["source"]).startswith("# engine: ")
    ]
    assert [texts(cell) for cell in plain[1:]] == [texts(cell) for cell in stored[1:]]
