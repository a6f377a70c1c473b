"""One run of the benchmark: its directory, dice and programs, and how rounds alternate: ours, the
floor, InfraKit's.

Decides how sizes and rounds are cut down by ``--quick``. Made by ``__main__`` and ``scale``; handed
to every row.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from .plugins import ours, theirs
from .trio import GROUP, Trio, trio

POLL = 10.0
"""Seconds between two looks of a group plugin, InfraKit's and ours: the default of both."""
PROGRAMS = (
    "infrakit",
    "infrakit-group-default",
    "infrakit-instance-file",
    "infrakit-flavor-vanilla",
)
"""What is asked of a folder of InfraKit's programs."""
QUICK_POLL, QUICK_SIZE, QUICK_ROUNDS = 1.0, 10, 2


@dataclass
class Measured:
    """What one row found: figures of ours, of the floor and of InfraKit's programs, each taken
    several times, in the row's unit.

    ``parts``: what belongs to our figure and is shown below the table, in the same unit unless the
    name says otherwise.
    """

    ours: list[float] = field(default_factory=list)
    floor: list[float] = field(default_factory=list)
    infrakit: list[float] = field(default_factory=list)
    parts: dict[str, float] = field(default_factory=dict)

    def scaled(self, factor: float) -> Measured:
        """Return the same in another unit."""
        ours, floor, infrakit = (
            [factor * one for one in figures] for figures in (self.ours, self.floor, self.infrakit)
        )
        return Measured(
            ours, floor, infrakit, {name: factor * value for name, value in self.parts.items()}
        )


@dataclass
class Pair:
    """Our trio, and InfraKit's where its programs were named."""

    ours: Trio
    infrakit: Trio | None


class Bench:
    """The directory, the dice and the programs of one run."""

    def __init__(self, root: Path, seed: int, infrakit: Path | None, *, quick: bool) -> None:
        self.root, self.dice, self.infrakit, self.quick = root, random.Random(seed), infrakit, quick
        self._numbers = itertools.count()

    @property
    def poll(self) -> float:
        return QUICK_POLL if self.quick else POLL

    def size(self, size: int) -> int:
        """Return how many instances stand for so many."""
        return min(size, QUICK_SIZE) if self.quick else size

    def rounds(self, rounds: int) -> int:
        """Return how often something is measured."""
        return min(rounds, QUICK_ROUNDS) if self.quick else rounds

    def folder(self) -> Path:
        """Return the path of a directory that does not exist yet."""
        return self.root / str(next(self._numbers))

    def place(self) -> Path:
        """Return a new, empty directory."""
        made = self.folder()
        made.mkdir(mode=0o700)
        return made

    def programs(self, command: Callable[..., list[str]] = ours) -> dict[str, list[str]]:
        """Return the commands of three plugins."""
        return {
            "instance-file": command("infrakit-instance-file", "--dir", "{root}/i"),
            "flavor-vanilla": command("infrakit-flavor-vanilla"),
            "group": command("infrakit-group-default", "--poll-interval", f"{self.poll:g}s"),
        }

    def theirs(self, *words: str) -> list[str]:
        """Return the command of one of InfraKit's programs."""
        if self.infrakit is None:
            raise SystemExit("INFRAKIT_BIN names no folder")
        return theirs(self.infrakit, *words)

    def version(self) -> str | None:
        """Return what InfraKit's command line calls its version; None where no programs were
        named.
        """
        if self.infrakit is None:
            return None
        told = subprocess.run(
            self.theirs("infrakit", "version"), capture_output=True, text=True, check=True
        ).stdout
        lines = (
            line.partition(":")[2].strip()
            for line in told.splitlines()
            if line.startswith("Version")
        )
        return next(lines, "of no known version")

    @contextmanager
    def trio(
        self, programs: Mapping[str, Sequence[str]] | None = None, poll: float = 0.0
    ) -> Iterator[Trio]:
        """Run three plugins, ours unless others are given."""
        with trio(self.folder(), programs or self.programs(), self.dice, poll) as made:
            yield made

    @contextmanager
    def pair(self, size: int = 0) -> Iterator[Pair]:
        """Run our three plugins, and InfraKit's beside them, frozen until it is their turn; each
        keeps a group of ``size``.
        """
        with ExitStack() as stack:
            mine = _grown(stack.enter_context(self.trio()), size)
            if self.infrakit is None:
                yield Pair(mine, None)
                return
            others = _grown(
                stack.enter_context(self.trio(self.programs(self.theirs), self.poll)), size
            )
            others.freeze()
            yield Pair(mine, others)

    def alternate(
        self,
        pair: Pair,
        work: Callable[[Trio], float],
        floor: Callable[[], float],
        rounds: int,
        infrakit_rounds: int,
    ) -> Measured:
        """Measure in turns: ours and the floor in every round, InfraKit's in as many as are told,
        spread over the rounds.
        """
        found, rounds = Measured(), self.rounds(rounds)
        every = max(1, rounds // self.rounds(infrakit_rounds))
        for turn in range(rounds):
            found.ours.append(work(pair.ours))
            found.floor.append(floor())
            if (
                pair.infrakit is not None
                and turn % every == 0
                and len(found.infrakit) < infrakit_rounds
            ):
                found.infrakit.append(thawed(pair.infrakit, work))
        return found


def _grown(trio: Trio, size: int) -> Trio:
    if size:
        trio.converge({GROUP: size})
        trio.rest()
    return trio


def thawed(frozen: Trio, work: Callable[[Trio], float]) -> float:
    """Let plugins go on for as long as something is measured."""
    frozen.thaw()
    try:
        return work(frozen)
    finally:
        frozen.freeze()


def infrakit_programs() -> Path | None:
    """Return the folder of InfraKit's programs that the environment names, having seen that all are
    there.
    """
    named = os.environ.get("INFRAKIT_BIN")
    if not named:
        return None
    folder = Path(named).absolute()
    if missing := [program for program in PROGRAMS if not os.access(folder / program, os.X_OK)]:
        raise SystemExit(f"INFRAKIT_BIN: {folder} has no {' and no '.join(missing)}")
    return folder


@contextmanager
def bench(seed: int, infrakit: Path | None = None, *, quick: bool) -> Iterator[Bench]:
    """Give a run in a directory on tmpfs where there is one (a disk's file system would be measured
    otherwise).
    """
    memory = Path("/dev/shm")
    root = Path(tempfile.mkdtemp(prefix="ikb-", dir=memory if os.access(memory, os.W_OK) else None))
    try:
        yield Bench(root, seed, infrakit, quick=quick)
    finally:
        shutil.rmtree(root)
