"""Each notebook's exercise: the right way is accepted, and every typical slip, in the lab or the
answer, has its own sentence.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from ikdemo.lab import Judge, Lab, collabnix
from ikdemo.lab.teaching import exercises
from ikdemo.lab.teaching.check import Check
from ikdemo.spi.errors import SpecError

UNANSWERED = "Write your answer into the cell above, in place of the three dots"


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab() as made:
        yield made


@pytest.fixture
def five(lab: Lab) -> Lab:
    """Give a lab with the group collabnix, as wanted."""
    lab.start()
    lab.commit(collabnix())
    lab.wait("collabnix")
    return lab


def told(check: Check) -> str:
    """Return the text of a check that found something to do."""
    assert not check
    return repr(check)


def test_an_empty_lab_is_named_and_not_a_traceback(lab: Lab) -> None:
    checks = [
        exercises.welcome(lab, ...),
        exercises.plugins(lab, ...),
        exercises.commit(lab, collabnix(), ...),
        exercises.self_healing(lab, ..., ...),
        exercises.rolling_update(lab, ...),
        exercises.cattle_and_pets(lab, ...),
        exercises.real_processes(lab, ...),
        exercises.docker(..., ..., ...),
        exercises.swarm(..., ..., ...),
        exercises.own_plugin(lab),
    ]
    for check in checks:
        assert "Plugin not found: group" in told(check) or UNANSWERED in told(check)


def test_welcome(five: Lab) -> None:
    said = told(exercises.welcome(five, 0))
    assert "The last time it was 0: lab.kill" in said
    assert "Q falls to, in per cent: 0. Do first what the lines above ask" in said, (
        "an answer is no use without the action"
    )
    five.kill("collabnix", 1)
    five.wait("collabnix")
    assert "The last time it was 1: lab.kill" in told(exercises.welcome(five, ...))
    five.kill("collabnix", 5)
    five.wait("collabnix")
    assert "not yet" not in repr(exercises.welcome(five, 0))
    assert UNANSWERED in told(exercises.welcome(five, None))
    assert "Your answer is 80: so far it falls when one of five is lost" in told(
        exercises.welcome(five, 80)
    )
    assert "Your answer is 100: there Q is before the fall" in told(exercises.welcome(five, 100))
    assert "Your answer is the text '0': write it without quotes" in told(
        exercises.welcome(five, "0")
    )
    assert "Your answer is False: write a number" in told(exercises.welcome(five, False))
    assert "Your answer is 55: look for robustness" in told(exercises.welcome(five, 55))


def test_plugins(lab: Lab) -> None:
    lab.start("flavor-vanilla")
    assert (
        'It is not started; start it: lab.start_plugin("instance-file", name="my-files")'
        in told(exercises.plugins(lab, ...))
    )
    lab.start_plugin("flavor-vanilla", name="my-files")
    assert "Its program is infrakit-flavor-vanilla; stop it" in told(exercises.plugins(lab, ...))
    lab.stop_plugin("my-files")
    assert "It is stopped; start it" in told(exercises.plugins(lab, "Instance"))
    lab.start_plugin("instance-file", name="my-files")
    assert exercises.plugins(lab, "Instance")
    for wrong, hint in {
        "Group": "the group plugin answers this",
        "Slots": "this is an extension",
        "x": "the first Name",
    }.items():
        assert hint in told(exercises.plugins(lab, wrong))


def test_commit(lab: Lab) -> None:
    lab.start()
    spec = collabnix(size=7)
    lab.commit(spec)
    assert "It is still 'Collabnix Infrakit 101': change spec" in told(
        exercises.commit(lab, spec, 7)
    )
    spec["Properties"]["Instance"]["Properties"]["Note"] = "version 2"
    assert exercises.commit(lab, spec, 7)
    assert "Your answer is 0: the Note is part of" in told(exercises.commit(lab, spec, 0))
    assert "Your answer is 1: they go one at a time" in told(exercises.commit(lab, spec, 1))
    lab.commit(spec)
    assert "nothing was committed. The new Note was" in told(exercises.commit(lab, spec, 7))


def test_self_healing(five: Lab) -> None:
    five.kill("collabnix", 2)
    five.wait("collabnix")
    said = told(exercises.self_healing(five, 3, 5))
    assert "It has been running all the time: kill it first, remove two, then start it" in said
    five.kill_plugin("group")
    five.kill("collabnix", 2)
    assert 'the group plugin runs. Start it: lab.start_plugin("group")' in told(
        exercises.self_healing(five, 3, 5)
    )
    five.start_plugin("group")
    five.wait("collabnix")
    assert exercises.self_healing(five, 3, 5)
    assert "were the two removed while nobody was there" in told(exercises.self_healing(five, 5, 5))
    assert "The spec did not die with the process" in told(exercises.self_healing(five, 3, 3))
    assert "Count those of collabnix" in told(exercises.self_healing(five, 8, 5))


def test_rolling_update(lab: Lab) -> None:
    lab.start("instance-file", "flavor-vanilla")
    lab.start_plugin("group", poll_interval="100ms")
    judge, shop = Judge(), collabnix(group="shop")
    tags = {"version": "v1"}
    lab.serve(judge, "flavor-judge")
    shop["Properties"]["Flavor"] = {"Plugin": "flavor-judge", "Properties": {"Tags": tags}}
    lab.commit(shop)
    lab.wait("shop")
    said = told(exercises.rolling_update(lab, ...))
    assert 'Set it: shop["Properties"]["Updating"] = {"Surge": 1}' in said
    assert "Roll to v3" in said
    judge.bad.add("v3")
    tags["version"] = "v3"
    shop["Properties"]["Updating"] = {"Surge": 1}
    lab.commit(shop)
    deadline = time.monotonic() + 100
    while "halted" not in lab.why("shop").column("reason") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "There are version=v1, version=v3; go back" in told(exercises.rolling_update(lab, 5))
    tags["version"] = "v1"
    lab.commit(shop)
    lab.wait("shop")
    assert exercises.rolling_update(lab, 5)
    assert "that was without a surge" in told(exercises.rolling_update(lab, 4))
    assert "one of them is v3, and sick" in told(exercises.rolling_update(lab, 6))


def test_cattle_and_pets(lab: Lab) -> None:
    lab.start()
    twins = collabnix(group="twins", size=2)
    lab.commit(twins)
    assert "The names are None; set it" in told(exercises.cattle_and_pets(lab, ...))
    lab.destroy("twins")
    twins["Properties"]["Allocation"] = {"LogicalIDs": ["rex", "rex"]}
    lab.commit(twins)
    lab.wait("twins")
    assert 'one was killed. Kill one: lab.kill("twins", 1)' in told(
        exercises.cattle_and_pets(lab, ["rex#0", "rex#1"])
    )
    lab.kill("twins", 1)
    lab.wait("twins")
    assert exercises.cattle_and_pets(lab, ["rex#1", "rex#0"])
    assert "these are the names" in told(exercises.cattle_and_pets(lab, ["rex", "rex"]))
    assert "slots of cattle are numbers" in told(exercises.cattle_and_pets(lab, ["0", "1"]))
    assert "nearly" in told(exercises.cattle_and_pets(lab, ("rex#1", "rex#2")))
    assert "a slot is the name and a number" in told(exercises.cattle_and_pets(lab, 2))


def test_real_processes(lab: Lab) -> None:
    lab.start("instance-file", "flavor-probe", "group")
    spec: dict[str, Any] = collabnix(size=1)
    probe = {"Check": {"HTTP": "/"}, "Interval": "200ms", "Timeout": "100ms", "Threshold": 3}
    spec["Properties"]["Flavor"] = {"Plugin": "flavor-probe", "Properties": probe}
    lab.commit(spec)
    assert "Threshold is 2. It is 3: change it in the spec, then commit" in told(
        exercises.real_processes(lab, 400)
    )
    probe["Threshold"] = 2
    lab.commit(spec)
    assert exercises.real_processes(lab, 400)
    for wrong, hint in {
        0.4: "right in seconds",
        300: "the best case",
        500: "the worst case",
        600: "N - 1 intervals",
    }.items():
        assert hint in told(exercises.real_processes(lab, wrong))


class Zoo:
    """A flavor that refuses what its ``refuse`` says."""

    interface = "Flavor"
    offers = frozenset({"ConstantHealth"})

    def __init__(self, refuse: str = "", path: str = "") -> None:
        self.refuse, self.path = refuse, path

    async def validate(self, properties: Any, allocation: Any) -> None:
        if self.refuse and self.refuse in bytes(properties).decode():
            raise SpecError(
                f"{self.path}: a zoo needs animals" if self.path else "a zoo needs animals",
                path=self.path,
            )

    async def prepare(self, properties: Any, spec: Any, allocation: Any) -> Any:
        return spec

    async def healthy(self, properties: Any, instance: Any) -> Any:
        raise AssertionError

    async def drain(self, properties: Any, instance: Any) -> None: ...


def test_own_plugin(lab: Lab) -> None:
    lab.start("instance-file", "group")
    zoos = {
        "old": Zoo(),
        "strict": Zoo("["),
        "vague": Zoo("[]"),
        "right": Zoo("[]", "$.Properties.Animals"),
    }
    assert "Plugin not found: flavor-zoo" in told(exercises.own_plugin(lab))
    told_of = dict[str, Check]()
    for name, zoo in zoos.items():
        lab.reset()
        lab.start("instance-file", "group")
        lab.serve(zoo, "flavor-zoo")  # type: ignore[arg-type]
        told_of[name] = exercises.own_plugin(lab)
    assert "It was accepted. Does validate raise SpecError?" in told(told_of["old"])
    assert "Only an empty list is to be refused" in told(told_of["strict"])
    assert "Begin its sentence with the path: SpecError(" in told(told_of["vague"])
    assert told_of["right"]


def test_a_spec_that_lacks_a_part_is_a_sentence(lab: Lab) -> None:
    lab.start("instance-file", "flavor-vanilla", "group")
    spec = collabnix(size=7)
    lab.commit(spec)
    del spec["Properties"]["Instance"]
    assert "not yet  the spec has all its parts. 'Instance' is missing: compare it with" in told(
        exercises.commit(lab, spec, 7)
    )
    assert "One of its parts is of another kind" in told(exercises.commit(lab, [], 7))  # type: ignore[arg-type]
    spec = collabnix(size=7)
    spec["Properties"]["Instance"]["Properties"] = {}
    lab.commit(spec)
    assert "the spec has all its parts. 'Note' is missing" in told(exercises.commit(lab, spec, 7))


def test_docker() -> None:
    assert exercises.docker(5, 3, 2)
    slips = {
        (2, 3, 2): "so many were not hit. Three seconds are long for the group",
        (5, 5, 2): "does it heal what docker kill ended?",
        (5, 2, 2): "one of the three lost its process only",
        (5, 4, 2): "two were ended by docker kill",
        (5, 3, 5): "in the end, yes. But three seconds are too short",
        (5, 3, 3): "How long does it wait?",
        (5, "3", 2): "write it without quotes",
        (5, 3, True): "Your answer is True: write a number",
    }
    for given, hint in slips.items():
        assert hint in told(exercises.docker(*given)), given
    assert told(exercises.docker(..., ..., ...)).count(UNANSWERED) == 3


def test_swarm() -> None:
    assert exercises.swarm(21, 15, [1, 1, 2, 2])
    assert exercises.swarm(21, 15, (1, 1, 2, 2))
    slips = {
        (15, 15, (1, 1, 2, 2)): "What runs on the two machines that are cut off?",
        (12, 15, (1, 1, 2, 2)): "the six that nobody counts run on",
        (21, 21, (1, 1, 2, 2)): "The group cannot see those on the machines that are cut off",
        (21, 9, (1, 1, 2, 2)): "But then the group replaces what it lost",
        (21, 15, (1, 2, 2, 3)): "half is not enough",
        (21, 15, (2, 3, 3, 4)): "so many have to be left",
        (21, 15, (0, 1, 1, 2)): "of 3 that is 2, so 1 may be lost",
        (21, 15, 1): "of 3 that is 2, so 1 may be lost",
    }
    for given, hint in slips.items():
        assert hint in told(exercises.swarm(*given)), given
    assert told(exercises.swarm(..., ..., [1, ..., 2, 2])).count(UNANSWERED) == 3
