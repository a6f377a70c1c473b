"""The folded solution of every notebook does what its exercise asks: the check that follows it says
so.

Three more are solved in the kernel of ``test_cells_in_any_order`` that has begun anew.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from learner import BEGUN_ANEW, NOTEBOOKS, Learner, assert_solved, takes_long

OTHERS = [path for path in NOTEBOOKS if path.stem not in BEGUN_ANEW]


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: path.stem)
def test_the_solution_passes_the_check(path: Path, home: Path, tmp_path: Path) -> None:
    learner = Learner(path, tmp_path)
    before = [source for source in learner.code[: learner.turn] if not takes_long(source)]
    assert_solved(learner.run([*before, *learner.solution()]))
