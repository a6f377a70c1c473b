"""docs/nomenclature.md is true: its names are where it says, and no name is a word that is banned.
No two public classes and no two modules share a name.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/nomenclature.md").read_text()
FILES = sorted((ROOT / "ikdemo").rglob("*.py"))

SHARED = {
    "plugin": "each kind of plugin has its methods in plugin.py of its own folder",
    "orphans": "the same question, asked of processes and of containers",
}
"""Names that several modules may have, each with the reason."""
PUBLIC = {
    ("ikdemo/lab/lab.py", "line"),
    ("ikdemo/lab/lab.py", "mute"),
    ("ikdemo/lab/host/plugin_commands.py", "mute"),
    ("ikdemo/lab/host/stubs.py", "Judge"),
}
"""Names that notebooks use, and so stay as they are."""


class Name(NamedTuple):
    """One name that the code introduces, and where."""

    text: str
    file: str
    line: int
    local: bool = False

    @property
    def words(self) -> list[str]:
        """Its parts, in small letters: ``_asked_ForIds`` has asked, for and ids."""
        parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", self.text)
        return [part.lower() for part in parts]

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.text}"


@cache
def names() -> list[Name]:
    return [
        name
        for path in FILES
        for name in (Name(path.stem, place(path), 1), *introduced(path))
        if not (name.text.startswith("__") and name.text.endswith("__"))
        and (name.file, name.text) not in PUBLIC
    ]


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def introduced(path: Path) -> Iterator[Name]:
    """Yield every class, function, argument, attribute and variable that a file introduces."""
    tree = ast.parse(path.read_text())
    members = {
        id(target)
        for owner in ast.walk(tree)
        if isinstance(owner, ast.ClassDef | ast.Module)
        for statement in owner.body
        for target in ast.walk(statement)
        if isinstance(statement, ast.Assign | ast.AnnAssign)
    }
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield Name(node.name, place(path), node.lineno)
            case ast.arg():
                yield Name(node.arg, place(path), node.lineno)
            case ast.Attribute(ctx=ast.Store()):
                yield Name(node.attr, place(path), node.lineno)
            case ast.Name(ctx=ast.Store()):
                yield Name(node.id, place(path), node.lineno, id(node) not in members)


def rows(heading: str) -> list[list[str]]:
    """Return the rows of the table that follows some words of the page, as cells."""
    lines = PAGE.partition(heading)[2].splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith("|"))
    table = []
    for line in lines[begin + 2 :]:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in line.strip("|").split("|")])
    return table


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_every_name_of_the_page_is_where_it_says() -> None:
    wrong = []
    table = rows("# The words")
    assert len(table) > 30
    for word, _, _, where in table:
        file = ""
        for told in quoted(where):
            if told.startswith("ikdemo/"):
                file = told
                wrong += [] if (ROOT / file).is_file() else [f"{word}: no file {file}"]
            elif not any(name.text == told and name.file == file for name in names()):
                wrong.append(f"{word}: no {told} in {file}")
    assert wrong == []


def test_no_name_has_a_word_that_is_not_used() -> None:
    banned = {word for row in rows("In no part of a name") for word in quoted(row[0])}
    assert len(banned) > 30
    assert [str(name) for name in names() if banned.intersection(name.words)] == []


def test_no_name_is_a_word_that_has_another_one_in_its_room() -> None:
    table = rows("As the whole name")
    assert len(table) > 8
    wrong = []
    for not_this, _, where in table:
        banned, (room,) = set(quoted(not_this)), quoted(where)
        assert (ROOT / room).is_dir(), room
        wrong += [
            str(name)
            for name in names()
            if not name.local
            and name.file.startswith(room)
            and name.text.strip("_").lower() in banned
        ]
    assert wrong == []


def test_no_two_public_classes_share_a_name() -> None:
    files = defaultdict(list)
    for path in FILES:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                files[node.name].append(place(path))
    assert {name: where for name, where in files.items() if len(where) > 1} == {}


def test_no_two_modules_share_a_name() -> None:
    files = defaultdict(list)
    for path in FILES:
        if not path.stem.startswith("__"):
            files[path.stem].append(place(path))
    doubled = {name: where for name, where in files.items() if len(where) > 1}
    assert {name: where for name, where in doubled.items() if name not in SHARED} == {}
    assert set(SHARED) <= set(doubled), "an exception that is no longer needed"


def test_no_module_says_who_calls_it() -> None:
    """That is a search away, and is wrong as soon as it moves."""
    docstrings = {place(path): ast.get_docstring(ast.parse(path.read_text())) for path in FILES}
    callers = re.compile(r"\b(?:Called|Made|Used|Loaded) by\b")
    assert [file for file, text in docstrings.items() if callers.search(text or "")] == []


@pytest.mark.parametrize(
    ("text", "words"),
    [("_asked_ForIds", ["asked", "for", "ids"]), ("HTTPServer", ["http", "server"])],
)
def test_a_name_is_read_by_its_words(text: str, words: list[str]) -> None:
    assert Name(text, "", 1).words == words
