"""Managers as processes before our group plugin: leadership moves, processes are killed and
stopped, and the group is kept by one of them, or by none.
"""

from __future__ import annotations

import json
import random
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import asking
import pytest
from asking import Refused
from desk import Desk

POLL = ("--poll-interval", "100ms")


class Managers:
    """A leader file, a store, an instance plugin, and managers before a group plugin each."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.leader, self.store = desk.root / "leader", desk.root / "store"
        self.store.mkdir()
        self.leader.write_text("m-1\n")
        desk.start("infrakit-instance-file", "instance-file", "--dir", str(desk.instances))
        desk.start("infrakit-flavor-vanilla", "flavor-vanilla")

    def start(self, name: str = "m-1") -> None:
        """Start a group plugin and the manager before it."""
        self.start_group(name)
        self.start_manager(name)

    def start_group(self, name: str = "m-1") -> None:
        self.desk.start("infrakit-group-default", f"{name}-behind", "--store", "none", *POLL)

    def start_manager(self, name: str = "m-1", socket: str = "") -> None:
        files = ("--leader-file", str(self.leader), "--store-dir", str(self.store), *POLL)
        behind = ("--proxy-for-group", f"{name}-behind")
        self.desk.start("infrakit-manager", socket or name, *behind, "os", *files)

    def ask(self, name: str, method: str, **params: Any) -> Any:
        return asking.ask(self.desk.plugins / name, method, params)

    def commit(self, name: str, group: str = "g", size: int = 2, pretend: bool = False) -> str:
        properties = {
            "Allocation": {"Size": size},
            "Instance": {"Plugin": "instance-file", "Properties": {"Note": "v1"}},
            "Flavor": {"Plugin": "flavor-vanilla", "Properties": {}},
        }
        spec = {"ID": group, "Properties": properties}
        answer = self.ask(name, "Group.CommitGroup", Spec=spec, Pretend=pretend)
        said: str = answer["Details"]
        return said

    def kept(self, name: str) -> list[str]:
        """Return the groups that the group plugin behind a manager keeps."""
        found = self.ask(f"{name}-behind", "Group.InspectGroups")["Groups"]
        return [spec["ID"] for spec in found or []]

    def stored(self) -> dict[str, Any]:
        try:
            text = (self.store / "global.config").read_text()
        except FileNotFoundError:
            return {}
        groups: dict[str, Any] = json.loads(text)["Groups"]
        return groups

    def until_leads(self, name: str) -> dict[str, Any]:
        """Wait until a manager leads, and return what it tells of that."""

        def leads() -> dict[str, Any] | None:
            told: dict[str, Any] = self.ask(name, "Manager.Leader")
            return told if told["Leads"] else None

        found: dict[str, Any] = asking.until(leads)
        return found

    def until_kept(self, name: str, *groups: str) -> None:
        asking.until(lambda: self.kept(name) == list(groups), say=lambda: self.desk.log(name))


@pytest.fixture
def managers(desk: Desk) -> Iterator[Managers]:
    made = Managers(desk)
    yield made
    for process in desk.processes.values():
        process.send_signal(signal.SIGCONT)


def test_a_group_follows_the_leader_and_its_instances_stay(managers: Managers) -> None:
    managers.start("m-1")
    managers.start("m-2")
    managers.until_leads("m-1")
    assert managers.commit("m-1") == "Managing 2 instances"
    living = managers.desk.until(2)
    for name, other in (("m-2", "m-1"), ("m-1", "m-2")):
        managers.leader.write_text(name)
        managers.until_kept(name, "g")
        managers.until_kept(other)
        with pytest.raises(Refused, match=r"^not-a-leader$"):
            managers.commit(other)
        with pytest.raises(Refused, match=r"^not-a-leader$"):
            managers.ask(other, "Reconcile.Scale", ID="g", Size=5)
        (reason,) = managers.ask(other, "Reconcile.Why", ID="g")["Reasons"]
        assert reason["Code"] == "no-leader"
        assert f"{name} leads" in reason["Text"]
    assert managers.desk.living() == living
    assert managers.ask("m-1", "Manager.Leader")["Epoch"] == 3


def test_a_scale_is_stored_and_kept_by_the_next_leader(managers: Managers) -> None:
    managers.start("m-1")
    managers.start("m-2")
    managers.until_leads("m-1")
    managers.commit("m-1")
    managers.ask("m-1", "Reconcile.Scale", ID="g", Size=4)
    assert managers.stored()["g"]["Properties"]["Properties"]["Allocation"] == {"Size": 4}
    managers.desk.until(4)
    managers.leader.write_text("m-2")
    managers.until_kept("m-2", "g")
    asking.until(lambda: not managers.ask("m-2", "Reconcile.Why", ID="g")["Reasons"])
    assert len(managers.desk.living()) == 4


def test_a_group_of_size_0_can_be_scaled_up_by_the_next_leader(managers: Managers) -> None:
    managers.start("m-1")
    managers.start("m-2")
    managers.until_leads("m-1")
    managers.commit("m-1")
    managers.desk.until(2)
    managers.ask("m-1", "Reconcile.Scale", ID="g", Size=0)
    managers.desk.until(0)
    managers.leader.write_text("m-2")
    managers.until_leads("m-2")
    managers.ask("m-2", "Reconcile.Scale", ID="g", Size=3)
    managers.until_kept("m-2", "g")
    managers.desk.until(3)


@pytest.mark.parametrize("method", ["Group.FreeGroup", "Group.DestroyGroup", "Reconcile.Free"])
def test_what_was_freed_or_destroyed_does_not_come_back(managers: Managers, method: str) -> None:
    managers.start("m-1")
    managers.start("m-2")
    managers.until_leads("m-1")
    for group in ("g", "h"):
        managers.commit("m-1", group)
    managers.desk.until(4)
    managers.ask("m-1", method, ID="g")
    assert list(managers.stored()) == ["h"]
    managers.leader.write_text("m-2")
    managers.until_kept("m-2", "h")
    assert len(managers.desk.living()) == (2 if method == "Group.DestroyGroup" else 4)
    with pytest.raises(Refused, match="not-a-leader"):
        managers.ask("m-1", method, ID="h")
    assert list(managers.stored()) == ["h"]


def test_what_another_leader_freed_meanwhile_is_kept_no_longer(managers: Managers) -> None:
    """The group plugin went on with it while its manager was gone."""
    managers.start("m-1")
    managers.until_leads("m-1")
    for group in ("g", "h"):
        managers.commit("m-1", group)
    managers.desk.stop("m-1", signal.SIGKILL)
    managers.leader.write_text("m-2")
    managers.start("m-2")
    managers.until_kept("m-2", "g", "h")
    managers.ask("m-2", "Group.FreeGroup", ID="g")
    assert managers.kept("m-1") == ["g", "h"]
    managers.leader.write_text("m-1")
    managers.start_manager("m-1")
    managers.until_leads("m-1")
    managers.until_kept("m-1", "h")
    assert "Group g is not stored" in managers.desk.log("m-1")


def test_what_is_refused_is_not_stored(managers: Managers) -> None:
    managers.start()
    managers.until_leads("m-1")
    with pytest.raises(Refused, match="Allocation must not be blank"):
        managers.commit("m-1", size=0)
    assert managers.commit("m-1", pretend=True) == "Managing 2 instances"
    assert managers.stored() == {}
    assert managers.kept("m-1") == []


def test_a_group_plugin_that_was_started_again_is_given_the_groups(managers: Managers) -> None:
    managers.start()
    managers.until_leads("m-1")
    managers.commit("m-1")
    living = managers.desk.until(2)
    managers.desk.stop("m-1-behind", signal.SIGKILL)
    with pytest.raises(Refused):
        managers.commit("m-1", size=3)
    assert managers.stored()["g"]["Properties"]["Properties"]["Allocation"] == {"Size": 2}
    managers.start_group()
    managers.until_kept("m-1", "g")
    assert managers.desk.living() == living


def test_a_killed_leader_and_its_group_are_taken_over(managers: Managers) -> None:
    managers.start("m-1")
    managers.start("m-2")
    managers.until_leads("m-1")
    managers.commit("m-1")
    living = managers.desk.until(2)
    for name in ("m-1", "m-1-behind"):
        managers.desk.stop(name, signal.SIGKILL)
    managers.leader.write_text("m-2")
    managers.until_kept("m-2", "g")
    assert managers.desk.living() == living
    managers.start("m-1")
    assert managers.kept("m-1") == []


def test_a_manager_that_is_killed_and_started_again_goes_on(managers: Managers) -> None:
    managers.start()
    first = managers.until_leads("m-1")["Epoch"]
    managers.commit("m-1")
    living = managers.desk.until(2)
    managers.desk.stop("m-1", signal.SIGKILL)
    assert managers.kept("m-1") == ["g"]
    managers.start_manager()
    assert managers.until_leads("m-1")["Epoch"] == first + 1
    managers.commit("m-1", size=3)
    assert set(living) < set(managers.desk.until(3))


def test_a_manager_that_was_stopped_writes_nothing_when_it_wakes_up(managers: Managers) -> None:
    managers.start("m-1")
    managers.start("m-2")
    managers.until_leads("m-1")
    managers.commit("m-1", size=2)
    managers.desk.until(2)
    managers.desk.processes["m-1"].send_signal(signal.SIGSTOP)
    managers.leader.write_text("m-2")
    managers.until_kept("m-2", "g")
    managers.commit("m-2", size=3)
    managers.desk.processes["m-1"].send_signal(signal.SIGCONT)
    with pytest.raises(Refused, match="not-a-leader"):
        managers.commit("m-1", size=9)
    managers.until_kept("m-1")
    assert managers.stored()["g"]["Properties"]["Properties"]["Allocation"] == {"Size": 3}
    managers.desk.until(3)


def test_an_old_leader_that_wakes_up_makes_and_destroys_nothing(managers: Managers) -> None:
    """Manager and group plugin were stopped with another size wanted. The group plugin wakes up
    first, and is refused by the instance plugin, which the new leader has claimed.
    """
    managers.start("m-1")
    managers.start("m-2")
    managers.until_leads("m-1")
    managers.commit("m-1", size=2)
    managers.desk.until(2)
    for name in ("m-1", "m-1-behind"):
        managers.desk.processes[name].send_signal(signal.SIGSTOP)
    managers.leader.write_text("m-2")
    managers.until_kept("m-2", "g")
    managers.commit("m-2", size=5)
    living = managers.desk.until(5)
    managers.desk.processes["m-1-behind"].send_signal(signal.SIGCONT)

    def fenced() -> bool:
        reasons = managers.ask("m-1-behind", "Reconcile.Why", ID="g")["Reasons"]
        return "fenced" in [reason["Code"] for reason in reasons]

    asking.until(fenced)
    managers.desk.processes["m-1"].send_signal(signal.SIGCONT)
    managers.until_kept("m-1")
    assert managers.desk.living() == living
    told = managers.desk.log("m-1-behind")
    assert told.count("provisioned") == 2
    assert "destroyed" not in told


@pytest.mark.parametrize("seed", range(3))
def test_a_manager_killed_at_any_moment_loses_nothing_acknowledged(
    managers: Managers, seed: int
) -> None:
    chance = random.Random(seed)
    managers.start()
    managers.until_leads("m-1")
    acknowledged = 0
    with ThreadPoolExecutor(1) as pool:
        for size in range(1, 6):
            said = pool.submit(managers.commit, "m-1", size=size)
            wait([said], timeout=chance.uniform(0.0, 0.08))
            managers.desk.stop("m-1", signal.SIGKILL)
            if said.exception(100) is None:
                acknowledged = size
            stored = managers.stored()
            assert not acknowledged or size_of(stored) in (acknowledged, size)
            managers.start_manager()
            managers.until_kept("m-1", *stored)
            if stored:
                managers.desk.until(size_of(stored))
                acknowledged = size_of(stored)


def size_of(stored: dict[str, Any]) -> int:
    size: int = stored["g"]["Properties"]["Properties"]["Allocation"]["Size"]
    return size


def test_the_end_of_a_manager_leaves_its_groups_kept(managers: Managers) -> None:
    managers.start()
    managers.until_leads("m-1")
    managers.commit("m-1")
    assert managers.desk.stop("m-1") == 0
    assert not (managers.desk.plugins / "m-1").exists()
    assert managers.kept("m-1") == ["g"]


def test_a_second_manager_of_the_name_changes_nothing(managers: Managers) -> None:
    managers.start()
    epoch = managers.until_leads("m-1")["Epoch"]
    files = f"--leader-file {managers.leader} --store-dir {managers.store}"
    second = managers.desk.run(
        f"ikdemo infrakit-manager --name m-1 --proxy-for-group m-1-behind os {files}"
    )
    assert second.returncode == 1
    assert "already served by a live plugin" in second.stderr
    assert managers.until_leads("m-1")["Epoch"] == epoch


def test_one_stored_group_that_fails_keeps_no_other_back(managers: Managers) -> None:
    managers.start()
    managers.until_leads("m-1")
    for group in ("g", "h"):
        managers.commit("m-1", group)
    managers.desk.stop("m-1")
    managers.desk.stop("m-1-behind")
    text = (managers.store / "global.config").read_text()
    (managers.store / "global.config").write_text(text.replace("instance-file", "nosuch", 1))
    managers.start()
    managers.until_kept("m-1", "h")
    (reason,) = managers.ask("m-1", "Reconcile.Why", ID="g")["Reasons"]
    assert reason["Code"] == "spec-refused"
    assert "Plugin not found: nosuch" in reason["Text"]
    assert "Group g is stored and could not be committed" in managers.desk.log("m-1")


def test_a_store_that_cannot_be_read_is_not_touched(managers: Managers) -> None:
    managers.start()
    managers.until_leads("m-1")
    managers.commit("m-1")
    config = managers.store / "global.config"
    written = config.read_text()
    config.write_text("not json")
    for size in (2, 3):
        with pytest.raises(Refused, match="cannot be used and is left as it is: not JSON"):
            managers.commit("m-1", size=size)
    assert config.read_text() == "not json"
    assert managers.kept("m-1") == ["g"]
    config.write_text(written)
    assert "Noop" in managers.commit("m-1") or managers.commit("m-1")


def test_events_of_the_group_and_of_leadership_are_told(managers: Managers) -> None:
    managers.start()
    managers.until_leads("m-1")
    managers.commit("m-1")
    managers.desk.until(2)

    def kinds() -> set[str]:
        batch = managers.ask("m-1", "Events.Watch", Since={}, Timeout=0)
        return {event["Kind"] for event in batch["Events"]}

    asking.until(lambda: {"elected", "committed", "acted"} <= kinds())
    managers.leader.write_text("m-2")
    asking.until(lambda: "stepped-down" in kinds())


def test_a_group_plugin_that_resumes_by_itself_is_refused(managers: Managers) -> None:
    managers.desk.start("infrakit-group-default", "own")
    files = f"--leader-file {managers.leader} --store-dir {managers.store}"
    refused = managers.desk.run(f"ikdemo infrakit-manager --proxy-for-group own os {files}")
    assert refused.returncode == 1
    assert "start it as: infrakit-group-default --name own --store none" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_several_groups_are_committed_as_one(managers: Managers) -> None:
    managers.start()
    managers.until_leads("m-1")
    managers.desk.put_spec("spec.json", "x", 1)
    spec = json.loads((managers.desk.cwd / "spec.json").read_text())

    def entry(group: str, size: int) -> dict[str, Any]:
        properties = {**spec["Properties"], "Allocation": {"Size": size}}
        return {"Plugin": "m-1-behind", "Properties": {"ID": group, "Properties": properties}}

    def commit(groups: dict[str, Any], flags: str = "") -> tuple[int, str]:
        (managers.desk.cwd / "all.json").write_text(json.dumps({"Groups": groups}))
        done = managers.desk.run(f"ikdemo manager commit all.json --name m-1 {flags}")
        return done.returncode, done.stdout + done.stderr

    both = {"a": entry("a", 1), "b": entry("b", 2)}
    assert commit(both, "--pretend") == (
        0,
        "Committing a would involve: Managing 1 instances\n"
        "Committing b would involve: Managing 2 instances\n",
    )
    assert managers.stored() == {}
    status, said = commit({**both, "c": entry("c", 0)})
    assert (status, "Allocation must not be blank" in said) == (1, True)
    assert managers.stored() == {}
    assert commit(both)[1].startswith("Committed a: Managing 1 instances\nCommitted b:")
    assert sorted(managers.stored()) == ["a", "b"]
    managers.desk.until(3)
    status, said = commit({"a": {**entry("a", 1), "Plugin": "group"}})
    assert (status, "m-1-behind" in said) == (1, True)


def test_who_leads_is_told_in_one_line(managers: Managers) -> None:
    managers.start()
    managers.until_leads("m-1")
    told = managers.desk.run("ikdemo leader --name m-1")
    assert re.fullmatch(
        r"m-1 leads, this manager; epoch 1; since [\dhms.]+; store os; last renewal [\dms.]+ ago\n",
        told.stdout,
    )
    managers.leader.unlink()
    asking.until(lambda: not managers.ask("m-1", "Manager.Leader")["Leads"])
    told = managers.desk.run("ikdemo leader --name m-1")
    assert told.returncode == 1
    assert told.stdout.startswith("No leader is known; store os; m-1 does not lead: ")


def test_a_leader_file_that_is_gone_counts_as_lost(managers: Managers) -> None:
    managers.start()
    managers.until_leads("m-1")
    managers.commit("m-1")
    managers.leader.unlink()
    managers.until_kept("m-1")
    managers.leader.write_text("m-1")
    managers.until_kept("m-1", "g")


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ("", 0, "Back ends, which say who leads and keep the specs"),
        ("help", 0, "Back ends, which say who leads and keep the specs"),
        ("os --help", 0, "--leader-file file"),
        ("help os", 0, "--leader-file file"),
        ("version", 0, "Version: "),
        ("nosuch", 1, "unknown command"),
        ("os nosuch", 1, "unknown command"),
        ("os --poll-interval 0s", 1, "must be longer than 0"),
        ("--name a --proxy-for-group a os", 1, "stands before another plugin"),
        ("os --nosuch", 1, "unknown flag: --nosuch"),
        ("os --leader-file {here}/leader --store-dir {here}", 1, "Plugin not found: group-sta"),
    ],
)
def test_the_command_line(desk: Desk, words: str, status: int, said: str) -> None:
    (desk.root / "leader").write_text("m")
    done = desk.run(f"ikdemo infrakit-manager {words.format(here=desk.root)}")
    assert (done.returncode, said in done.stdout + done.stderr) == (status, True), done
    assert "Traceback" not in done.stderr


def test_stored_files_may_be_read_by_the_real_manager(managers: Managers) -> None:
    """Its text form, to the byte: no member of ours is in it."""
    managers.start()
    managers.until_leads("m-1")
    managers.commit("m-1")
    text = Path(managers.store / "global.config").read_text()
    assert text.startswith('{\n    "Groups": {\n      "g": {\n        "Plugin": "m-1-behind",\n')
    assert set(managers.stored()["g"]) == {"Plugin", "Properties"}
