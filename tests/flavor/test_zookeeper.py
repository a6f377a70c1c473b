"""The zookeeper flavor: whom it takes, and that the start script it writes makes a member when a
shell runs it.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

import pytest
from msgspec import Raw

from ikdemo.flavor.zookeeper import Zookeeper
from ikdemo.spi.documents import Allocation, Attachment, Description, Health, InstanceSpec
from ikdemo.spi.errors import SpecError

THREE = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
MEMBER = b'{"Type": "member"}'
IN_DOCKER = b'{"Type": "member", "UseDocker": true}'


def prepare(
    properties: bytes, me: str | None, members: list[str] | None = THREE, init: str = ""
) -> InstanceSpec:
    spec = InstanceSpec(Raw(b'{"Note":1}'), {"k": "v"}, init, me, [Attachment("v", "ebs")])
    return asyncio.run(Zookeeper().prepare(Raw(properties), spec, Allocation(logical_ids=members)))


def start(script: str, root: Path, *installed: str) -> list[str]:
    """Run a start script with programs that only write down how they were called; return what they
    wrote.
    """
    programs, calls = root / "bin", root / "calls"
    programs.mkdir()
    calls.touch()
    for name in installed:
        (programs / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {calls}\n')
        (programs / name).chmod(0o755)
    folders = {"ZOO_CONF_DIR": str(root / "conf"), "ZOO_DATA_DIR": str(root / "my data")}
    (root / "start").write_text(script)
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", **folders}
    subprocess.run(["/bin/sh", "-n", str(root / "start")], check=True, timeout=100)
    done = subprocess.run(
        ["/bin/sh", str(root / "start")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return calls.read_text().splitlines()


@pytest.mark.parametrize(("number", "me"), list(enumerate(THREE, 1)))
def test_a_member_is_configured_and_started_as_a_service(
    tmp_path: Path, number: int, me: str
) -> None:
    calls = start(prepare(MEMBER, me).init, tmp_path, "apt-get", "service")
    assert (tmp_path / "my data/myid").read_text() == f"{number}\n"
    config = (tmp_path / "conf/zoo.cfg").read_text().splitlines()
    assert [row for row in config if row.startswith("server.")] == [
        "server.1=10.0.0.1:2888:3888",
        "server.2=10.0.0.2:2888:3888",
        "server.3=10.0.0.3:2888:3888",
    ]
    assert {f"dataDir={tmp_path}/my data", "clientPort=2181"} < set(config)
    assert calls[-1] == "service zookeeper restart"


def test_a_member_in_a_container_listens_on_every_address(tmp_path: Path) -> None:
    (call,) = start(prepare(IN_DOCKER, "10.0.0.2").init, tmp_path, "docker")
    config = (tmp_path / "conf/zoo.cfg").read_text().splitlines()
    assert config[-3:] == [
        "server.1=10.0.0.1:2888:3888",
        "server.2=0.0.0.0:2888:3888",
        "server.3=10.0.0.3:2888:3888",
    ]
    assert "dataDir=/data" in config
    assert (tmp_path / "my data/myid").read_text() == "2\n"
    assert call.startswith("docker run --detach --name zookeeper ")
    assert (
        f"--volume {tmp_path}/conf/zoo.cfg:/conf/zoo.cfg --volume {tmp_path}/my data:/data "
        "zookeeper:" in call
    )


def test_a_script_that_cannot_start_its_member_fails(tmp_path: Path) -> None:
    script = prepare(IN_DOCKER, "10.0.0.1").init
    folders = {"ZOO_CONF_DIR": str(tmp_path / "conf"), "ZOO_DATA_DIR": "/proc/nowhere"}
    done = subprocess.run(
        ["/bin/sh", "-c", script],
        env={**os.environ, **folders},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode != 0


def test_init_is_replaced_and_everything_else_is_kept() -> None:
    one, other = (prepare(MEMBER, "10.0.0.1", init=init) for init in ("", "echo hello"))
    assert one == other
    assert one == InstanceSpec(
        Raw(b'{"Note":1}'), {"k": "v"}, one.init, "10.0.0.1", [Attachment("v", "ebs")]
    )


@pytest.mark.parametrize(
    ("properties", "me", "members", "sentence"),
    [
        (b'{"Type": "x"}', "10.0.0.1", THREE, "^Unsupported role type$"),
        (b"{}", "10.0.0.1", THREE, "^Unsupported role type$"),
        (MEMBER, None, THREE, "^Manager nodes require an assigned logical ID$"),
        (
            MEMBER,
            "10.9.9.9",
            THREE,
            r"^LogicalID '10\.9\.9\.9' is not among the LogicalIDs of the allocation$",
        ),
        (MEMBER, "10.0.0.1", None, "is not among"),
        (
            MEMBER,
            "10.0.0.1",
            ["10.0.0.1", "a\nserver.9=b"],
            "^LogicalID 'a\nserver.9=b' is not an address$",
        ),
        (b"null", "10.0.0.1", THREE, "^Properties must be set$"),
        (
            b'{"Type": "member", "UseDocker": "yes"}',
            "10.0.0.1",
            THREE,
            r"^\$\.Properties\.UseDocker: expected true or false",
        ),
    ],
)
def test_what_cannot_be_a_member_is_refused(
    properties: bytes, me: str | None, members: list[str], sentence: str
) -> None:
    with pytest.raises(SpecError, match=sentence):
        prepare(properties, me, members)


@pytest.mark.parametrize(
    ("properties", "allocation", "sentence"),
    [
        (b'{"Type": "leader"}', Allocation(logical_ids=THREE), "^Unrecognized node Type$"),
        (b"{}", Allocation(3), "^Unrecognized node Type$"),
        (
            MEMBER,
            Allocation(3),
            "^IP addresses are required as LogicalIDs for a ZooKeeper ensemble$",
        ),
        (MEMBER, Allocation(logical_ids=[]), "^IP addresses are required"),
        (
            MEMBER,
            Allocation(logical_ids=["a", "$(reboot)"]),
            r"^LogicalID '\$\(reboot\)' is not an address$",
        ),
        (MEMBER, Allocation(logical_ids=["a", ""]), "^LogicalID '' is not an address$"),
        (
            MEMBER,
            Allocation(logical_ids=["a", "b", "a"]),
            "^LogicalID 'a' is given to two members$",
        ),
        (
            MEMBER,
            Allocation(logical_ids=[f"h{n}" for n in range(256)]),
            "at most 255 members, not 256$",
        ),
        (b"[]", Allocation(logical_ids=THREE), r"^\$\.Properties: expected an object"),
    ],
)
def test_an_ensemble_that_cannot_be_is_refused_before_anything_is_made(
    properties: bytes, allocation: Allocation, sentence: str
) -> None:
    with pytest.raises(SpecError, match=sentence):
        asyncio.run(Zookeeper().validate(Raw(properties), allocation))


@pytest.mark.parametrize("properties", [MEMBER, IN_DOCKER, b'{"type": "member", "more": 1}'])
def test_addresses_of_every_kind_are_accepted(properties: bytes) -> None:
    asyncio.run(
        Zookeeper().validate(
            Raw(properties), Allocation(logical_ids=["10.0.0.1", "fd00::7", "zk-3.example.org"])
        )
    )


def test_members_are_always_healthy_and_drain_at_once() -> None:
    async def judge() -> Health:
        flavor = Zookeeper()
        await flavor.drain(Raw(b"{}"), Description("i"))
        return await flavor.healthy(Raw(b"{}"), Description("i"))

    assert asyncio.run(judge()) is Health.HEALTHY
    assert "ConstantHealth" in Zookeeper.offers
