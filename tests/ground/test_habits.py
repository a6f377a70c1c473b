"""Checks before a commit, the workflow of the public forge and the changelog agree."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import yaml

import ikdemo

ROOT = Path(__file__).parents[2]


def test_what_runs_before_a_commit_is_what_make_check_runs() -> None:
    printed = subprocess.run(
        ["make", "-n", "check"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    checks = re.findall(r"^\.venv/bin/(?!python)\S.*$", printed, re.MULTILINE)
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
    assert [hook["entry"].removeprefix(".venv/bin/") for hook in hooks] == [
        check.removeprefix(".venv/bin/") for check in checks
    ]
    assert len(checks) >= 5


def test_the_public_forge_runs_what_we_run_on_every_python_that_is_promised() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    job = workflow["jobs"]["tests"]
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    pythons = job["strategy"]["matrix"]["python"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == f">={pythons[0]}"
    assert all(isinstance(python, str) for python in pythons), "3.10 would be read as 3.1"
    for file in ("Makefile", ".ci/run"):
        (searched,) = re.findall(r" in (python3 [^;]*python);", (ROOT / file).read_text())
        assert pythons == sorted(re.findall(r"python(3\.\d+)", searched)), file


def test_the_newest_entry_of_the_changelog_is_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    versions = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d{2}-\d{2})$", text, re.MULTILINE)
    assert versions[0][0] == ikdemo.__version__
    numbers = [tuple(map(int, version.split("."))) for version, _ in versions]
    assert numbers == sorted(numbers, reverse=True)
    kinds = set(re.findall(r"^### (.*)$", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
