"""Measures how soon a lost container is replaced: by us, by a bare event loop, by a restart policy,
by a Swarm service.

From the fault until the engine tells that the last replacement has started, which is listened to in
the same way for all. The bare loop is the floor, measured in turns with ours. Any engine will do,
on which the benchmark leaves nothing; a private one:

    PYTHONPATH=tests python -m engine.private python -m benchmarks.containers [--json FILE]

Needs about a quarter of an hour.
"""

from __future__ import annotations

import asyncio
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import docker

from ikdemo.lab.docker.baselines import LABEL, RestartPolicyAlways, SwarmService, containers_of
from ikdemo.lab.faults.targets import DOCKER_COMMANDS

from .bench import Bench, arguments, main
from .plugins import PATIENCE, connect_group, group_spec, ours, plugins
from .results import Measured, Row

ROUNDS = {1: (20, 6), 10: (8, 3), 50: (3, 2)}
"""How many containers are hurt at once, and how often: ours and the floor's, and others'."""
GROUP, COMMAND = "benchmark", ["sleep", "1000000"]
AT_ONCE = 8
"""Calls that the bare loop has under way at a time; on two processors more gain nothing."""
SMALLEST = 5
"""Containers that are kept, at least."""
OF_AGE = 1.5
"""Seconds between two faults: what dies in its first second is taken for a command that cannot
start, and waits.
"""
GIVE_UP = 20.0
"""Seconds after which a lost container is never replaced."""
PROGRAMS = {
    "instance-docker": ours("ikdemo-instance-docker", "--dir", "{root}/i", "--grace", "0s"),
    "flavor-vanilla": ours("infrakit-flavor-vanilla"),
    "group": ours("infrakit-group-default"),
}


def kill_process(client: docker.APIClient, container: str) -> None:
    """Kill the first process of a container, past the engine."""
    os.kill(client.inspect_container(container)["State"]["Pid"], signal.SIGKILL)


FAULTS: dict[str, Callable[[docker.APIClient, str], object]] = {
    "process killed": kill_process,
    "docker kill": DOCKER_COMMANDS["kill"],
    "docker rm -f": DOCKER_COMMANDS["rm -f"],
}
"""What is done to one container at a time; to more, the first."""


class BareLoop:
    """The floor: whenever the engine tells of a death, a new container is created and started, and
    nothing else is done.
    """

    who = "bare event loop"

    def __init__(self, client: docker.APIClient, image: str) -> None:
        self._client, self._image = client, image
        self._events: Any = None
        self._room = ThreadPoolExecutor(AT_ONCE)

    def start(self, size: int) -> None:
        filters = {"type": "container", "event": "die", "label": f"{LABEL}={self.who}"}
        self._events = self._client.events(filters=filters, decode=True)
        threading.Thread(target=self._listen, args=(self._events,), daemon=True).start()
        for _ in range(size):
            self._room.submit(self._replace)

    def _listen(self, events: Any) -> None:
        with suppress(Exception):  # however it ends, it was closed
            for _ in events:
                self._room.submit(self._replace)

    def _replace(self) -> None:
        labels = {LABEL: self.who}
        made = self._client.create_container(self._image, COMMAND, labels=labels)
        self._client.start(made["Id"])

    def stop(self) -> None:
        self._events.close()
        self._room.shutdown()


class OurGroup:
    """A group of ours, with its plugins as processes; the docker plugin takes its containers along
    in the end.
    """

    who = "ikdemo"

    def __init__(self, root: Path, image: str) -> None:
        self._root, self._image = root, image

    def start(self, size: int) -> None:
        instance = {"Image": self._image, "Command": COMMAND, "Labels": {LABEL: self.who}}
        properties = {
            "Allocation": {"Size": size},
            "Instance": {"Plugin": "instance-docker", "Properties": instance},
            "Flavor": {"Plugin": "flavor-vanilla", "Properties": {}},
        }
        asyncio.run(self._ask("commit_group", group_spec(GROUP, properties)))

    async def _ask(self, method: str, *arguments: object) -> None:
        group = await connect_group(self._root)
        try:
            await getattr(group, method)(*arguments)
        finally:
            group.close()

    def stop(self) -> None:
        asyncio.run(self._ask("destroy_group", GROUP))


Healer = BareLoop | OurGroup | RestartPolicyAlways | SwarmService
"""Keeps a number of sleeping containers that carry its name in the label ``LABEL``."""


class Starts:
    """Containers that started, as the engine tells of them."""

    def __init__(self, client: docker.APIClient) -> None:
        self._changed, self._times = threading.Condition(), dict[str, list[float]]()
        filters = {"type": "container", "event": "start", "label": LABEL}
        self._events = client.events(filters=filters, decode=True)
        self.close = self._events.close
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with suppress(Exception):  # however it ends, it was closed
            for event in self._events:
                at, who = time.perf_counter(), event["Actor"]["Attributes"][LABEL]
                with self._changed:
                    self._times.setdefault(who, []).append(at)
                    self._changed.notify_all()

    def forget(self, who: str) -> None:
        """Count from now on."""
        with self._changed:
            self._times[who] = []

    def wait_for(self, who: str, count: int, patience: float) -> float:
        """Return when the last of so many came, or infinity if they do not."""
        with self._changed:
            there = self._changed.wait_for(lambda: len(self._times.get(who, ())) >= count, patience)
            return self._times[who][count - 1] if there else math.inf


class Engine:
    """One Docker engine, the faults of its containers, and how long each healer takes."""

    def __init__(self, bench: Bench, client: docker.APIClient) -> None:
        self._dice, self._client, self._starts = bench.dice, client, Starts(client)
        self.close = self._starts.close

    def begin(self, healer: Healer, size: int) -> None:
        """Let a healer start its containers, and wait for them."""
        self._starts.forget(healer.who)
        healer.start(size)
        if math.isinf(self._starts.wait_for(healer.who, size, PATIENCE)):
            raise SystemExit(f"{healer.who} did not start {size} containers in {PATIENCE:.0f} s")

    def end(self, healer: Healer) -> None:
        """Let a healer stop, and remove what it left."""
        healer.stop()
        for container in containers_of(self._client, {LABEL: healer.who}, all=True):
            with suppress(docker.errors.APIError):  # it is being removed
                self._client.remove_container(container, force=True)

    def heal(self, healer: Healer, fault: str, at_once: int) -> float:
        """Hurt containers, and return the seconds until all are replaced, or infinity."""
        if isinstance(healer, RestartPolicyAlways):
            healer.renew()  # hurt again and again, it would wait longer each time
        time.sleep(OF_AGE)
        running = containers_of(self._client, {LABEL: healer.who})
        targets = self._dice.sample(running, at_once)
        self._starts.forget(healer.who)
        patience, began = GIVE_UP if at_once == 1 else PATIENCE, time.perf_counter()
        with ThreadPoolExecutor(at_once) as threads:
            list(threads.map(partial(FAULTS[fault], self._client), targets))
        return self._starts.wait_for(healer.who, at_once, patience) - began

    def in_turns(
        self, healers: Sequence[Healer], fault: str, at_once: int, rounds: int
    ) -> dict[str, list[float]]:
        """Measure healers that stand side by side; one that never heals is asked no third time."""
        times: dict[str, list[float]] = {healer.who: [] for healer in healers}
        for healer in healers:
            self.begin(healer, max(SMALLEST, at_once))
        for _ in range(rounds):
            for healer in healers:
                if times[healer.who][-2:] != [math.inf, math.inf]:
                    times[healer.who].append(self.heal(healer, fault, at_once))
        for healer in healers:
            self.end(healer)
        return times


@contextmanager
def swarm_mode(client: docker.APIClient) -> Iterator[bool]:
    """Have the engine in Swarm mode, and as it was afterwards; say whether services can be made."""
    state = client.info()["Swarm"]
    if state["LocalNodeState"] != "inactive":
        yield bool(state["ControlAvailable"])
        return
    client.init_swarm(advertise_addr="127.0.0.1")
    try:
        yield True
    finally:
        client.leave_swarm(force=True)


def measure(bench: Bench, at_once: int, fault: str, rounds: int, peer_rounds: int) -> Measured:
    """Measure all healers with plugins of their own."""
    root, image = bench.folder(), bench.given.image
    client = docker.APIClient(**docker.utils.kwargs_from_env(), version="auto", timeout=PATIENCE)
    with ExitStack() as stack:
        stack.callback(client.close)
        stack.enter_context(plugins(root, PROGRAMS))
        engine = Engine(bench, client)
        stack.callback(engine.close)
        peers: list[Healer] = [RestartPolicyAlways(client, image, COMMAND)]
        if stack.enter_context(swarm_mode(client)):
            peers += [SwarmService(client, image, COMMAND, delay) for delay in (None, 0.0)]
        both: list[Healer] = [BareLoop(client, image), OurGroup(root, image)]
        times = engine.in_turns(both, fault, at_once, bench.rounds(rounds))
        found = Measured(times[OurGroup.who], times[BareLoop.who])
        for peer in peers:
            found.peers |= engine.in_turns([peer], fault, at_once, bench.rounds(peer_rounds))
    return found


FLOOR = (
    "a bare event loop, which creates and starts a container whenever the engine tells of a death"
)
ROWS = [
    Row(f"{fault.replace(' ', '-')}-{at_once}", f"{fault}, {at_once} at once", "ms", at_once, {},
        FLOOR, partial(measure, fault=fault, rounds=rounds, peer_rounds=peer_rounds))
    for at_once, (rounds, peer_rounds) in ROUNDS.items()
    for fault in list(FAULTS)[: 3 if at_once == 1 else 1]
]  # fmt: skip

if __name__ == "__main__":
    parser = arguments(
        "time from the loss of a container to its replacement, against a bare event loop and "
        "Docker's own means"
    )
    image = os.environ.get("IKDEMO_IMAGE", "busybox")
    told = f"an image that the engine has, with a sleep in it (default {image})"
    parser.add_argument("--image", default=image, help=told)
    main("containers", ROWS, parser)
