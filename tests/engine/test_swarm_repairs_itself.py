"""A swarm whose workers are the machines of a group: killed at random moments, made again, joined
again, until its service is whole and its list of nodes names no dead one.

Real programs, machines and engines. 30 kills where there is time for it (IKDEMO_SEARCH=soak), a few
in every run; IKDEMO_SEED repeats a run.
"""

from __future__ import annotations

import gc
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asking
import docker
import profiles
import pytest
from desk import Desk
from docker.types import ContainerSpec, RestartPolicy, ServiceMode, TaskTemplate
from engine.swarm3 import IMAGE, NOT_NOW, lacking, wait_until
from engine.test_swarm3 import groups_of, processes_of

from ikdemo.instance.machine.busybox_image import image_to_load
from ikdemo.instance.machine.orphans import end_orphaned_machines

# the SDK leaves a socket that it could not connect to the garbage collector, which warns
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
)
WORKERS, REPLICAS = 3, 6
KILLS = {"test": 4, "ci": 8, "soak": 30}[profiles.SEARCH]
BEGIN = "restart-docker; docker swarm init --advertise-addr eth0 --dispatcher-heartbeat 1s"


class Site:
    """A group of workers, and one more machine of the same plugin, which manages their swarm."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.machines = desk, desk.root / "machines"
        self.client: Any = None
        self.properties = {"Image": str(desk.root / "image.tar")}

    def begin(self) -> None:
        desk, image = self.desk, self.desk.root / "image.tar"
        image.write_bytes(image_to_load(IMAGE))
        desk.start("ikdemo-instance-machine", "instance-machine", "--dir", str(self.machines))
        spec = {"Properties": self.properties, "Tags": {"role": "manager"}, "Init": BEGIN}
        self.manager = self.ask("instance-machine", "Instance.Provision", Spec=spec)["ID"]
        (told,) = self.described({"role": "manager"})
        self.client = docker.APIClient(told["Tags"]["engine"], version="1.41", timeout=20)
        self.until(lambda: self.client.inspect_swarm(), "the swarm has begun")
        desk.start("infrakit-flavor-swarm", "flavor-swarm", "--host", told["Tags"]["engine"])
        desk.start("infrakit-group-default", "group", "--poll-interval", "2s")

    def ask(self, plugin: str, method: str, **params: object) -> Any:
        return asking.ask(self.desk.plugins / plugin, method, params)

    def described(self, tags: dict[str, str]) -> list[dict[str, Any]]:
        found = self.ask("instance-machine", "Instance.DescribeInstances", Tags=tags)
        return list(found["Descriptions"] or [])

    def workers(self) -> list[dict[str, Any]]:
        return self.described({"infrakit.group": "workers"})

    def commit(self) -> None:
        own = {"Type": "worker", "DockerRestartCommand": "restart-docker"}
        properties = {
            "Allocation": {"Size": WORKERS},
            "Instance": {"Plugin": "instance-machine", "Properties": self.properties},
            "Flavor": {"Plugin": "flavor-swarm", "Properties": own},
        }
        spec = {"ID": "workers", "Properties": properties}
        self.ask("group", "Group.CommitGroup", Spec=spec, Pretend=False)

    def serve(self) -> None:
        """Put a service on the workers."""
        container = ContainerSpec(IMAGE, command=["sleep", "100000"], stop_grace_period=0)
        task = TaskTemplate(
            container,
            restart_policy=RestartPolicy(condition="any", delay=0),
            placement={"Constraints": ["node.role==worker"]},
        )
        self.client.create_service(task, name="web", mode=ServiceMode("replicated", REPLICAS))

    def nodes(self) -> dict[str, str]:
        """Return the state of each worker's node by its association, as the manager has it.

        One without a name, of a machine that was killed while it joined, is nobody's.
        """
        return {
            row["Description"]["Engine"]["Labels"]["swarm-association-id"]: row["Status"]["State"]
            for row in self.client.nodes(filters={"role": "worker"})
            if row["Description"].get("Hostname")
        }

    def is_whole(self) -> bool:
        """Say whether the nodes are those of the workers, all ready, and the service runs there."""
        wanted = {one["Tags"]["swarm-association-id"] for one in self.workers()}
        if len(wanted) != WORKERS or self.nodes() != dict.fromkeys(wanted, "ready"):
            return False
        tasks = self.client.tasks(filters={"service": "web", "desired-state": "running"})
        states = Counter(task["Status"]["State"] for task in tasks)
        return states == {"running": REPLICAS} and self.containers() == REPLICAS

    def containers(self) -> int:
        """Count the containers that run, as each worker's own engine has it."""
        count = 0
        for one in self.workers():
            client = docker.APIClient(one["Tags"]["engine"], version="1.41", timeout=20)
            try:
                count += len(client.containers())
            finally:
                client.close()
        return count

    def kill(self, instance: dict[str, Any]) -> None:
        """Cut the power of a machine."""
        try:
            os.kill(int(instance["Tags"]["pid"]), signal.SIGKILL)
        except ProcessLookupError:
            pass

    def until(self, true: Callable[[], object], what: str) -> None:
        try:
            wait_until(true, what)
        except AssertionError as error:
            for name in self.desk.processes:
                error.add_note(f"{name}: {self.desk.log(name)[-1500:]}")
            try:
                error.add_note(f"nodes: {self.client.nodes()}\nworkers: {self.workers()}")
                error.add_note(str(self.ask("group", "Reconcile.Why", ID="workers")))
            except (*NOT_NOW, OSError, asking.Refused) as other:
                error.add_note(repr(other))
            raise

    def end(self) -> None:
        """End the group and the manager, as a person does."""
        self.ask("group", "Group.DestroyGroup", ID="workers")
        self.until(lambda: not self.workers(), "the workers are gone")
        assert self.nodes() == {}
        self.ask("instance-machine", "Instance.Destroy", Instance=self.manager)

    def close(self) -> None:
        for name in list(self.desk.processes):
            self.desk.stop(name)
        end_orphaned_machines(self.machines)
        if self.client is not None:
            self.client.close()
        gc.collect()


@pytest.fixture
def site(desk: Desk) -> Iterator[Site]:
    if reason := lacking():
        pytest.skip(reason)
    made = Site(desk)
    try:
        made.begin()
        yield made
    finally:
        made.close()


def test_a_swarm_repairs_itself(site: Site) -> None:
    seed = int(os.environ.get("IKDEMO_SEED", "0")) or random.randrange(10**6)
    dice = random.Random(seed)
    owner = os.getxattr(site.machines, "user.ikdemo.owner").decode()
    try:
        site.commit()
        site.serve()
        site.until(site.is_whole, "the swarm is whole for the first time")
        for _ in range(KILLS):
            time.sleep(dice.uniform(0, 2))  # the moment is what is random
            site.until(site.workers, "a machine is on")
            site.kill(dice.choice(sorted(site.workers(), key=lambda one: one["ID"])))
        site.ask("group", "Reconcile.Resume", ID="workers")  # what waits as in a storm
        site.until(site.is_whole, "the swarm is whole again")
        site.end()
    except BaseException as error:
        error.add_note(f"IKDEMO_SEED={seed}")
        raise
    assert left_of(site.machines, owner) == []


def left_of(directory: Path, owner: str) -> list[object]:
    """Return what is left of machines of a directory: processes, mounts, control groups, disks."""
    mounts = Path("/proc/mounts").read_text().splitlines()
    left = [line for line in mounts if str(directory) in line]
    return [*processes_of(directory), *left, *groups_of(owner), *directory.glob("m[0-9]*")]
