"""What is measured of three plugins: converge, heal, roll, describe, start, and what they cost when
they have nothing to do; each in turns with its floor.
"""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ikdemo.spi.documents import GROUP_TAG, Description

from .bench import Bench
from .floors import bare_interpreter, pass_on, start_interpreters, write_files
from .plugins import environment, memory, stop, through, until_all_answer, used
from .results import Measured
from .trio import GROUP, Trio

HOUR = 3600.0
"""Seconds that a rolling update may take: InfraKit's needs more than a poll for each instance."""
PLUGINS = ("instance-file", "flavor-vanilla", "group")
START = [[sys.executable, "-m", "ikdemo", "up"]]
"""How our three plugins are started: by one launcher, which forks them. InfraKit's are started by a
command each.
"""
MINUTE, QUICK_MINUTE = 60.0, 0.5


def converge(bench: Bench, size: int, rounds: int, infrakit_rounds: int) -> Measured:
    """Converge a new group to a size, from the commit to the last file."""
    folder, sample = bench.folder(), b""

    def work(trio: Trio) -> float:
        nonlocal sample
        taken = _converge_once(trio, size)
        sample = trio.content
        return taken

    with bench.pair() as pair:
        floor = lambda: write_files(sample, size, folder)  # noqa: E731
        return bench.alternate(pair, work, floor, rounds, infrakit_rounds)


def _converge_once(trio: Trio, size: int) -> float:
    trio.rest()
    taken = trio.converge({GROUP: size})
    trio.destroy()
    return taken


def heal(bench: Bench, size: int, share: float, rounds: int, infrakit_rounds: int) -> Measured:
    """Delete a share of a group at rest, but at least one, from the first deletion to the last
    replacement.
    """
    count = max(1, int(share * size))
    with bench.pair(size) as pair:
        floor = partial(write_files, pair.ours.content, count, bench.folder())
        return bench.alternate(pair, lambda trio: trio.heal(count), floor, rounds, infrakit_rounds)


def roll(bench: Bench, size: int, rounds: int) -> Measured:
    """Commit another configuration, from the commit to the last replacement; InfraKit's rolls once,
    one at a time.
    """
    versions = itertools.count()

    def work(trio: Trio) -> float:
        trio.rest()
        return trio.converge({GROUP: size}, f"version {next(versions)}", HOUR)

    with bench.pair(size) as pair:
        floor = partial(write_files, pair.ours.content, size, bench.folder())
        return bench.alternate(pair, work, floor, rounds, 1)


def plain(bench: Bench, size: int, rounds: int) -> Measured:
    """Converge with our group on plugins that offer no extension; the floor is the same with ours
    that offer all.

    InfraKit's column is our group on InfraKit's two plugins.
    """

    def mixed(command: Callable[..., list[str]]) -> dict[str, list[str]]:
        return {**bench.programs(command), "group": bench.programs()["group"]}

    found = Measured()
    without = mixed(partial(through, "benchmarks.variants", "plain"))
    with bench.trio() as usual, bench.trio(without) as bare:
        for _ in range(bench.rounds(rounds)):
            found.floor.append(_converge_once(usual, size))
            found.ours.append(_converge_once(bare, size))
    if bench.infrakit is not None:
        with bench.trio(mixed(bench.theirs)) as others:
            found.infrakit = [_converge_once(others, size) for _ in range(bench.rounds(rounds))]
    return found


def describe(bench: Bench, size: int, rounds: int) -> Measured:
    """Ask the instance plugin for all instances of a group, from the call to the decoded
    documents.
    """
    documents = list[Description]()

    async def ask(trio: Trio) -> float:
        nonlocal documents
        began = time.perf_counter()
        documents = await trio.files.describe_instances({GROUP_TAG: GROUP})
        taken = time.perf_counter() - began
        if len(documents) != size:
            raise SystemExit(f"{len(documents)} of {size} instances were described")
        return taken

    with bench.pair(size) as pair:
        floor = lambda: pass_on(documents)  # noqa: E731
        return bench.alternate(pair, lambda trio: trio.run(ask(trio)), floor, rounds, rounds)


def describe_by_command(bench: Bench, size: int, rounds: int) -> Measured:
    """Run ``infrakit group describe``, from before the process is there until it has ended."""

    def ask(trio: Trio) -> float:
        mine = [str(Path(sys.executable).with_name("infrakit"))]
        command = [*(mine if trio is pair.ours else bench.theirs("infrakit")), "group", "describe"]
        began = time.perf_counter()
        done = subprocess.run([*command, GROUP], env=environment(trio.plugins), capture_output=True)
        taken = time.perf_counter() - began
        if len(done.stdout.splitlines()) != size + 1:
            raise SystemExit(f"{size} instances were not described: {done.stderr.decode()}")
        return taken

    with bench.pair(size) as pair:
        return bench.alternate(pair, ask, partial(start_interpreters, 1), rounds, rounds)


def start(bench: Bench, _: int, rounds: int) -> Measured:
    """Start three plugins, until each has answered the handshake; the floor: as many interpreters
    as we start, with imports.
    """
    found = Measured()
    for _ in range(bench.rounds(rounds)):
        found.ours.append(_start(bench, START))
        found.floor.append(start_interpreters(len(START)))
        if bench.infrakit is not None:
            found.infrakit.append(_start(bench, list(bench.programs(bench.theirs).values())))
    return found


def _start(bench: Bench, commands: Sequence[Sequence[str]]) -> float:
    root, pipe = bench.folder(), subprocess.PIPE
    for name in ("p", "i"):
        (root / name).mkdir(mode=0o700)
    began = time.perf_counter()
    started = [
        subprocess.Popen(
            [word.format(root=root) for word in command],
            env=environment(root / "p"),
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
        )
        for command in commands
    ]
    try:
        asyncio.run(until_all_answer(root / "p", PLUGINS))
        return time.perf_counter() - began
    finally:
        stop(started)


def idle(bench: Bench, size: int, rounds: int) -> Measured:
    """Return the share of one core that three plugins use over a minute in which nothing happens,
    in percent.
    """
    found, minute = Measured(), QUICK_MINUTE if bench.quick else MINUTE
    with bench.pair(size) as pair, bare_interpreter() as bare:
        for _ in range(bench.rounds(rounds)):
            shares = _shares({**pair.ours.pids, "bare": bare}, minute)
            found.floor.append(shares.pop("bare"))
            found.ours.append(sum(shares.values()))
            _keep_most(found.parts, shares)
        if pair.infrakit is not None:
            with pair.infrakit.thawed():
                found.infrakit = [sum(_shares(pair.infrakit.pids, minute).values())]
    return found


def _shares(pids: dict[str, int], seconds: float) -> dict[str, float]:
    before = {name: used(pid) for name, pid in pids.items()}
    time.sleep(seconds)
    return {name: 100 * (used(pid) - before[name]) / seconds for name, pid in pids.items()}


def remembering(bench: Bench, size: int, rounds: int) -> Measured:
    """Return the memory of the largest plugin after it was converged, half healed, destroyed and
    converged again, in MB.
    """
    found = Measured()
    for turn in range(bench.rounds(rounds)):
        with bench.pair() as pair, bare_interpreter() as bare:
            held = _worked(pair.ours, size)
            found.ours.append(max(now for now, _ in held.values()))
            found.floor.append(memory(bare)[0])
            for name, figures in held.items():
                names = (f"{name} VmRSS", f"{name} VmHWM")
                _keep_most(found.parts, dict(zip(names, figures, strict=True)))
            if pair.infrakit is not None and turn == 0:
                with pair.infrakit.thawed():
                    held = _worked(pair.infrakit, size)
                found.infrakit = [max(now for now, _ in held.values())]
    return found


def _worked(trio: Trio, size: int) -> dict[str, tuple[float, float]]:
    trio.converge({GROUP: size})
    trio.heal(size // 2)
    trio.destroy()
    trio.converge({GROUP: size})
    trio.rest()
    return {name: memory(pid) for name, pid in trio.pids.items()}


def _keep_most(most: dict[str, float], now: dict[str, float]) -> None:
    for name, value in now.items():
        most[name] = max(value, most.get(name, 0.0))
