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
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Set
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from ikdemo.instance.common import free_port
from ikdemo.instance.process.process_record import ProcessRecord
from ikdemo.instance.process.spawn import command_of, read_properties
from ikdemo.lab.teaching.specs import collabnix_processes
from ikdemo.spi.decode import decode

from .bench import Bench, arguments, main
from .plugins import PATIENCE, connect_group, group_spec, ours, plugins
from .results import Measured, Row

ROUNDS = {1: 40, 10: 12, 50: 6}
"""How many are killed at once, and how often."""
SMALLEST = 5
"""Size of the group of which one is killed; more are all of their group."""
OF_AGE = 1.5
"""Seconds before the kill: what dies in its first second is taken for a command that cannot start,
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


@cache
def server(state_file: Path) -> Server:
    """Return the server that a state file of the instance plugin is about; each is read once."""
    record = decode(state_file.read_bytes(), ProcessRecord)
    return Server(record.pid, record.port)


def servers(instances: Path, before: Set[Server] = frozenset()) -> set[Server]:
    """Return the servers of the group that there are now and were not there before."""
    return set(map(server, instances.glob("instance-*.json"))) - before


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


def wait_for_pages(count: int, wanted: Callable[[], set[Server]]) -> float:
    """Wait until so many servers of those that are wanted have each given a page; return when that
    was.
    """
    answered, until = set[Server](), time.monotonic() + PATIENCE
    while True:
        began = time.process_time()
        answered |= set(filter(gives_page, wanted() - answered))
        if len(answered) >= count:
            return time.perf_counter()
        if time.monotonic() > until:
            raise SystemExit(f"{len(answered)} of {count} answered within {PATIENCE:.0f} s")
        # asking takes a tenth of one processor at most
        time.sleep(max(STEP, 9 * (time.process_time() - began)))


def start_directly(command: list[str], count: int) -> float:
    """Start as many of the same command, one after the other, and return the seconds until all have
    answered; they are ended.
    """
    ports = set[int]()
    while len(ports) < count:
        ports.add(free_port(ports))
    variables = {**os.environ, "INSTANCE_ID": "by-hand", "SLOT": "", "GROUP": ""}
    with ExitStack() as stack:
        started, began = set[Server](), time.perf_counter()
        for port in ports:
            process = subprocess.Popen(
                command,
                env={**variables, "PORT": str(port)},
                stdin=NULL,
                stderr=NULL,
                # as our instances: the scheduler shares a busy machine out by sessions
                start_new_session=True,
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            started.add(Server(process.pid, port))
        return wait_for_pages(count, lambda: started) - began


async def measure_group(bench: Bench, root: Path, at_once: int, rounds: int) -> Measured:
    """Heal a group and start the same by hand, in turns."""
    spec = collabnix_processes(size=max(SMALLEST, at_once))
    properties, flavor = spec["Properties"], spec["Properties"]["Flavor"]["Properties"]
    instance = json.dumps(properties["Instance"]["Properties"]).encode()
    command = command_of(read_properties(instance, "$"), "\n".join(flavor["Init"]))
    wanted = group_spec(spec["ID"], properties)
    found, present = Measured(), partial(servers, root / "i")
    group = await connect_group(root)
    for _ in range(rounds):
        await group.commit_group(wanted)
        wait_for_pages(properties["Allocation"]["Size"], present)
        await asyncio.sleep(OF_AGE)
        before = present()
        targets = bench.dice.sample(sorted(before), at_once)
        began = time.perf_counter()
        for target in targets:
            os.kill(target.pid, signal.SIGKILL)
        found.ours.append(wait_for_pages(at_once, partial(servers, root / "i", before)) - began)
        await group.destroy_group(spec["ID"])
        while present():  # noqa: ASYNC110  the last state file goes without a word
            await asyncio.sleep(0.01)
        await asyncio.sleep(OF_AGE)  # the machine is to be as quiet for the one as for the other
        found.floor.append(start_directly(command, at_once))
    group.close()
    return found


def measure(bench: Bench, at_once: int, rounds: int) -> Measured:
    """Measure with a set of plugins of their own."""
    root = bench.folder()
    with plugins(root, PROGRAMS):
        return asyncio.run(measure_group(bench, root, at_once, bench.rounds(rounds)))


FLOOR = "the same command started as often by hand, until all have answered"
ROWS = [
    Row(f"kill-{n}", f"kill -9, {n} at once", "ms", n, {}, FLOOR, partial(measure, rounds=rounds))
    for n, rounds in ROUNDS.items()
]

if __name__ == "__main__":
    what = (
        "time from kill -9 to the replacement's answer, against starting the same command by hand"
    )
    main("processes", ROWS, arguments(what))
