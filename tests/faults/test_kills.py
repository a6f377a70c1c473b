"""Processes killed with SIGKILL at the worst moments: the world ends up as if nothing had
happened.
"""

from __future__ import annotations

import json
import signal
import time

from desk import Desk

KILL = signal.SIGKILL


def spec(desk: Desk, size: int, note: str = "v1", name: str = "spec.json") -> str:
    text = {
        "ID": "collabnix",
        "Properties": {
            "Allocation": {"Size": size},
            "Instance": {"Plugin": "instance-file", "Properties": {"Note": note}},
            "Flavor": {"Plugin": "flavor-vanilla", "Properties": {"Init": ["echo hi"]}},
        },
    }
    (desk.cwd / name).write_text(json.dumps(text))
    return name


def restart_group(desk: Desk) -> None:
    desk.start("infrakit-group-default", "group", "--poll-interval", "1h")


def commit(desk: Desk, size: int, note: str = "v1") -> None:
    ran = desk.run(f"infrakit group commit {spec(desk, size, note)}")
    assert ran.returncode == 0, ran.stderr


def wait(desk: Desk) -> None:
    ran = desk.run("ikdemo group wait collabnix --timeout 100s")
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_killed_group_plugin_heals_again_without_a_new_commit(desk: Desk) -> None:
    desk.start_three()
    commit(desk, 5)
    before = desk.until(5)
    desk.stop("group", KILL)
    for name in before[:2]:
        (desk.instances / name).unlink()
    assert len(desk.living()) == 3
    restart_group(desk)
    after = desk.until(5)
    assert set(before[2:]) < set(after)
    wait(desk)
    assert desk.living() == after


def test_a_destroy_that_was_killed_goes_on_and_nothing_is_healed_back(desk: Desk) -> None:
    desk.start_three()
    commit(desk, 300)
    desk.until(300)
    wait(desk)
    destroying = desk.popen("infrakit group destroy collabnix")
    deadline = time.monotonic() + 100
    while len(desk.living()) >= 300:
        assert time.monotonic() < deadline
    desk.stop("group", KILL)
    destroying.communicate(timeout=100)
    left = set(desk.living())
    restart_group(desk)
    deadline = time.monotonic() + 100
    while now := set(desk.living()):
        assert now <= left, "an instance was made while the group was being destroyed"
        assert time.monotonic() < deadline
    until_forgotten(desk)
    assert desk.living() == []


def until_forgotten(desk: Desk) -> None:
    deadline = time.monotonic() + 100
    while desk.run("infrakit group describe collabnix").returncode == 0:
        assert time.monotonic() < deadline


def test_a_group_killed_while_it_is_made_is_made_once(desk: Desk) -> None:
    desk.start_three()
    commit(desk, 400)
    deadline = time.monotonic() + 100
    while len(desk.living()) < 40:
        assert time.monotonic() < deadline
    desk.stop("group", KILL)
    assert len(desk.living()) <= 400
    restart_group(desk)
    wait(desk)
    assert len(desk.living()) == 400
    slots = {json.loads((desk.instances / name).read_text())["Slot"] for name in desk.living()}
    assert slots == {str(number) for number in range(400)}


def test_an_update_goes_on_after_the_group_plugin_was_killed(desk: Desk) -> None:
    desk.start_three()
    commit(desk, 60)
    old = set(desk.until(60))
    wait(desk)
    commit(desk, 60, note="v2")
    deadline = time.monotonic() + 100
    while len(old & set(desk.living())) > 50:
        assert time.monotonic() < deadline
    desk.stop("group", KILL)
    restart_group(desk)
    wait(desk)
    assert len(desk.living()) == 60
    assert not old & set(desk.living())


def test_a_killed_instance_plugin_is_doubt_and_what_was_lost_meanwhile_comes_back(
    desk: Desk,
) -> None:
    desk.start_three()
    commit(desk, 4)
    before = desk.until(4)
    wait(desk)
    desk.stop("instance-file", KILL)
    (desk.instances / before[0]).unlink()
    ran = desk.run("infrakit group describe collabnix")
    assert ran.returncode == 1
    assert "Traceback" not in ran.stderr
    assert desk.living() == before[1:]
    desk.start("infrakit-instance-file", "instance-file", "--dir", str(desk.instances))
    assert set(before[1:]) < set(desk.until(4))


def test_without_its_flavor_a_group_waits_says_so_and_heals_when_it_is_back(desk: Desk) -> None:
    desk.start_three()
    commit(desk, 3)
    before = desk.until(3)
    wait(desk)
    desk.stop("flavor-vanilla", KILL)
    (desk.instances / before[0]).unlink()
    ran = desk.run("ikdemo group wait collabnix --timeout 1s")
    assert ran.returncode == 1
    assert "flavor-vanilla" in ran.stdout + ran.stderr
    desk.start("infrakit-flavor-vanilla", "flavor-vanilla")
    desk.until(3)
    wait(desk)


def test_a_freed_group_stays_freed_after_a_restart(desk: Desk) -> None:
    desk.start_three()
    commit(desk, 3)
    before = desk.until(3)
    wait(desk)
    assert desk.run("infrakit group free collabnix").returncode == 0
    desk.stop("group", KILL)
    (desk.instances / before[0]).unlink()
    restart_group(desk)
    assert desk.run("infrakit group ls -q").stdout.strip() == ""
    assert desk.living() == before[1:]
    assert (
        desk.run(f"infrakit group commit {spec(desk, 3)}").stdout
        == "Committed collabnix: Managing 3 instances\n"
    )
    assert set(before[1:]) < set(desk.until(3))


def test_without_a_store_nothing_is_kept_across_restarts(desk: Desk) -> None:
    """As v0.1.0's group plugin does; the instances stay, and the next commit takes them over."""
    flags = ("infrakit-group-default", "group", "--poll-interval", "1h", "--store", "none")
    desk.start("infrakit-instance-file", "instance-file", "--dir", str(desk.instances))
    desk.start("infrakit-flavor-vanilla", "flavor-vanilla")
    desk.start(*flags)
    commit(desk, 3)
    before = desk.until(3)
    wait(desk)
    assert desk.stop("group") == 0
    assert sorted(path.name for path in desk.plugins.iterdir()) == [
        "flavor-vanilla",
        "instance-file",
    ]
    desk.start(*flags)
    assert desk.run("infrakit group ls -q").stdout == ""
    assert (
        desk.run(f"infrakit group commit {spec(desk, 3)}").stdout
        == "Committed collabnix: Managing 3 instances\n"
    )
    wait(desk)
    assert desk.living() == before
    contradiction = desk.run(
        "ikdemo infrakit-group-default --name other --store none --state-dir x"
    )
    assert contradiction.returncode == 1
    assert "--store none keeps nothing" in contradiction.stderr


def test_two_owners_of_one_directory_are_refused_by_pid(desk: Desk) -> None:
    desk.start_three()
    owner = desk.processes["instance-file"].pid
    second = desk.run(f"ikdemo infrakit-instance-file --name other --dir {desk.instances}")
    assert second.returncode == 1
    assert f"in use by pid {owner}" in second.stderr
    assert "Traceback" not in second.stderr
    third = desk.run("ikdemo infrakit-flavor-vanilla")
    assert third.returncode == 1
    assert "live plugin" in third.stderr
