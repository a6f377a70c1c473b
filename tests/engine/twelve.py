"""A group of twelve over three nodes of a swarm: what the plugin counts of it at every moment, and
what runs physically, as each engine says by itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from asking import Refused, ask
from desk import Desk
from engine import swarm3
from engine.swarm3 import IMAGE, Swarm3

from ikdemo.instance.container_labels import INSTANCE

SIZE = 12


class Twelve:
    """The group, its plugins, and every sample of what they count."""

    def __init__(self, desk: Desk, swarm: Swarm3, managers: int) -> None:
        self.desk, self.swarm = desk, swarm
        hosts = ",".join(swarm.host(node) for node in range(1, managers + 1))
        desk.start("ikdemo-instance-swarm", "instances", "--host", hosts)
        desk.start("infrakit-flavor-vanilla", "flavor-vanilla")
        desk.start("infrakit-group-default", "group", "--store", "none")
        self.most, self._over = 0, threading.Event()
        self._sampling = threading.Thread(target=self._sample)

    def begin(self) -> None:
        instance = {"Image": IMAGE, "Command": ["sleep", "100000"]}
        properties = {
            "Allocation": {"Size": SIZE},
            "Instance": {"Plugin": "instances", "Properties": instance},
            "Flavor": {"Plugin": "flavor-vanilla", "Properties": {}},
        }
        spec = {"ID": "twelve", "Properties": properties}
        ask(self.desk.plugins / "group", "Group.CommitGroup", {"Spec": spec, "Pretend": False})
        self._sampling.start()
        self.until_whole()

    def counted(self) -> dict[str, str]:
        """Return the instance in each slot, as the plugin has it; raises Refused on doubt."""
        found = ask(
            self.desk.plugins / "instances",
            "Instance.DescribeInstances",
            {"Tags": {"infrakit.group": "twelve"}, "Slots": True},
        )
        described = found["Descriptions"] or []
        slots = {one["Slot"]: one["ID"] for one in described}
        assert len(slots) == len(described), described
        return slots

    def running(self, *nodes: int) -> int:
        """Return how many run physically at these nodes."""
        there = self.swarm.running(INSTANCE)
        return sum(len(there.get(node, ())) for node in nodes)

    def until(self, happened: Callable[[], object], what: str) -> None:
        def safely() -> object:
            try:
                return happened()
            except Refused:  # doubt
                return False

        self.swarm.until(safely, what)

    def until_whole(self, *nodes: int) -> None:
        """Wait until twelve are counted, and twelve run at these nodes, those that are on."""
        nodes = nodes or (1, 2, 3)
        what = f"{SIZE} run at nodes {nodes}"
        self.until(lambda: len(self.counted()) == self.running(*nodes) == SIZE, what)

    def end(self) -> None:
        self._over.set()
        self._sampling.join()
        assert 0 < self.most <= SIZE, f"{self.most} were counted"
        batch = ask(
            self.desk.plugins / "instances",
            "Events.Watch",
            {"Since": {}, "Timeout": 0, "Tags": {}},
        )
        kinds = [event["Kind"] for event in batch["Events"] or []]
        assert "destroyed" not in kinds

    def _sample(self) -> None:
        while not self._over.is_set():
            try:
                self.most = max(self.most, len(self.counted()))
            except (Refused, OSError):
                pass  # doubt is no number
            time.sleep(0.05)


@contextmanager
def group_of_twelve(desk: Desk, managers: int) -> Iterator[Twelve]:
    """Give twelve over three nodes, of which so many manage; fails if ever more were counted, or
    one was destroyed.
    """
    with swarm3.running(managers) as swarm:
        made = Twelve(desk, swarm, managers)
        made.begin()
        yield made
        made.end()
