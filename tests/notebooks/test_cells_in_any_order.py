"""Cells skipped, run twice or in another order are survived: a sentence instead of a traceback, and
nothing is left behind. The folded solution of every notebook does what its exercise asks: the check
that follows it says so, whatever was run before.

Nor is anything left when the kernel gets SIGKILL in the middle of a notebook.
"""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import pytest
from learner import BEGUN_ANEW, NOTEBOOKS, Learner, assert_solved, takes_long
from nbformat import NotebookNode

from ikdemo.spi import errors

OURS = {
    name
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.IkdemoError)
}
WITHIN = 200.0
"""Seconds for one order of one notebook on a slow, busy machine."""
LONGEST = 2
"""Lines of an error: what is wrong, and what to do."""


def errors_of(cells: list[NotebookNode]) -> list[dict[str, Any]]:
    """Return the errors that cells showed."""
    return [output for cell in cells for output in cell.outputs if output.output_type == "error"]


def shown(cell: NotebookNode) -> list[str]:
    """Return what a cell printed and answered, without its numbers: IDs and times are others each
    time.

    A live view is left out: it says later that it has ended.
    """
    kept = [output for output in cell.outputs if output.output_type != "display_data"]
    words = [output.get("text") or output.data["text/plain"] for output in kept]
    return [re.sub(r"\d[\d.]*|ikdemo-lab-\w+", "N", text) for text in words]


def not_a_sentence(shown: dict[str, Any]) -> str:
    """Return what is wrong with an error as it is shown to a learner, or nothing."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(shown["traceback"]))
    known = shown["ename"] in OURS or text.startswith("There is no `")
    return "" if known and len(text.splitlines()) <= LONGEST else text


def twice(cells: list[str]) -> list[str]:
    """Return each cell two times, but for those that measure for many seconds."""
    return [cell for cell in cells for _ in range(1 if takes_long(cell) else 2)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
class TestOneNotebook:
    def test_each_cell_twice_and_then_the_solution(
        self, path: Path, home: Path, tmp_path: Path
    ) -> None:
        """In one kernel, and after the solution the rest, twice, too."""
        learner = Learner(path, tmp_path)
        asked = twice(learner.code[: learner.turn + 2])
        solved = learner.solution()
        ran = learner.run([*asked, *solved, *twice(learner.code[learner.turn + 2 :])])
        assert [wrong for wrong in map(not_a_sentence, errors_of(ran)) if wrong] == []
        assert_solved(ran[len(asked) + len(solved) - 1])

    def test_without_the_first_cell_the_step_is_named_and_then_in_no_order(
        self, path: Path, home: Path, tmp_path: Path
    ) -> None:
        """In one kernel: a learner who begins in the middle goes back to the first cell, and on
        with cells skipped and repeated.
        """
        chance, learner = random.Random(path.stem), Learner(path, tmp_path)
        first, *others, last = learner.code
        begun_in_the_middle = learner.code[1:]
        chance.shuffle(others)
        chosen = [
            cell
            for cell in others
            for _ in range(chance.choice((0, 1) if takes_long(cell) else (0, 1, 1, 2)))
        ]
        ran = learner.run([*begun_in_the_middle, first, *chosen, last])
        shown = errors_of(ran)
        assert [wrong for wrong in map(not_a_sentence, shown) if wrong] == []
        named = errors_of(ran[: len(begun_in_the_middle)])
        said = "\n".join(line for error in named for line in error["traceback"])
        assert (
            "There is no `lab` yet: the first code cell makes it, and was not run.\nRun the "
            "cells above this one first" in said
        )
        assert len(named) >= len(learner.code) // 2


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
    path = next(path for path in NOTEBOOKS if path.stem == name)
    Learner(path, tmp_path).run_and_be_killed(home, until)


@pytest.mark.parametrize("name", BEGUN_ANEW)
def test_the_first_cell_is_enough_to_begin_anew(name: str, home: Path, tmp_path: Path) -> None:
    """Up to the exercise, where Run All ends, and once more from the first cell, as if nothing had
    been before; then the exercise can be solved.
    """
    learner = Learner(next(path for path in NOTEBOOKS if path.stem == name), tmp_path)
    code = [cell for cell in learner.notebook.cells if cell.cell_type == "code"]
    turn = learner.turn
    ran = learner.run([*2 * learner.code[:turn], *learner.solution(), learner.code[-1]])
    assert errors_of(ran[: 2 * turn]) == []
    compared = [
        number
        for number in range(turn)
        if "nbval-check-output" in code[number].metadata.get("tags", ())
    ]
    assert len(compared) >= 5
    for number in compared:
        assert shown(ran[turn + number]) == shown(ran[number]), code[number].source
    assert_solved(ran[-2])
