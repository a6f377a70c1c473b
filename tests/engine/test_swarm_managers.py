"""Three managers by a swarm of three managing nodes: the leader's machine dies, its cable is cut
and mended. One of them keeps the group, and in the order of the swarm spec's versions and of what
the instance plugin did no older leader comes after a later one.
"""

from __future__ import annotations

import contextlib
import json
import signal
import tempfile
import threading
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any

import asking
import pytest
from asking import Refused
from desk import Desk
from engine.swarm3 import NODES, Swarm3, running
from gate import Gate

GROUP, BEHIND = "web", "group-stateless"
POLL = ("--poll-interval", "500ms")
ACTIONS = ("Instance.Provision", "Instance.Destroy")


class Machine(Desk):
    """Where the programs of one node run; a killed test run takes them along."""

    def program(self, name: str) -> list[str]:
        return ["setpriv", "--pdeathsig", "KILL", *super().program(name)]


class Managers:
    """A manager and its group plugin beside each node, over one file plugin behind a gate."""

    def __init__(self, swarm: Swarm3, root: Path) -> None:
        self.swarm, self.shared = swarm, Machine(made(root / "shared"))
        folder = str(self.shared.instances)
        self.shared.start("infrakit-instance-file", "real", "--dir", folder)
        self.shared.start("infrakit-flavor-vanilla", "flavor-vanilla")
        self.gate = Gate(self.shared.plugins / "instance-file", self.shared.plugins / "real")
        self.desks = {node: Machine(made(root / str(node))) for node in NODES}
        self._seen: dict[int, int] = {}
        self._ended = threading.Event()
        self._watch = threading.Thread(target=self._look_on)
        for node, desk in self.desks.items():
            desk.plugins.mkdir(mode=0o700)
            for name in ("instance-file", "flavor-vanilla"):
                (desk.plugins / name).hardlink_to(self.shared.plugins / name)
            self.start(node)
        self._watch.start()

    def start(self, node: int) -> None:
        """Start the group plugin and the manager of a node."""
        desk = self.desks[node]
        desk.start("infrakit-group-default", BEHIND, "--store", "none", *POLL)
        flags = ("swarm", "--host", self.swarm.host(node), *POLL)
        desk.start("infrakit-manager", f"m-{node}", *flags)

    def kill_machine(self, node: int) -> None:
        """Cut the power of a node, and of the programs beside it."""
        self.swarm.kill(node)
        for name in (f"m-{node}", BEHIND):
            self.desks[node].stop(name, signal.SIGKILL)

    def _look_on(self) -> None:
        """Note the epoch of every version of the swarm's spec that is seen at some node."""
        while not self._ended.wait(0.05):
            for node in NODES:
                socket = Path(self.swarm.host(node).removeprefix("unix://"))
                # what an engine answers that is off, or in an election, has no spec in it
                with contextlib.suppress(OSError, HTTPException, ValueError, KeyError):
                    there = json.loads(asking.get(socket, "/swarm", timeout=5.0))
                    epoch = int(there["Spec"]["Labels"].get("ikdemo.epoch", "0"))
                    self._seen[there["Version"]["Index"]] = epoch

    def ask(self, node: int, method: str, to: str = "", **params: Any) -> Any:
        return asking.ask(self.desks[node].plugins / (to or f"m-{node}"), method, params)

    def leading(self, after: int = 0) -> tuple[int, int]:
        """Wait for a manager that leads under an epoch after this one; return both."""

        def look() -> tuple[int, int] | None:
            for node, desk in self.desks.items():
                if f"m-{node}" in desk.processes:
                    told = self.ask(node, "Manager.Leader")
                    if told["Leads"] and told["Epoch"] > after:
                        return node, int(told["Epoch"])
            return None

        found: tuple[int, int] = asking.until(look, say=self.log)
        return found

    def commit(self, node: int, size: int) -> None:
        """Commit the group where it is led, and wait until it is whole."""
        properties = {
            "Allocation": {"Size": size},
            "Instance": {"Plugin": "instance-file", "Properties": {}},
            "Flavor": {"Plugin": "flavor-vanilla", "Properties": {}},
        }
        spec = {"ID": GROUP, "Properties": properties}
        self.ask(node, "Group.CommitGroup", Spec=spec, Pretend=False)
        self.until_whole(node, size)

    def until_whole(self, node: int, size: int) -> None:
        self.shared.until(size)
        asking.until(lambda: not self.ask(node, "Reconcile.Why", ID=GROUP)["Reasons"], say=self.log)

    def kept(self, node: int) -> bool:
        return bool(self.ask(node, "Group.InspectGroups", to=BEHIND)["Groups"])

    def log(self) -> str:
        parts = [(desk, name) for desk in self.desks.values() for name in desk.processes]
        return "\n".join(f"{name}:\n{desk.log(name)[-1500:]}" for desk, name in parts)

    def judge(self) -> None:
        """See that no older leader came after a later one."""
        epochs = [self._seen[version] for version in sorted(self._seen)]
        assert epochs == sorted(epochs)
        acts = [call for call in self.gate.done if call["method"] in ACTIONS]
        acted = [call["params"]["Epoch"] for call in acts]
        assert acted == sorted(acted)
        assert len(set(acted)) >= 2, "two leaders have acted"

    def close(self) -> None:
        self._ended.set()
        self._watch.join()
        for desk in [*self.desks.values(), self.shared]:
            desk.close()
        self.gate.close()


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def started() -> Iterator[Managers]:
    with (
        tempfile.TemporaryDirectory(prefix="ik-", dir="/tmp") as root,
        running(managers=3) as swarm,
        contextlib.closing(Managers(swarm, Path(root))) as managers,
    ):
        yield managers


@pytest.fixture
def managers(started: Managers) -> Iterator[Managers]:
    """Give a group of 3 that one of the managers keeps; judge them afterwards."""
    node, _ = started.leading()
    started.commit(node, 3)
    yield started
    started.judge()


def test_a_leader_whose_machine_dies_is_followed(managers: Managers) -> None:
    dead, epoch = managers.leading()
    managers.kill_machine(dead)
    lost = managers.shared.living()[0]
    (managers.shared.instances / lost).unlink()
    node, _ = managers.leading(after=epoch)
    managers.until_whole(node, 3)
    managers.swarm.start(dead)
    managers.swarm.until(lambda: managers.swarm.nodes()[dead] == "ready", "it has joined again")
    managers.start(dead)
    managers.commit(managers.leading()[0], 2)


def test_a_leader_whose_cable_is_cut_acts_no_longer_also_when_it_is_mended(
    managers: Managers,
) -> None:
    cut, epoch = managers.leading()
    managers.swarm.cut(cut)
    node, _ = managers.leading(after=epoch)
    assert node != cut
    asking.until(lambda: not managers.kept(cut), say=managers.log)
    managers.commit(node, 5)
    managers.swarm.heal(cut)
    managers.swarm.until(
        lambda: set(managers.swarm.nodes().values()) == {"ready"}, "all are together again"
    )
    with pytest.raises(Refused, match=r"^not-a-leader$"):
        managers.ask(cut, "Reconcile.Scale", ID=GROUP, Size=9)
    managers.until_whole(managers.leading()[0], 5)
