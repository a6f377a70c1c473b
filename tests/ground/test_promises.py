"""No promise without a test: every test that a page names is collected by pytest, and is not
skipped.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "CONTRIBUTING.md", "docs/promises.md", "docs/protocol.md")
NAMED = re.compile(r"`(tests/[\w/.]+\.py)::(\w+)`")


def test_every_test_that_a_page_names_exists() -> None:
    named = [found for page in PAGES for found in NAMED.findall(page_text(page))]
    assert len(named) >= 18
    tests = sorted({f"{path}::{name}" for path, name in named})
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--collect-only",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:nbval",
        *tests,
    ]
    collected = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert collected.returncode == 0, collected.stdout + collected.stderr
    found = {line.partition("[")[0] for line in collected.stdout.splitlines() if "::" in line}
    assert [
        test for test in tests if not any(f"{one}::".startswith(f"{test}::") for one in found)
    ] == []


def test_no_test_that_a_page_names_is_skipped() -> None:
    for path, name in {found for page in PAGES for found in NAMED.findall(page_text(page))}:
        for one in ast.walk(ast.parse((ROOT / path).read_text())):
            if isinstance(one, ast.FunctionDef | ast.ClassDef) and one.name == name:
                marks = " ".join(map(ast.unparse, one.decorator_list))
                assert not re.search(r"\b(skip|skipif|xfail)\b", marks), f"{path}::{name}: {marks}"


def test_every_promise_names_its_conditions_its_tests_and_the_bugs_that_they_notice() -> None:
    page = page_text("docs/promises.md")
    rows = re.findall(r"^\| ([PF]\d) \| (.*) \| (.*) \|$", page, re.MULTILINE)
    numbers = [row[0] for row in rows]
    assert numbers == [f"P{number}" for number in range(1, 10)] + sorted(numbers[9:])
    for number, promise, conditions in rows:
        assert len(promise) > 20, number
        assert len(conditions) > 10, number
        held = page.partition(f"\n**{number}**\n\n")[2].partition("\n\n")[0]
        assert NAMED.search(held), number
        assert re.search(r"^- planted bugs that they notice: \w.{20}", held, re.MULTILINE), number


def page_text(page: str) -> str:
    return (ROOT / page).read_text()
