"""A Docker swarm on one computer: machines of a group are its workers, and one more machine manages
it.

Decides what is started for that, and does what a person would do with machines: cut the power or a
cable, run a service, list the nodes. A machine is called by its number, that of its host name: m1
is the manager, and a machine that takes the place of another one has a number of its own.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from msgspec import Raw

from ...engine.engine_client import EngineAddress, EngineClient
from ...instance import procfs
from ...instance.common import PID_TAG
from ...instance.machine.busybox_image import image_to_load, static_busybox
from ...instance.machine.machine import lacking
from ...instance.machine.plugin import ENGINE_TAG, HOSTNAME_TAG
from ...instance.machine.switch import Switch
from ...reconcile.analysis.partition import BACK, CUT, Fact
from ...reconcile.analysis.service import GONE
from ...spi.decode import encode
from ...spi.documents import Description, Document, InstanceSpec
from ...spi.errors import IkdemoError, NotConverged, PluginUnavailable
from ...spi.events import Event
from ...spi.text import visible
from ..host.convergence import Convergence
from ..host.group_commands import GroupCommands
from ..host.plugin_commands import PluginCommands
from ..show.tables import Table, Words
from .count_watch import CountWatch

T = TypeVar("T")
GROUP, PLUGIN, FLAVOR, MANAGER = "machines", "instance-machine", "flavor-swarm", "manager"
"""The group of the workers, the plugins that it needs, and the slot of the machine that manages."""
IMAGE = "ikdemo/busybox:local"
"""The image that every machine has; there is no registry in reach."""
HEARTBEAT = 1.0
"""Seconds between two words of a node to the manager, which gives a node up after three; Docker's
own default is 5.
"""
PATIENCE = 100.0
"""Seconds for a swarm to be made, and for a service to run."""
PAUSE = 0.05
MANAGER_INIT = f"""#!/bin/sh
# Makes this machine the manager of a new Docker swarm, on which no container is to run.
set -eu
restart-docker
docker swarm init --advertise-addr eth0 --availability drain \\
  --dispatcher-heartbeat {HEARTBEAT:g}s
"""


class _Properties(Document, frozen=True):
    image: str


class LabMachine(NamedTuple):
    """A machine that is on. ``slot`` is that of the group, or ``manager``."""

    number: int
    slot: str
    instance: str
    pid: int
    host: str

    @property
    def name(self) -> str:
        return f"m{self.number}"


class Machines:
    """A swarm of machines, from its making until the end of the lab."""

    def __init__(
        self,
        plugins: PluginCommands,
        groups: GroupCommands,
        convergence: Convergence,
        number: int,
    ) -> None:
        """Boot a manager and ``number`` workers, and wait until the workers have joined.

        What is there already stays. Raises IkdemoError where machines cannot run, and what plugins
        raise.
        """
        if reason := _lacking():
            raise IkdemoError(reason)
        self._plugins, self._groups, self._convergence = plugins, groups, convergence
        self._watches: list[CountWatch] = []
        self._clients: dict[str, EngineClient] = {}
        properties = self._properties()
        running = plugins.running
        if PLUGIN not in running:
            plugins.start_plugin(PLUGIN, PLUGIN, {})
        self.manager = self._boot_manager(properties)
        if FLAVOR not in running:
            plugins.start_plugin(FLAVOR, FLAVOR, {"host": self.manager})
        if "group" not in running:
            plugins.start_plugin("group", "group", {"poll_interval": 1.0})
        self._await_manager()  # it has made its swarm meanwhile
        self._groups.commit(_spec(number, properties))
        self._convergence.wait(GROUP, PATIENCE)

    def init(self) -> Words:
        """Return the Init of the first worker, as its flavor wrote it."""
        first = self._workers()[0]
        disk = Path(first.host.removeprefix("unix://")).parent
        return Words((disk / "init").read_text())

    def table(self) -> Table:
        """List the machines that are on, the manager first."""
        rows = [(one.name, one.slot, one.instance, one.pid) for one in self._machines()]
        return Table(["machine", "slot", "instance", "pid"], rows, empty="No machine is on.")

    def nodes(self) -> Table:
        """List the nodes of the swarm, as ``docker node ls`` does: also those of machines that are
        no more, until the flavor removes them.
        """
        rows = []
        for node in self._ask(self.manager, lambda api: api.nodes()):
            role = node["Spec"]["Role"]
            leads = (node.get("ManagerStatus") or {}).get("Leader", False)
            name, state = node["Description"]["Hostname"], node["Status"]["State"]
            rows.append((name, role, "yes" if leads else "", state))
        rows.sort(key=lambda row: (len(row[0]), row[0]))
        return Table(["node", "role", "leads", "state"], rows)

    def service(self, replicas: int = 6, name: str = "web") -> Table:
        """Run so many containers on the workers, as ``docker service create`` does, or another
        number of them; return where they run. One that is lost is made again at once.

        Raises NotConverged when they do not run in time.
        """
        self._ask(self.manager, lambda api: _set_service(api, name, replicas))
        deadline = time.monotonic() + PATIENCE
        while len(counted := self.counted()) != replicas:
            if time.monotonic() > deadline:
                raise NotConverged(
                    f"{len(counted)} of {replicas} containers of {name} run after {PATIENCE:g} s",
                    (),
                )
            time.sleep(PAUSE)
        return self.running()

    def running(self) -> Table:
        """List how many containers run on each machine, as its own engine says, which is asked also
        when its cable is cut.
        """
        rows = [(one.name, len(self._containers(one.host))) for one in self._machines()]
        return Table(["machine", "running"], rows)

    def counted(self) -> frozenset[str]:
        """Return the IDs of all tasks of the swarm that run and are to run, as its manager counts
        them.
        """
        return frozenset(self._tasks())

    def kill(self, number: int) -> Words:
        """Cut the power of a machine, as ``kill -9`` of its first process does: its engine and its
        containers are gone.
        """
        machine = self._machine(number)
        group = "" if machine.slot == MANAGER else GROUP
        told = (group, machine.instance, machine.slot, GONE, "cut the power of")
        self._plugins.session.record.add([Event("fault", time.time(), "lab", *told)])
        procfs.kill(machine.pid, procfs.start_of(machine.pid))
        return Words(f"{machine.name} is off")

    def cut(self, number: int) -> Words:
        """Cut the cable of a machine: what runs on it runs on, and nobody hears of it.

        The group takes it for unhealthy when its node is down, and puts another machine in its
        place, unless it is paused: ``lab.pause("machines")``.
        """
        self._cable(number, Switch.cut, CUT)
        return Words(f"the cable of m{number} is cut")

    def heal(self, number: int) -> Words:
        """Mend the cable of a machine."""
        self._cable(number, Switch.heal, BACK)
        return Words(f"the cable of m{number} is whole")

    def watch(self) -> CountWatch:
        """Return a watch on what is counted and what runs: ``with machines.watch() as seen:`` looks
        until the end of the block, and ``seen.partition()`` shows it.
        """
        watch = CountWatch(
            self._plugins.session, self._tasks, lambda: dict(self._hosts()), self._containers
        )
        self._watches = [one for one in self._watches if one.open] + [watch]
        return watch

    def __repr__(self) -> str:
        return visible(f"Machines: {', '.join(one.name for one in self._machines()) or 'none'}")

    def _properties(self) -> Raw:
        image = self._plugins.root / "busybox.tar"
        if not image.exists():
            image.write_bytes(image_to_load(IMAGE))
        return Raw(encode(_Properties(str(image))))

    def _boot_manager(self, properties: Raw) -> str:
        """Return where the engine of the manager will be reached, which is booted if need be."""
        spec = InstanceSpec(properties, {}, MANAGER_INIT)
        self._plugins.session.call(self._provision(spec))
        return next(one.host for one in self._machines() if one.slot == MANAGER)

    def _await_manager(self) -> None:
        """Wait until the manager has a swarm; raises NotConverged."""
        deadline, said = time.monotonic() + PATIENCE, ""
        while time.monotonic() < deadline:
            try:
                info = self._ask(self.manager, lambda api: api.info())
                if info["Swarm"]["ControlAvailable"]:
                    return
            except IkdemoError as error:
                said = f": {error}"
            time.sleep(PAUSE)
        raise NotConverged(
            f"the manager of the swarm does not answer after {PATIENCE:g} s{said}", ()
        )

    async def _provision(self, spec: InstanceSpec) -> None:
        found = await self._plugins.session.peers.instance(PLUGIN)
        await found.plugin.provision(spec, MANAGER)

    async def _described(self) -> list[Description]:
        found = await self._plugins.session.peers.instance(PLUGIN)
        return await found.plugin.describe_instances({}, True)

    def _machines(self) -> list[LabMachine]:
        """Return the machines that are on, in the order of their numbers."""
        described = self._plugins.session.call(self._described())
        return sorted(machine_of(one) for one in described)

    def _workers(self) -> list[LabMachine]:
        return [one for one in self._machines() if one.slot != MANAGER]

    def _machine(self, number: int) -> LabMachine:
        machines = self._machines()
        for machine in machines:
            if machine.number == number:
                return machine
        there = ", ".join(str(one.number) for one in machines)
        raise IkdemoError(f"There is no machine {number!r}; there are: {there or 'none'}")

    def _hosts(self) -> Iterator[tuple[str, str]]:
        """Yield name and engine of every worker."""
        for machine in self._workers():
            yield machine.name, machine.host

    def _cable(self, number: int, do: Callable[[Switch, int], None], what: str) -> None:
        machine = self._machine(number)
        switch = Switch.of(machine.pid)
        try:
            do(switch, number)
        finally:
            switch.close()
        fact = Fact(time.monotonic(), what, machine.name)
        for watch in self._watches:
            watch.note(fact)

    def _tasks(self) -> list[str]:
        tasks = self._ask(self.manager, lambda api: api.tasks({"desired-state": "running"}))
        return [one["ID"] for one in tasks if one["Status"]["State"] == "running"]

    def _containers(self, host: str) -> list[str]:
        rows = self._ask(host, lambda api: api.containers(quiet=True))
        return [row["Id"] for row in rows]

    def _ask(self, host: str, question: Callable[[Any], T]) -> T:
        """Ask the engine of a machine; raises as ``EngineClient.ask`` does.

        Docker's SDK keeps a socket open for each connection that is refused, and a machine that is
        off is asked often: so it is tried here first.
        """
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(host.removeprefix("unix://"))
            except OSError as error:
                raise PluginUnavailable(f"no engine at {host}: {error.strerror}") from None
        if host not in self._clients:
            self._clients[host] = EngineClient(10.0, 4, EngineAddress(host))
        return self._clients[host].ask(question)


def machine_of(one: Description) -> LabMachine:
    """Read what the plugin says of a machine.

    >>> tags = {"hostname": "m2", "pid": "7", "engine": "unix:///tmp/m2/docker.sock"}
    >>> machine_of(Description("instance-5", None, tags, "0"))[:3]
    (2, '0', 'instance-5')
    """
    tags, slot = one.tags or {}, one.slot if isinstance(one.slot, str) else ""
    number = int(tags[HOSTNAME_TAG].removeprefix("m"))
    return LabMachine(number, slot, one.id, int(tags[PID_TAG]), tags[ENGINE_TAG])


def _lacking() -> str:
    """Say in a sentence why there can be no machines here; nothing if there can."""
    if reason := lacking():
        return reason
    if static_busybox() is None:
        return "machines run containers of busybox: apt-get install busybox-static"
    return ""


def _spec(number: int, properties: Raw) -> dict[str, Any]:
    """Return the spec of the group of workers."""
    flavor = {"Type": "worker", "DockerRestartCommand": "restart-docker"}
    return {
        "ID": GROUP,
        "Properties": {
            "Allocation": {"Size": number},
            "Instance": {"Plugin": PLUGIN, "Properties": json.loads(bytes(properties))},
            "Flavor": {"Plugin": FLAVOR, "Properties": flavor},
        },
    }


def _set_service(api: Any, name: str, replicas: int) -> None:
    """Make a service of containers that do nothing, or give it another number of them."""
    from docker.types import ContainerSpec, RestartPolicy, ServiceMode, TaskTemplate

    command, at_once = ["sleep", "1000000"], RestartPolicy("any", delay=0)
    container = ContainerSpec(IMAGE, command=command, stop_grace_period=0)
    wanted = {
        "task_template": TaskTemplate(container, restart_policy=at_once),
        "name": name,
        "mode": ServiceMode("replicated", replicas),
    }
    for one in api.services(filters={"name": name}):
        if one["Spec"]["Name"] == name:
            api.update_service(one["ID"], one["Version"]["Index"], **wanted)
            return
    api.create_service(**wanted)
