"""The swarm of three nodes that tests use is one: what is killed is gone at once, what is cut off
runs on, several swarms live side by side, and nothing is left of any, however its test run ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from docker.types import ContainerSpec, RestartPolicy, ServiceMode, TaskTemplate
from engine import swarm3
from engine.swarm3 import IMAGE, PREFIX, Swarm3, lacking, running

from ikdemo.instance import procfs
from ikdemo.instance.machine.cgroups import ROOT, remove_cgroup
from ikdemo.instance.ownership import MARK, OWNER

REPLICAS = 6
TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def swarm() -> Iterator[Swarm3]:
    """Give a swarm with a service of six."""
    with running() as made:
        container = ContainerSpec(IMAGE, command=["sleep", "100000"], labels={"of": "test"})
        at_once = RestartPolicy(condition="any", delay=0)
        made.client(1).create_service(
            TaskTemplate(container, restart_policy=at_once),
            name="six",
            mode=ServiceMode("replicated", REPLICAS),
        )
        yield made


def count(swarm: Swarm3) -> int:
    return sum(map(len, swarm.running("of=test").values()))


def test_a_power_cut_ends_all_that_a_node_runs_and_it_joins_again_by_itself(swarm: Swarm3) -> None:
    swarm.until(lambda: count(swarm) == REPLICAS, "six run")
    inside = processes_of(swarm.directory, "node-3")
    assert len(inside) > 3
    swarm.kill(3)
    assert processes_of(swarm.directory, "node-3") == []
    swarm.until(lambda: swarm.nodes()[3] == "down", "the node is down")
    swarm.until(lambda: count(swarm) == REPLICAS, "six run on two nodes")
    swarm.start(3)
    swarm.until(lambda: swarm.nodes()[3] == "ready", "the node is back")
    assert swarm.leader() == 1


def test_a_node_that_is_cut_off_runs_on_until_it_is_back(swarm: Swarm3) -> None:
    swarm.until(lambda: count(swarm) == REPLICAS, "six run")
    swarm.until(lambda: len(swarm.running("of=test")[2]) > 0, "some of them on the second node")
    swarm.cut(2)
    swarm.until(lambda: count(swarm) > REPLICAS, "those on the other side are made anew")
    assert swarm.answers(2)
    swarm.heal(2)
    swarm.until(lambda: count(swarm) == REPLICAS, "those that are too many are ended")


def test_no_node_reaches_this_machine_or_another_swarm(swarm: Swarm3) -> None:
    with running() as other:
        assert set(other.nodes()) == set(swarm.nodes())
        assert other.address(1) == swarm.address(1)
        assert other.node_id(1) != swarm.node_id(1)
        networks = {network_of(one.pid(1)) for one in (other, swarm)}
        assert len(networks | {network_of(os.getpid())}) == 3


@pytest.mark.skipif(bool(lacking()), reason=lacking())
def test_nothing_runs_on_when_the_test_run_is_killed_and_the_next_one_removes_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = set(Path("/tmp").glob(f"{PREFIX}*"))
    command = "docker run --detach $IKDEMO_IMAGE sleep 1000 >/dev/null; echo up; exec sleep 1000"
    run = subprocess.Popen(
        [sys.executable, "-m", "engine.swarm3", "sh", "-c", command],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert run.stdout is not None
        assert run.stdout.readline() == b"up\n"
        (left,) = set(Path("/tmp").glob(f"{PREFIX}*")) - before
        owner = os.getxattr(left, "user.ikdemo.owner").decode()
        assert groups_of(owner)
    finally:
        os.killpg(run.pid, signal.SIGKILL)
        run.communicate()
    swarm3.wait_until(lambda: processes_of(left) == [], "no process is left")
    monkeypatch.setattr(swarm3, "YOUNG", 0.0)
    swarm3.sweep()
    assert not left.exists()
    assert left_groups(owner) == []
    assert str(left) not in Path("/proc/mounts").read_text()


def network_of(pid: int) -> Path:
    """Return what names the network namespace of a process."""
    return Path(f"/proc/{pid}/ns/net").readlink()


def processes_of(directory: Path, instance: str = "") -> list[int]:
    """Return the living processes that were started for machines of a directory, or for one."""
    return [
        pid
        for pid, variables in procfs.with_variable(OWNER)
        if variables.get(os.fsencode(MARK)) == os.fsencode(directory)
        and (not instance or variables.get(b"INSTANCE_ID") == instance.encode())
        and (now := procfs.stat(pid)) is not None
        and now.lives
    ]


def left_groups(owner: str) -> list[Path]:
    """Return the control groups of an owner's machines, and remove them: a test that fails leaves
    none.
    """
    found = groups_of(owner)
    for group in found:
        remove_cgroup(group.name)
    return found


def groups_of(owner: str) -> list[Path]:
    """Return the control groups of an owner's machines."""
    found = list[Path]()
    for root in (ROOT, *ROOT.iterdir()):
        with suppress(OSError):  # it is no folder, or is removed by another test
            found += root.glob(f"ikdemo-{owner[:12]}-*")
    return found
