"""The recorded life of InfraKit's manager ``os`` before its group plugin, step by step against ours
before ours; ``DIFFERENCES`` is what is not the same, on purpose, and ``TOLD`` where the group
plugin is told something else.

With INFRAKIT_BIN, a folder with InfraKit's own programs, also against ours before theirs.
"""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asking
import pytest
from asking import Refused
from desk import Desk
from gate import Gate

LINES = [
    json.loads(line)
    for line in (Path(__file__).parent / "manager-os-real.jsonl").read_text().splitlines()
]
DETAILS = "TODO(chungers): Allow the commit details string to be plumbed through"
"""What v0.1.0 answers to every commit, pretended or not."""

DIFFERENCES = {
    "not-leader-destroy-unknown": "not-a-leader",  # it would come back with the next leader
    "not-leader-free-unknown": "not-a-leader",
    "commit-without-config-file": "Managing 2 instances",  # what is absent is empty
    "commit-no-properties": "Invalid properties: ",  # and then in our own words
    "pretend": "Managing 2 instances",  # the group plugin's Details, here and below
    "commit": "Managing 2 instances",
    "commit-second": "Managing 1 instances",
    "commit-after-lower-case": "Managing 1 instances",
    "commit-config-not-json": "cannot be used and is left as it is: not JSON",
    "backend-dead-commit": "group-stateless",  # and it is not stored
    "backend-dead-inspect": "group-stateless",
    "backend-restarted-inspect": "g k",  # it is given the stored groups again
}
"""What ours answers, by case: a part of the error or of the Details, or the IDs of the groups."""

TOLD = {
    "commit-invalid-spec-is-stored": [],  # the group plugin refuses it when it is pretended
    "commit-blank-id": [],
    "commit-no-properties": [],
    "not-leader-destroy-unknown": [],  # it would come back with the next leader
    "not-leader-free-unknown": [],
    "commit-without-config-file": ["CommitGroup g"],  # what is absent is empty
    "regains-leadership": [
        "CommitGroup g"
    ],  # what was freed, h, does not come back, here and below
    "leader-file-with-CR": ["FreeGroup g"],
    "leader-file-removed": ["FreeGroup g"],
    "destroyed-group-comes-back": [],
    "stored-plugin-is-not-running": ["CommitGroup g", "CommitGroup h"],  # whose name is not asked
    "config-not-json": ["FreeGroup h"],  # which was committed just before
    "backend-restarted": ["CommitGroup g", "CommitGroup k"],  # it is given the stored groups again
}
"""What ours tells the group plugin, by case, where InfraKit's manager tells it something else."""

THEIRS = os.environ.get("INFRAKIT_BIN", "")


def refused_to_start(world: Managed, line: dict[str, Any]) -> None:
    """The sentence is the same; InfraKit prints it twice, and its usage between."""
    leader = {"start-leader-file-is-a-directory": world.root}.get(line["case"], world.leader)
    if line["case"] not in ("start-no-leader-file", "start-leader-file-is-a-directory"):
        world.leader.write_text("other")
    store = world.root / "nostore" if line["case"] == "start-no-store-dir" else world.store
    done = world.run(leader, store)
    (said,) = re.findall(r"^Error: (.*)$", line["stderr"], re.MULTILINE)
    said = said.replace("${ROOT}/leader", str(leader)).replace("${ROOT}/nostore", str(store))
    assert done.returncode == line["exit"]
    assert said in done.stderr
    world.leader.unlink(missing_ok=True)


def told(world: Managed, line: dict[str, Any]) -> None:
    """Help and version; each flag that InfraKit's has is known."""
    words = {
        "version": "version",
        "unknown-sub-command": "nosuch",
        "help-os": "os --help",
        "help-swarm": "swarm --help",
    }
    done = world.desk.run(f"ikdemo infrakit-manager {words.get(line['case'], '')}")
    assert done.returncode == line["exit"]
    for flag in line.get("flags", []):
        assert flag.split()[0] in done.stdout


class Managed:
    """A manager called ``group`` before ``group-stateless``, as the recorder had it; a gate is
    between, which keeps what is told. ``folder``: of the programs of which the group plugin is one;
    empty for ours.
    """

    def __init__(self, desk: Desk, folder: str) -> None:
        self.desk, self.root, self._folder = desk, desk.root, folder
        self.calls: list[dict[str, Any]] = []
        self.leader, self.store = desk.root / "leader", desk.root / "store"
        self.config = self.store / "global.config"
        self.store.mkdir()

    def run(self, leader: Path, store: Path) -> Any:
        return self.desk.run(
            f"ikdemo infrakit-manager --name group os --leader-file {leader} --store-dir {store} "
            "--poll-interval 100ms"
        )

    def start(self) -> None:
        places = ("--leader-file", str(self.leader), "--store-dir", str(self.store))
        self.desk.start("infrakit-manager", "group", "os", *places, "--poll-interval", "100ms")

    def start_behind(self) -> None:
        flags = () if self._folder else ("--store", "none")
        program = str(Path(self._folder) / "infrakit-group-default")
        self.desk.start(program, "real", "--poll-interval", "100ms", *flags)
        socket = self.desk.plugins / "group-stateless"
        socket.unlink(missing_ok=True)
        self.gate = Gate(socket, self.desk.plugins / "real", self.calls)

    def told(self) -> list[str]:
        """Return what the group plugin was told since ``calls`` was cleared, in no order."""
        return all_told(self.calls)

    def ask(self, method: str, to: str = "group", **params: Any) -> Any:
        return asking.ask(self.desk.plugins / to, method, params)

    def kept(self) -> list[str]:
        found = self.ask("Group.InspectGroups", to="group-stateless")["Groups"]
        return sorted(spec["ID"] for spec in found or [])

    def lead(self, *groups: str) -> None:
        """Become the leader, and wait until these groups are kept."""
        self.leader.write_text("group\n")
        asking.until(lambda: self.ask("Manager.Leader")["Leads"])
        asking.until(lambda: self.kept() == list(groups), say=lambda: self.desk.log("group"))

    def lose(self, text: str | None = "other") -> None:
        """Lose leadership, and wait until no group is kept."""
        if text is None:
            self.leader.unlink()
        else:
            self.leader.write_bytes(text.encode())
        asking.until(lambda: not self.ask("Manager.Leader")["Leads"])
        asking.until(lambda: self.kept() == [])

    def begin(self) -> None:
        flags = ("--dir", str(self.desk.instances))
        self.desk.start("infrakit-instance-file", "instance-file", *flags)
        self.desk.start("infrakit-flavor-vanilla", "flavor-vanilla")
        self.start_behind()
        self.leader.write_text("other")
        self.start()

    def gain_at_first(self) -> None:
        self.lead()
        assert not self.config.exists()

    def after_first_commit(self) -> None:
        """What InfraKit's manager could not store goes again; its recorder made the file."""
        self.desk.until(2)
        self.ask("Group.DestroyGroup", ID="g")
        self.config.write_text("{}")
        self.calls.clear()

    def end(self) -> None:
        assert self.desk.stop("group") == 0
        assert not (self.desk.plugins / "group").exists()
        assert self.kept() == ["g", "k"]  # in the recording it had not been given them again

    def start_again(self) -> None:
        self.start()
        self.lead("g", "k")

    def remove_leader_file(self) -> None:
        self.lead("g")
        self.calls.clear()
        self.lose(None)

    def lead_with(self, stored: str, *groups: str) -> None:
        self.lose()
        self.config.write_text(stored)
        self.lead(*groups)

    def kill_behind(self) -> None:
        self.desk.stop("real", signal.SIGKILL)
        self.gate.close()

    def restart_behind(self) -> None:
        self.start_behind()
        asking.until(lambda: self.kept() == ["g", "k"])


def told_by(call: dict[str, Any]) -> str:
    """Say what a call tells a group plugin; nothing for one that only asks."""
    verb, params = call["method"].removeprefix("Group."), call["params"]
    if verb == "CommitGroup" and not params["Pretend"]:
        return f"{verb} {params['Spec']['ID']}"
    return f"{verb} {params['ID']}" if verb in ("FreeGroup", "DestroyGroup") else ""


def all_told(calls: list[dict[str, Any]]) -> list[str]:
    return sorted(set(map(told_by, calls)) - {""})


class OtherDesk(Desk):
    """A desk on which a program may be named by its path."""

    def program(self, name: str) -> list[str]:
        found = Path(name)
        return [name] if found.is_absolute() else super().program(found.name)


@pytest.fixture(params=["", THEIRS] if THEIRS else [""], ids=lambda folder: "theirs" * bool(folder))
def world(short_dir: Path, request: pytest.FixtureRequest) -> Iterator[Managed]:
    desk = OtherDesk(short_dir)
    desk.plugins.mkdir(mode=0o700)  # theirs do not make folders
    made = Managed(desk, request.param)
    yield made
    desk.close()
    made.gate.close()


def act(world: Managed, line: dict[str, Any]) -> None:
    """Do what happened without a request, and see that what came of it is the same, but for what is
    different on purpose.
    """
    acts: dict[str, Callable[[], None]] = {
        "started-not-leader": world.begin,
        "gains-leadership-no-config-file": world.gain_at_first,
        "loses-leadership": world.lose,
        "regains-leadership": lambda: world.lead("g"),  # h was freed, and stays so
        "leader-file-with-CR": lambda: world.lose("group\r\n"),
        "leader-file-removed": world.remove_leader_file,
        "after-destroy": lambda: None,
        "destroyed-group-comes-back": lambda: (world.lose(), world.lead())[0],
        "stored-plugin-is-not-running": lambda: world.lead_with(line["store"], "h"),
        "config-not-json": lambda: world.lead_with(line["store"]),
        "config-lower-case-names": lambda: world.lead_with(line["store"], "g"),
        "backend-restarted": world.restart_behind,
        "manager-sigterm": world.end,
        "backend-after-manager-ended": lambda: None,
        "manager-started-as-leader": world.start_again,
        "second-manager-same-name": lambda: None,
    }
    acts[line["case"]]()
    if line["case"] == "destroyed-group-comes-back":
        world.desk.until(1)
    elif line["case"] != "backend-restarted" and "instances" in line:
        world.desk.until(line["instances"])
    if line["case"] == "second-manager-same-name":
        done = world.run(world.leader, world.store)
        assert done.returncode == 1  # 2, after a panic
        assert "is already served" in done.stderr


def answer(world: Managed, line: dict[str, Any]) -> None:
    """Send a recorded request and compare what comes back."""
    asked = json.loads(line["request"]["body"])
    recorded = json.loads(line["response"]["body"])
    try:
        result = world.ask(asked["method"], **asked["params"])
    except Refused as refused:
        result, said = None, str(refused)
    else:
        said = (result or {}).get("Details", "")
        groups = (result or {}).get("Groups") or []
        said = said or " ".join(sorted(spec["ID"] for spec in groups))
    if line["case"] in DIFFERENCES:
        assert DIFFERENCES[line["case"]] in said, line["case"]
        assert recorded.get("result", {}).get("Details", DETAILS) == DETAILS
    elif "error" in recorded:
        assert said == recorded["error"]["message"], line["case"]
    elif line["case"] == "describe":
        assert without_ids(result) == without_ids(recorded["result"])
    else:
        assert result == recorded["result"], line["case"]


def without_ids(result: dict[str, Any]) -> list[dict[str, Any]]:
    found = result["Description"]["Instances"]
    return [{key: one[key] for key in ("LogicalID", "Tags")} for one in found]


def test_the_recorded_life_of_a_manager(world: Managed) -> None:
    assert len(LINES) == 50
    for line in LINES:
        case = line["case"]
        if case.startswith("start-"):
            refused_to_start(world, line)
        elif case.startswith("help-") or case in ("no-sub-command", "version") or "sub-" in case:
            told(world, line)
        elif line.get("kind") == "fact":
            act(world, line)
            check_told(world, line)
            if case == "leader-file-removed":
                world.lead("g")
                world.calls.clear()
        else:
            if case == "backend-dead-commit":
                world.kill_behind()
            if case in ("describe", "free"):  # all that was asked for is made by then
                world.desk.until(2 if case == "describe" else 3)
            if case == "implements":
                names = [api["Name"] for api in world.ask("Plugin.Implements")["APIs"]]
                assert names[0] == "Group"  # and extensions, which its clients pass over
                continue
            answer(world, line)
            check_store(world, line)
            check_told(world, line)
            if case == "commit-without-config-file":
                world.after_first_commit()
    cases = {line["case"] for line in LINES}
    assert set(DIFFERENCES) <= cases
    assert set(TOLD) <= cases


def check_told(world: Managed, line: dict[str, Any]) -> None:
    """The group plugin was told the same, in any order, but for what is different on purpose; a
    difference that is none any longer is noticed.
    """
    bodies = [json.loads(one["body"]) for one in line.get("backend_requests", []) if "body" in one]
    case, recorded = line["case"], all_told(bodies)
    expected = TOLD.get(case, recorded)
    asking.until(lambda: set(world.told()) >= set(expected), say=lambda: (case, world.told()))
    told = world.told()
    if case == "config-not-json" and "CommitGroup g" in told:
        told.remove("CommitGroup g")  # it was refused before, and was tried again until then
    assert told == expected, case
    assert case not in TOLD or TOLD[case] != recorded, case
    world.calls.clear()


GONE = {"free": "h", "destroy": "g"}
REFUSED = {"", "bad", "np"}


def check_store(world: Managed, line: dict[str, Any]) -> None:
    """The same groups are stored, but none that was refused, and none that was freed or destroyed;
    where all are the same the text is, to the byte.
    """
    if line["store"] in (None, "not json"):
        return
    text = world.config.read_text()
    recorded = set(json.loads(line["store"]).get("Groups", {})) - REFUSED - {GONE.get(line["case"])}
    assert set(json.loads(text).get("Groups", {})) >= recorded - {"h"}, line["case"]
    assert not set(json.loads(text).get("Groups", {})) & REFUSED, line["case"]
    if line["case"] in ("commit", "commit-second", "commit-after-lower-case"):
        assert text == line["store"], line["case"]
    if line["case"] in GONE:
        assert GONE[line["case"]] not in json.loads(text)["Groups"]
    if line["case"] == "backend-dead-commit":
        stored = json.loads(text)["Groups"]["g"]["Properties"]["Properties"]
        assert stored["Allocation"] == {"Size": 2}
