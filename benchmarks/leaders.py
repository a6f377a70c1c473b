"""Measures how soon the next leader acts when a leader is killed: three managers by an etcd, with a
group plugin behind each.

``kill -9`` meets the leading manager and its group plugin, and a file of the group is deleted with
them; the time ends when the next leader's group has made another one. The floor is what etcd itself
waits: until it ends the lease, and removes the leader key, of a leader that is not heard of. The
last renewal is up to a third of a lease old at the kill. Any etcd will do, in which the benchmark
leaves nothing; one of three members that nobody else has:

    PYTHONPATH=tests python -m engine.etcd3 python -m benchmarks.leaders [--json FILE]

Needs root for that, and about five minutes.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import ikdemo
from ikdemo.etcd.addresses import read_addresses
from ikdemo.etcd.endpoints import Endpoints
from ikdemo.etcd.etcd_client import EtcdClient, Looked
from ikdemo.manager.stores.etcd_store import GROUPS, LEADER
from ikdemo.rpc.proxies import GroupClient
from ikdemo.spi.errors import NotLeader, RemoteFailure

from .bench import Bench, arguments, main
from .plugins import PATIENCE, environment, group_spec, ours, plugins, stop, until_all_answer
from .results import Measured, Row
from .trio import Arrivals

MANAGERS = ("m-1", "m-2", "m-3")
BEHIND, GROUP, SIZE = "group-stateless", "benchmark", 2
SHARED = {
    "instance-file": ours("infrakit-instance-file", "--dir", "{root}/i"),
    "flavor-vanilla": ours("infrakit-flavor-vanilla"),
}


class Machine:
    """A manager and its group plugin, with sockets of their own; the other plugins are shared."""

    def __init__(self, root: Path, shared: Path, name: str, lease: int, endpoints: str) -> None:
        self.name, self.plugins = name, root / name
        self.plugins.mkdir(mode=0o700)
        for plugin in SHARED:
            (self.plugins / plugin).hardlink_to(shared / plugin)
        flags = ["--proxy-for-group", BEHIND, "etcd", "--lease", f"{lease}s"]
        self._commands = (
            ours("infrakit-group-default", "--name", BEHIND, "--store", "none"),
            [*ours("infrakit-manager", "--name", name, *flags), "--endpoint", endpoints],
        )
        self._processes: list[subprocess.Popen[bytes]] = []
        self.start()

    def start(self) -> None:
        """Start both, one after the other."""
        for name, command in zip((BEHIND, self.name), self._commands, strict=True):
            with (self.plugins / f".{name}.log").open("ab") as log:
                pipe = subprocess.PIPE
                self._processes.append(
                    subprocess.Popen(
                        command,
                        env=environment(self.plugins),
                        stdin=pipe,
                        stdout=pipe,
                        stderr=log,
                    )
                )
            asyncio.run(until_all_answer(self.plugins, [name]))

    def kill(self) -> None:
        """Kill both at the same moment."""
        killed, self._processes = self._processes, []
        for process in killed:
            process.kill()
        for process in killed:
            process.communicate()

    def close(self) -> None:
        stop(self._processes)


class Election:
    """The machines of one measurement, and the etcd that says who leads."""

    def __init__(self, root: Path, shared: Path, lease: int, endpoints: str) -> None:
        self._endpoints = endpoints
        self._arrivals = Arrivals(root / "i", created=False)
        self._instances = root / "i"
        self.machines = {name: Machine(root, shared, name, lease, endpoints) for name in MANAGERS}

    def begin(self) -> None:
        """Commit the group, and wait for its files."""
        properties = {
            "Allocation": {"Size": SIZE},
            "Instance": {"Plugin": "instance-file", "Properties": {}},
            "Flavor": {"Plugin": "flavor-vanilla", "Properties": {}},
        }
        asyncio.run(self._commit(properties))
        self._arrivals.wait_for(SIZE, PATIENCE)

    async def _commit(self, properties: dict[str, object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while True:
                name, _ = await self._leader()
                manager = await ikdemo.connect(name, directory=self.machines[name].plugins)
                assert isinstance(manager, GroupClient)
                try:
                    await manager.commit_group(group_spec(GROUP, properties))
                    return
                except RemoteFailure as refused:  # it has won and does not know it yet
                    if str(refused) != str(NotLeader()):
                        raise
                finally:
                    manager.close()

    def lose(self, rest: float) -> tuple[float, float]:
        """Kill the leader after a rest; return the seconds until the next one has acted, and until
        etcd gave the first one up.
        """
        return asyncio.run(self._lose(rest))

    async def _lose(self, rest: float) -> tuple[float, float]:
        name, revision = await self._leader()
        await asyncio.sleep(rest)
        target = next(self._instances.glob("instance-*"))
        client = self._client()
        gone = asyncio.create_task(client.changed(LEADER, revision + 1, PATIENCE))
        await asyncio.sleep(0.1)  # the watch begins
        began = time.perf_counter()
        self.machines[name].kill()
        target.unlink()
        arrival = asyncio.create_task(asyncio.to_thread(self._arrivals.wait_for, 1, PATIENCE))
        await gone
        given_up = time.perf_counter() - began
        at, _ = await arrival
        client.close()
        await asyncio.to_thread(self.machines[name].start)
        return at - began, given_up

    async def _leader(self) -> tuple[str, int]:
        """Wait for a leader; return its name, and a revision at which it leads."""
        client = self._client()
        try:
            async with asyncio.timeout(PATIENCE):
                looked = Looked(None, 0)
                while looked.found is None:
                    looked = await client.look(LEADER)
                return str(json.loads(looked.found.value)["Name"]), looked.revision
        finally:
            client.close()

    def _client(self) -> EtcdClient:
        addresses = read_addresses(self._endpoints.split(","), tls=False)
        return EtcdClient(Endpoints(addresses, None, PATIENCE))

    def close(self) -> None:
        for machine in self.machines.values():
            machine.close()
        self._arrivals.close()
        asyncio.run(self._sweep())

    async def _sweep(self) -> None:
        client = self._client()
        removed = [{"request_delete_range": {"key": key}} for key in (GROUPS, LEADER)]
        await client.decide([], removed, [])
        client.close()


@contextmanager
def election(bench: Bench, lease: int) -> Iterator[Election]:
    """Run three managers, one of which leads and keeps a group."""
    root = bench.folder()
    with ExitStack() as stack:
        stack.enter_context(plugins(root, SHARED))
        made = Election(root, root / "p", lease, bench.given.endpoints)
        stack.callback(made.close)
        made.begin()
        yield made


def measure(bench: Bench, _: int, lease: int, rounds: int) -> Measured:
    """Kill leaders, each at a random moment between two renewals."""
    found = Measured()
    with election(bench, lease) as running:
        for _ in range(bench.rounds(rounds)):
            acted, given_up = running.lose(bench.dice.uniform(0.5, 0.5 + lease / 3))
            found.ours.append(acted)
            found.floor.append(given_up)
    return found


FLOOR = "etcd ends the lease of the leader that was killed"
ROWS = [
    Row(f"lease-{lease}", f"leader killed, lease {lease} s, to the next one's first act", "s", SIZE,
        {"median": lease + 0.5}, FLOOR, partial(measure, lease=lease, rounds=10))
    for lease in (2, 5)
]  # fmt: skip

if __name__ == "__main__":
    parser = arguments("time from the end of a leader to the first act of the next one")
    usual = os.environ.get("IKDEMO_ETCD", "127.0.0.1:2379")
    told = f"members of an etcd, host:port,... (default {usual})"
    parser.add_argument("--endpoints", default=usual, help=told)
    main("leaders", ROWS, parser)
