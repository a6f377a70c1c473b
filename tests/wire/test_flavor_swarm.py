"""The recorded conversations with InfraKit's real flavor swarm, replayed against ours; the engines
are small servers that answer as recorded.

Where ours differs on purpose is in ``DIFFERENT``, and the test of that line says how.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import replay
from desk import Desk
from engine.fake_swarm import Answer, FakeSwarm, Machine

HERE = Path(__file__).parent


def recorded_in(file: str) -> list[dict[str, Any]]:
    lines = map(json.loads, (HERE / file).read_text().splitlines())
    return [line for line in lines if line["plugin"] == "flavor-swarm"]


ENGINE, STUBS = recorded_in("flavor-swarm-engine.jsonl"), recorded_in("conversations.jsonl")
OTHER_NODE = "prepare-on-a-manager-that-does-not-lead"
DIFFERENT = {
    "healthy-node-down": "a node that is not ready is unhealthy; v0.1.0 called it healthy",
    "prepare-null-tags": "an answer; v0.1.0 died of it",
    "drain-worker-two-nodes": "the nodes are named; v0.1.0 prints all that it knows of them",
}
"""Cases in which ours differs on purpose, each with the difference."""
ASKED_ONCE = "/info"
"""The dearest of all questions: ours asks for the node's ID once, v0.1.0 each time."""


class Flavor:
    """Our program, once for each of the two engines that were recorded."""

    def __init__(self, root: Path) -> None:
        self.desk = Desk(root)
        nodes = [
            own_node(line) for line in ENGINE[:1] + [c for c in ENGINE if c["case"] == OTHER_NODE]
        ]
        self.swarm = FakeSwarm(root, *nodes)
        self.names = {node: f"flavor-swarm-{at}" for at, node in enumerate(nodes)}
        for node, name in self.names.items():
            self.desk.start("infrakit-flavor-swarm", name, "--host", self.swarm.host(node))

    def send(self, line: dict[str, Any], node: str = "") -> dict[str, Any]:
        world = replay.World(self.desk.root)
        world.plugins = self.desk.plugins
        request = {"headers": {"Content-Type": "application/json"}, **line["request"]}
        name = self.names[node or next(iter(self.names))]
        answer = world.send({"plugin": name, "request": request})
        assert answer is not None, self.desk.log(name)
        return json.loads(answer)

    def close(self) -> None:
        self.desk.close()
        self.swarm.close()


def own_node(line: dict[str, Any]) -> str:
    """Return the node of the engine that was asked; empty where it was not asked for itself."""
    if not line["case"].startswith("prepare"):
        return ""
    paths = [path_of(request) for request in line["docker_requests"]]
    return next((path.rpartition("/")[2] for path in paths if path.startswith("/nodes/")), "")


def path_of(request: dict[str, Any]) -> str:
    return request["request_line"].split()[1].removeprefix("/v1.24").partition("?")[0]


@pytest.fixture(scope="module")
def flavor() -> Iterator[Flavor]:
    root = Path(tempfile.mkdtemp(prefix="ik-", dir="/tmp"))
    made = Flavor(root)
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(root)


@pytest.fixture(autouse=True)
def quiet(flavor: Flavor) -> None:
    flavor.swarm.answers.clear()
    flavor.swarm.machines.clear()
    flavor.swarm.asked.clear()


@pytest.mark.parametrize("line", ENGINE, ids=lambda line: line["case"])
def test_with_an_engine(flavor: Flavor, line: dict[str, Any]) -> None:
    case, node = line["case"], own_node(line) if line["case"] == OTHER_NODE else ""
    for request in line["docker_requests"]:
        said = request["response"]
        flavor.swarm.answers[path_of(request)] = said["status"], said["body"].encode()
    answer, recorded = flavor.send(line, node), json.loads(line["response"]["body"])
    asked = [str(one) for one in flavor.swarm.asked if one.path not in ("/version", ASKED_ONCE)]
    wanted = [
        f"{request['request_line'].split()[0]} {path_of(request)}"
        for request in line["docker_requests"]
    ]
    assert asked == [one for one in wanted if not one.endswith(ASKED_ONCE)]
    if case == "healthy-node-down":
        assert (answer["result"], recorded["result"]) == ({"Health": 2}, {"Health": 1})
        return
    if case.startswith("prepare"):
        init = answer["result"]["Spec"]["Init"]
        check_init(init, answer["result"]["Spec"]["Tags"]["swarm-association-id"], line["facts"])
        for one in (answer, recorded):
            association = one["result"]["Spec"]["Tags"].pop("swarm-association-id")
            assert len(association) == 8
            assert association.isalnum()
            del one["result"]["Spec"]["Init"]
    if any("filters" in one.query for one in flavor.swarm.asked):
        filters = next(one.query["filters"] for one in flavor.swarm.asked if one.query)
        label = json.loads(line["request"]["body"])["params"]["Instance"]["Tags"]
        assert json.loads(filters) == {
            "label": [f"swarm-association-id={label['swarm-association-id']}"]
        }
    assert replay.comparable(answer, None) == replay.comparable(recorded, None)


def check_init(init: str, association: str, facts: dict[str, Any]) -> None:
    assert facts["joins"][0] in init
    assert [f"SWMTKN-{role}" in init for role in ("worker", "manager")] == [
        facts["token_is"] == [role] for role in ("worker", "manager")
    ]
    assert f"swarm-association-id={association}" in init
    assert "RESTART-HERE" in init
    assert "old init" not in init
    subprocess.run(["/bin/sh", "-n"], input=init, text=True, check=True, timeout=100)


def arrange(swarm: FakeSwarm, case: str) -> None:
    """Let the engine be as the stub was with which this case was recorded."""
    boom: Answer = 500, b'{"message": "boom"}'
    if case == "prepare-swarm-inspect-fails":
        swarm.answers["/swarm"] = 406, b'{"message": "This node is not a swarm manager."}'
    if case == "prepare-node-inspect-fails":
        swarm.answers[f"/nodes/{swarm.leader}"] = boom
    if case.endswith("list-fails"):
        swarm.answers["/nodes"] = boom
    number = 2 if case.endswith("two-nodes") else 1 if case.endswith("one-node") else 0
    swarm.machines = {f"n{at + 1}": Machine("swarm-association-id=abc") for at in range(number)}


@pytest.mark.parametrize("line", STUBS, ids=lambda line: line["case"])
def test_with_a_stub(flavor: Flavor, line: dict[str, Any]) -> None:
    case = line["case"]
    arrange(flavor.swarm, case)
    answer = flavor.send(line)
    if case == "prepare-null-tags":
        assert set(answer["result"]["Spec"]["Tags"]) == {"swarm-association-id", "swarm-id"}
    elif case == "drain-worker-two-nodes":
        said = "Expected at most one node with label abc, but found "
        assert answer["error"]["message"] == said + "n1, n2"
        assert json.loads(line["response"]["body"])["error"]["message"].startswith(said)
        assert set(flavor.swarm.machines) == {"n1", "n2"}
    elif replay.verdict(line) == "error":
        assert answer["error"]["message"].startswith("$.Properties: expected")
    else:
        recorded = json.loads(line["response"]["body"])
        assert replay.comparable(answer, None) == replay.comparable(recorded, None)


def test_the_extension_bury_is_announced_and_belongs_to_those_that_offer_it(
    flavor: Flavor,
) -> None:
    flavor.desk.start("infrakit-flavor-vanilla", "flavor-vanilla")
    flavor.names["vanilla"] = "flavor-vanilla"

    def ask(name: str, method: str, **params: object) -> dict[str, Any]:
        body = json.dumps({"jsonrpc": "2.0", "method": method, "params": params, "id": 1})
        return flavor.send({"request": {"method": "POST", "path": "/", "body": body}}, name)

    offers = {"Name": "Bury", "Version": "0.1.0"}
    assert offers in ask("", "Plugin.Implements")["result"]["APIs"]
    assert offers not in ask("vanilla", "Plugin.Implements")["result"]["APIs"]
    flavor.swarm.machines = {"n": Machine("swarm-association-id=abc", "down")}
    lost = {"ID": "i-1", "LogicalID": None, "Tags": {"swarm-association-id": "abc"}}
    properties = {"Type": "worker", "DockerRestartCommand": "r"}
    said = ask("vanilla", "Flavor.Bury", Properties=properties, Instance=lost)
    assert said["error"]["message"] == 'rpc: can\'t find method "Flavor.Bury"'
    said = ask("", "Flavor.Bury", Properties=properties, Instance=lost)
    assert (said["result"], flavor.swarm.machines) == ({"OK": True}, {})


def test_nothing_else_differs_on_purpose() -> None:
    assert len(ENGINE) == 13
    assert set(DIFFERENT) <= {line["case"] for line in ENGINE + STUBS}
