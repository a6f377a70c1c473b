"""The combo and zookeeper programs as processes: a whole ensemble committed, connections kept,
plugins that go and come back.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from desk import Desk
from msgspec import Raw

from ikdemo import connect
from ikdemo.rpc.proxies import FlavorClient
from ikdemo.spi.documents import Allocation, Attachment, Description, Health, InstanceSpec
from ikdemo.spi.errors import RemoteFailure

T = TypeVar("T")
ADDRESSES = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
ENSEMBLE = {
    "Flavors": [
        {
            "Plugin": "flavor-vanilla",
            "Properties": {"Init": ["echo hello"], "Tags": {"tier": "data"}},
        },
        {"Plugin": "flavor-zookeeper", "Properties": {"Type": "member", "UseDocker": True}},
    ]
}


def raw(document: object) -> Raw:
    return Raw(json.dumps(document, separators=(",", ":")).encode())


def ask(desk: Desk, name: str, question: Callable[[FlavorClient], Awaitable[T]]) -> T:
    """Connect to a flavor as any client does, and ask it."""

    async def asked() -> T:
        client = await connect(name, directory=desk.plugins)
        assert isinstance(client, FlavorClient)
        try:
            return await question(client)
        finally:
            client.close()

    return asyncio.run(asked())


@pytest.fixture
def flavors(desk: Desk) -> Desk:
    for name in ("flavor-vanilla", "flavor-zookeeper", "flavor-combo"):
        desk.start(f"infrakit-{name}", name)
    return desk


def test_a_group_of_three_addresses_becomes_an_ensemble(flavors: Desk) -> None:
    flavors.start("infrakit-instance-file", "instance-file", "--dir", str(flavors.instances))
    flavors.start("infrakit-group-default", "group", "--poll-interval", "1h")
    spec = {
        "ID": "zk",
        "Properties": {
            "Allocation": {"LogicalIDs": ADDRESSES},
            "Instance": {"Plugin": "instance-file", "Properties": {}},
            "Flavor": {"Plugin": "flavor-combo", "Properties": ENSEMBLE},
        },
    }
    (flavors.cwd / "zk.json").write_text(json.dumps(spec))
    assert (
        flavors.run("infrakit group commit zk.json").stdout
        == "Committed zk: Managing 3 instances\n"
    )
    files = [json.loads((flavors.instances / name).read_text()) for name in flavors.until(3)]
    assert sorted(document["LogicalID"] for document in files) == ADDRESSES
    for document in files:
        init = document["Spec"]["Init"]
        assert init.startswith("echo hello\n#!/bin/sh\n")
        assert f'\necho {ADDRESSES.index(document["LogicalID"]) + 1} > "$data/myid"\n' in init
        assert (init.count("echo hello"), init.count("0.0.0.0"), document["Tags"]["tier"]) == (
            1,
            1,
            "data",
        )

    spec["Properties"]["Flavor"]["Properties"]["Flavors"][1]["Properties"] = {"Type": "leader"}
    (flavors.cwd / "wrong.json").write_text(json.dumps(spec))
    refused = flavors.run("infrakit group commit wrong.json")
    assert (refused.returncode, "Unrecognized node Type" in refused.stderr) == (1, True)


def test_nothing_is_repeated_over_sockets_either(flavors: Desk) -> None:
    vanillas = [
        {"Plugin": "flavor-vanilla", "Properties": {"Init": [line], "Tags": {"x": line}}}
        for line in ("one", "two")
    ]
    spec = InstanceSpec(Raw(b'{"p":1.0}'), {"x": "base"}, "base init", "l1", [Attachment("a", "t")])
    prepared = ask(
        flavors,
        "flavor-combo",
        lambda combo: combo.prepare(raw({"Flavors": vanillas}), spec, Allocation(1)),
    )
    assert prepared == InstanceSpec(
        spec.properties, {"x": "two"}, "base init\none\ntwo", "l1", spec.attachments
    )


def test_calls_leave_no_connection_behind(flavors: Desk) -> None:
    def descriptors() -> int:
        return len(list(Path(f"/proc/{flavors.processes['flavor-combo'].pid}/fd").iterdir()))

    async def judge(combo: FlavorClient) -> set[Health]:
        one = raw({"Flavors": [{"Plugin": "flavor-vanilla", "Properties": {}}] * 3})
        answers = {await combo.healthy(one, Description("i"))}
        before = descriptors()
        for _ in range(10):
            answers |= set(
                await asyncio.gather(*(combo.healthy(one, Description("i")) for _ in range(20)))
            )
        # at most the bounded pool of connections to the one flavor, and the 20 of this client
        assert descriptors() - before <= 64 + 20
        held = descriptors()
        for _ in range(100):
            answers.add(await combo.healthy(one, Description("i")))
        assert descriptors() == held
        return answers

    assert ask(flavors, "flavor-combo", judge) == {Health.HEALTHY}


def test_a_flavor_may_go_and_come_back(flavors: Desk) -> None:
    two = raw(
        {
            "Flavors": [
                {"Plugin": name, "Properties": {}}
                for name in ("flavor-vanilla", "flavor-zookeeper")
            ]
        }
    )

    async def healthy(combo: FlavorClient) -> Health:
        return await combo.healthy(two, Description("i"))

    async def drained(combo: FlavorClient) -> None:
        await combo.drain(two, Description("i"))

    assert ask(flavors, "flavor-combo", healthy) is Health.HEALTHY
    flavors.stop("flavor-zookeeper")
    for question in (healthy, drained):
        with pytest.raises(RemoteFailure, match=r"^Plugin not found: flavor-zookeeper$"):
            ask(flavors, "flavor-combo", question)
    flavors.start("infrakit-flavor-zookeeper", "flavor-zookeeper")
    assert ask(flavors, "flavor-combo", healthy) is Health.HEALTHY


def test_a_combo_that_names_itself_comes_to_an_end(flavors: Desk) -> None:
    def nested(depth: int) -> Raw:
        inside: dict[str, object] = {"Flavors": [{"Plugin": "flavor-vanilla", "Properties": {}}]}
        for _ in range(depth - 1):
            inside = {"Flavors": [{"Plugin": "flavor-combo", "Properties": inside}] * 2}
        return raw(inside)

    assert (
        ask(flavors, "flavor-combo", lambda combo: combo.healthy(nested(4), Description("i")))
        is Health.HEALTHY
    )
    for too_deep in (nested(5), nested(8)):
        with pytest.raises(RemoteFailure, match="more than 4 lists of flavors inside each other"):
            ask(
                flavors,
                "flavor-combo",
                lambda combo, deep=too_deep: combo.healthy(deep, Description("i")),
            )


def test_an_instance_plugin_is_no_flavor(flavors: Desk) -> None:
    flavors.start("infrakit-instance-file", "instance-file", "--dir", str(flavors.instances))
    wrong = raw({"Flavors": [{"Plugin": "instance-file", "Properties": {}}]})
    with pytest.raises(
        RemoteFailure, match=r"^Plugin does not support interface \{Flavor 0\.1\.0\}$"
    ):
        ask(flavors, "flavor-combo", lambda combo: combo.validate(wrong, Allocation(1)))
