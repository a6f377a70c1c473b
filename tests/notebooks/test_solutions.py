"""The folded solution of every notebook does what its exercise asks: the check that follows it says
so.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from learner import NOTEBOOKS, Learner, takes_long

BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_solution_passes_the_check(path: Path, home: Path, tmp_path: Path) -> None:
    learner = Learner(path, tmp_path)
    (folded,) = (cell.source for cell in learner.notebook.cells if "<details>" in cell.source)
    turn = next(
        number for number, source in enumerate(learner.code) if source.startswith("# your turn")
    )
    before = [source for source in learner.code[:turn] if not takes_long(source)]
    *_, checked, _ = learner.run(
        [*before, *BLOCK.findall(folded), learner.code[turn + 1], learner.code[-1]]
    )
    (shown,) = checked.outputs
    assert "not yet" not in shown["data"]["text/plain"]
    assert shown["data"]["text/plain"].endswith("all good: True")
