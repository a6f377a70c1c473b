"""Measures how soon the next leader acts when a leader is killed: three managers by an etcd, with a
group plugin behind each.

``kill -9`` meets the leading manager and its group plugin, and a file of the group is deleted with
them; the time ends when the next leader's group has made another one. The floor is what etcd itself
waits: until it ends the lease, and removes the leader key, of a leader that is not heard of. The
last renewal is up to a third of a lease old at the kill. Any etcd will do, in which the benchmark
leaves nothing; one of three members that nobody else has:

    PYTHONPATH=tests python -m engine.etcd3 python -m benchmarks.leaders [--json FILE]

Needs root for that, and about six minutes. One row more is in ``polled_leaders``.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from ikdemo.etcd.addresses import read_addresses
from ikdemo.etcd.endpoints import Endpoints
from ikdemo.etcd.etcd_client import EtcdClient, Looked
from ikdemo.manager.stores.etcd_store import GROUPS, LEADER

from .bench import Bench, arguments, infrakit_programs, main
from .managed_machine import BEHIND, SHARED, SIZE, Machine, commit
from .plugins import PATIENCE, ours, plugins
from .polled_leaders import ROW as POLLED
from .results import Measured, Row
from .trio import Arrivals

MANAGERS = ("m-1", "m-2", "m-3")


class Election:
    """The machines of one measurement, and the etcd that says who leads."""

    def __init__(self, root: Path, shared: Path, lease: int, endpoints: str) -> None:
        self._endpoints = endpoints
        self._arrivals = Arrivals(root / "i", created=False)
        self._instances = root / "i"
        flags = ("etcd", "--lease", f"{lease}s", "--endpoint", endpoints)
        self.machines = {
            name: Machine(
                root,
                shared,
                name,
                ours("infrakit-manager", "--name", name, "--proxy-for-group", BEHIND, *flags),
            )
            for name in MANAGERS
        }

    def begin(self) -> None:
        """Commit the group, and wait for its files."""
        asyncio.run(self._commit())
        self._arrivals.wait_for(SIZE, PATIENCE)

    async def _commit(self) -> None:
        async with asyncio.timeout(PATIENCE):
            name, _ = await self._leader()
            while not await commit(self.machines[name]):  # it has won and does not know it yet
                name, _ = await self._leader()

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
] + [POLLED]  # fmt: skip

if __name__ == "__main__":
    parser = arguments("time from the end of a leader to the first act of the next one")
    usual = os.environ.get("IKDEMO_ETCD", "127.0.0.1:2379")
    told = f"members of an etcd, host:port,... (default {usual})"
    parser.add_argument("--endpoints", default=usual, help=told)
    main("leaders", ROWS, parser, infrakit=infrakit_programs())
