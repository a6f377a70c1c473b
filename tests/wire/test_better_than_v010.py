"""Each known bug of InfraKit v0.1.0 that concerns programs we have, and that ours does better.

Numbers are those of the list of known bugs. Tests that stand elsewhere are not repeated:

 3  changes between Size and LogicalIDs, or of LogicalIDs  tests/wire/test_pure_recordings.py 5  a
 failed update is not converged                       tests/wire/test_client_requests.py,
 tests/group/test_embedded_group.py 9  a flavor's tags infrakit.group and config_sha
 tests/group/test_embedded_group.py
10  numbers that no float holds, in the hash               tests/wire/test_pure_recordings.py 11
paths in Destroy; descriptors of instance files        tests/instance/test_file_calls.py,
test_file_directory_trouble.py 12  specs survive; events, not polls; size 0
tests/faults/test_kills.py, tests/group/test_embedded_group.py 13  batches, pauses, back-off,
bounded parallelism         tests/group/test_paced_updates.py, test_embedded_group.py 14  a
handshake after a restart                            tests/wire/test_client_requests.py,
tests/rpc/test_peers_by_name.py 15  a missing directory, a stale socket
tests/cli/test_plugin_programs.py, tests/rpc/test_serving_a_socket.py 15  combos repeat nothing and
validate                     tests/flavor/test_combo.py
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from asking import until
from desk import Desk
from msgspec import Raw
from recorder import Answer, Fake, FakeFlavor, FakeInstances, Recorder, ask

import ikdemo
from ikdemo.flavor.vanilla import Vanilla
from ikdemo.instance.file.plugin import FileInstances
from ikdemo.spi.documents import Description, Health, InstanceSpec
from ikdemo.spi.errors import NotConverged, PluginFailure, SpecError


def properties(
    note: str = "v1",
    instance: str = "instance-file",
    flavor: str = "flavor-vanilla",
    **allocation: Any,
) -> dict[str, Any]:
    return {
        "Allocation": allocation,
        "Instance": {"Plugin": instance, "Properties": {"Note": note}},
        "Flavor": {"Plugin": flavor, "Properties": {"Tags": {"version": note}}},
    }


def spec(note: str = "v1", **allocation: Any) -> dict[str, Any]:
    return {
        "ID": "web",
        "Properties": {**properties(note, **allocation), "Updating": {"Duration": "0"}},
    }


def files(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(directory.glob("instance-*"))]


def versions(directory: Path) -> list[str]:
    return sorted(one["Tags"]["version"] for one in files(directory))


def within(story: Callable[[], Coroutine[Any, Any, None]], seconds: float = 20.0) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(seconds):
            await story()

    asyncio.run(bounded())


def embedded(
    directory: Path, wanted: dict[str, Any], flavor: Any = None, instances: Any = None
) -> ikdemo.Group:
    plugins = {
        "instance-file": instances or FileInstances(directory),
        "flavor-vanilla": flavor or Vanilla(),
    }
    return ikdemo.Group(wanted, plugins, poll_interval=0.05)


async def until_event(group: ikdemo.Group, kind: str, code: str | None = None) -> None:
    """Wait until the group has told an event of this kind, from its beginning on."""
    async for event in group.events():
        if event.kind == kind and code in (None, event.code):
            return


class Judge(Vanilla):
    """Says of an instance's health what ``says`` holds for its version."""

    offers = frozenset[str]()

    def __init__(self, **says: Health) -> None:
        self.says = says

    async def healthy(self, properties: Raw, instance: Description) -> Health:
        return self.says.get((instance.tags or {}).get("version", ""), Health.HEALTHY)


class Call:
    """Calls of the group plugin on a desk, each of which has to be answered."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.at: dict[str, Any] = {"Stream": "", "Next": 0}

    def __call__(self, method: str, **params: Any) -> dict[str, Any]:
        return ask(self.desk.plugins / "group", f"Group.{method}", **params)

    def told(self, timeout: float = 20.0) -> list[str]:
        """Return the kinds of the group plugin's next events, in their order; none when there was
        none in time.
        """
        reply = ask(self.desk.plugins / "group", "Events.Watch", Since=self.at, Timeout=timeout)[
            "result"
        ]
        self.at = {"Stream": reply["Stream"], "Next": reply["Next"]}
        return [event["Kind"] for event in reply["Events"]]

    def commit(
        self, note: str, pretend: bool = False, group: str = "web", **more: Any
    ) -> dict[str, Any]:
        return self(
            "CommitGroup",
            Spec={"ID": group, "Properties": properties(note, **more)},
            Pretend=pretend,
        )


@pytest.fixture
def fakes(
    desk: Desk,
) -> Iterator[Callable[[str, Callable[[str, dict[str, Any]], Answer]], Recorder]]:
    """Put a fake plugin beside those of the desk."""
    desk.plugins.mkdir(exist_ok=True)
    running = []

    def put(name: str, answers: Callable[[str, dict[str, Any]], Answer]) -> Recorder:
        recorder = Recorder()
        running.append(Fake(recorder, desk.plugins / name, answers))
        return recorder

    yield put
    desk.close()
    for fake in running:
        fake.stop()


def wait(desk: Desk, group: str = "web") -> None:
    done = desk.run(f"ikdemo group wait {group} --timeout 20s")
    assert done.returncode == 0, done.stdout + done.stderr


def test_1_commits_frees_and_destroys_during_an_update_are_all_answered(desk: Desk) -> None:
    desk.start("infrakit-instance-file", "instance-file", "--dir", str(desk.instances))
    desk.start("infrakit-flavor-vanilla", "flavor-vanilla")
    desk.start("infrakit-group-default", "group", "--poll-interval", "20ms")
    call, dice = Call(desk), random.Random(1)
    for number in range(60):
        assert "Details" in call.commit(f"v{number}", Size=dice.randint(3, 12))["result"]
        # so that commits arrive at every moment of an update
        done, enough = Counter[str](), dice.randint(0, 6)
        while done["acted"] < enough and not done["converged"]:
            done.update(call.told())
        if number % 10 == 9:
            assert call(dice.choice(["FreeGroup", "DestroyGroup"]), ID="web")["result"] == {
                "OK": True
            }
    for _ in range(2):  # a first commit adopts what a free has left behind; the next one rolls it
        call.commit("last", Size=4)
    wait(desk)
    assert versions(desk.instances) == ["last"] * 4
    assert call("DestroyGroup", ID="web")["result"] == {"OK": True}
    assert files(desk.instances) == []


def test_2_a_plugin_that_hangs_holds_up_nobody_else(
    desk: Desk, fakes: Any, request: pytest.FixtureRequest
) -> None:
    """Its fake answers nothing more once health is asked for: in v0.1.0 every call of every group
    waits with it.
    """
    desk.start_three()
    hanging, released = threading.Event(), threading.Event()

    class Hanging(FakeFlavor):
        def __call__(self, method: str, params: dict[str, Any]) -> Answer:
            if method == "Flavor.Healthy":
                hanging.set()
                released.wait()
            return super().__call__(method, params)

    fakes("fake-flavor", Hanging())
    request.addfinalizer(released.set)
    call = Call(desk)
    call.commit("v1", group="stuck", flavor="fake-flavor", Size=2)
    desk.until(2)
    assert hanging.wait(100)
    call.commit("v1", Size=3)
    desk.until(5)
    (lost, *_) = (
        one["ID"] for one in files(desk.instances) if one["Tags"]["infrakit.group"] == "web"
    )
    (desk.instances / lost).unlink()
    desk.until(5)
    assert len(call("InspectGroups")["result"]["Groups"]) == 2
    assert call("FreeGroup", ID="web")["result"] == {"OK": True}
    assert not released.is_set()


def test_3_a_commit_while_instances_cannot_be_described_is_an_error_and_changes_nothing(
    desk: Desk, fakes: Any
) -> None:
    instances = FakeInstances()
    recorder = fakes("fake-instance", instances)
    desk.start("infrakit-flavor-vanilla", "flavor-vanilla")
    desk.start("infrakit-group-default", "group", "--poll-interval", "50ms")
    call = Call(desk)
    call.commit("v1", instance="fake-instance", Size=2)
    recorder.until(lambda: len(instances.living) == 2)
    instances.failing = {"Instance.DescribeInstances": "the cloud is away"}
    assert (
        call.commit("v2", instance="fake-instance", Size=2)["error"]["message"]
        == "the cloud is away"
    )
    (kept,) = call("InspectGroups")["result"]["Groups"]
    assert kept["Properties"]["Instance"]["Properties"] == {"Note": "v1"}


def test_4_logical_ids_for_a_group_with_a_size_are_refused_and_nothing_is_destroyed(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with embedded(tmp_path, spec(Size=3)) as group:
            await group.wait(100)
            before = files(tmp_path)
            with pytest.raises(SpecError, match="free or destroy it first"):
                await group.commit(spec(LogicalIDs=["a", "b"]))
            await group.wait(5)
            assert files(tmp_path) == before

    within(story)


def test_5_an_update_that_fails_does_not_lose_the_other_half_of_the_commit(tmp_path: Path) -> None:
    async def story() -> None:
        async with embedded(tmp_path, spec(Size=3), Judge(bad=Health.UNHEALTHY)) as group:
            await group.wait(100)
            await group.commit(spec("bad", Size=5))
            await until_event(group, "halted")
            with pytest.raises(NotConverged, match="the update has stopped"):
                await group.wait(0.1)
            assert versions(tmp_path) == ["bad", "bad", "v1", "v1", "v1"]
            assert (
                await group.commit(spec("good", Size=5))
                == "Performing a rolling update on 5 instances"
            )
            await group.wait(100)
            assert versions(tmp_path) == ["good"] * 5

    within(story)


def test_6_a_destroy_that_fails_once_does_not_wedge_an_update(tmp_path: Path) -> None:
    class Slipping(FileInstances):
        slips = 1

        async def destroy(self, instance: str) -> None:
            if self.slips:
                self.slips -= 1
                raise PluginFailure("try again")
            await super().destroy(instance)

    async def story() -> None:
        async with embedded(tmp_path, spec(Size=3), instances=Slipping(tmp_path)) as group:
            await group.wait(100)
            await group.commit(spec("v2", Size=3))
            await group.wait(100)
            assert versions(tmp_path) == ["v2"] * 3

    within(story)


class Counting(Judge):
    """Counts how often it was asked about each version."""

    def __init__(self, **says: Health) -> None:
        super().__init__(**says)
        self.asked: Counter[str] = Counter()

    async def healthy(self, properties: Raw, instance: Description) -> Health:
        self.asked[(instance.tags or {}).get("version", "")] += 1
        return await super().healthy(properties, instance)


def test_7_unknown_health_does_not_roll_a_quorum(tmp_path: Path) -> None:
    async def story() -> None:
        judge = Counting(v2=Health.UNKNOWN)
        async with embedded(tmp_path, spec(LogicalIDs=["a", "b", "c"]), judge) as group:
            await group.wait(100)
            await group.commit(spec("v2", LogicalIDs=["a", "b", "c"]))
            while judge.asked["v2"] < 5:  # noqa: ASYNC110, no event tells
                await asyncio.sleep(0.01)
            with pytest.raises(NotConverged, match="has not been called healthy yet"):
                await group.wait(0.1)
            assert versions(tmp_path) == ["v1", "v1", "v2"]
            judge.says = {}
            await group.wait(100)
            assert versions(tmp_path) == ["v2"] * 3

    within(story)


def test_8_members_that_do_not_belong_to_a_quorum_are_each_destroyed_once(tmp_path: Path) -> None:
    class CountingFiles(FileInstances):
        def __init__(self, directory: Path) -> None:
            super().__init__(directory)
            self.destroyed: Counter[str] = Counter()

        async def destroy(self, instance: str) -> None:
            self.destroyed[instance] += 1
            await super().destroy(instance)

    strangers = {f"instance-{number}": f"x{number}" for number in range(4)}
    for name, logical in strangers.items():
        text = {
            "ID": name,
            "LogicalID": logical,
            "Tags": {"infrakit.group": "web", "version": "v0"},
            "Spec": {},
        }
        (tmp_path / name).write_text(json.dumps(text))

    async def story() -> None:
        instances = CountingFiles(tmp_path)
        async with embedded(tmp_path, spec(LogicalIDs=["a", "b"]), instances=instances) as group:
            await group.wait(100)
            assert sorted(one["LogicalID"] for one in files(tmp_path)) == ["a", "b"]
            assert instances.destroyed == Counter(dict.fromkeys(strangers, 1))

    within(story)


def test_10_a_provision_that_answers_no_id_is_a_reason_and_no_crash(desk: Desk, fakes: Any) -> None:
    class Nameless(FakeInstances):
        def __call__(self, method: str, params: dict[str, Any]) -> Answer:
            return (
                {"result": {"ID": None}}
                if method == "Instance.Provision"
                else super().__call__(method, params)
            )

    recorder = fakes("fake-instance", Nameless())
    desk.start("infrakit-flavor-vanilla", "flavor-vanilla")
    desk.start("infrakit-group-default", "group", "--poll-interval", "20ms")
    Call(desk).commit("v1", instance="fake-instance", Size=1)
    recorder.until(lambda: recorder.count("Instance.Provision") > 0)
    recorder.polls(10)
    assert recorder.count("Instance.Provision") <= 3
    assert "gave no ID" in desk.run("ikdemo group why web").stdout
    assert desk.stop("group") == 0


def test_10_a_number_too_large_for_a_float_is_refused_and_the_plugin_lives(desk: Desk) -> None:
    desk.start_three()
    text = json.dumps(spec(Size=1)).replace('"version": "v1"', '"version": "v1"}, "n": {"x": 1e400')
    (desk.cwd / "large.json").write_text(text)
    done = desk.run("infrakit group commit large.json")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "1e400" in done.stderr
    assert desk.run("infrakit group ls -q").stdout == ""


def test_11_a_destroy_with_a_path_or_nothing_removes_nothing(desk: Desk) -> None:
    desk.start_three()
    (desk.root / "target").write_text("keep me")
    for name in ("../target", "", ".", "..", str(desk.root / "target")):
        assert "error" in ask(desk.plugins / "instance-file", "Instance.Destroy", Instance=name), (
            name
        )
    assert (desk.root / "target").read_text() == "keep me"
    assert desk.instances.is_dir()


def test_11_instances_have_a_folder_of_their_own_unless_told_otherwise(desk: Desk) -> None:
    desk.start("infrakit-instance-file", "instance-file")
    (desk.cwd / "i.json").write_text("{}")
    name = desk.run("infrakit instance --name instance-file provision i.json").stdout.strip()
    assert (desk.plugins / "instance-file.instances" / name).exists()


def test_12_sick_instances_are_replaced_without_a_commit(tmp_path: Path) -> None:
    unhealthy: set[str] = set()

    class Doctor(Judge):
        async def healthy(self, properties: Raw, instance: Description) -> Health:
            return Health.UNHEALTHY if instance.id in unhealthy else Health.HEALTHY

    async def story() -> None:
        async with embedded(tmp_path, spec(Size=3), Doctor()) as group:
            await group.wait(100)
            before = {one["ID"] for one in files(tmp_path)}
            unhealthy.add(min(before))
            await until_event(group, "acted", "unhealthy")
            await group.wait(100)
            after = {one["ID"] for one in files(tmp_path)}
            assert (len(after), len(before & after)) == (3, 2)

    within(story)


class Slow(FileInstances):
    """Instances are made only while ``gate`` is open; ``begun`` counts those that are being made,
    or were.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.begun = self.ended = 0
        self.gate = asyncio.Event()

    async def provision(self, spec: InstanceSpec, slot: str | None = None) -> str:
        self.begun += 1
        try:
            await self.gate.wait()
            return await super().provision(spec, slot)
        finally:
            self.ended += 1


def test_13_a_destroy_while_instances_are_being_made_leaves_none_behind(tmp_path: Path) -> None:
    async def story() -> None:
        instances = Slow(tmp_path)
        async with embedded(tmp_path, spec(Size=5), instances=instances) as group:
            while not instances.begun:  # noqa: ASYNC110, no event tells
                await asyncio.sleep(0)
            destroying = asyncio.create_task(group.destroy())
            await until_event(group, "destroying")
            assert not destroying.done()
            instances.gate.set()
            await destroying
            assert files(tmp_path) == []
            # whatever was begun has ended, so nothing more can come
            assert instances.begun == instances.ended > 0

    within(story)


def test_13_a_free_waits_for_what_is_being_made_and_nothing_is_made_afterwards(
    desk: Desk, fakes: Any
) -> None:
    instances = FakeInstances()
    recorder = fakes("fake-instance", instances)
    desk.start("infrakit-flavor-vanilla", "flavor-vanilla")
    desk.start("infrakit-group-default", "group", "--poll-interval", "20ms")
    call = Call(desk)
    call.commit("v1", instance="fake-instance", Size=200)
    recorder.until(lambda: len(instances.living) > 3)
    assert call("FreeGroup", ID="web")["result"] == {"OK": True}
    made = recorder.count("Instance.Provision")
    assert len(instances.living) == made
    call.commit("v1", instance="fake-instance", Size=200)
    recorder.until(lambda: len(instances.living) == 200)
    recorder.polls(3)
    assert len(instances.living) == recorder.count("Instance.Provision") == 200


def test_13_scaling_down_takes_old_configurations_first(tmp_path: Path) -> None:
    """v0.1.0 takes the lowest IDs; here those are the current ones."""
    sha = ikdemo.config_sha(json.dumps(properties(Size=2)))
    for number, tag in enumerate((sha, sha, "old", "old"), 1):
        tags = {"infrakit.group": "web", "infrakit.config_sha": tag}
        text = {"ID": f"instance-{number}", "LogicalID": None, "Tags": tags, "Spec": {}}
        (tmp_path / f"instance-{number}").write_text(json.dumps(text))

    async def story() -> None:
        async with embedded(tmp_path, spec(Size=2)) as group:
            await group.wait(100)
            assert [one["ID"] for one in files(tmp_path)] == ["instance-1", "instance-2"]

    within(story)


def test_14_two_hundred_pretended_commits_leave_no_connection_open(desk: Desk) -> None:
    desk.start_three()
    call = Call(desk)
    call.commit("v1", Size=1)
    wait(desk)
    before = {name: descriptors(process.pid) for name, process in desk.processes.items()}
    for number in range(200):
        assert "result" in call.commit(f"v{number}", pretend=True, Size=1)
    for name, process in desk.processes.items():
        until(
            lambda pid=process.pid, most=before[name] + 1: descriptors(pid) <= most,
            say=lambda name=name: name,
        )


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def test_14_a_plugin_that_takes_over_a_name_is_asked_who_it_is(desk: Desk, fakes: Any) -> None:
    """The old one lives on and keeps its connections; in v0.1.0 it goes on being asked."""
    old, new = FakeInstances(), FakeInstances()
    recorder = fakes("fake-instance", old)
    desk.start("infrakit-flavor-vanilla", "flavor-vanilla")
    desk.start("infrakit-group-default", "group", "--poll-interval", "20ms")
    Call(desk).commit("v1", instance="fake-instance", Size=2)
    recorder.until(lambda: len(old.living) == 2)
    recorder.polls()  # both have been seen, so nothing is expected any longer
    taking = fakes("new", new)
    (desk.plugins / "new").rename(desk.plugins / "fake-instance")
    taking.until(lambda: len(new.living) == 2)
    assert taking.methods("new")[0] == "Plugin.Implements"
    polled = recorder.count("Instance.DescribeInstances")
    taking.polls(5)
    assert recorder.count("Instance.DescribeInstances") == polled
