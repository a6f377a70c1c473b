"""A Docker swarm of three nodes on one machine, each in namespaces of its own with an engine of its
own, gone without a trace when the test run ends, however that ends.

The nodes are machines as the plugin ``machine`` makes them, at a switch that nothing else is
connected to; so several swarms can run side by side. It needs root and the Debian packages
``docker.io busybox-static iptables iproute2``.

By hand: ``PYTHONPATH=tests python -m engine.swarm3 sh`` opens a shell whose ``DOCKER_HOST`` is the
first node; ``DOCKER_HOST_2`` and ``DOCKER_HOST_3`` are the others. ``IKDEMO_MANAGERS=3`` makes all
three managers, ``IKDEMO_HEARTBEAT=5`` sets the dispatcher's heartbeat in seconds.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import docker
import pytest
import requests

from ikdemo.disk import Lease
from ikdemo.instance.machine import machine
from ikdemo.instance.machine.boot_script import write_disk
from ikdemo.instance.machine.busybox_image import image_to_load, static_busybox
from ikdemo.instance.machine.machine import MachinePlace, Running
from ikdemo.instance.machine.orphans import end_orphaned_machines
from ikdemo.instance.machine.switch import Switch
from ikdemo.instance.ownership import begin_owner
from ikdemo.spi.errors import InUse, PluginFailure

IMAGE = "ikdemo-test/busybox:local"
NODES = (1, 2, 3)
PATIENCE = 100.0
"""Seconds for whatever has to happen."""
PREFIX = "ik-swarm3-"
YOUNG = 30.0
"""Seconds during which a directory is left alone: it may not be held yet."""
MARK = "IKDEMO_TEST_SESSION"
"""What tells the test run its processes."""
INIT = "set -eu\nrestart-docker\necho ready\n"
"""Runs at every boot: a node that is booted again joins its swarm by what is on its disk."""
NOT_NOW = (docker.errors.APIError, requests.exceptions.RequestException)

T = TypeVar("T")


class Swarm3:
    """Three machines, of which the first ``managers`` manage the swarm, and the others work.

    ``heartbeat``: seconds between two words of a node to the dispatcher; a node that is silent for
    three of them is down. Docker's own default is 5.
    """

    def __init__(self, managers: int = 1, heartbeat: float = 1.0) -> None:
        self.managers, self._heartbeat = managers, heartbeat
        self.directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir="/tmp"))
        self._lease = Lease(self.directory)
        owner = begin_owner(self._lease.fd)
        self._places = {n: MachinePlace(self.directory, n, owner, f"node-{n}") for n in NODES}
        self._switch = Switch.make()
        self._running: dict[int, Running] = {}
        self._clients: dict[int, docker.APIClient] = {}

    def begin(self) -> None:
        """Boot the nodes, and make a swarm of them."""
        image = image_to_load(IMAGE)
        for place in self._places.values():
            write_disk(place.disk, INIT, image)
        self.start(*NODES)
        self.client(1).init_swarm(
            advertise_addr=self.address(1), listen_addr=f"{self.address(1)}:2377"
        )
        spec = self.client(1).inspect_swarm()
        spec["Spec"]["Dispatcher"]["HeartbeatPeriod"] = int(self._heartbeat * 1e9)
        self.client(1).update_swarm(spec["Version"]["Index"], spec["Spec"])
        for node in NODES[1:]:
            self._join(node)
        self.until(lambda: self.nodes() == dict.fromkeys(NODES, "ready"), "three nodes are ready")

    def start(self, *nodes: int) -> None:
        """Boot nodes, again after ``kill``, and wait until their engines answer. Cables are whole
        then.
        """
        marks = [f"{MARK}={os.environ[MARK]}"] if MARK in os.environ else []
        for node in nodes:
            place = self._places[node]
            place.log.unlink(missing_ok=True)
            self._running[node] = machine.boot(
                place, self._switch, ("env", *marks, "setpriv", "--pdeathsig", "KILL")
            )
        for node in nodes:
            self.until(lambda node=node: self.answers(node), f"the engine of node {node} answers")

    def kill(self, node: int) -> None:
        """Cut the power of a node: its engine and its containers are gone, its disk stays."""
        machine.power_off(self._running.pop(node))

    def cut(self, node: int) -> None:
        """Cut the cable of a node: its engine and its containers run on."""
        self._switch.cut(node)

    def heal(self, node: int) -> None:
        """Mend the cable."""
        self._switch.heal(node)

    def host(self, node: int) -> str:
        """Return the DOCKER_HOST of a node; it is reached also when its cable is cut."""
        return f"unix://{self._places[node].socket}"

    def address(self, node: int) -> str:
        """Return the address of a node at the switch."""
        return self._places[node].address

    def pid(self, node: int) -> int:
        """Return the first process of a node that is on."""
        return self._running[node].pid

    def client(self, node: int) -> docker.APIClient:
        """Return a client of a node's engine."""
        if node not in self._clients:
            self._clients[node] = docker.APIClient(self.host(node), version="1.41", timeout=20)
        return self._clients[node]

    def answers(self, node: int) -> bool:
        """Say whether the engine of a node answers, within two seconds."""
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(2.0)
            try:
                asking.connect(str(self._places[node].socket))
                asking.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                return b" 200 " in asking.recv(4096)
            except OSError:
                return False

    def leader(self) -> int:
        """Return the node that leads the managers, as a manager says that is on and says it of
        itself.
        """

        def look() -> int:
            for node in self._running.keys() & set(NODES[: self.managers]):
                with suppress(*NOT_NOW):
                    own = self.client(node).info()["Swarm"]["NodeID"]
                    if self.client(node).inspect_node(own)["ManagerStatus"].get("Leader"):
                        return node
            return 0

        return self.until(look, "a manager leads")

    def nodes(self) -> dict[int, str]:
        """Return the state of every node, as the leader has it: ready, down, unknown."""
        listed = self.client(self.leader()).nodes()
        return {
            int(row["Description"]["Hostname"].removeprefix("m")): row["Status"]["State"]
            for row in listed
        }

    def node_id(self, node: int) -> str:
        """Return what the swarm calls a node that is on."""
        return str(self.client(node).info()["Swarm"]["NodeID"])

    def running(self, label: str = "") -> dict[int, list[str]]:
        """Return the containers that run physically, by node, as each engine says by its own
        socket; those with a label, if one is given. A node that is off runs none.
        """
        filters = {"label": label} if label else {}
        return {
            node: [row["Id"] for row in self.client(node).containers(filters=filters)]
            for node in sorted(self._running)
        }

    def until(self, happened: Callable[[], T], what: str) -> T:
        """Wait until something is true, and return it; an engine that does not answer is asked
        again.
        """
        try:
            return wait_until(happened, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()}") from None

    def log(self) -> str:
        """Return the end of what the nodes printed."""
        ends = []
        for place in self._places.values():
            for file in (place.log, place.disk / "docker.log"):
                text = file.read_text(errors="replace") if file.exists() else ""
                ends.append(f"{file}:\n{text[-1500:]}")
        return "\n".join(ends)

    def close(self) -> None:
        """End everything."""
        for node in list(self._running):
            self.kill(node)
        for client in self._clients.values():
            client.close()
        for place in self._places.values():
            machine.erase(place)
        self._switch.close()
        shutil.rmtree(self.directory)
        self._lease.release()

    def _join(self, node: int) -> None:
        tokens = self.client(1).inspect_swarm()["JoinTokens"]
        self.client(node).join_swarm(
            [f"{self.address(1)}:2377"],
            tokens["Manager" if node <= self.managers else "Worker"],
            listen_addr=f"{self.address(node)}:2377",
            advertise_addr=self.address(node),
        )


def wait_until(happened: Callable[[], T], what: str) -> T:
    """Wait until something is true, and return it."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with suppress(*NOT_NOW):
            if found := happened():
                return found
        time.sleep(0.02)
    raise AssertionError(f"not within {PATIENCE:g} s: {what}")


def lacking() -> str:
    """Say in a sentence why no swarm can be started here; nothing if one can."""
    if not (said := machine.lacking()) and static_busybox() is None:
        said = "a swarm of the tests' own needs busybox: apt-get install busybox-static"
    return said


def sweep() -> None:
    """Remove the directories that killed test runs left; their machines ended with them."""
    for left in Path("/tmp").glob(f"{PREFIX}*"):
        with suppress(InUse, PluginFailure, OSError):
            if time.time() - left.stat().st_mtime < YOUNG:
                continue
            lease = Lease(left)
            end_orphaned_machines(left)
            shutil.rmtree(left, ignore_errors=True)
            lease.release()


@contextmanager
def running(managers: int = 1, heartbeat: float = 1.0) -> Iterator[Swarm3]:
    """Give a swarm of three nodes; skips the test where none can be started."""
    if reason := lacking():
        pytest.skip(reason)
    sweep()
    made = Swarm3(managers, heartbeat)
    try:
        made.begin()
        yield made
    finally:
        made.close()


def main(command: Sequence[str], settings: Mapping[str, str] = os.environ) -> int:
    """Run a command with the engines of a new swarm in its environment; return its exit status."""
    managers = int(settings.get("IKDEMO_MANAGERS", "1"))
    with running(managers, float(settings.get("IKDEMO_HEARTBEAT", "1"))) as swarm:
        hosts: dict[str, Any] = {f"DOCKER_HOST_{node}": swarm.host(node) for node in NODES}
        environment = {**settings, **hosts, "DOCKER_HOST": swarm.host(1), "IKDEMO_IMAGE": IMAGE}
        return subprocess.run(command, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or [os.environ.get("SHELL", "/bin/sh")]))
