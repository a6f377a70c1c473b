"""No promise without a test: every test that a page names is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`(tests/[\w/.]+\.py)::(\w+)`")


def test_every_test_that_a_page_names_exists() -> None:
    named = [found for page in ("README.md", "CONTRIBUTING.md", "docs/protocol.md") for found in NAMED.findall(page_text(page))]
    for path, name in named:
        assert re.search(rf"^(def {name}\(|{name} = )", (ROOT / path).read_text(), re.MULTILINE), f"{path}::{name}"
    assert len(named) >= 16


def test_every_promise_names_a_test_and_its_conditions() -> None:
    rows = re.findall(r"^\| (P\d) \|(.*)\|(.*)\|(.*)\|$", page_text("README.md"), re.MULTILINE)
    assert [row[0] for row in rows] == [f"P{number}" for number in range(1, 9)]
    for number, promise, conditions, tests in rows:
        assert len(promise) > 20, number
        assert len(conditions) > 10, number
        assert NAMED.search(tests), number


def page_text(page: str) -> str:
    return (ROOT / page).read_text()
