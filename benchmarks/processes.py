"""Measures how soon a killed web server is replaced by one that answers, against starting the same
command by hand.

A real group of the collabnix web servers with its plugin processes; instances get ``kill -9``, and
the time ends when every replacement has given its page. In turns with that, as many of the same
command are started directly, while the group is gone. Run as ``python -m benchmarks.processes
[--json FILE]``; needs about four minutes.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple, cast

from msgspec import Raw

import ikdemo
from ikdemo.instance.common import free_port
from ikdemo.instance.process.spawn import command_of, read_properties
from ikdemo.instance.process.state_files import ProcessRecord
from ikdemo.lab.teaching.specs import collabnix_processes
from ikdemo.rpc.proxies import GroupClient
from ikdemo.spi.decode import decode
from ikdemo.spi.documents import GroupSpec

from .plugins import PATIENCE, ours, plugins
from .report import Timing, arguments, publish

ROUNDS = {1: 40, 10: 12, 50: 6}
"""How many are killed at once, and how often."""
SMALLEST = 5
"""Size of the group of which one is killed; more are all of their group."""
OF_AGE = 1.5
"""Seconds before the blow: what dies in its first second is taken for a command that cannot start,
and waits.
"""
STEP = 0.001
NULL = subprocess.DEVNULL
PROGRAMS = {
    "instance-process": ours("ikdemo-instance-process", "--dir", "{root}/i"),
    "flavor-probe": ours("ikdemo-flavor-probe"),
    "group": ours("infrakit-group-default"),
}


class Server(NamedTuple):
    """One web server: its process and the port where it answers."""

    pid: int
    port: int


class Register:
    """The records that the plugin keeps of its instances, each read once."""

    def __init__(self, path: Path) -> None:
        self._path, self._read = path, dict[str, Server]()

    def news(self) -> list[Server]:
        """Return the servers that have come since this was asked last."""
        there = {
            name
            for name in os.listdir(self._path)  # noqa: PTH208
            if name.startswith("instance-") and name.endswith(".json")
        }
        fresh = {}
        for name in there - self._read.keys():
            record = decode((self._path / name).read_bytes(), ProcessRecord)
            fresh[name] = Server(record.pid, record.port)
        self._read = {name: self._read[name] for name in there & self._read.keys()} | fresh
        return list(fresh.values())

    @property
    def servers(self) -> list[Server]:
        """The living, in the order of their instances' names."""
        self.news()
        return [self._read[name] for name in sorted(self._read)]


def gives_page(server: Server) -> bool:
    """Ask a server for its page once; one that does not listen yet costs the machine no more than a
    question.
    """
    with socket.socket() as asking:
        if asking.connect_ex(("127.0.0.1", server.port)) != 0:
            return False
        asking.settimeout(PATIENCE)
        asking.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return asking.recv(4096).startswith(b"HTTP/1.0 200 ")


def wait_for_pages(count: int, news: Callable[[], list[Server]]) -> float:
    """Wait until so many new servers have each given a page; return when that was."""
    came, silent, until = 0, list[Server](), time.monotonic() + PATIENCE
    while True:
        began = time.process_time()
        fresh = news()
        came += len(fresh)
        silent = [server for server in [*silent, *fresh] if not gives_page(server)]
        if came >= count and not silent:
            return time.perf_counter()
        if time.monotonic() > until:
            raise SystemExit(
                f"{came - len(silent)} of {count} replacements answered within {PATIENCE:.0f} s"
            )
        # asking takes a tenth of one processor at most
        time.sleep(max(STEP, 9 * (time.process_time() - began)))


def heal(register: Register, victims: list[Server]) -> float:
    """Kill servers and return the seconds until as many new ones have answered."""
    began = time.perf_counter()
    for server in victims:
        os.kill(server.pid, signal.SIGKILL)
    return wait_for_pages(len(victims), register.news) - began


def start_directly(command: list[str], count: int) -> float:
    """Start as many of the same command, one after the other, and return the seconds until all have
    answered; they are ended.
    """
    ports = set[int]()
    while len(ports) < count:
        ports.add(free_port(ports))
    started, began = [], time.perf_counter()
    try:
        for port in ports:
            variables = {
                **os.environ,
                "PORT": str(port),
                "INSTANCE_ID": "by-hand",
                "SLOT": "",
                "GROUP": "",
            }
            # In a session of its own, as our instances are: the scheduler shares a busy machine out
            # by sessions.
            process = subprocess.Popen(
                command, env=variables, stdin=NULL, stderr=NULL, start_new_session=True
            )
            started.append(process)
        fresh = [[Server(process.pid, port) for process, port in zip(started, ports, strict=True)]]
        return wait_for_pages(count, lambda: fresh.pop() if fresh else []) - began
    finally:
        for process in started:
            process.kill()
            process.wait()


async def measure(
    group: GroupClient, root: Path, at_once: int, rounds: int, dice: random.Random
) -> list[Timing]:
    """Heal a group and start the same by hand, in turns."""
    spec = collabnix_processes(size=max(SMALLEST, at_once))
    properties = spec["Properties"]
    init = "\n".join(properties["Flavor"]["Properties"]["Init"])
    command = command_of(
        read_properties(json.dumps(properties["Instance"]["Properties"]).encode(), "$"), init
    )
    wanted = GroupSpec(spec["ID"], Raw(json.dumps(properties).encode()))
    register, healed, by_hand = Register(root / "i"), list[float](), list[float]()
    for _ in range(rounds):
        await group.commit_group(wanted)
        wait_for_pages(properties["Allocation"]["Size"], register.news)
        await asyncio.sleep(OF_AGE)
        healed.append(heal(register, dice.sample(register.servers, at_once)))
        await group.destroy_group(spec["ID"])
        while register.servers:  # noqa: ASYNC110  the last record goes without a word
            await asyncio.sleep(0.01)
        await asyncio.sleep(OF_AGE)  # the machine is to be as quiet for the one as for the other
        by_hand.append(start_directly(command, at_once))
    floor = Timing("bare start and first answer", "kill -9", at_once, by_hand, is_floor=True)
    return [floor, Timing("ikdemo", "kill -9", at_once, healed)]


async def measure_all(root: Path, seed: int) -> list[Timing]:
    """Make all measurements with one set of plugins."""
    dice = random.Random(seed)
    group = cast(GroupClient, await ikdemo.connect("group", directory=root / "p"))
    try:
        return [
            timing
            for n, rounds in ROUNDS.items()
            for timing in await measure(group, root, n, rounds, dice)
        ]
    finally:
        group.close()


def main() -> None:
    """Measure, print, and keep the figures where asked to."""
    given = arguments(
        "time from kill -9 to the replacement's answer, against starting the same command by hand"
    ).parse_args()
    with ExitStack() as stack:
        root = Path(tempfile.mkdtemp(prefix="ikb-"))
        stack.callback(shutil.rmtree, root)
        for name in ("p", "i"):
            (root / name).mkdir(mode=0o700)
        stack.enter_context(plugins(root, PROGRAMS))
        timings = asyncio.run(measure_all(root, given.seed))
    publish(timings, given.seed, given.json, {})


if __name__ == "__main__":
    main()
