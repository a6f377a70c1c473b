"""Measures what somebody waits for who asks: a description over the wire, a command, three plugins
that start.

Called by ``rows``.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import ikdemo
from ikdemo.spi.documents import GROUP_TAG, Description
from ikdemo.spi.errors import IkdemoError

from .bench import Bench, Measured
from .floors import pass_on, start_interpreters
from .plugins import PATIENCE, environment, stop
from .trio import GROUP, Trio

PLUGINS = ("instance-file", "flavor-vanilla", "group")
START = [[sys.executable, "-m", "ikdemo", "up"]]
"""How our three plugins are started: by one launcher, which forks them. InfraKit's are started by a
command each.
"""
STEP = 0.001
"""Seconds between two looks whether a plugin has come."""


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
        return bench.alternate(
            pair, lambda trio: trio.run(ask(trio)), lambda: pass_on(documents), rounds, rounds
        ).scaled(1000)


def describe_by_command(bench: Bench, size: int, rounds: int) -> Measured:
    """Run ``infrakit group describe``, from before the process is there until it has ended."""

    def ask(trio: Trio) -> float:
        program = (
            str(Path(sys.executable).with_name("infrakit"))
            if trio is pair.ours
            else bench.theirs("infrakit")[0]
        )
        began = time.perf_counter()
        done = subprocess.run(
            [program, "group", "describe", GROUP],
            env=environment(trio.plugins),
            capture_output=True,
        )
        taken = time.perf_counter() - began
        if len(done.stdout.splitlines()) != size + 1:
            raise SystemExit(f"{size} instances were not described: {done.stderr.decode()}")
        return taken

    with bench.pair(size) as pair:
        return bench.alternate(pair, ask, partial(start_interpreters, 1), rounds, rounds).scaled(
            1000
        )


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
    return found.scaled(1000)


def _start(bench: Bench, commands: Sequence[Sequence[str]]) -> float:
    root = bench.place()
    for name in ("p", "i"):
        (root / name).mkdir(mode=0o700)
    began = time.perf_counter()
    started = [
        subprocess.Popen(
            [word.format(root=root) for word in command],
            env=environment(root / "p"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for command in commands
    ]
    try:
        asyncio.run(_until_all_answer(root / "p"))
        return time.perf_counter() - began
    finally:
        stop(started)


async def _until_all_answer(directory: Path) -> None:
    until = time.monotonic() + PATIENCE
    for name in PLUGINS:
        while True:
            try:
                (await ikdemo.connect(name, directory=directory)).close()
                break
            except IkdemoError:
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(STEP)
