"""The pins: complete, free of addresses and paths, and the same wherever they are written."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import ikdemo

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = {"": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}


def pins(name: str) -> dict[str, str]:
    """Read a file of pins as a table from package to version."""
    lines = [
        line for line in (ROOT / name).read_text().splitlines() if line and not line.startswith("#")
    ]
    for line in lines:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!]+", line), (
            f"{name}: not a plain pin: {line}"
        )
    return {canonicalize_name(line.partition("==")[0]): line.partition("==")[2] for line in lines}


@pytest.mark.parametrize(
    ("extra", "name"),
    [(extra, "constraints.txt") for extra in EXTRAS] + [("lab", "binder/requirements.txt")],
)
def test_each_dependency_is_pinned_within_its_range(extra: str, name: str) -> None:
    pinned = pins(name)
    for requirement in map(Requirement, EXTRAS[extra]):
        if requirement.name != "ikdemo":
            assert requirement.specifier.contains(
                Version(pinned[canonicalize_name(requirement.name)])
            ), str(requirement)


def test_binder_and_container_have_the_versions_that_were_tested() -> None:
    assert pins("binder/requirements.txt").items() <= pins("constraints.txt").items()


def test_each_dependency_has_its_reason_beside_it() -> None:
    listed = re.findall(r'^  "([^"]+)",(.*)$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    without = [
        name
        for name, reason in listed
        if not name.startswith("ikdemo") and not reason.strip().startswith("# ")
    ]
    assert listed
    assert without == []


def test_the_version_is_written_once() -> None:
    assert "version" in PROJECT["dynamic"]
    assert version("ikdemo") == ikdemo.__version__
