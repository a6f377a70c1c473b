"""Clients that go away in the middle of a call that changes something: the change is wholly made,
or was never begun.
"""

from __future__ import annotations

import json
import random
import socket
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from asking import ask, until
from desk import Desk

ROUNDS = 40


def spec(note: int, size: int) -> dict[str, Any]:
    instance = {"Plugin": "instance-file", "Properties": {"Note": note}}
    flavor = {"Plugin": "flavor-vanilla", "Properties": {"Tags": {"note": str(note)}}}
    return {
        "ID": "web",
        "Properties": {
            "Allocation": {"Size": size, "LogicalIDs": None},
            "Instance": instance,
            "Flavor": flavor,
        },
    }


def whole(method: str, params: dict[str, Any]) -> bytes:
    body = json.dumps({"jsonrpc": "2.0", "method": method, "params": params, "id": 1}).encode()
    return b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def send(path: Path, request: bytes, heard: int) -> None:
    """Send a request, read so many bytes of the answer, and go away."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(path))
        client.sendall(request)
        if heard:
            client.recv(heard)


def committed(desk: Desk) -> dict[str, Any] | None:
    found = ask(desk.plugins / "group", "Group.InspectGroups", {})["Groups"]
    return found[0] if found else None


def notes(desk: Desk) -> Counter[int]:
    """Return how many instances there are of each version."""
    found: Counter[int] = Counter()
    for name in desk.living():
        try:
            found[
                json.loads((desk.instances / name).read_text())["Spec"]["Properties"]["Note"]
            ] += 1
        except FileNotFoundError:
            continue  # replaced since it was listed
    return found


@pytest.mark.parametrize("seed", [1, 2])
def test_a_commit_whose_client_is_gone_is_wholly_made_or_never_begun(desk: Desk, seed: int) -> None:
    desk.start_three()
    group, dice = desk.plugins / "group", random.Random(seed)
    made, known = Counter[str](), None
    for number in range(ROUNDS):
        wanted = spec(number, dice.randint(1, 6))
        request = whole("Group.CommitGroup", {"Spec": wanted})
        cut = dice.choice([len(request), len(request), dice.randrange(len(request))])
        send(group, request[:cut], heard=dice.randint(0, 1) if cut == len(request) else 0)
        if cut == len(request):
            until(lambda: committed(desk) == wanted, say=lambda: committed(desk))  # noqa: B023, it ends in this turn
            known = wanted
        assert committed(desk) == known
        made[str(cut == len(request))] += 1
    assert min(made.values()) > 5
    assert known is not None
    size, note = (
        known["Properties"]["Allocation"]["Size"],
        known["Properties"]["Instance"]["Properties"]["Note"],
    )
    until(lambda: notes(desk) == {note: size}, say=lambda: notes(desk))
    desk.processes["group"].kill()
    desk.processes.pop("group").wait()
    desk.start("infrakit-group-default", "group", "--poll-interval", "1h")
    assert committed(desk) == known


def test_an_instance_whose_client_is_gone_is_made_once_or_not_at_all(desk: Desk) -> None:
    desk.start("infrakit-instance-file", "instance-file", "--dir", str(desk.instances))
    plugin, dice = desk.plugins / "instance-file", random.Random(3)
    tags = {"infrakit.group": "g", "infrakit.config_sha": "s"}
    for number in range(ROUNDS):
        call = {"Spec": {"Properties": {"Note": "x"}, "Tags": tags}, "Slot": str(number)}
        request = whole("Instance.Provision", call)
        cut = dice.choice([len(request), dice.randrange(len(request))])
        for _ in range(3):  # at once, each on a connection of its own
            send(plugin, request[:cut], heard=0)
        if cut == len(request):
            until(lambda: slots(desk)[str(number)])  # noqa: B023, it ends in this turn
        asked = ask(plugin, "Instance.Provision", call)["ID"]
        assert slots(desk)[str(number)] == 1
        assert (desk.instances / asked).exists()
    assert slots(desk) == {str(number): 1 for number in range(ROUNDS)}


def slots(desk: Desk) -> Counter[str]:
    return Counter(
        json.loads((desk.instances / name).read_text())["Slot"] for name in desk.living()
    )
