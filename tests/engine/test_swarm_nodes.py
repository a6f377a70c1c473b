"""The flavor swarm and a real swarm, whose machines run what it has prepared: they join, are judged
by their nodes, and are buried when they are gone, unless the swarm has no majority.
"""

from __future__ import annotations

import asyncio
import gc
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from engine.swarm3 import NOT_NOW, PREFIX, lacking, sweep, wait_until
from msgspec import Raw

from ikdemo.disk import Lease
from ikdemo.engine import EngineAddress, Swarm
from ikdemo.flavor.swarm_flavor import SwarmFlavor
from ikdemo.instance.machine import machine
from ikdemo.instance.machine.boot_script import write_disk
from ikdemo.instance.machine.machine import MachinePlace, Running
from ikdemo.instance.machine.switch import Switch
from ikdemo.instance.ownership import begin_owner
from ikdemo.spi.documents import Allocation, Description, Health, InstanceSpec
from ikdemo.spi.errors import IkdemoError, PluginFailure

# the SDK leaves a socket that it could not connect to the garbage collector, which warns
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
)
WORKER, MANAGER = (
    Raw(b'{"Type":"%s","DockerRestartCommand":"restart-docker"}' % role)
    for role in (b"worker", b"manager")
)


class Site:
    """Machines at one switch; the first of them begins a swarm, with a heartbeat of a second."""

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir="/tmp"))
        self._lease = Lease(self._directory)
        self._owner = begin_owner(self._lease.fd)
        self._switch = Switch.make()
        self._running: dict[int, Running] = {}

    def place(self, number: int) -> MachinePlace:
        return MachinePlace(self._directory, number, self._owner, f"node-{number}")

    def begin(self) -> None:
        self.boot(1, "restart-docker")
        self.client = docker.APIClient(self.host, version="1.41", timeout=20)
        address = self.place(1).address
        wait_until(lambda: self.client.ping(), "the engine answers")
        self.client.init_swarm(advertise_addr=address, listen_addr=f"{address}:2377")
        there = self.client.inspect_swarm()
        there["Spec"]["Dispatcher"]["HeartbeatPeriod"] = 10**9
        self.client.update_swarm(there["Version"]["Index"], there["Spec"])

    def boot(self, number: int, init: str = "") -> None:
        """Turn a machine on: a new one with an Init, or one whose power was cut."""
        place = self.place(number)
        if init:
            write_disk(place.disk, init)
        before = ("setpriv", "--pdeathsig", "KILL")
        self._running[number] = machine.boot(place, self._switch, before)

    def power_off(self, number: int) -> None:
        machine.power_off(self._running.pop(number))

    @property
    def host(self) -> str:
        return f"unix://{self.place(1).socket}"

    def nodes(self) -> dict[str, str]:
        """Return the state of each node by its host name, as the first one has it."""
        rows = self.client.nodes()
        return {row["Description"]["Hostname"]: row["Status"]["State"] for row in rows}

    def log(self) -> str:
        logs = self._directory.glob("m*/*log")
        return "\n".join(f"{log}:\n{log.read_text(errors='replace')[-1000:]}" for log in logs)

    def close(self) -> None:
        numbers = [int(path.name[1:]) for path in self._directory.glob("m[0-9]*")]
        for number in list(self._running):
            self.power_off(number)
        for number in numbers:
            machine.erase(self.place(number))
        self.client.close()
        self._switch.close()
        shutil.rmtree(self._directory)
        self._lease.release()


@pytest.fixture
def site() -> Iterator[Site]:
    if reason := lacking():
        pytest.skip(reason)
    sweep()
    made = Site()
    try:
        made.begin()
        yield made
    finally:
        made.close()
        gc.collect()


def run(site: Site, story: Callable[[SwarmFlavor], Awaitable[None]]) -> None:
    async def bounded() -> None:
        flavor = SwarmFlavor(Swarm(EngineAddress(site.host)))
        try:
            async with asyncio.timeout(200):  # swarms elect, and nodes are silent for a while
                await story(flavor)
        finally:
            await flavor.stop()

    try:
        asyncio.run(bounded())
    except BaseException as error:
        error.add_note(site.log())
        raise


async def until(true: Callable[[], Awaitable[Any]]) -> Any:
    """Ask until it is so; what an engine does not answer is asked again."""
    while True:
        try:
            if found := await true():
                return found
        except (IkdemoError, *NOT_NOW):
            pass
        await asyncio.sleep(0.05)


async def made(site: Site, flavor: SwarmFlavor, number: int, properties: Raw) -> Description:
    """Boot a machine as the flavor wants it, and wait until it is healthy."""
    spec = InstanceSpec(logical_id=site.place(number).address)
    prepared = await until(lambda: flavor.prepare(properties, spec, Allocation(1)))
    instance = Description(f"i-{number}", None, prepared.tags)
    assert await flavor.healthy(properties, instance) is Health.UNKNOWN
    site.boot(number, prepared.init)
    await health(flavor, instance, Health.HEALTHY)
    return instance


async def health(flavor: SwarmFlavor, instance: Description, wanted: Health) -> None:
    async def is_so() -> bool:
        return await flavor.healthy(WORKER, instance) is wanted

    await until(is_so)


def test_a_machine_joins_and_is_judged_by_its_node_and_buried_when_it_is_gone(site: Site) -> None:
    async def story(flavor: SwarmFlavor) -> None:
        lost = await made(site, flavor, 2, WORKER)
        other = await made(site, flavor, 3, WORKER)
        assert site.nodes() == dict.fromkeys(("m1", "m2", "m3"), "ready")
        with pytest.raises(PluginFailure, match="of i-2 is ready, not down"):
            await flavor.bury(WORKER, lost)

        site.power_off(2)
        await health(flavor, lost, Health.UNHEALTHY)
        await flavor.bury(WORKER, lost)
        assert site.nodes() == {"m1": "ready", "m3": "ready"}
        assert await flavor.healthy(WORKER, lost) is Health.UNKNOWN
        await flavor.bury(WORKER, lost)

        await flavor.drain(WORKER, other)
        assert site.nodes() == {"m1": "ready"}

    run(site, story)


def test_without_a_majority_nothing_is_buried_and_nothing_is_concluded(site: Site) -> None:
    """And a manager that is booted again joins no second time."""

    async def story(flavor: SwarmFlavor) -> None:
        await made(site, flavor, 2, MANAGER)
        lost = await made(site, flavor, 3, WORKER)
        site.power_off(3)
        await health(flavor, lost, Health.UNHEALTHY)
        site.power_off(2)
        for _ in range(3):  # at first the leader has not noticed, then it has none
            with pytest.raises(IkdemoError, match=r"engine|daemon"):
                await flavor.bury(WORKER, lost)

        site.boot(2)
        await until(lambda: buried(flavor, lost))
        assert await flavor.healthy(WORKER, lost) is Health.UNKNOWN
        assert set(site.nodes()) == {"m1", "m2"}

    run(site, story)


def test_managers_that_are_lost_cost_no_majority_when_others_take_their_place(site: Site) -> None:
    """Two of three are lost, one after the other, and two more come. Would the lost ones go on to
    count, the next loss would leave two of five.
    """

    async def story(flavor: SwarmFlavor) -> None:
        managers = [await made(site, flavor, number, MANAGER) for number in (2, 3)]
        for lost, number in zip(managers, (4, 5), strict=True):
            site.power_off(number - 2)
            await health(flavor, lost, Health.UNHEALTHY)
            await until(lambda lost=lost: buried(flavor, lost))
            await made(site, flavor, number, MANAGER)
        there = {row["Description"]["Hostname"]: row for row in site.client.nodes()}
        assert sorted(there) == ["m1", "m4", "m5"]
        assert all(row["ManagerStatus"]["Reachability"] == "reachable" for row in there.values())

    run(site, story)


async def buried(flavor: SwarmFlavor, lost: Description) -> bool:
    await flavor.bury(WORKER, lost)
    return True
