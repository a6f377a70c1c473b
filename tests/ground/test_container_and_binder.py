"""The container and Binder: checked as far as this goes without an engine."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines()


def instructions(word: str) -> list[str]:
    return [line.partition(" ")[2].strip() for line in DOCKERFILE if line.startswith(word + " ")]


def test_the_image_is_served_by_nobody_special_under_an_init() -> None:
    assert not any(re.match(r"#\s*syntax=", line) for line in DOCKERFILE)
    assert instructions("ARG") == ["BASE=python:3.12-slim"]
    assert instructions("USER") == ["learner"]
    assert "--uid 1000" in " ".join(instructions("RUN"))
    assert instructions("ENTRYPOINT") == ['["tini", "-g", "--"]']
    assert instructions("EXPOSE") == ["8888"]


def test_what_the_image_copies_is_here_and_reaches_the_builder() -> None:
    let_in = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for copied in instructions("COPY"):
        for source in [word for word in shlex.split(copied)[:-1] if not word.startswith("--")]:
            assert (ROOT / source).exists(), source
            assert any(fnmatch(source, pattern) for pattern in let_in), f"{source} is kept from the builder by .dockerignore"


@pytest.mark.parametrize("name", ["binder/postBuild", "binder/start", ".ci/run"])
def test_scripts_can_be_run(name: str) -> None:
    path = ROOT / name
    assert os.access(path, os.X_OK)
    assert path.read_text().startswith("#!/usr/bin/env bash\n")
    subprocess.run(["bash", "-n", path], check=True)


def test_binder_starts_what_it_is_asked_to_start() -> None:
    done = subprocess.run([ROOT / "binder/start", "echo", "two words", "x"], capture_output=True, text=True, check=True)
    assert done.stdout == "two words x\n"


def test_binder_has_the_python_of_the_container() -> None:
    assert (ROOT / "binder/runtime.txt").read_text() == "python-3.12\n"
    assert "--no-deps" in (ROOT / "binder/postBuild").read_text()
