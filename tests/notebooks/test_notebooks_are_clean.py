"""The guard over committed notebooks: checked cells have something to compare, cells are short, no trace of a machine."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
LONGEST = 15
MACHINE = re.compile(r"/(home|Users|root|work|tmp|usr|opt)/|ikdemo-lab-\w|\.venv|site-packages")


def cells(path: Path, kind: str) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def outputs_as_text(path: Path) -> str:
    """Return all stored outputs without their pictures."""
    return re.sub(r"base64,[A-Za-z0-9+/=]+", "", json.dumps([cell["outputs"] for cell in cells(path, "code")]))


def test_the_map_names_every_notebook() -> None:
    welcome = NOTEBOOKS[0]
    named = re.findall(r"\]\(([^)#:]+)\)", source(cells(welcome, "markdown")[-1]))
    assert [welcome.name, *named] == [path.name for path in NOTEBOOKS]
    assert len(named) >= 6


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
class TestOneNotebook:
    def test_every_checked_cell_has_a_stored_output(self, path: Path) -> None:
        checked = [cell for cell in cells(path, "code") if "NBVAL_CHECK_OUTPUT" in source(cell)]
        assert checked
        for cell in checked:
            assert cell["outputs"], source(cell)

    def test_no_cell_is_too_long(self, path: Path) -> None:
        for cell in cells(path, "code"):
            assert len(source(cell).splitlines()) <= LONGEST, source(cell)

    def test_no_error_and_no_warning_is_stored(self, path: Path) -> None:
        for cell in cells(path, "code"):
            for output in cell["outputs"]:
                assert output["output_type"] != "error", source(cell)
                assert output.get("name") != "stderr", source(cell)

    def test_it_was_run_from_top_to_bottom(self, path: Path) -> None:
        counts = [cell["execution_count"] for cell in cells(path, "code")]
        assert counts == list(range(1, len(counts) + 1))

    def test_nothing_of_the_machine_is_inside(self, path: Path) -> None:
        assert not MACHINE.search(outputs_as_text(path))
        metadata = json.loads(path.read_text())["metadata"]
        assert metadata["kernelspec"] == {"display_name": "Python 3", "language": "python", "name": "python3"}
        assert metadata["language_info"] == {"name": "python"}
        assert "widget-view" not in path.read_text()

    def test_every_picture_is_told_in_words(self, path: Path) -> None:
        assert '"image/png"' not in path.read_text(), "show pictures as HTML with an alt text"
        for image in re.findall(r"<img [^>]*>", "".join(json.loads(json.dumps(outputs_as_text(path))))):
            assert re.search(r'alt=\\?"[^"\\]{20,}', image), image

    def test_it_begins_with_its_goals_and_ends_by_cleaning_up(self, path: Path) -> None:
        assert "you can**" in source(cells(path, "markdown")[0])
        assert source(cells(path, "code")[-1]).startswith("lab.close()")
        text = path.read_text()
        assert text.count("<details>") == 1
        assert "## Check your work" in text

    def test_links_between_notebooks_lead_somewhere(self, path: Path) -> None:
        for cell in cells(path, "markdown"):
            for target in re.findall(r"\]\(([^)#:]+)\)", source(cell)):
                assert (FOLDER / target).exists(), target
