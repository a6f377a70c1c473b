"""Plugin programs for a measurement: started as processes in a directory of their own, what they
hold and use, and ended afterwards.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

from msgspec import Raw

import ikdemo
from ikdemo.rpc.proxies import GroupClient
from ikdemo.spi.documents import GroupSpec
from ikdemo.spi.errors import IkdemoError

PATIENCE = 60.0
"""Seconds after which a wait has failed."""

Processes = Mapping[str, "subprocess.Popen[bytes]"]


def ours(*words: str) -> list[str]:
    """Return the command of one of our programs, which ends with the benchmark, however that
    ends.
    """
    return through("ikdemo", *words)


def through(*words: str) -> list[str]:
    """Return the command of one of our programs run by a Python module, the first word."""
    return [sys.executable, "-m", *words, "--exit-with-stdin"]


def is_ours(command: Sequence[str]) -> bool:
    """Say whether a command is one of ours."""
    return command[0] == sys.executable


def environment(directory: Path) -> dict[str, str]:
    """Return the environment of a program whose sockets are in a directory; compiled modules are
    kept, as they usually are.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "INFRAKIT_PLUGINS_DIR": str(directory)}


@contextmanager
def plugins(root: Path, programs: Mapping[str, Sequence[str]]) -> Iterator[Processes]:
    """Run plugin programs by the names they get, with their sockets in ``root/p`` and instances in
    ``root/i``; afterwards none is left.

    ``{root}`` in an argument stands for the directory.
    """
    for folder in ("p", "i"):
        (root / folder).mkdir(mode=0o700)
    started = {}
    with (root / "log").open("wb") as log:
        try:
            for name, command in programs.items():
                started[name] = subprocess.Popen(
                    [*(word.format(root=root) for word in command), "--name", name],
                    env=environment(root / "p"),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                )
            try:
                asyncio.run(until_all_answer(root / "p", programs))
            except TimeoutError:
                why = (root / "log").read_text()
                raise SystemExit(f"the plugins did not start: {why}") from None
            yield started
        finally:
            stop(started.values())


async def connect_group(root: Path) -> GroupClient:
    """Connect to the group plugin that has its socket in ``root/p``."""
    return cast(GroupClient, await ikdemo.connect("group", directory=root / "p"))


def group_spec(group: str, properties: Mapping[str, Any]) -> GroupSpec:
    """Return the spec of a group as a client sends it."""
    return GroupSpec(group, Raw(json.dumps(properties).encode()))


def stop(processes: Iterable[subprocess.Popen[bytes]]) -> None:
    """Ask programs to end, wake those that are frozen, and kill what does not end."""
    running = list(processes)
    for process in running:
        process.terminate()
        process.send_signal(signal.SIGCONT)
    for process in running:
        try:
            process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


async def until_all_answer(directory: Path, names: Iterable[str]) -> None:
    """Wait until each plugin has answered the handshake; raises TimeoutError."""
    async with asyncio.timeout(PATIENCE):
        for name in names:
            while True:
                try:
                    (await ikdemo.connect(name, directory=directory)).close()
                    break
                except IkdemoError:
                    await asyncio.sleep(0.001)


def busy(pid: int) -> float:
    """Return the seconds for which the threads of a process have run, to the nanosecond."""
    nanoseconds = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError):  # a thread that ended meanwhile
            nanoseconds += int((task / "schedstat").read_text().split()[0])
    return nanoseconds / 1e9


def used(pid: int) -> float:
    """Return the seconds of processor time that a process has used, its ended threads included, to
    a hundredth.
    """
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def status(pid: int) -> dict[str, str]:
    """Return what the kernel says of a process, by its names."""
    return dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())


def memory(pid: int) -> tuple[float, float]:
    """Return what a process holds and the most that it held, resident, in millions of bytes."""
    told = status(pid)
    now, most = (int(told[name].split()[0]) * 1024 / 1e6 for name in ("VmRSS", "VmHWM"))
    return now, most
