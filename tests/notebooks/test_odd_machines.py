"""Notebooks on machines that are not like ours: a temporary folder with a blank in its name, an
encoding that is not UTF-8.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from learner import NOTEBOOKS, Learner

WITHIN = 200.0


def errors_of(name: str, folder: Path) -> list[str]:
    """Run a notebook from top to bottom, and return what went wrong."""
    learner = Learner(next(path for path in NOTEBOOKS if path.stem.startswith(name)), folder)
    cells = learner.run(learner.code)
    told = [output for cell in cells for output in cell.outputs]
    wrong = ["\n".join(output.traceback) for output in told if output.output_type == "error"]
    return wrong + [
        output.text
        for output in told
        if output.get("name") == "stderr" and "UsageError" in output.text
    ]


@pytest.mark.parametrize("name", ["02", "10"])
def test_a_temporary_folder_with_a_blank_and_an_accent(
    name: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = home / "space é"
    odd.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(odd))
    assert errors_of(name, tmp_path) == []
    odd.rmdir()


def test_an_encoding_that_is_not_utf_8(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}.items():
        monkeypatch.setenv(variable, value)
    assert errors_of("02", tmp_path) == []
