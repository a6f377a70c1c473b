"""Every planted bug still fits the sources, and its test is there; the bugs themselves are run by
``make mutants``.
"""

from __future__ import annotations

import ast

import pytest
from mutants.lists import ALL
from mutants.mutant import ROOT, Mutant


@pytest.mark.parametrize("mutant", ALL, ids=lambda mutant: mutant.name)
def test_a_mutant_can_be_planted_and_its_test_is_there(mutant: Mutant) -> None:
    assert mutant.planted() != (ROOT / mutant.file).read_text()
    ast.parse(mutant.planted())
    file, *names = mutant.test.partition("[")[0].split("::")
    found: list[ast.stmt] = ast.parse((ROOT / file).read_text()).body
    for name in names:
        inside = [
            one
            for one in found
            if isinstance(one, ast.FunctionDef | ast.ClassDef) and one.name == name
        ]
        assigned = [
            one for one in found if isinstance(one, ast.Assign) and name in ast.unparse(one.targets)
        ]
        assert inside or assigned, f"{name} is not in {file}"
        found = inside[0].body if inside else []


def test_there_are_many_and_no_two_are_the_same() -> None:
    assert len(ALL) == len(set(ALL)) >= 40
