"""``infrakit-manager swarm`` as processes at one engine, which is a small server of the tests' own:
one leads, a hanging engine is doubt, and slips are said in a sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from time import sleep

import asking
import pytest
from asking import Refused
from desk import Desk
from engine.fake_swarm import HANG, FakeSwarm


@pytest.fixture
def swarm(short_dir: Path) -> Iterator[FakeSwarm]:
    made = FakeSwarm(short_dir)
    yield made
    made.close()


def start(desk: Desk, swarm: FakeSwarm, name: str) -> None:
    desk.start("infrakit-group-default", f"{name}-behind", "--store", "none")
    start_manager(desk, name, "--host", swarm.host())


def start_manager(desk: Desk, name: str, *flags: str) -> None:
    flags = ("--proxy-for-group", f"{name}-behind", "swarm", "--poll-interval", "100ms", *flags)
    desk.start("infrakit-manager", name, *flags)


def commit(desk: Desk, name: str) -> str:
    properties = {
        "Allocation": {"Size": 2},
        "Instance": {"Plugin": "instance-file", "Properties": {}},
        "Flavor": {"Plugin": "flavor-vanilla", "Properties": {}},
    }
    spec = {"ID": "g", "Properties": properties}
    try:
        params = {"Spec": spec, "Pretend": False}
        return str(asking.ask(desk.plugins / name, "Group.CommitGroup", params)["Details"])
    except Refused as error:
        return str(error)


def kept(desk: Desk, name: str) -> list[str]:
    groups = asking.ask(desk.plugins / f"{name}-behind", "Group.InspectGroups", {})["Groups"]
    return [group["ID"] for group in groups or []]


def until(true: Callable[[], object]) -> None:
    for _ in range(1000):
        if true():
            return
        sleep(0.1)
    raise AssertionError("100 s have passed")


def test_one_of_two_leads_and_the_other_one_follows_when_it_stops(
    desk: Desk, swarm: FakeSwarm
) -> None:
    desk.start("infrakit-instance-file", "instance-file", "--dir", str(desk.instances))
    desk.start("infrakit-flavor-vanilla", "flavor-vanilla")
    start(desk, swarm, "m-1")
    until(lambda: commit(desk, "m-1") != "not-a-leader")
    desk.until(2)
    start(desk, swarm, "m-2")
    assert commit(desk, "m-2") == "not-a-leader"
    told = desk.run("ikdemo leader --name m-2")
    assert (told.returncode, "m-1" in told.stdout, "epoch 1" in told.stdout) == (0, True, True), (
        told
    )

    desk.stop("m-1")
    desk.stop("m-1-behind")
    until(lambda: kept(desk, "m-2") == ["g"])
    assert swarm.labels["ikdemo.epoch"] == "2"
    assert len(desk.living()) == 2, "instances are left alone"


def test_an_engine_that_hangs_ends_the_term_of_its_manager(desk: Desk, swarm: FakeSwarm) -> None:
    desk.start("infrakit-instance-file", "instance-file", "--dir", str(desk.instances))
    desk.start("infrakit-flavor-vanilla", "flavor-vanilla")
    start(desk, swarm, "m-1")
    until(lambda: commit(desk, "m-1") != "not-a-leader")
    desk.until(2)
    swarm.answers["/swarm/update"] = HANG  # as where its swarm is without a majority
    until(lambda: kept(desk, "m-1") == [])
    assert commit(desk, "m-1") == "not-a-leader"
    swarm.answers.clear()
    until(lambda: kept(desk, "m-1") == ["g"])
    assert len(desk.living()) == 2


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ("--host nonsense://", "is no address of a Docker engine"),
        (
            "--tlscacert no.pem --tlscert no.pem --tlskey no.pem",
            "no.pem cannot be read: no such file or directory",
        ),
        ("--poll-interval 0s", "the poll interval must be longer than 0"),
        ("--host", "flag needs an argument: --host"),
    ],
)
def test_a_slip_is_said_in_a_sentence(desk: Desk, flags: str, sentence: str) -> None:
    desk.start("infrakit-group-default", "group-stateless", "--store", "none")
    done = desk.run(f"ikdemo infrakit-manager swarm {flags}")
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_tls_without_all_its_files_is_off_and_that_is_said(desk: Desk, swarm: FakeSwarm) -> None:
    desk.start("infrakit-group-default", "m-1-behind", "--store", "none")
    start_manager(desk, "m-1", "--host", swarm.host(), "--tlscacert", "ca.pem")
    until(lambda: "TLS is off: it needs --tlscacert, --tlscert and --tlskey" in desk.log("m-1"))
    until(lambda: swarm.labels.get("ikdemo.epoch") == "1")
