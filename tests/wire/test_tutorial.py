"""InfraKit's tutorial by script: every step says and does the same, whoever's programs take part.

With INFRAKIT_BIN, a folder with InfraKit's own programs, every mix of theirs and ours is run;
without it, ours.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import pytest
from desk import Desk
from recorder import ask

THEIRS = os.environ.get("INFRAKIT_BIN", "")
ROLES = {
    "infrakit": "command line",
    "infrakit-group-default": "group",
    "infrakit-instance-file": "instance",
    "infrakit-flavor-vanilla": "flavor",
}
MIXES = (
    [mix for number in range(5) for mix in itertools.combinations(ROLES, number)]
    if THEIRS
    else [()]
)
ROLL = (
    "Performing a rolling update on 5 instances, then adding 5 instances to increase the "
    "group size to 10"
)


class MixedDesk(Desk):
    """A desk on which some programs are those of another folder."""

    def __init__(self, root: Path, folder: str, theirs: Collection[str]) -> None:
        super().__init__(root)
        self.folder, self.theirs = folder, theirs
        self.plugins.mkdir(mode=0o700)  # theirs do not make folders
        self.instances.mkdir()

    def program(self, name: str) -> list[str]:
        return [str(Path(self.folder) / name)] if name in self.theirs else super().program(name)

    def says(self, line: str) -> str:
        """Run a command that succeeds and return what it printed."""
        done = self.run(line)
        assert (done.returncode, done.stderr) == (0, ""), f"{line}: {done.stdout}{done.stderr}"
        return done.stdout

    def notes(self) -> dict[str, str]:
        """Return the note of every instance by its ID; theirs are written piece by piece, so there
        may be half a file.
        """
        found = {}
        for path in self.instances.glob("instance-*"):
            with contextlib.suppress(ValueError, FileNotFoundError):
                text = json.loads(path.read_text())
                found[text["ID"]] = text["Spec"]["Properties"]["Note"]
        return found

    def eventually(self, true: Callable[[dict[str, str]], bool]) -> dict[str, str]:
        """Wait until the instances are so, the group says converged, and both are still true some
        polls later.
        """
        deadline, since = time.monotonic() + 100, 0.0
        while time.monotonic() < deadline:
            if not (true(self.notes()) and self.converged()):
                since = 0.0
            elif not since:
                since = time.monotonic()
            elif time.monotonic() - since > 0.5:
                return self.notes()
            time.sleep(0.02)
        raise AssertionError((self.notes(), self.log("group")))

    def converged(self) -> bool:
        description: dict[str, Any] = ask(
            self.plugins / "group", "Group.DescribeGroup", ID="cattle"
        )["result"]["Description"]
        return bool(description["Converged"])


@pytest.fixture
def mixed(short_dir: Path) -> Iterator[Callable[..., MixedDesk]]:
    """Start the plugins of a mix."""
    desks = []

    def start(folder: str, theirs: Collection[str]) -> MixedDesk:
        desks.append(desk := MixedDesk(short_dir, folder, theirs))
        desk.start("infrakit-instance-file", "instance-file", "--dir", str(desk.instances))
        desk.start("infrakit-flavor-vanilla", "flavor-vanilla")
        desk.start("infrakit-group-default", "group", "--poll-interval", "100ms")
        return desk

    yield start
    for desk in desks:
        desk.close()


def tutorial(desk: MixedDesk) -> None:
    """Go through it, and compare what is printed and what is there at every step."""
    put_spec(desk, "five.json", 5, "v1")
    put_spec(desk, "ten.json", 10, "v2")
    assert sorted(
        line.split("\t")[0].strip() for line in desk.says("infrakit plugin ls -q").splitlines()
    ) == [
        "flavor-vanilla",
        "group",
        "instance-file",
    ]
    assert (
        desk.says("infrakit group commit five.json") == "Committed cattle: Managing 5 instances\n"
    )
    five = desk.eventually(lambda notes: len(notes) == 5)
    assert desk.says("infrakit group ls -q") == "cattle\n"
    assert json.loads(desk.says("infrakit group inspect cattle"))["Properties"]["Allocation"] == {
        "Size": 5,
        "LogicalIDs": None,
    }

    assert desk.says("infrakit group free cattle") == "Freed cattle\n"
    assert desk.says("infrakit group ls -q") == ""
    assert (
        desk.says("infrakit group commit five.json") == "Committed cattle: Managing 5 instances\n"
    )
    assert desk.eventually(lambda notes: True) == five

    assert (
        desk.says("infrakit group commit ten.json --pretend")
        == f"Committing cattle would involve: {ROLL}\n"
    )
    assert desk.eventually(lambda notes: True) == five
    assert desk.says("infrakit group commit ten.json") == f"Committed cattle: {ROLL}\n"
    ten = desk.eventually(lambda notes: list(notes.values()) == ["v2"] * 10)
    assert not set(five) & set(ten)
    rows = desk.says("infrakit group describe cattle -q").splitlines()
    assert sorted(row.split("\t")[0].strip() for row in rows) == sorted(ten)

    by_hand, by_command = sorted(ten)[:2], sorted(ten)[2]
    for name in by_hand:
        (desk.instances / name).unlink()
    assert (
        desk.says(f"infrakit instance --name instance-file destroy {by_command}")
        == f"destroyed {by_command}\n"
    )
    healed = desk.eventually(
        lambda notes: len(notes) == 10 and not {*by_hand, by_command} & set(notes)
    )
    assert len(set(ten) & set(healed)) == 7

    assert desk.says("infrakit group destroy cattle") == "destroy cattle initiated\n"
    assert desk.notes() == {}
    done = desk.run("infrakit group describe cattle")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Group 'cattle' is not being watched" in done.stderr


def put_spec(desk: Desk, file: str, size: int, note: str) -> None:
    flavor = {
        "Plugin": "flavor-vanilla",
        "Properties": {"Init": ["docker pull nginx:alpine"], "Tags": {"tier": "web"}},
    }
    instance = {"Plugin": "instance-file", "Properties": {"Note": note}}
    spec = {
        "ID": "cattle",
        "Properties": {"Allocation": {"Size": size}, "Instance": instance, "Flavor": flavor},
    }
    (desk.cwd / file).write_text(json.dumps(spec, indent=2))


@pytest.mark.parametrize(
    "theirs", MIXES, ids=lambda mix: " ".join(f"their {ROLES[name]}" for name in mix) or "all ours"
)
def test_the_tutorial(mixed: Callable[..., MixedDesk], theirs: tuple[str, ...]) -> None:
    tutorial(mixed(THEIRS, theirs))


def test_other_executables_do_take_part(mixed: Callable[..., MixedDesk], short_dir: Path) -> None:
    """The same with each program behind an executable of another folder, which notes that it was
    run.
    """
    folder = short_dir / "bin"
    folder.mkdir()
    for name in ROLES:
        start = [
            sys.executable,
            "-c",
            "import sys; from ikdemo.cli.main import infrakit; sys.exit(infrakit())",
        ]
        start = start if name == "infrakit" else [sys.executable, "-m", "ikdemo", name]
        words = " ".join(f"'{word}'" for word in start)
        (folder / name).write_text(f'#!/bin/sh\necho {name} >> {folder}/run\nexec {words} "$@"\n')
        (folder / name).chmod(0o755)
    tutorial(mixed(str(folder), ROLES))
    assert set((folder / "run").read_text().split()) == set(ROLES)
