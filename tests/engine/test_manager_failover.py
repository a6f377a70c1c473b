"""Three managers before a group plugin each, three members of etcd, three machines: however one
fails, one of them keeps the group, and what an older leader does late is refused.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asking
import pytest
from asking import Refused
from desk import Desk
from engine.contest import Contest, Leading
from engine.etcd3 import MEMBERS, Etcd3, Written, running

GROUP, BEHIND = "web", "group-stateless"
POLL = ("--poll-interval", "100ms")


class Machine(Desk):
    """Where the programs of one machine run; a killed test run takes them along."""

    def program(self, name: str) -> list[str]:
        return ["setpriv", "--pdeathsig", "KILL", *super().program(name)]


class Machines(Contest):
    """Contestants that are managers, on machines with sockets of their own. What they keep are
    files, of one instance plugin that all reach; the group plugin of a machine lives and dies with
    its manager.
    """

    def __init__(self, etcd: Etcd3, root: Path) -> None:
        self.shared = Machine(made(root / "shared"))
        self.desks = {number: Machine(made(root / str(number))) for number in MEMBERS}
        shared = self.shared
        shared.start("infrakit-instance-file", "instance-file", "--dir", str(shared.instances))
        shared.start("infrakit-flavor-vanilla", "flavor-vanilla")
        for desk in self.desks.values():
            desk.plugins.mkdir(mode=0o700)
            for name in ("instance-file", "flavor-vanilla"):
                (desk.plugins / name).hardlink_to(shared.plugins / name)
        super().__init__(etcd, self._start_manager, written_by)

    def _start_manager(self, number: int) -> subprocess.Popen[str]:
        desk = self.desks[number]
        desk.start("infrakit-group-default", BEHIND, "--store", "none", *POLL)
        endpoints = [word for one in self.etcd.endpoints(number) for word in ("--endpoint", one)]
        return desk.start("infrakit-manager", f"c{number}", "etcd", "--lease", "2s", *endpoints)

    def kill(self, number: int) -> None:
        """Kill a manager and its group plugin."""
        super().kill(number)
        self.desks[number].processes.pop(f"c{number}")
        self.desks[number].stop(BEHIND, signal.SIGKILL)

    def close(self) -> None:
        for desk in [*self.desks.values(), self.shared]:
            for process in desk.processes.values():
                process.send_signal(signal.SIGCONT)
            desk.close()

    def living(self) -> list[str]:
        return self.shared.living()

    def ask(self, number: int, method: str, **params: Any) -> Any:
        return asking.ask(self.desks[number].plugins / f"c{number}", method, params)

    def ask_behind(self, number: int, method: str, **params: Any) -> Any:
        return asking.ask(self.desks[number].plugins / BEHIND, method, params)

    def commit(self, leader: Leading, size: int) -> None:
        """Commit the group through the leader; the spec says under which epoch."""
        properties = {
            "Allocation": {"Size": size},
            "Instance": {"Plugin": "instance-file", "Properties": {"Note": "the same for all"}},
            "Flavor": {"Plugin": "flavor-vanilla", "Properties": {"Tags": {}}},
            "Epoch": leader.epoch,
        }
        spec = {"ID": GROUP, "Properties": properties}

        def committed() -> bool:
            try:
                self.ask(leader.number, "Group.CommitGroup", Spec=spec, Pretend=False)
            except Refused as refused:  # it has won and does not know it yet
                assert str(refused) == "not-a-leader"
                return False
            return True

        asking.until(committed)
        self.shared.until(size)

    def kept(self, number: int) -> bool:
        """Say whether the group plugin of a machine keeps the group."""
        return bool(self.ask_behind(number, "Group.InspectGroups")["Groups"])

    def until_kept(self, number: int) -> None:
        asking.until(lambda: self.kept(number), say=lambda: self.log(number))

    def log(self, number: int) -> str:
        return self.desks[number].log(f"c{number}") + self.desks[number].log(BEHIND)

    def until_whole(self, number: int) -> None:
        """Wait until a machine has nothing more to do for the group."""
        asking.until(lambda: not self.ask(number, "Reconcile.Why", ID=GROUP)["Reasons"])

    def followed(self, leader: Leading) -> Leading:
        """Wait until another machine keeps the group, and return it."""
        newer = self.leading(after=leader.epoch)
        assert newer.number != leader.number
        self.until_kept(newer.number)
        return newer


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def written_by(write: Written) -> int:
    """Return the epoch that the committed spec tells."""
    assert write.value is not None
    return int(json.loads(write.value)["Groups"][GROUP]["Properties"]["Properties"]["Epoch"])


@pytest.fixture(scope="module")
def started() -> Iterator[Machines]:
    with (
        tempfile.TemporaryDirectory(prefix="ik-", dir="/tmp") as root,
        running(MEMBERS) as etcd,
        contextlib.closing(Machines(etcd, Path(root))) as machines,
    ):
        yield machines


@pytest.fixture
def machines(started: Machines) -> Iterator[Machines]:
    """Give three machines, one of which leads and keeps a whole group of 2; judge them
    afterwards.
    """
    started.repair()
    leader = started.leading()
    started.commit(leader, 2)
    started.until_whole(leader.number)
    yield started
    started.judge()


def test_a_leader_and_its_group_that_are_killed_are_followed(machines: Machines) -> None:
    leader = machines.leading()
    machines.kill(leader.number)
    lost = machines.living()[0]
    (machines.shared.instances / lost).unlink()
    newer = machines.followed(leader)
    assert lost not in machines.shared.until(2)
    machines.commit(newer, 3)


def test_a_manager_that_ends_hands_over_at_once(machines: Machines) -> None:
    leader, living = machines.leading(), machines.living()
    machines.signal(leader.number, signal.SIGTERM)
    assert machines.processes[leader.number].wait(100) == 0
    machines.desks[leader.number].processes.pop(f"c{leader.number}")
    machines.desks[leader.number].stop(BEHIND)
    newer = machines.followed(leader)
    machines.until_whole(newer.number)
    assert machines.living() == living


def test_the_group_of_a_manager_that_is_stopped_does_nothing_for_its_older_spec(
    machines: Machines,
) -> None:
    """The manager stands still, its group plugin does not, and wants 2."""
    leader = machines.leading()
    machines.signal(leader.number, signal.SIGSTOP)
    newer = machines.followed(leader)
    machines.commit(newer, 4)
    living = machines.living()

    def codes() -> set[str]:
        told = machines.ask_behind(leader.number, "Reconcile.Why", ID=GROUP)["Reasons"] or []
        return {reason["Code"] for reason in told}

    asking.until(lambda: "fenced" in codes())
    assert machines.living() == living
    machines.signal(leader.number, signal.SIGCONT)
    asking.until(lambda: not machines.kept(leader.number))
    with pytest.raises(Refused, match=r"^not-a-leader$"):
        machines.ask(leader.number, "Reconcile.Scale", ID=GROUP, Size=9)
    machines.until_whole(newer.number)
    assert machines.living() == living


def test_a_machine_that_dies_is_followed(machines: Machines) -> None:
    leader = machines.leading()
    machines.kill_machine(leader.number)
    newer = machines.followed(leader)
    machines.commit(newer, 3)


def test_a_leader_that_is_cut_off_gives_up_its_group(machines: Machines) -> None:
    leader = machines.leading()
    machines.etcd.cut(leader.number)
    newer = machines.followed(leader)
    asking.until(lambda: not machines.kept(leader.number))
    machines.commit(newer, 4)
    machines.etcd.heal(leader.number)
    machines.until_whole(newer.number)
    assert not machines.kept(leader.number)


def test_without_a_majority_nobody_keeps_the_group_and_its_instances_stay(
    machines: Machines,
) -> None:
    leader, living = machines.leading(), machines.living()
    others = [number for number in MEMBERS if number != leader.number]
    for number in others:
        machines.etcd.cut(number)
    asking.until(lambda: not any(machines.kept(number) for number in MEMBERS))
    for number in MEMBERS:
        with pytest.raises(Refused, match=r"^not-a-leader$"):
            machines.ask(number, "Group.DestroyGroup", ID=GROUP)
    for number in others:
        machines.etcd.heal(number)
    asking.until(lambda: any(machines.kept(number) for number in MEMBERS))
    machines.until_whole(machines.leading().number)
    assert machines.living() == living


def test_etcd_s_own_leader_can_be_killed(machines: Machines) -> None:
    member = machines.etcd.leader()
    machines.etcd.kill(member)
    try:
        machines.until_kept(machines.leading().number)
        machines.commit(machines.leading(), 3)
    finally:
        machines.etcd.start(member)
