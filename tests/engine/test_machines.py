"""Instances that are machines: real namespaces, engines and signals. What is lost is told, a slot
is never filled twice, a restarted plugin knows its machines again, and nothing is left of any.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from engine.network import inside
from engine.private import command_of
from engine.swarm3 import IMAGE, lacking, wait_until
from engine.test_swarm3 import groups_of, left_groups, processes_of
from lasting import Ear, run, spec
from msgspec.structs import replace

from ikdemo.instance import output, output_limit, procfs
from ikdemo.instance.machine.busybox_image import image_to_load
from ikdemo.instance.machine.machine import lacking as lacking_here
from ikdemo.instance.machine.orphans import end_machines, end_orphaned_machines
from ikdemo.instance.machine.plugin import MachineInstances
from ikdemo.instance.machine.switch import Switch
from ikdemo.instance.ownership import MARK, OWNER
from ikdemo.lab import Lab
from ikdemo.rpc.discovery import ENVIRONMENT
from ikdemo.spi.documents import Description
from ikdemo.spi.errors import Fenced, IkdemoError, PluginFailure, SpecError

pytestmark = pytest.mark.skipif(bool(lacking()), reason=lacking())


@pytest.fixture
def home(short_dir: Path) -> Iterator[Path]:
    """Give a directory for machines; the test fails if it leaves a process, a disk or a group."""
    at = short_dir / "machines"
    yield at
    owner = os.getxattr(at, "user.ikdemo.owner").decode()
    left = [processes_of(at), files(at, "[!.]*"), groups_of(owner)]
    end_machines(owner)
    end_orphaned_machines(at)
    left_groups(owner)
    assert left == [[], [], []]
    assert str(at) not in Path("/proc/mounts").read_text()


@asynccontextmanager
async def machines_in(home: Path, **settings: Any) -> AsyncIterator[tuple[MachineInstances, Ear]]:
    """Run a plugin, which takes its machines along when it ends."""
    made, ear = MachineInstances(home, **{"takes_along": True, **settings}), Ear()
    await made.start(ear)
    try:
        yield made, ear
    finally:
        await made.stop()


def files(home: Path, pattern: str) -> list[str]:
    return sorted(path.name for path in home.glob(pattern))


async def ended(made: MachineInstances, instance: str) -> list[str]:
    """Wait until the Init of a machine has ended, and return what it printed."""
    async with asyncio.timeout(100):
        while not (said := await made.logs(instance)) or "Init ended" not in said[-1]:  # noqa: ASYNC110  nothing tells what was printed
            await asyncio.sleep(0.02)
    return said


async def only(made: MachineInstances) -> Description:
    (found,) = await made.describe_instances({}, slots=True)
    return found


def pid_of(machine: Description) -> int:
    return int((machine.tags or {})["pid"])


def engine_of(machine: Description) -> str:
    return (machine.tags or {})["engine"]


def docker(machine: Description, *words: str) -> str:
    """Run Docker's command with the engine of a machine."""
    host = engine_of(machine)
    done = subprocess.run(["docker", "-H", host, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_what_a_machine_prints_is_cut_to_its_end(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_limit, "EVERY", 0.02)
    much = 4 * output.KEPT
    init = f"head -c {much} /dev/zero | tee -a /mnt/docker.log"

    async def story() -> None:
        async with machines_in(home) as (made, _):
            instance = await made.provision(spec(init), "0")
            await ended(made, instance)
            async with asyncio.timeout(100):
                while any(  # noqa: ASYNC110  a file tells nobody that it shrank
                    (home / "m1" / name).stat().st_size > output.KEPT
                    for name in ("log", "docker.log")
                ):
                    await asyncio.sleep(0.02)

    run(story)


def test_a_machine_boots_runs_its_init_and_has_an_engine_of_its_own(home: Path) -> None:
    image = home.with_name("image.tar")
    image.write_bytes(image_to_load(IMAGE))
    init = """#!/bin/sh
    set -eu
    echo '{"labels": ["is=mine"]}' >/etc/docker/daemon.json
    restart-docker
    docker info --format '{{.Name}} {{.Labels}} {{.CgroupDriver}}'
    cat /proc/sys/kernel/hostname
    touch /run/ikdemo-test-machine /etc/ikdemo-test-machine
    ls /proc | grep -c '^[0-9]'
    """

    async def story() -> None:
        async with machines_in(home) as (made, ear):
            instance = await made.provision(replace(spec(init, Image=str(image))), "0")
            machine = await only(made)
            assert machine.id == instance == (await ear.next("provisioned")).instance
            assert machine.slot == "0"
            said = await ended(made, instance)
            *_, info, name, processes, last = said
            assert info == "m1 [is=mine] cgroupfs"
            assert name == (machine.tags or {})["hostname"] == "m1"
            assert int(processes) < 15  # it sees its own alone
            assert last == "Init ended with exit status 0"
            for folder in ("/run", "/etc"):
                assert files(Path(folder), "ikdemo-test-machine") == []  # it wrote into its own
            assert docker(machine, "images", "--format", "{{.Repository}}:{{.Tag}}") == IMAGE
            docker(machine, "run", "--detach", IMAGE, "sleep", "1000")
            assert groups_of(os.getxattr(home, "user.ikdemo.owner").decode())
            await made.destroy(instance)
            assert await made.describe_instances({}) == []
            assert (await ear.next("destroyed")).instance == instance
            assert "Init ended with exit status 0" in await made.logs(instance)

    run(story)


def test_machines_reach_each_other_but_not_when_a_cable_is_cut(home: Path) -> None:
    listening = "busybox httpd -p 80 -h /mnt"

    async def story() -> None:
        async with machines_in(home) as (made, _):
            ids = [await made.provision(spec(listening), str(slot)) for slot in range(2)]
            machines = await made.describe_instances({})
            first, second = sorted(machines, key=lambda one: ids.index(one.id))
            for instance in ids:
                await ended(made, instance)
            wait_until(lambda: reaches(first, second), "one is reached by the other")
            switch = Switch.of(pid_of(second))
            switch.cut(2)
            assert not reaches(first, second)
            assert docker(second, "info", "--format", "{{.Name}}") == "m2"  # it runs on
            switch.heal(2)
            wait_until(lambda: reaches(first, second), "one is reached by the other")
            with pytest.raises(PluginFailure, match="m77"):
                switch.cut(77)
            switch.close()

    run(story)


def reaches(first: Description, second: Description) -> bool:
    """Say whether a server in the second machine can be reached from the first one."""
    address = (second.tags or {})["address"]
    namespace = os.open(f"/proc/{pid_of(first)}/ns/net", os.O_RDONLY)
    try:
        with inside(namespace), socket.create_connection((address, 80), timeout=2.0):
            return True
    except OSError:
        return False
    finally:
        os.close(namespace)


def test_a_power_cut_is_told_as_a_loss_and_the_slot_is_free(home: Path) -> None:
    async def story() -> None:
        async with machines_in(home) as (made, ear):
            first = await made.provision(spec("echo hello"), "0")
            await ended(made, first)
            os.kill(pid_of(await only(made)), signal.SIGKILL)
            lost = await ear.next("lost")
            assert (lost.instance, lost.slot, lost.code) == (first, "0", "killed")
            assert await made.describe_instances({}) == []
            wait_until(lambda: processes_of(home, first) == [], "no process of it is left")
            assert "hello" in await made.logs(first)
            second = await made.provision(spec("echo hello"), "0")
            assert second != first
            await made.destroy(second)

    run(story)


def test_a_slot_is_never_filled_twice_however_often_it_is_asked_for(home: Path) -> None:
    async def story() -> None:
        async with machines_in(home, most=2) as (made, _):

            async def asked() -> str:
                instance = await made.provision(spec("exit 0"), "0")
                assert instance == (await only(made)).id  # it is on when it is told of
                return instance

            calls = [asked() for _ in range(5)]
            calls.append(made.provision(spec("exit 0", sha="another"), "0"))
            *ids, refused = await asyncio.gather(*calls, return_exceptions=True)
            assert len(set(ids)) == 1
            assert isinstance(refused, PluginFailure)
            assert str(refused) == f"slot 0 of group g is occupied by {ids[0]}"
            assert len(files(home, "*.json")) == len(files(home, "m*")) == 1
            other = await made.provision(spec("exit 0"), "1")
            with pytest.raises(PluginFailure, match="no room: 2 instances"):
                await made.provision(spec("exit 0"), "2")
            await asyncio.gather(
                made.destroy(other), made.destroy(other), made.destroy(str(ids[0]))
            )

    run(story)


def test_a_plugin_that_was_away_knows_its_machines_again_and_ends_what_it_does_not_know(
    home: Path,
) -> None:
    async def story() -> None:
        async with machines_in(home, takes_along=False) as (made, _):
            ids = [await made.provision(spec("exit 0"), str(slot)) for slot in range(3)]
            before = {one.id: one for one in await made.describe_instances({}, slots=True)}
        os.kill(pid_of(before[ids[0]]), signal.SIGKILL)
        wait_until(lambda: processes_of(home, ids[0]) == [], "the first machine is off")
        (home / f"{ids[1]}.json").unlink()  # as if killed before it was written
        async with machines_in(home) as (again, ear):
            lost = await ear.next("lost")
            assert (lost.instance, lost.code) == (ids[0], "unknown")
            assert await only(again) == before[ids[2]]
            assert processes_of(home, ids[1]) == []
            assert files(home, "m*") == ["m3"]
            assert await again.provision(spec("exit 0"), "2") == ids[2]
            await again.provision(spec("exit 0"), "0")
            machines = await again.describe_instances({})
            assert len({switch_of(one) for one in machines}) == 1  # the same as before

    run(story)


def switch_of(machine: Description) -> Path:
    return Path(f"/proc/{pid_of(machine)}/fd/3").readlink()


def test_a_plugin_takes_its_machines_along_if_it_is_to(home: Path) -> None:
    async def story() -> None:
        async with machines_in(home, takes_along=True) as (made, _):
            await made.provision(spec("exit 0"), "0")
        assert processes_of(home) == []

    run(story)


def test_a_machine_that_does_not_boot_leaves_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with machines_in(home) as (made, _):
            monkeypatch.setattr(
                "ikdemo.instance.machine.machine.BOOT", "echo 'no such cable' >&2; exit 3"
            )
            with pytest.raises(PluginFailure, match="machine m1 does not boot: no such cable"):
                await made.provision(spec("exit 0"), "0")
            assert await made.describe_instances({}) == []

    run(story)


def test_an_older_leader_is_refused(home: Path) -> None:
    async def story() -> None:
        async with machines_in(home) as (made, _):
            await made.claim("g", 7)
            instance = await made.provision(spec("exit 0"), "0", 7)
            await made.claim("g", 8)
            with pytest.raises(Fenced):
                await made.provision(spec("exit 0"), "1", 7)
            with pytest.raises(Fenced):
                await made.destroy(instance, 7)
            await made.destroy(instance, 8)

    run(story)


def test_slips_in_a_spec_are_sentences(home: Path) -> None:
    async def story() -> None:
        async with machines_in(home) as (made, _):
            with pytest.raises(SpecError, match=r"\$.Properties.Imago"):
                await made.validate(spec(Imago="x").properties)
            with pytest.raises(SpecError, match=r"\$.Properties.Image: expected the absolute path"):
                await made.validate(spec(Image="busybox:1.37").properties)
            with pytest.raises(SpecError, match="Image: /no/such cannot be read"):
                await made.provision(spec(Image="/no/such"), "0")
            with pytest.raises(PluginFailure, match="instance-1 is no instance here"):
                await made.destroy("instance-1")
            assert await made.describe_instances({}) == []

    run(story)


def test_without_root_a_sentence_says_so(monkeypatch: pytest.MonkeyPatch, short_dir: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert (
        lacking_here() == "machines need root: they are namespaces of this one, with an engine each"
    )
    with pytest.raises(IkdemoError, match="need root"):
        asyncio.run(MachineInstances(short_dir / "m").start(Ear()))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr("shutil.which", lambda program: None if program == "dockerd" else program)
    assert lacking_here() == ("machines need dockerd: apt-get install docker.io iptables iproute2")


def test_kill_9_of_the_plugin_loses_no_machine_and_makes_none_twice() -> None:
    def on() -> set[str]:
        return {os.fsdecode(variables[b"INSTANCE_ID"]) for _, variables in inside_of(home)}

    with Lab() as lab:
        home = lab.plugin_dir / "instance-machine.instances"
        lab.start("instance-machine", "flavor-vanilla", "group")
        lab.commit(GROUP_OF_TWO)
        lab.wait("g", 100)
        before = on()
        assert len(before) == 2
        lab.kill_plugin("instance-machine")
        assert on() == before
        lab.start_again("instance-machine")
        lab.wait("g", 100)
        assert on() == before == set(lab.describe("g").column("instance"))
        for size in (3, 4):  # killed while a machine boots
            lab.scale("g", size)
            wait_until(lambda: len(files(home, "m*")) == size, "another one has a disk")  # noqa: B023
            lab.kill_plugin("instance-machine")
            lab.start_again("instance-machine")
            lab.wait("g", 100)
            assert on() == set(lab.describe("g").column("instance")) > before
            assert len(on()) == len(files(home, "m*")) == size


def inside_of(home: Path) -> Iterator[tuple[int, dict[bytes, bytes]]]:
    """Yield the processes of the machines of a directory, with their environments."""
    for pid, variables in procfs.with_variable(OWNER):
        if variables.get(os.fsencode(MARK)) == os.fsencode(home):
            yield pid, variables


GROUP_OF_TWO = {
    "ID": "g",
    "Properties": {
        "Allocation": {"Size": 2},
        "Instance": {"Plugin": "instance-machine", "Properties": {}},
        "Flavor": {"Plugin": "flavor-vanilla", "Properties": {"Init": ["docker version"]}},
    },
}
KERNEL = f"""
import signal, sys
from ikdemo.lab import Lab
lab = Lab()
lab.start("instance-machine", "flavor-vanilla", "group")
group = {GROUP_OF_TWO!r}
group["Properties"]["Instance"]["Properties"]["Image"] = sys.argv[1]
group["Properties"]["Flavor"]["Properties"]["Init"] = ["docker run -d {IMAGE} sleep 1000"]
lab.commit(group)
lab.wait("g", 100)
print(lab.root, flush=True)
signal.pause()
"""


@pytest.mark.parametrize("plugin_too", [False, True])
def test_nothing_is_left_when_the_kernel_of_a_lab_is_killed(
    short_dir: Path, plugin_too: bool
) -> None:
    (short_dir / "image.tar").write_bytes(image_to_load(IMAGE))
    kernel = subprocess.Popen(
        [sys.executable, "-c", KERNEL, str(short_dir / "image.tar")],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert kernel.stdout is not None
        root = Path(kernel.stdout.readline().strip())
        home = root / "plugins/instance-machine.instances"
        owner = os.getxattr(home, "user.ikdemo.owner").decode()
        wait_until(lambda: len(groups_of(owner)) > 1, "each machine runs a container")
        if plugin_too:  # so it cannot take them along
            os.kill(plugin_of(root), signal.SIGKILL)
    finally:
        kernel.kill()
        kernel.communicate()
    wait_until(lambda: not root.exists(), "the lab's directory is gone")
    wait_until(lambda: not list(marked_with(owner)), "no process is left")
    assert left_groups(owner) == []
    assert str(root) not in Path("/proc/mounts").read_text()


def plugin_of(root: Path) -> int:
    """Return the process of the plugin for machines in a lab."""
    for pid, variables in procfs.with_variable(ENVIRONMENT):
        is_its = variables[ENVIRONMENT.encode()] == os.fsencode(root / "plugins")
        if is_its and b"ikdemo-instance-machine" in command_of(pid):
            return pid
    raise AssertionError("the plugin does not run")


def marked_with(owner: str) -> Iterator[int]:
    for pid, variables in procfs.with_variable(OWNER):
        if variables[os.fsencode(OWNER)] == owner.encode():
            yield pid
