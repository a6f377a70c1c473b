"""docs/architecture.md is true: each step is there, and reached as the page says. The map in
CONTRIBUTING has every folder, and each folder tells its files.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/architecture.md").read_text()
PACKAGE = ROOT / "ikdemo"
ORIGINS = {"a person", "the kernel", "a plugin"}
"""Where a journey, or a branch of one, may begin."""
NEAR = 20
"""Files from the verb ``commit`` to the call of ``provision``, at most."""


class Step(NamedTuple):
    """A row of a journey. ``source`` is the step that it is reached from, 0 for an origin."""

    number: int
    file: str
    names: list[str]
    source: int
    how: str
    by: str


def journeys() -> dict[str, list[Step]]:
    found = {}
    for section in PAGE.split("\n## ")[1:]:
        title, _, body = section.partition("\n")
        found[title] = list(steps(body))
    return found


def steps(body: str) -> Iterator[Step]:
    for number, where, reached in re.findall(r"^\| (\d+) \| (.*?) \| .* \| (.*) \|$", body, re.M):
        file, *names = re.findall(r"`([^`]+)`", where)
        match = re.fullmatch(r"(\d+)(?:, (\w+))?(?: `([^`]+)`)?", reached)
        assert match or reached in ORIGINS, reached
        source, how, by = match.groups() if match else ("0", "origin", "")
        yield Step(int(number), file, names, int(source), how or "calls", by or "")


ALL = [(title, step) for title, found in journeys().items() for step in found]


@cache
def tree(file: str) -> ast.Module:
    return ast.parse((ROOT / file).read_text())


def definition(file: str, name: str) -> ast.AST | None:
    """Find a class, function, method or constant of a file."""
    body: list[ast.stmt] = tree(file).body
    found: ast.AST | None = None
    for part in name.split("."):
        found = next((node for node in body if part in bound_by(node)), None)
        body = getattr(found, "body", [])
    return found


def bound_by(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Assign | ast.AnnAssign):
        return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
    return set()


def mentioned(file: str, names: list[str]) -> set[str]:
    """Return every name that some definitions use, without underscores before it: what is public
    in one object may be kept privately by another.
    """
    used = set()
    for name in names:
        node = definition(file, name)
        for one in ast.walk(node) if node else ():
            match one:
                case ast.Name() if one is not node:
                    used.add(one.id.lstrip("_"))
                case ast.Attribute():
                    used.add(one.attr.lstrip("_"))
    return used


def everywhere(file: str) -> set[str]:
    return mentioned(file, [name for node in tree(file).body for name in bound_by(node)])


def last(name: str) -> str:
    return name.rpartition(".")[2].lstrip("_")


@cache
def imports(file: str) -> set[str]:
    """Return the files of the package that a file imports, also inside functions, but not for its
    types only.
    """
    found: set[str] = set()
    waiting: list[ast.AST] = [tree(file)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.ImportFrom):
            found |= set(imported(file, node))
        waiting += ast.iter_child_nodes(node)
    return found


def imported(file: str, node: ast.ImportFrom) -> Iterator[str]:
    folder = (ROOT / file).parent
    if node.level:
        for _ in range(node.level - 1):
            folder = folder.parent
    else:
        folder = ROOT
    parts = (node.module or "").split(".") if node.module else []
    for name in node.names:
        for found in (folder.joinpath(*parts, name.name), folder.joinpath(*parts)):
            if (path := found.with_suffix(".py")).is_file():
                yield path.relative_to(ROOT).as_posix()
                break
            if (package := found / "__init__.py").is_file():
                yield from imports(package.relative_to(ROOT).as_posix())
                break


@pytest.mark.parametrize(("title", "step"), ALL, ids=[f"{t[:12]}-{s.number}" for t, s in ALL])
def test_a_step_is_there_and_reached_as_the_page_says(title: str, step: Step) -> None:
    assert (ROOT / step.file).is_file(), step.file
    for name in step.names:
        assert definition(step.file, name) is not None, f"no {name} in {step.file}"
    source = journeys()[title][step.source - 1] if step.source else step
    said = mentioned(source.file, source.names) if step.source else set()
    for number, name in enumerate(step.names[1:], 1):
        assert last(name) in said | mentioned(step.file, step.names[:number]), (
            f"{name} is not called"
        )
    if not step.source:
        return
    assert source.number == step.source < step.number
    first = last(step.names[0])
    near = step.file == source.file or step.file in imports(source.file)
    match step.how:
        case "calls":
            assert first in said, f"{source.names} never say {first}"
            assert near, f"{source.file} does not import {step.file}"
        case "handed":
            assert first in said, f"{source.names} never say {first}"
            assert not near or step.file == source.file, f"{source.file} imports {step.file}"
        case "socket":
            assert {Path(step.file).parent, Path(source.file).parent} == {Path("ikdemo/rpc")}
        case "wakes":
            assert step.file == source.file
            for file, names in ((source.file, source.names), (step.file, step.names)):
                assert last(step.by) in mentioned(file, names), f"{names} never say {step.by}"
        case "table":
            assert near, f"{source.file} does not import {step.file}"
            assert step.by in everywhere(source.file), f"{source.file} never says {step.by}"
            assert first in mentioned(step.file, [step.by]), f"{first} is not in {step.by}"
        case "reads":
            wanted = last(step.by or source.names[0])
            assert wanted in mentioned(step.file, step.names), f"{step.names} never say {wanted}"
            assert not step.by or definition(source.file, _beside(source.names[0], step.by))
        case "through":
            assert not near, f"{source.file} imports {step.file}"
            assert step.file in imports(step.by), f"{step.by} does not import {step.file}"
            assert first in everywhere(step.by), f"{step.by} never says {first}"
        case _:
            pytest.fail(f"unknown: {step.how}")


def _beside(name: str, other: str) -> str:
    """Return the name of another method of the same class."""
    return f"{name.rpartition('.')[0]}.{other}".lstrip(".")


def test_from_commit_to_provision_it_is_not_far() -> None:
    files = set()
    for step in next(iter(journeys().values())):
        files.add(step.file)
        if step.names[-1].endswith("._provision"):
            break
    else:
        pytest.fail("the first journey does not come to a call of provision")
    assert len(files) <= NEAR, sorted(files)


def test_the_map_has_every_folder_and_the_floors_of_the_law() -> None:
    contributing = (ROOT / "CONTRIBUTING.md").read_text()
    rows = re.findall(r"^\| (\d) \| (.*) \| .* \|$", contributing, re.M)
    floors = {
        place: int(floor) for floor, where in rows for place in re.findall(r"`(ikdemo/.*?)`", where)
    }
    places = {
        path.parent.relative_to(ROOT).as_posix() + "/" for path in PACKAGE.rglob("*/__init__.py")
    } | {f"ikdemo/{path.name}" for path in PACKAGE.glob("[!_]*.py")}
    told = set(re.findall(r"`(ikdemo/[^`]*)`", contributing))
    assert places - told == set(), "not on the map"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    law = project["tool"]["importlinter"]["contracts"][0]["layers"]
    for height, layer in enumerate(reversed(law), 1):
        for module in layer.split(" | "):
            path = module.replace(".", "/")
            name = f"{path}/" if (ROOT / path).is_dir() else f"{path}.py"
            assert floors[name] == height, name


@pytest.mark.parametrize(
    "folder", sorted({path.parent for path in PACKAGE.rglob("*.py")} - {PACKAGE / "desk", PACKAGE})
)
def test_a_folder_tells_its_files(folder: Path) -> None:
    words = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    told = {name for line in words.splitlines() for name in re.findall(r"``([\w/]+)``", line)}
    there = {path.stem for path in folder.glob("[!_]*.py")} | {
        path.parent.name for path in folder.glob("*/__init__.py")
    }
    assert there - {name.strip("/") for name in told} == set(), "not told"
    listed = {
        name
        for line in words.splitlines()
        if line.startswith("- ")
        for name in re.findall(r"``([\w/]+)``", line.partition(":")[0])
    }
    assert {name.strip("/") for name in listed} - there == set(), "told, and not there"
