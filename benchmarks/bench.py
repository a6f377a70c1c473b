"""Runs a table of rows, prints it and keeps it: the directory, the dice and the programs of a run,
and how rounds alternate between ours, the floor and InfraKit's.

``--quick`` cuts sizes and rounds down: it tries a benchmark and measures nothing.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from . import results
from .plugins import ours, plugins
from .results import Figure, Measured, Row
from .trio import GROUP, Trio

SEED = 101
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


class Pair(NamedTuple):
    """Our trio, and InfraKit's where its programs were named."""

    ours: Trio
    infrakit: Trio | None


class Bench:
    """The directory, the dice and the programs of one run; ``given``: what the command was told."""

    def __init__(self, root: Path, given: argparse.Namespace, infrakit: Path | None) -> None:
        self.root, self.given, self.infrakit = root, given, infrakit
        self.dice, self.quick = random.Random(given.seed), bool(given.quick)
        self.poll = QUICK_POLL if self.quick else POLL
        self._numbers = itertools.count()

    def rounds(self, rounds: int) -> int:
        """Return how often something is measured."""
        return min(rounds, QUICK_ROUNDS) if self.quick else rounds

    def size(self, size: int) -> int:
        """Return how many instances stand for so many."""
        return min(size, QUICK_SIZE) if self.quick else size

    def folder(self) -> Path:
        """Return a new, empty directory."""
        made = self.root / str(next(self._numbers))
        made.mkdir(mode=0o700)
        return made

    def programs(self, command: Callable[..., list[str]] = ours) -> dict[str, list[str]]:
        """Return the commands of three plugins."""
        return {
            "instance-file": command("infrakit-instance-file", "--dir", "{root}/i"),
            "flavor-vanilla": command("infrakit-flavor-vanilla"),
            "group": command("infrakit-group-default", "--poll-interval", f"{self.poll:g}s"),
        }

    def theirs(self, program: str, *words: str) -> list[str]:
        """Return the command of one of InfraKit's programs, which know nothing but v0.1.0."""
        if self.infrakit is None:
            raise SystemExit("INFRAKIT_BIN names no folder")
        return [str(self.infrakit / program), *words]

    def version(self) -> str | None:
        """Return what InfraKit's command line calls its version; None without its programs."""
        if self.infrakit is None:
            return None
        command = self.theirs("infrakit", "version")
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        lines = [line.partition(":") for line in told.splitlines() if line.startswith("Version")]
        return lines[0][2].strip() if lines else "of no known version"

    @contextmanager
    def trio(
        self, programs: Mapping[str, Sequence[str]] | None = None, poll: float = 0.0
    ) -> Iterator[Trio]:
        """Run three plugins, ours unless others are given."""
        root = self.folder()
        with plugins(root, programs or self.programs()) as processes:
            made = Trio(root, processes, self.dice, poll)
            try:
                yield made
            finally:
                made.close()
        shutil.rmtree(root)  # ten thousand files on tmpfs are memory

    @contextmanager
    def pair(self, size: int = 0) -> Iterator[Pair]:
        """Run our three plugins, and InfraKit's beside them, frozen until it is their turn; each
        keeps a group of ``size``.
        """
        with ExitStack() as stack:
            mine, others = stack.enter_context(self.trio()), None
            if self.infrakit is not None:
                others = stack.enter_context(self.trio(self.programs(self.theirs), self.poll))
            for one in (mine, others):
                if one is not None and size:
                    one.converge({GROUP: size})
                    one.rest()
            if others is not None:
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
            is_due = turn % every == 0 and len(found.infrakit) < infrakit_rounds
            if pair.infrakit is not None and is_due:
                with pair.infrakit.thawed():
                    found.infrakit.append(work(pair.infrakit))
        return found


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
def directory_in_memory() -> Iterator[Path]:
    """Give a directory on tmpfs where there is one: a disk's file system would be measured
    otherwise.
    """
    memory = Path("/dev/shm")
    root = tempfile.mkdtemp(prefix="ikb-", dir=memory if os.access(memory, os.W_OK) else None)
    try:
        yield Path(root)
    finally:
        shutil.rmtree(root)


def arguments(description: str) -> argparse.ArgumentParser:
    """Return a parser with what every benchmark understands."""
    parser = argparse.ArgumentParser(description=description)
    add = parser.add_argument
    add("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    add("--seed", type=int, default=SEED, help=f"which instances are killed (default {SEED})")
    quick = "ten instances, two rounds: tries the benchmark, measures nothing"
    add("--quick", action="store_true", help=quick)
    add("--markdown", action="store_true", help="print the table in Markdown")
    return parser


def main(
    kind: str,
    rows: Sequence[Row],
    parser: argparse.ArgumentParser,
    show: Callable[[Sequence[Figure]], str] = results.text,
    *,
    infrakit: Path | None = None,
) -> None:
    """Measure the rows, print them, and keep the figures where asked to."""
    names = [row.name for row in rows]
    parser.add_argument(
        "--only", nargs="+", metavar="ROW", choices=names, help="measure these rows only"
    )
    given = parser.parse_args()
    facts = {"kind": kind, **results.about(given.seed), "quick": given.quick}
    figures = []
    with directory_in_memory() as root:
        run = Bench(root, given, infrakit)
        facts["infrakit"] = run.version()
        for row in rows:
            if row.name in (given.only or names):
                print(f"{row.what} ...", file=sys.stderr, flush=True)
                size = run.size(row.size)
                figures.append(results.kept(row, size, row.measure(run, size)))
    if given.markdown or given.only:
        show = results.markdown if given.markdown else results.text
    print(results.heading(facts), show(figures), sep="\n\n")
    if given.json is not None:
        given.json.write_text(json.dumps({**facts, "figures": figures}, indent=1) + "\n")
