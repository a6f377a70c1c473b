"""Measures how soon twelve instances run again on the nodes of a swarm when one node loses its
power, or one container is killed: our group, and Swarm's own service with its defaults and without
delay.

From the fault until twelve run, counted physically at the engine of each node that is on. Each has
the swarm for itself, in turns within one run, as only those figures compare. The swarm is made for
it: three nodes on this machine, of which one manages, with a heartbeat of a second:

    PYTHONPATH=tests python -m benchmarks.swarm [--json FILE]

Needs root, and some ten minutes.
"""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from ikdemo.lab.docker.baselines import LABEL

from .bench import Bench, arguments, main
from .plugins import PATIENCE, connect_group, group_spec, ours, plugins
from .results import Measured, Row

SIZE, GROUP, COMMAND = 12, "benchmark", ["sleep", "1000000"]
ROUNDS = {"node": 4, "container": 8}
SETTLED = 4.0
"""Seconds between the moment at which all run and the fault: long enough that our plugin looks as
seldom as it does when nothing changes.
"""
PAUSE = 0.03
"""Seconds between two counts."""
TARGET = 2
"""The node that loses its power: it works, and manages nothing."""


class Nodes:
    """A swarm of three nodes, and what runs on them."""

    def __init__(self, swarm: Any, image: str) -> None:
        self.swarm, self.image = swarm, image
        self.client = swarm.client(1)

    def running(self, who: str) -> dict[int, list[str]]:
        """Return the containers of one healer by their nodes."""
        found: dict[int, list[str]] = self.swarm.running(f"{LABEL}={who}")
        return found

    def until(self, who: str, number: int, without: Sequence[str] = ()) -> float:
        """Return when so many run, besides those that were killed."""
        deadline = time.perf_counter() + PATIENCE
        while time.perf_counter() < deadline:
            ids = [one for row in self.running(who).values() for one in row if one not in without]
            if len(ids) == number:
                return time.perf_counter()
            time.sleep(PAUSE)
        raise SystemExit(f"{who}: {number} do not run after {PATIENCE:.0f} s")

    def lose_node(self, who: str) -> float:
        """Cut a node's power, and return the seconds until all run again."""
        began = time.perf_counter()
        self.swarm.kill(TARGET)
        took = self.until(who, SIZE) - began
        self.swarm.start(TARGET)
        self.swarm.until(lambda: self.swarm.nodes()[TARGET] == "ready", "the node is back")
        return took

    def lose_container(self, who: str, node: int) -> float:
        """Kill a container on a node, and return the seconds until all run again."""
        there = self.running(who)
        node = node if there[node] else next(one for one in there if there[one])
        began = time.perf_counter()
        self.swarm.client(node).kill(there[node][0])
        return self.until(who, SIZE, there[node][:1]) - began


class GroupOnSwarm:
    """A group of ours; its plugins ask the node that manages."""

    who = "ikdemo"

    def __init__(self, nodes: Nodes, root: Path) -> None:
        self._nodes, self._root = nodes, root

    def start(self) -> None:
        labels = {LABEL: self.who}
        instance = {"Image": self._nodes.image, "Command": COMMAND, "Labels": labels}
        properties = {
            "Allocation": {"Size": SIZE},
            "Instance": {"Plugin": "instance-swarm", "Properties": instance},
            "Flavor": {"Plugin": "flavor-vanilla", "Properties": {}},
        }
        asyncio.run(self._ask("commit_group", group_spec(GROUP, properties)))

    def stop(self) -> None:
        asyncio.run(self._ask("destroy_group", GROUP))

    async def _ask(self, method: str, *arguments: object) -> None:
        group = await connect_group(self._root)
        try:
            await getattr(group, method)(*arguments)
        finally:
            group.close()


class ServiceOnSwarm:
    """One service of twelve. ``delay``: seconds before a task is restarted, None for Docker's own
    default of five.
    """

    def __init__(self, nodes: Nodes, delay: float | None) -> None:
        self.who = "Swarm's service" + (", no delay" if delay == 0 else "")
        self._nodes, self._delay, self._service = nodes, delay, ""

    def start(self) -> None:
        task: dict[str, Any] = {
            "ContainerSpec": {
                "Image": self._nodes.image,
                "Command": COMMAND,
                "Labels": {LABEL: self.who},
                "StopGracePeriod": 0,
            }
        }
        if self._delay is not None:
            task["RestartPolicy"] = {"Condition": "any", "Delay": int(self._delay * 1e9)}
        made = self._nodes.client.create_service(task, mode={"Replicated": {"Replicas": SIZE}})
        self._service = made["ID"]

    def stop(self) -> None:
        self._nodes.client.remove_service(self._service)


Healing = GroupOnSwarm | ServiceOnSwarm


@contextmanager
def swarm_of_three() -> Iterator[Nodes]:
    """Make the swarm that the tests use."""
    try:
        swarm3 = importlib.import_module("engine.swarm3")
    except ImportError:
        raise SystemExit("PYTHONPATH=tests is needed: the swarm is that of the tests") from None
    if reason := swarm3.lacking():
        raise SystemExit(reason)
    with swarm3.running(managers=1, heartbeat=1.0) as made:
        yield Nodes(made, swarm3.IMAGE)


def measure(bench: Bench, size: int, fault: str) -> Measured:
    """Measure all three in turns."""
    root = bench.folder()
    with swarm_of_three() as nodes:
        host = nodes.swarm.host(1)
        programs = {
            "instance-swarm": ours("ikdemo-instance-swarm", "--host", host),
            "flavor-vanilla": ours("infrakit-flavor-vanilla"),
            "group": ours("infrakit-group-default"),
        }
        with plugins(root, programs):
            healers: list[Healing] = [
                GroupOnSwarm(nodes, root),
                ServiceOnSwarm(nodes, 0.0),
                ServiceOnSwarm(nodes, None),
            ]
            times = in_turns(bench, nodes, healers, fault)
    mine, floor, defaults = (times[healer.who] for healer in healers)
    return Measured(mine, floor, peers={healers[2].who: defaults})


def in_turns(
    bench: Bench, nodes: Nodes, healers: Sequence[Healing], fault: str
) -> Mapping[str, list[float]]:
    """Let each in turn start, be hurt, heal and end; containers are killed on each node in turn."""
    times: dict[str, list[float]] = {healer.who: [] for healer in healers}
    hurt: dict[str, Callable[[str, int], float]] = {
        "node": lambda who, _: nodes.lose_node(who),
        "container": lambda who, number: nodes.lose_container(who, 1 + number % 3),
    }
    for number in range(bench.rounds(ROUNDS[fault])):
        for healer in healers:
            healer.start()
            nodes.until(healer.who, SIZE)
            time.sleep(SETTLED)
            times[healer.who].append(hurt[fault](healer.who, number))
            healer.stop()
            nodes.until(healer.who, 0)
    return times


FLOOR = "Swarm's own service with a restart delay of 0"
ROWS = [
    Row("node-lost", "a node of three lost", "s", SIZE, {}, FLOOR, partial(measure, fault="node")),
    Row(
        "container-killed",
        "docker kill of one of twelve",
        "s",
        SIZE,
        {},
        FLOOR,
        partial(measure, fault="container"),
    ),
]

if __name__ == "__main__":
    main(
        "swarm",
        ROWS,
        arguments("time until twelve run again on three nodes, against Swarm's own service"),
    )
