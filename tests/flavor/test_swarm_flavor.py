"""The flavor swarm at a small server that answers as an engine does: what makes a machine a node,
what its health is, and that no answer of the engine is doubt.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from engine.fake_swarm import DROPPED, HANG, NO_LEADER, Answer, Asked, FakeSwarm, Machine
from msgspec import Raw

from ikdemo.engine import EngineAddress, Swarm
from ikdemo.flavor.join_script import join_script
from ikdemo.flavor.swarm_flavor import ASSOCIATION_TAG, SwarmFlavor
from ikdemo.spi.documents import Allocation, Attachment, Description, Health, InstanceSpec
from ikdemo.spi.errors import IkdemoError, PluginFailure, SpecError

# the SDK leaves a socket that it could not connect to the garbage collector, which warns
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
)
WORKER, MANAGER = (
    Raw(json.dumps({"Type": role, "DockerRestartCommand": "restart it"}).encode())
    for role in ("worker", "manager")
)
LABEL = f"{ASSOCIATION_TAG}=AAAA1111"
INSTANCE = Description("i-1", None, {ASSOCIATION_TAG: "AAAA1111"})
REFUSAL = json.dumps({"message": NO_LEADER}).encode()


@pytest.fixture
def swarm(short_dir: Path) -> Iterator[FakeSwarm]:
    made = FakeSwarm(short_dir)
    yield made
    made.close()


def ask(swarm: FakeSwarm, question: Callable[[SwarmFlavor], Coroutine[Any, Any, Any]]) -> Any:
    """Ask a flavor of this swarm, with a short patience for its engine."""

    async def story() -> Any:
        flavor = SwarmFlavor(Swarm(EngineAddress(swarm.host()), deadline=0.5))
        try:
            return await question(flavor)
        finally:
            await flavor.stop()

    return asyncio.run(asyncio.wait_for(story(), 100))


def prepare(
    swarm: FakeSwarm, properties: Raw = WORKER, spec: InstanceSpec | None = None
) -> InstanceSpec:
    spec = spec or InstanceSpec(Raw(b"{}"), {"k": "v"})
    return ask(swarm, lambda flavor: flavor.prepare(properties, spec, Allocation(2)))


def healthy(swarm: FakeSwarm, *states: str) -> Health:
    swarm.machines = {f"n-{at}": Machine(LABEL, state) for at, state in enumerate(states)}
    swarm.machines["other"] = Machine(f"{ASSOCIATION_TAG}=BBBB2222")
    return ask(swarm, lambda flavor: flavor.healthy(WORKER, INSTANCE))


def run(script: str, folder: Path, docker: str) -> tuple[int, list[str]]:
    """Run a join script whose programs only write down how they were called; ``docker``: what its
    program does then. Return the exit status and the calls.
    """
    programs, calls = folder / "bin", folder / "calls"
    programs.mkdir(exist_ok=True)
    for name, does in (("docker", docker), ("restart", ""), ("sleep", "")):
        (programs / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {calls}\n{does}\n')
        (programs / name).chmod(0o755)
    (folder / "init").write_text(script.replace("/etc/docker", f"{folder}/docker"))
    done = subprocess.run(
        ["/bin/sh", str(folder / "init")],
        env={"PATH": f"{programs}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    said = calls.read_text().splitlines()
    return done.returncode, [one for one in said if not one.startswith("docker info")]


def script(restart: str = "restart it") -> str:
    return join_script(
        role="worker", label=LABEL, restart=restart, address="10.0.0.1:2377", token="T-1"
    )


JOINED = "docker swarm join --token T-1 10.0.0.1:2377"


def test_the_script_labels_the_engine_restarts_it_and_joins(tmp_path: Path) -> None:
    assert run(script(), tmp_path, "") == (0, ["restart it", "docker version", JOINED])
    assert json.loads((tmp_path / "docker/daemon.json").read_text()) == {"labels": [LABEL]}


def test_the_script_of_a_machine_that_boots_again_joins_nothing(tmp_path: Path) -> None:
    joined = '[ "$1" != info ] || echo active'
    assert run(script(), tmp_path, joined) == (0, ["restart it", "docker version"])


def test_the_script_waits_for_an_engine_and_for_a_swarm(tmp_path: Path) -> None:
    third = f'[ "$1" = info ] || [ "$(grep -c "docker $1" {tmp_path}/calls)" -ge 3 ]'
    status, calls = run(script(), tmp_path, third)
    assert (status, calls.count("docker version"), calls.count(JOINED)) == (0, 3, 3)


@pytest.mark.parametrize("fails", ["version", "swarm"])
def test_the_script_gives_up_in_the_end(tmp_path: Path, fails: str) -> None:
    status, calls = run(script(), tmp_path, f'[ "$1" != {fails} ]')
    assert status != 0
    assert sum(fails in call for call in calls) == 60


def test_the_script_ends_where_the_engine_cannot_be_restarted(tmp_path: Path) -> None:
    status, calls = run(script("restart it && false"), tmp_path, "")
    assert (status != 0, calls) == (True, ["restart it"])


def test_what_is_prepared_is_a_machine_that_joins(swarm: FakeSwarm) -> None:
    made = [prepare(swarm), prepare(swarm)]
    for one in made:
        tags = dict(one.tags or {})
        association = tags.pop(ASSOCIATION_TAG)
        assert (len(association), association.isalnum()) == (8, True)
        assert tags == {"k": "v", "swarm-id": "S"}
        assert f"{ASSOCIATION_TAG}={association}" in one.init
        assert "--token W-1 n1:2377" in one.init
    assert made[0].tags != made[1].tags


def test_a_manager_has_another_token_and_its_own_volumes(swarm: FakeSwarm) -> None:
    attachments = {"10.0.0.9": [{"ID": "vol-a", "Type": "ebs"}]}
    document = {"Type": "manager", "DockerRestartCommand": "r", "Attachments": attachments}
    properties = Raw(json.dumps(document).encode())
    for logical_id, own in (("10.0.0.9", [Attachment("vol-a", "ebs")]), ("10.0.0.8", [])):
        spec = InstanceSpec(logical_id=logical_id, attachments=[Attachment("e", "t")])
        made = prepare(swarm, properties, spec)
        assert made.attachments == [Attachment("e", "t"), *own]
        assert "--token M-1 n1:2377" in made.init


def test_an_address_that_others_cannot_reach_is_refused(swarm: FakeSwarm) -> None:
    status = {"Reachability": "reachable", "Addr": "0.0.0.0:2377"}
    node = {"ID": "n1", "Status": {"State": "ready"}, "ManagerStatus": status}
    swarm.answers["/nodes/n1"] = 200, json.dumps(node).encode()
    with pytest.raises(IkdemoError, match=r"0\.0\.0\.0:2377 is no address at which other machines"):
        prepare(swarm)


def test_an_engine_that_joined_another_swarm_is_asked_anew(swarm: FakeSwarm) -> None:
    async def story(flavor: SwarmFlavor) -> None:
        spec = InstanceSpec()
        await flavor.prepare(WORKER, spec, Allocation(1))
        swarm.answers["/nodes/n1"] = 404, b'{"message": "node n1 not found"}'
        with pytest.raises(PluginFailure, match="node n1 not found"):
            await flavor.prepare(WORKER, spec, Allocation(1))
        swarm.answers.clear()
        await flavor.prepare(WORKER, spec, Allocation(1))

    ask(swarm, story)
    assert [one.path for one in swarm.asked].count("/info") == 2


@pytest.mark.parametrize(
    ("states", "health"),
    [
        ((), Health.UNKNOWN),
        (("ready",), Health.HEALTHY),
        (("down",), Health.UNHEALTHY),
        (("disconnected",), Health.UNHEALTHY),
        (("unknown",), Health.UNKNOWN),
        (("down", "ready"), Health.HEALTHY),
        (("down", "unknown"), Health.UNKNOWN),
        (("down", "down"), Health.UNHEALTHY),
    ],
)
def test_health_is_that_of_the_node(
    swarm: FakeSwarm, states: tuple[str, ...], health: Health
) -> None:
    assert healthy(swarm, *states) is health


@pytest.mark.parametrize(
    "said", [HANG, DROPPED, (500, REFUSAL), (200, b'[{"ID": "a"}]'), (200, b"{")]
)
def test_an_engine_that_is_unwell_is_doubt(swarm: FakeSwarm, said: Answer) -> None:
    """Each time an error with a sentence, so that nothing is concluded."""
    for path in ("/nodes", "/swarm"):
        swarm.answers[path] = said
    for question in (lambda: healthy(swarm, "down"), lambda: prepare(swarm)):
        with pytest.raises(IkdemoError, match=r"engine|daemon") as caught:
            question()
        assert not isinstance(caught.value, SpecError), "a spec cannot help"
        assert "\n" not in str(caught.value)


def test_an_engine_that_manages_no_swarm_says_so(swarm: FakeSwarm) -> None:
    swarm.workers.add("n1")
    with pytest.raises(
        PluginFailure, match=r"^Failed to fetch Swarm join tokens: .*not a swarm mana"
    ):
        prepare(swarm)
    with pytest.raises(PluginFailure, match="This node is not a swarm manager"):
        healthy(swarm, "ready")


def test_the_loop_goes_on_while_an_engine_hangs(swarm: FakeSwarm) -> None:
    """And every question comes to an end, however many there are."""
    swarm.answers["/nodes"] = HANG

    async def story(flavor: SwarmFlavor) -> int:
        turns = 0
        questions = [asyncio.ensure_future(flavor.healthy(WORKER, INSTANCE)) for _ in range(100)]
        while not all(question.done() for question in questions):
            await asyncio.sleep(0.01)
            turns += 1
        assert all(isinstance(question.exception(), IkdemoError) for question in questions)
        return turns

    assert ask(swarm, story) > 5


def drain(swarm: FakeSwarm, **states: str) -> list[str]:
    swarm.machines = {name: Machine(LABEL, state) for name, state in states.items()}
    swarm.machines["other"] = Machine(f"{ASSOCIATION_TAG}=BBBB2222", "down")
    try:
        ask(swarm, lambda flavor: flavor.drain(WORKER, INSTANCE))
    finally:
        left = sorted(swarm.machines)
    return left


def test_drained_are_the_nodes_of_the_instance(swarm: FakeSwarm) -> None:
    assert drain(swarm, a="ready") == ["other"]
    assert drain(swarm, a="down") == ["other"]
    assert drain(swarm, a="down", b="ready", c="unknown") == ["other"]


def test_of_two_nodes_that_are_ready_none_is_drained(swarm: FakeSwarm) -> None:
    with pytest.raises(PluginFailure, match=r"Expected at most one node .* but found a, b"):
        drain(swarm, a="ready", b="ready", c="down")
    assert sorted(swarm.machines) == ["a", "b", "c", "other"]


def test_a_node_that_is_gone_meanwhile_is_drained(swarm: FakeSwarm) -> None:
    swarm.answers["/nodes/a"] = 404, b'{"message": "node a not found"}'
    drain(swarm, a="ready")


def bury(swarm: FakeSwarm, properties: Raw = WORKER, **states: str) -> list[str]:
    """Bury the instance in a swarm of these nodes and another one's, and return what is left."""
    swarm.machines = {name: Machine(LABEL, state) for name, state in states.items()}
    swarm.machines["other"] = Machine(f"{ASSOCIATION_TAG}=BBBB2222", "down")
    ask(swarm, lambda flavor: flavor.bury(properties, INSTANCE))
    return sorted(swarm.machines)


def test_buried_are_the_nodes_of_the_instance_that_are_down(swarm: FakeSwarm) -> None:
    assert bury(swarm, a="down") == ["other"]
    assert bury(swarm, a="down", b="disconnected") == ["other"]
    assert bury(swarm) == ["other"], "nothing was there, and that is no error"


@pytest.mark.parametrize("state", ["ready", "unknown"])
def test_a_node_that_is_not_down_is_not_buried(swarm: FakeSwarm, state: str) -> None:
    with pytest.raises(PluginFailure, match=f"^node b of i-1 is {state}, not down$"):
        bury(swarm, a="down", b=state)
    assert sorted(swarm.machines) == ["b", "other"]


def test_a_node_that_comes_back_just_then_stays(swarm: FakeSwarm) -> None:
    """The swarm itself refuses: it is asked to remove what is down, not to remove at any price."""

    def back(asked: Asked) -> None:
        if asked.method == "DELETE":
            swarm.machines["a"] = Machine(LABEL, "ready")

    swarm.answers["/nodes/a"] = back
    with pytest.raises(PluginFailure, match="node a is not down and can't be removed"):
        bury(swarm, a="down")
    assert sorted(swarm.machines) == ["a", "other"]


def test_nothing_is_buried_without_a_majority_of_managers(swarm: FakeSwarm) -> None:
    swarm.answers["/nodes"] = 500, REFUSAL
    with pytest.raises(PluginFailure, match="The swarm does not have a leader"):
        bury(swarm, a="down")
    swarm.answers = {"/nodes/a": HANG}  # what is read may be stale; what is written has no answer
    with pytest.raises(IkdemoError, match="went silent"):
        bury(swarm, a="down")
    assert sorted(swarm.machines) == ["a", "other"]


def test_a_node_that_managed_is_demoted_and_then_buried(swarm: FakeSwarm) -> None:
    swarm.machines = {"a": Machine(LABEL, "down", manages=True), "b": Machine("k=v", "down", True)}

    async def story(flavor: SwarmFlavor) -> None:
        with pytest.raises(PluginFailure, match="node a of i-1 is not removed yet: demoted"):
            await flavor.bury(MANAGER, INSTANCE)
        assert [machine.manages for machine in swarm.machines.values()] == [False, True]
        await flavor.bury(MANAGER, INSTANCE)

    ask(swarm, story)
    assert set(swarm.machines) == {"b"}
    (update,) = (one for one in swarm.asked if one.method == "POST")
    assert update.body == {"Role": "worker", "Availability": "active", "Labels": {"kept": "yes"}}


def test_a_node_that_manages_and_is_not_down_stays_as_it_is(swarm: FakeSwarm) -> None:
    swarm.machines = {"a": Machine(LABEL, "ready", manages=True)}
    with pytest.raises(PluginFailure, match="node a of i-1 is ready, not down"):
        ask(swarm, lambda flavor: flavor.bury(MANAGER, INSTANCE))
    assert swarm.machines["a"].manages


@pytest.mark.parametrize(
    ("properties", "allocation", "path"),
    [
        ({"Type": "worker"}, Allocation(1), "$.Properties.DockerRestartCommand"),
        ({"Type": "x", "DockerRestartCommand": "r"}, Allocation(1), "$.Properties.Type"),
        (
            {"Type": "manager", "DockerRestartCommand": "r"},
            Allocation(3),
            "$.Allocation.LogicalIDs",
        ),
        (
            {
                "Type": "worker",
                "DockerRestartCommand": "r",
                "Attachments": {"a": [{"ID": "v", "Type": "nfs"}]},
            },
            Allocation(0, ["a"]),
            "$.Properties.Attachments.a[0].Type",
        ),
        (
            {
                "Type": "worker",
                "DockerRestartCommand": "r",
                "Attachments": {name: [{"ID": "v", "Type": "ebs"}] for name in "ab"},
            },
            Allocation(0, ["a", "b"]),
            "$.Properties.Attachments",
        ),
    ],
)
def test_a_slip_has_its_place(
    swarm: FakeSwarm, properties: dict[str, Any], allocation: Allocation, path: str
) -> None:
    raw = Raw(json.dumps(properties).encode())
    with pytest.raises(SpecError) as caught:
        ask(swarm, lambda flavor: flavor.validate(raw, allocation))
    assert caught.value.path == path
    assert swarm.asked == []
