"""Measures for how long the event loops of the plugins are away: while groups converge, while a
tenth is healed, and at rest.

Each plugin runs under ``heartbeat``; a bare event loop beside them says what the machine itself
adds. Called by ``rows``.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from .bench import Bench, Measured
from .plugins import through
from .trio import Trio

HEARTBEAT = "benchmarks.heartbeat"


def converging(bench: Bench, size: int, groups: int, rounds: int) -> Measured:
    """Return the longest turns while all groups converge."""
    wanted = _sizes(bench, size, groups)
    with _listened(bench) as (trio, asked):
        return _rounds(
            bench.rounds(rounds),
            asked,
            partial(_converge, trio, wanted),
            lambda: trio.destroy(list(wanted)),
        )


def healing(bench: Bench, size: int, groups: int, rounds: int) -> Measured:
    """Return the longest turns while every tenth instance is healed."""
    wanted = _sizes(bench, size, groups)
    with _listened(bench) as (trio, asked):
        _converge(trio, wanted)
        return _rounds(
            bench.rounds(rounds), asked, partial(_heal, trio, max(1, sum(wanted.values()) // 10))
        )


def resting(bench: Bench, size: int, groups: int, rounds: int) -> Measured:
    """Return the longest turns while nothing happens but a poll."""
    with _listened(bench) as (trio, asked):
        _converge(trio, _sizes(bench, size, groups))
        return _rounds(bench.rounds(rounds), asked, partial(time.sleep, 1.1 * bench.poll))


def _sizes(bench: Bench, size: int, groups: int) -> dict[str, int]:
    return {f"group-{number}": size for number in range(bench.size(groups))}


def _converge(trio: Trio, wanted: Mapping[str, int]) -> None:
    trio.converge(wanted)
    trio.rest()


def _heal(trio: Trio, count: int) -> None:
    trio.heal(count)
    trio.rest()


Processes = Mapping[str, subprocess.Popen[bytes]]


@contextmanager
def _listened(bench: Bench) -> Iterator[tuple[Trio, Processes]]:
    """Run three plugins and a bare loop whose heartbeat can be asked for."""
    bare = subprocess.Popen(
        [sys.executable, "-m", HEARTBEAT, "bare"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        _hear(bare)
        with bench.trio(bench.programs(partial(through, HEARTBEAT))) as trio:
            trio.rest()
            yield trio, {**trio.processes, "bare": bare}
    finally:
        bare.communicate()


def _rounds(
    rounds: int,
    asked: Processes,
    work: Callable[[], None],
    afterwards: Callable[[], None] | None = None,
) -> Measured:
    """Do something several times, and collect the longest turn of each round, in milliseconds."""
    found, heard = Measured(), dict[str, list[float]]()
    for _ in range(rounds):
        for process in asked.values():
            _ask(process)
        work()
        told = {name: _ask(process) for name, process in asked.items()}
        found.ours.append(told["group"]["longest"])
        found.floor.append(told["bare"]["longest"])
        for name in ("group", "instance-file", "flavor-vanilla"):
            heard.setdefault(f"{name}", []).append(told[name]["longest"])
            heard.setdefault(f"{name}, of which at work", []).append(told[name]["work"])
        if afterwards is not None:
            afterwards()
    found.parts = {name: max(values) for name, values in heard.items()}
    return found.scaled(1000)


def _ask(process: subprocess.Popen[bytes]) -> dict[str, float]:
    """Return the longest turn of a process since it was last asked, in seconds."""
    process.send_signal(signal.SIGUSR1)
    return _hear(process)


def _hear(process: subprocess.Popen[bytes]) -> dict[str, float]:
    if process.stdout is None:
        raise SystemExit("a heartbeat cannot be heard")
    told: dict[str, float] = json.loads(process.stdout.readline())
    return told
