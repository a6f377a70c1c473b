"""Measures for how long the event loops of the plugins are away: while groups converge, while a
tenth is healed, and at rest.

Each plugin runs under ``variants heartbeat``; a bare event loop beside them says what the machine
itself adds.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from .bench import Bench
from .plugins import Processes, through
from .results import Measured
from .trio import Trio

HEARTBEAT = ("benchmarks.variants", "heartbeat")


def converging(bench: Bench, size: int, groups: int, rounds: int) -> Measured:
    """Return the longest turns while all groups converge."""
    with _listened(bench) as (trio, asked):

        def work() -> None:
            _converge(bench, trio, size, groups)

        return _rounds(bench.rounds(rounds), asked, work, trio.destroy)


def healing(bench: Bench, size: int, groups: int, rounds: int) -> Measured:
    """Return the longest turns while every tenth instance is healed."""
    with _listened(bench) as (trio, asked):
        total = _converge(bench, trio, size, groups)

        def work() -> None:
            trio.lose(max(1, total // 10))
            trio.rest()

        # a resume makes the group look at all that there is, which is not what is measured
        return _rounds(bench.rounds(rounds), asked, work, before=trio.resume)


def resting(bench: Bench, size: int, groups: int, rounds: int) -> Measured:
    """Return the longest turns while nothing happens but a poll."""
    with _listened(bench) as (trio, asked):
        _converge(bench, trio, size, groups)
        return _rounds(bench.rounds(rounds), asked, partial(time.sleep, 1.1 * bench.poll))


def _converge(bench: Bench, trio: Trio, size: int, groups: int) -> int:
    wanted = {f"group-{number}": size for number in range(bench.size(groups))}
    trio.converge(wanted)
    trio.rest()
    return sum(wanted.values())


@contextmanager
def _listened(bench: Bench) -> Iterator[tuple[Trio, Processes]]:
    """Run three plugins and a bare loop whose heartbeat can be asked for."""
    command, pipe = [sys.executable, "-m", *HEARTBEAT, "bare"], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as bare:
        _hear(bare)
        with bench.trio(bench.programs(partial(through, *HEARTBEAT))) as trio:
            trio.rest()
            yield trio, {**trio.processes, "bare": bare}


def _rounds(
    rounds: int,
    asked: Processes,
    work: Callable[[], None],
    afterwards: Callable[[], object] = int,
    before: Callable[[], object] = int,
) -> Measured:
    """Do something several times, and collect the longest turn of each round."""
    found = Measured()
    for _ in range(rounds):
        before()
        for process in asked.values():
            _ask(process)
        work()
        told = {name: _ask(process) for name, process in asked.items()}
        found.ours.append(told["group"]["longest"])
        found.floor.append(told.pop("bare")["longest"])
        for name in ("group", "instance-file", "flavor-vanilla"):
            for part, turn in ((name, "longest"), (f"{name}, of which at work", "work")):
                found.parts[part] = max(told[name][turn], found.parts.get(part, 0.0))
        afterwards()
    return found


def _ask(process: subprocess.Popen[bytes]) -> dict[str, float]:
    """Return the longest turn of a process since it was last asked, in seconds."""
    process.send_signal(signal.SIGUSR1)
    return _hear(process)


def _hear(process: subprocess.Popen[bytes]) -> dict[str, float]:
    if process.stdout is None:
        raise SystemExit("a heartbeat cannot be heard")
    told: dict[str, float] = json.loads(process.stdout.readline())
    return told
