"""Measures the same where the manager polls a leader file, as InfraKit's does every 5 s by default:
two managers ``os``; the leading one is killed, and at that moment the file names the other one.

By construction the next manager looks at a random moment of its poll, after 2.5 s in the mean and
5 s at most, and only because the file was written: by itself no manager leads. The row of
InfraKit's own manager is measured only where INFRAKIT_BIN names a folder that has it; its group
plugin is ours then, too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from .bench import Bench
from .managed_machine import BEHIND, SHARED, SIZE, Machine, commit
from .plugins import PATIENCE, ours, plugins
from .results import Measured, Row
from .trio import Arrivals

POLL = 5.0
"""Seconds between two looks at the leader file: InfraKit's default, and ours."""
ROUNDS = 10
PROGRAM = "infrakit-manager"


class PolledElection:
    """Two machines and the leader file. ``program``: the manager, if it is not ours."""

    def __init__(self, root: Path, program: Path | None) -> None:
        self._file, store, self._instances = root / "leader", root / "store", root / "i"
        store.mkdir()
        (store / "global.config").write_text("{}")  # without it InfraKit's stores nothing
        self._arrivals = Arrivals(self._instances, created=False)
        self._leads, self._other = "m-1", "m-2"
        self._file.write_text(self._leads)
        self._machines = {}
        for name in (self._leads, self._other):
            flags = ["--name", name, "--proxy-for-group", BEHIND, "os", "--leader-file"]
            words = [*flags, str(self._file), "--store-dir", str(store), "--poll-interval", "5s"]
            command = ours(PROGRAM, *words) if program is None else [str(program), *words]
            self._machines[name] = Machine(root, root / "p", name, command)

    def begin(self) -> None:
        """Commit the group, and wait for its files."""
        until = time.monotonic() + PATIENCE
        while not asyncio.run(commit(self._machines[self._leads])):
            if time.monotonic() > until:
                raise SystemExit(f"{self._leads} does not lead")
            time.sleep(0.1)
        self._arrivals.wait_for(SIZE, PATIENCE)

    def lose(self, rest: float) -> float:
        """Kill the leader after a rest, and name the other one; return the seconds until that has
        acted.
        """
        time.sleep(rest)
        began = time.perf_counter()
        self._machines[self._leads].kill()
        next(self._instances.glob("instance-*")).unlink()
        self._file.write_text(self._other)
        at, _ = self._arrivals.wait_for(1, PATIENCE)
        self._machines[self._leads].start()
        self._leads, self._other = self._other, self._leads
        return at - began

    def close(self) -> None:
        for machine in self._machines.values():
            machine.close()
        self._arrivals.close()


@contextmanager
def polled(bench: Bench, program: Path | None) -> Iterator[PolledElection]:
    """Run two managers, one of which leads and keeps a group."""
    root = bench.folder()
    with ExitStack() as stack:
        stack.enter_context(plugins(root, SHARED))
        made = PolledElection(root, program)
        stack.callback(made.close)
        made.begin()
        yield made


def measure(bench: Bench, _: int) -> Measured:
    """Kill leaders, each at a random moment between two polls."""
    found = Measured()
    theirs = bench.infrakit / PROGRAM if bench.infrakit is not None else None
    programs: list[tuple[list[float], Path | None]] = [(found.ours, None)]
    if theirs is not None and theirs.exists():
        programs.append((found.infrakit, theirs))
    for taken, program in programs:
        with polled(bench, program) as running:
            for _ in range(bench.rounds(ROUNDS)):
                taken.append(running.lose(bench.dice.uniform(0.5, 0.5 + POLL)))
    return found


ROW = Row(
    "poll-5",
    "leader killed and another one named, poll 5 s, to the next one's first act",
    "s",
    SIZE,
    {"median": POLL + 0.5},
    "",
    measure,
)
