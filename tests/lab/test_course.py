"""The way through the notebooks, in a real kernel: Run All ends at an exercise, what is good is
noted, nothing shown is red.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

from ikdemo.lab.teaching.progress import PROGRESS

BEGIN = """from ikdemo.lab.teaching.check import Check, Point
from ikdemo.lab.teaching.progress import follow_checks, progress
follow_checks()"""
DONE, NOT_DONE = (
    f'Check([Point({good}, "it is done", "do it")], exercise=True)' for good in (True, False)
)
CHECKED, UNCHECKED = (f'Check([Point({good}, "five run", "wait")])' for good in (True, False))
AFTER = "print('went on')"


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a learner's copy with three notebooks, and keep Jupyter's own files apart."""
    for name in ("JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    (tmp_path / "copy/notebooks").mkdir(parents=True)
    for name in ("00-a", "01-b", "02-c"):
        (tmp_path / f"copy/notebooks/{name}.ipynb").write_text("{}")
    (tmp_path / "copy" / PROGRESS).touch()
    return tmp_path / "copy"


def as_told_by_a_server(copy: Path, name: str = "01-b") -> dict[str, str]:
    """Return the environment of a kernel that a Jupyter server begins for a notebook."""
    return {**os.environ, "JPY_SESSION_NAME": str(copy / f"notebooks/{name}.ipynb")}


def run(sources: list[str], environment: Mapping[str, str]) -> tuple[list[NotebookNode], str]:
    """Run cells until one ends in an error, as Run All does; return them, and the name of the
    error.
    """
    notebook = new_notebook(cells=[new_code_cell(source) for source in sources])
    try:
        NotebookClient(notebook, timeout=100, store_widget_state=False).execute(
            env=dict(environment)
        )
    except CellExecutionError as error:
        return notebook.cells, error.ename
    return notebook.cells, ""


def shown(cell: NotebookNode) -> str:
    return "\n".join(output.get("text") or output["data"]["text/plain"] for output in cell.outputs)


def test_an_exercise_that_is_not_done_ends_run_all_and_shows_no_error(copy: Path) -> None:
    cells, error = run([BEGIN, NOT_DONE, AFTER], as_told_by_a_server(copy))
    assert error == "NotDone"
    assert [output.output_type for output in cells[1].outputs] == ["execute_result", "display_data"]
    assert "not yet  it is done. Do it" in shown(cells[1])
    assert "Run All ends here" in shown(cells[1])
    assert cells[2].outputs == []


@pytest.mark.parametrize("check", [DONE, CHECKED, UNCHECKED])
def test_every_other_check_lets_it_go_on(check: str, copy: Path) -> None:
    cells, error = run([BEGIN, check, AFTER], as_told_by_a_server(copy))
    assert (error, shown(cells[2])) == ("", "went on\n")


def test_programs_that_run_notebooks_run_them_through(copy: Path) -> None:
    cells, error = run([BEGIN, NOT_DONE, AFTER], os.environ)
    assert (error, shown(cells[2])) == ("", "went on\n")
    assert "Run All" not in shown(cells[1])


def test_a_program_that_a_notebook_runs_does_so_too(
    copy: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """``!papermill other.ipynb`` hands on what the server told the outer kernel."""
    (tmp_path / "inner.py").write_text(
        "import nbformat.v4 as v4, nbclient\n"
        f"cells = [v4.new_code_cell(source) for source in {[BEGIN, NOT_DONE, AFTER]!r}]\n"
        "nbclient.NotebookClient(v4.new_notebook(cells=cells), timeout=100).execute()\n"
        "print('ran through')\n"
    )
    cells, _ = run(
        [
            "import subprocess, sys\nprint(subprocess.run([sys.executable, "
            f"{str(tmp_path / 'inner.py')!r}], "
            "capture_output=True, text=True))"
        ],
        as_told_by_a_server(copy),
    )
    assert "ran through" in shown(cells[0])
    assert (copy / PROGRESS).read_text() == ""


def test_what_is_good_is_noted_once_and_the_next_notebook_is_named(copy: Path) -> None:
    cells, _ = run([BEGIN, CHECKED, CHECKED, DONE, DONE, "progress()"], as_told_by_a_server(copy))
    lines = [json.loads(line) for line in (copy / PROGRESS).read_text().splitlines()]
    assert [(line["notebook"], line["part"]) for line in lines] == [
        ("01-b", "work"),
        ("01-b", "exercise"),
    ]
    assert "Noted on your map: the work in 01-b is checked." in shown(cells[1])
    assert "Noted" not in shown(cells[2])
    for solved in cells[3:5]:
        assert shown(solved).endswith(
            "Noted on your map: the exercise of 01-b is solved. Next: 02-c"
        )
        assert '<a href="02-c.ipynb">02-c</a>' in solved.outputs[-1]["data"]["text/html"]
    rows = [" ".join(line.split()) for line in shown(cells[5]).splitlines()]
    assert rows[1:] == ["00-a not yet not yet", "01-b yes yes", "02-c not yet not yet"]


def test_after_the_last_notebook_none_is_named(copy: Path) -> None:
    cells, _ = run([BEGIN, DONE], as_told_by_a_server(copy, "02-c"))
    assert shown(cells[1]).endswith("the exercise of 02-c is solved.")


def test_half_a_line_of_a_full_disk_is_passed_over(copy: Path) -> None:
    (copy / PROGRESS).write_text(
        '{"notebook": "00-a", "part": "work"}\n{"notebook": "01-\n[]\n"x"\n'
    )
    cells, _ = run([BEGIN, "progress()"], as_told_by_a_server(copy))
    assert "00-a      yes" in shown(cells[1])


def test_a_check_is_good_although_it_cannot_be_noted(copy: Path) -> None:
    # no file may grow
    full = (
        "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))\n"
    )
    cells, error = run([BEGIN, full + DONE, AFTER], as_told_by_a_server(copy))
    assert "all good: True" in shown(cells[1])
    assert f"Good, but it could not be noted in {PROGRESS}: file too large." in shown(cells[1])
    assert (error, shown(cells[2])) == ("", "went on\n")


def test_outside_a_copy_nothing_is_noted_and_that_is_said(copy: Path) -> None:
    (copy / PROGRESS).unlink()
    cells, _ = run([BEGIN, DONE, "progress()"], as_told_by_a_server(copy))
    assert "Noted" not in shown(cells[1])
    assert shown(cells[2]).startswith("Nothing is noted here.")
    assert not (copy / PROGRESS).exists()
