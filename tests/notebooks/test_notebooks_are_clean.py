"""The guard over committed notebooks: every part that a learner relies on is there, cells are
short, no trace of a machine.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from notebook_runs import texts
from refresh import LANGUAGE

from ikdemo.cli.main import ikdemo, infrakit
from ikdemo.lab import Lab
from ikdemo.lab.host.plugin_commands import PROGRAMS

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
LONGEST = 15
MACHINE = re.compile(r"/(home|Users|root|work|tmp|usr|opt)/|ikdemo-lab-\w|\.venv|site-packages")
ALL = [f"{number:02}" for number in range(11)]
WITH_VERBS = ("group", "instance", "flavor", "plugin")


def cells(path: Path, kind: str = "") -> list[dict[str, Any]]:
    return [
        cell for cell in json.loads(path.read_text())["cells"] if kind in ("", cell["cell_type"])
    ]


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def is_checked(cell: dict[str, Any]) -> bool:
    """Say whether nbval compares what a cell shows: a tag says so."""
    return "nbval-check-output" in cell["metadata"].get("tags", ())


def outputs_as_text(path: Path) -> str:
    """Return all stored outputs without their pictures."""
    return re.sub(
        r"base64,[A-Za-z0-9+/=]+", "", json.dumps([cell["outputs"] for cell in cells(path, "code")])
    )


def told(cell: dict[str, Any]) -> str:
    """Return what a cell printed or answered, as text."""
    return "".join(texts(cell))


def section(path: Path, heading: str) -> list[dict[str, Any]]:
    """Return the cells from a heading of the second level to the next one."""
    found: list[dict[str, Any]] = []
    for cell in cells(path):
        if cell["cell_type"] == "markdown" and (
            names := re.findall(r"^## (.+)$", source(cell), re.MULTILINE)
        ):
            if heading in names:
                found = [cell]
            elif found:
                return found
        elif found:
            found.append(cell)
    return found


def the_map() -> dict[str, list[str]]:
    """Return the rows of the map in the first notebook, by number: name, minutes, what is done."""
    rows = re.findall(
        r"^\| (.*\d\d-.*) \|$", source(section(NOTEBOOKS[0], "The map")[0]), re.MULTILINE
    )
    return {re.findall(r"\d\d", row)[0]: row.split(" | ") for row in rows}


def minutes(path: Path) -> str:
    return "".join(
        re.findall(r"\*\*Time:\*\* about (\d+) minutes", source(cells(path, "markdown")[0]))
    )


def commands(sheet: str) -> list[str]:
    """Return the commands of a cheat sheet: what stands in backticks and begins with one of our
    programs.
    """
    return [
        text for text in re.findall(r"`([^`]+)`", sheet) if re.match(r"(ikdemo|infrakit)[ -]", text)
    ]


class TestTheMap:
    def test_it_names_all_eleven_in_order(self) -> None:
        assert list(the_map()) == ALL

    def test_it_links_every_notebook_that_is_there(self) -> None:
        for path in NOTEBOOKS[1:]:
            assert f"[{path.stem}]({path.name})" in the_map()[path.stem[:2]][0]

    def test_it_tells_the_time_that_each_notebook_tells(self) -> None:
        for path in NOTEBOOKS:
            assert the_map()[path.stem[:2]][1] == minutes(path), path.name


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
class TestTheParts:
    def test_goals_and_time_come_first(self, path: Path) -> None:
        first = source(cells(path)[0])
        assert first.startswith(f"# {path.stem[:2]} · ")
        assert "**After this notebook you can**" in first
        assert minutes(path)
        assert "Run the first code cell again" in first

    def test_it_can_be_begun_again(self, path: Path) -> None:
        assert "lab = Lab.fresh()" in source(cells(path, "code")[0])
        assert "lab.reset()" in source(section(path, "Cheat sheet")[0])

    def test_the_work_is_checked(self, path: Path) -> None:
        asked = [cell for cell in section(path, "Check your work") if cell["cell_type"] == "code"]
        assert any("lab.check(" in source(cell) for cell in asked)
        for cell in asked:
            assert "lab.check(" not in source(cell) or told(cell).endswith("all good: True"), (
                source(cell)
            )

    def test_one_exercise_is_to_be_done_checked_and_solved(self, path: Path) -> None:
        exercise = section(path, "Exercise")
        turn, check = (cell for cell in exercise if cell["cell_type"] == "code")
        assert source(turn).startswith("# your turn")
        assert not turn["outputs"]
        assert is_checked(check)
        assert "not yet  " in told(check), "what was not done yet is not called done"
        assert path.read_text().count("<details>") == 1
        assert "<summary>Solution</summary>" in source(exercise[-1])

    def test_it_ends_by_cleaning_up(self, path: Path) -> None:
        *_, last = (cell for cell in cells(path, "code") if cell not in section(path, "The map"))
        assert source(last).startswith("lab.close()")
        assert last == section(path, "Clean up")[1]

    def test_every_call_of_the_cheat_sheet_exists(self, path: Path) -> None:
        sheet = source(section(path, "Cheat sheet")[0])
        calls = re.findall(r"\blab\.(\w+)\(", sheet)
        assert len(re.findall(r"^\| .*`", sheet, re.MULTILINE)) >= 5
        assert [name for name in calls if not callable(getattr(Lab, name, None))] == []

    def test_every_command_of_the_cheat_sheet_exists(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for command in commands(source(section(path, "Cheat sheet")[0])):
            program, *words = command.split()
            if program not in ("ikdemo", "infrakit"):
                assert program in PROGRAMS.values(), command
                continue
            verb = words[: 2 if words[0] in WITH_VERBS else 1]
            monkeypatch.setattr("sys.argv", [program, *verb, "--help"])
            assert (ikdemo if program == "ikdemo" else infrakit)() == 0, command
            page = capsys.readouterr().out
            assert f"Usage: {program} {' '.join(verb)}" in page, command
            for flag in (word for word in words if word.startswith("--")):
                assert flag in page, command


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
class TestWhatIsStored:
    def test_no_cell_tells_a_learner_about_the_tests(self, path: Path) -> None:
        assert "NBVAL" not in path.read_text()

    def test_every_checked_cell_has_a_stored_output(self, path: Path) -> None:
        checked = [cell for cell in cells(path, "code") if is_checked(cell)]
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
        assert metadata["kernelspec"] == {
            "display_name": "Python 3",
            "language": "python",
            "name": "python3",
        }
        assert metadata["language_info"] == LANGUAGE
        assert "widget-view" not in path.read_text()

    def test_every_picture_is_told_in_words(self, path: Path) -> None:
        assert '"image/png"' not in path.read_text(), "show pictures as HTML with an alt text"
        for image in re.findall(
            r"<img [^>]*>", "".join(json.loads(json.dumps(outputs_as_text(path))))
        ):
            assert re.search(r'alt=\\?"[^"\\]{20,}', image), image

    def test_links_between_notebooks_lead_somewhere(self, path: Path) -> None:
        for cell in cells(path, "markdown"):
            for target, anchor in re.findall(r"\]\(([^)#:]+)#?([^)]*)\)", source(cell)):
                assert (FOLDER / target).exists(), target
                assert not anchor or section(FOLDER / target, anchor.replace("-", " ")), anchor

    def test_its_last_cell_leads_on_and_back(self, path: Path) -> None:
        order = [one.name for one in NOTEBOOKS]
        place = order.index(path.name)
        last = source(cells(path)[-1])
        assert re.findall(r"Next: \[.+?\]\((.+?)\)", last) == order[place + 1 : place + 2]
        assert re.findall(r"Back: \[.+?\]\((.+?)\)", last) == order[:place][-1:]
        assert ("](00-welcome.ipynb#The-map)" in last) == (place > 0)
