"""What the workshop page has people type: the wheelhouse, made and used as printed, but without the
large part of it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/workshop.md").read_text()


def commands(heading: str) -> list[list[str]]:
    """Return the blocks of commands below a heading, one list each."""
    section = re.split(r"^## ", PAGE.partition(f"\n## {heading}\n")[2], flags=re.MULTILINE)[0]
    return [
        [line.strip() for line in block.splitlines()]
        for block in re.findall(r"(?:^    .+\n)+", section, re.MULTILINE)
    ]


def type_all(lines: list[str], folder: Path) -> str:
    """Type commands into one shell, and end at the first that fails."""
    done = subprocess.run(
        ["bash", "-ec", "\n".join(lines)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.timeout(300)  # downloads the build tool and three small wheels, when nothing is cached
def test_a_wheelhouse_installs_where_there_is_no_index(tmp_path: Path) -> None:
    """As printed, but ``ikdemo`` for ``ikdemo[lab]``: what differs is a hundred wheels, not the
    way.
    """
    prepare, use = [
        [line.replace("[lab]", "") for line in block] for block in commands("A wheelhouse")
    ]
    clone, room = tmp_path / "clone", tmp_path / "room"
    clone.mkdir()
    room.mkdir()
    for name in ("ikdemo", "notebooks", "examples"):
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "constraints.txt"):
        shutil.copy(ROOT / name, clone)
    assert prepare.pop(0) == "make install"
    type_all(["python3 -m venv .venv", *prepare], clone)
    shutil.move(clone / "room.tar.gz", room)
    assert use.pop() == ".venv/bin/ikdemo lab"
    type_all(use, room)
    assert type_all([".venv/bin/ikdemo version"], room).startswith("ikdemo ")
    assert (room / "notebooks/00-welcome.ipynb").is_file()


def test_the_page_gives_every_notebook_its_time_in_their_order() -> None:
    rows = re.findall(r"^\| (\d\d) ([a-z -]+) \| \d+ \| \d+ \|", PAGE, re.MULTILINE)
    told = [f"{number}-{name.replace(' ', '-')}" for number, name in rows]
    assert told == sorted(set(told))
    assert {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")} <= set(told)
