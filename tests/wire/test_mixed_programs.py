"""Instances made by InfraKit's own programs, taken over by ours: none is replaced, and the group is
healed from then on.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from desk import Desk

DATA = Path(__file__).parents[1] / "instance" / "data"
CATTLE = {
    "Allocation": {"Size": 3},
    "Instance": {
        "Plugin": "instance-file",
        "Properties": {"Note": "Instance properties version 1.0"},
    },
    "Flavor": {
        "Plugin": "flavor-vanilla",
        "Properties": {
            "Init": ["docker pull nginx:alpine", "docker run -d -p 80:80 nginx-alpine"],
            "Tags": {"tier": "web", "project": "infrakit"},
        },
    },
}
PETS = {
    "Allocation": {"LogicalIDs": ["10.0.0.7"]},
    "Instance": {"Plugin": "instance-file", "Properties": {}},
    "Flavor": {"Plugin": "flavor-vanilla", "Properties": {}},
}
"""The groups that the files were made for; cattle was one of them then."""


def put_instances(desk: Desk) -> dict[str, bytes]:
    """Lay out the files as InfraKit's file plugin wrote them, cattle three times; return them by
    name.
    """
    desk.instances.mkdir()
    instances = {}
    for file in ("1-full", "2-empty-spec", "3-by-group", "4-by-group-quorum"):
        text = (DATA / file).read_bytes()
        name = json.loads(text)["ID"]
        for number in ("1", "2", "3") if file == "3-by-group" else ("",):
            copy = name[: len(name) - len(number)] + number
            instances[copy] = text.replace(name.encode(), copy.encode())
    for name, text in instances.items():
        (desk.instances / name).write_bytes(text)
    return instances


def commit(desk: Desk, group: str, properties: dict[str, Any]) -> str:
    (desk.cwd / "g.json").write_text(json.dumps({"ID": group, "Properties": properties}))
    done = desk.run("infrakit group commit g.json")
    assert done.returncode == 0, done.stderr
    waited = desk.run(f"ikdemo group wait {group} --timeout 20s")
    assert waited.returncode == 0, waited.stdout + waited.stderr
    return done.stdout


def held(desk: Desk) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in desk.instances.glob("instance-*")}


def test_their_instances_are_adopted_and_none_is_replaced(desk: Desk) -> None:
    instances = put_instances(desk)
    desk.start_three()
    assert commit(desk, "cattle", CATTLE) == "Committed cattle: Managing 3 instances\n"
    assert commit(desk, "pets", PETS) == "Committed pets: Managing 1 instances\n"
    assert commit(desk, "cattle", CATTLE) == "Committed cattle: Noop\n"
    assert commit(desk, "pets", PETS) == "Committed pets: Noop\n"
    assert held(desk) == instances


def test_what_is_lost_of_instances_of_theirs_is_made_again_as_they_would(desk: Desk) -> None:
    instances = put_instances(desk)
    desk.start_three()
    commit(desk, "cattle", CATTLE)
    commit(desk, "pets", PETS)
    lost = [name for name, text in instances.items() if b'"infrakit.group"' in text][1:]
    for name in lost:
        (desk.instances / name).unlink()
    desk.until(len(instances))
    now = held(desk)
    made = {
        json.loads(now[name])["LogicalID"]: json.loads(now[name])
        for name in now.keys() - instances.keys()
    }
    assert set(made) == {None, "10.0.0.7"}
    for name in lost:
        old = json.loads(instances[name])
        assert same_but_for_the_id(made[old["LogicalID"]]) == same_but_for_the_id(old)


def same_but_for_the_id(content: dict[str, Any]) -> str:
    """Return what an instance made again has in common with the lost one, in the order of its
    members.
    """
    return json.dumps(
        {name: value for name, value in content.items() if name not in ("ID", "Slot")}
    )


def test_instances_of_theirs_roll_to_another_configuration(desk: Desk) -> None:
    instances = put_instances(desk)
    desk.start_three()
    commit(desk, "cattle", CATTLE)
    changed = {
        **CATTLE,
        "Instance": {
            "Plugin": "instance-file",
            "Properties": {"Note": "Instance properties version 2.0"},
        },
    }
    assert (
        commit(desk, "cattle", changed)
        == "Committed cattle: Performing a rolling update on 3 instances\n"
    )
    kept = {name for name, text in instances.items() if b'"cattle"' not in text}
    assert set(held(desk)) & set(instances) == kept
    assert len(desk.living()) == len(instances)
