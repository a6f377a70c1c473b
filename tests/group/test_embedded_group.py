"""A whole group in this process, on real instance files: commit, heal, scale, roll, adopt, destroy,
and say why not.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

import ikdemo
from ikdemo.flavor.vanilla import Vanilla
from ikdemo.instance.file.plugin import FileInstances
from ikdemo.spi.documents import Allocation, Description, Health, InstanceSpec
from ikdemo.spi.errors import NotConverged, PluginFailure, SpecError
from ikdemo.spi.events import Event


def spec(size: int = 5, note: str = "v1", **allocation: Any) -> dict[str, Any]:
    return {
        "ID": "collabnix",
        "Properties": {
            "Allocation": allocation or {"Size": size},
            "Instance": {"Plugin": "instance-file", "Properties": {"Note": note}},
            "Flavor": {
                "Plugin": "flavor-vanilla",
                "Properties": {"Init": ["echo hi"], "Tags": {"tier": "web"}},
            },
        },
    }


def section(name: str, properties: Any) -> dict[str, Any]:
    """Return the properties of a spec with other properties of one plugin."""
    inside = spec(2)["Properties"]
    return {**inside, name: {**inside[name], "Properties": properties}}


@asynccontextmanager
async def group(
    directory: Path, wanted: dict[str, Any], flavor: Any = None
) -> AsyncIterator[ikdemo.Group]:
    plugins = {"instance-file": FileInstances(directory), "flavor-vanilla": flavor or Vanilla()}
    async with ikdemo.Group(wanted, plugins, poll_interval=60.0) as made:
        yield made


def files(directory: Path) -> dict[str, dict[str, Any]]:
    return {
        path.name: json.loads(path.read_text()) for path in sorted(directory.glob("instance-*"))
    }


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(100):
            await story()

    asyncio.run(bounded())


def test_a_committed_group_is_made_and_lost_instances_come_back_without_the_poll(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with group(tmp_path, spec(5)) as made:
            await made.wait(100)
            before = files(tmp_path)
            assert sorted(one["Slot"] for one in before.values()) == ["0", "1", "2", "3", "4"]
            lost = sorted(before)[:2]
            for name in lost:
                (tmp_path / name).unlink()
            await drifted(made)
            await made.wait(100)
            after = files(tmp_path)
            assert len(after) == 5
            assert not set(lost) & set(after)
            assert {after[name]["Slot"] for name in set(after) - set(before)} == {
                before[name]["Slot"] for name in lost
            }

    run(story)


async def drifted(made: ikdemo.Group) -> Event:
    """Wait until the loop has noticed."""
    async for event in made.events():
        if event.kind == "drifted":
            return event
    raise AssertionError


def test_the_facts_are_told_in_order(tmp_path: Path) -> None:
    async def story() -> None:
        async with group(tmp_path, spec(2)) as made:
            await made.wait(100)
            kinds = []
            async for event in made.events():
                kinds.append(event.kind)
                if event.kind == "converged":
                    break
            assert kinds == ["committed", "planned", "acted", "acted", "converged"]

    run(story)


def test_a_group_scales_up_down_and_to_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with group(tmp_path, spec(2)) as made:
            await made.wait(100)
            first = set(files(tmp_path))
            assert await made.scale(4) == "Adding 2 instances to increase the group size to 4"
            await made.wait(100)
            assert first < set(files(tmp_path))
            assert "Terminating 3 instances" in await made.scale(1)
            await made.wait(100)
            assert [one["Slot"] for one in files(tmp_path).values()] == ["0"]
            await made.scale(0)
            await made.wait(100)
            assert files(tmp_path) == {}
            with pytest.raises(SpecError, match="Allocation must not be blank"):
                await made.commit(spec(0))

    run(story)


def test_a_changed_spec_rolls_one_at_a_time(tmp_path: Path) -> None:
    class Watching(FileInstances):
        least = 99

        async def destroy(self, instance: str) -> None:
            await super().destroy(instance)
            self.least = min(self.least, len(files(tmp_path)))

    async def story() -> None:
        instances = Watching(tmp_path)
        plugins = {"instance-file": instances, "flavor-vanilla": Vanilla()}
        async with ikdemo.Group(spec(4), plugins, poll_interval=60.0) as made:
            await made.wait(100)
            old = set(files(tmp_path))
            assert (
                await made.commit(spec(4, note="v2"))
                == "Performing a rolling update on 4 instances"
            )
            await made.wait(100)
            assert not old & set(files(tmp_path))
            assert {one["Spec"]["Properties"]["Note"] for one in files(tmp_path).values()} == {"v2"}
            assert instances.least == 3

    run(story)


def test_a_first_commit_adopts_and_never_rolls_and_says_so(tmp_path: Path) -> None:
    for number in range(3):
        tags = {"infrakit.group": "collabnix", "infrakit.config_sha": "another"}
        name = f"instance-{number}"
        (tmp_path / name).write_text(
            json.dumps({"ID": name, "LogicalID": None, "Tags": tags, "Spec": {}})
        )

    async def story() -> None:
        async with group(tmp_path, spec(2)) as made:
            with pytest.raises(NotConverged, match="adopted with an older configuration"):
                await made.wait(0.5)
            assert sorted(files(tmp_path)) == ["instance-1", "instance-2"]
            await made.commit(spec(2))
            await made.wait(100)
            assert len(files(tmp_path)) == 2
            assert not {"instance-1", "instance-2"} & set(files(tmp_path))

    run(story)


def test_logical_ids_longer_than_the_name_of_a_slot_are_pets_like_others(tmp_path: Path) -> None:
    long = "arn:aws:ec2:eu-west-1:" + "x" * 200

    async def story() -> None:
        wanted = [long + "a", long + "b", long + "a"]
        async with group(tmp_path, spec(LogicalIDs=wanted)) as made:
            await made.wait(100)
            before = files(tmp_path)
            (tmp_path / next(iter(before))).unlink()
            await drifted(made)
            await made.wait(100)
            after = files(tmp_path)
            assert len(before.keys() & after.keys()) == 2
            for found in (before, after):
                assert sorted(one["LogicalID"] for one in found.values()) == sorted(wanted)

    run(story)


def test_pets_keep_their_names(tmp_path: Path) -> None:
    async def story() -> None:
        async with group(tmp_path, spec(LogicalIDs=["10.0.0.1", "10.0.0.2"])) as made:
            await made.wait(100)
            (name,) = [
                name for name, one in files(tmp_path).items() if one["LogicalID"] == "10.0.0.2"
            ]
            (tmp_path / name).unlink()
            await drifted(made)
            await made.wait(100)
            assert sorted(one["LogicalID"] for one in files(tmp_path).values()) == [
                "10.0.0.1",
                "10.0.0.2",
            ]
            with pytest.raises(SpecError, match="Logical ID changes"):
                await made.commit(spec(LogicalIDs=["10.0.0.1"]))
            with pytest.raises(SpecError, match="only a group with a Size can be scaled"):
                await made.scale(3)

    run(story)


def test_destroy_leaves_nothing_and_touches_nobody_else(tmp_path: Path) -> None:
    (tmp_path / "instance-foreign").write_text(
        '{"ID": "instance-foreign", "Tags": {"infrakit.group": "other"}}'
    )

    async def story() -> None:
        async with group(tmp_path, spec(3)) as made:
            await made.wait(100)
            await made.destroy()
            assert list(files(tmp_path)) == ["instance-foreign"]

    run(story)


def test_a_vanished_directory_is_doubt_not_emptiness_and_heals_when_it_is_back(
    tmp_path: Path,
) -> None:
    directory = tmp_path / "instances"
    directory.mkdir()

    async def story() -> None:
        async with group(directory, spec(3)) as made:
            await made.wait(100)
            hidden = tmp_path / "hidden"
            directory.rename(hidden)
            with pytest.raises(PluginFailure, match="no such file or directory"):
                await made.instances()
            assert [reason.code for reason in await made.why()] == ["plugin-unreachable"]
            hidden.rename(directory)
            await made.wait(100)
            assert len(files(directory)) == 3

    run(story)


class FailingFlavor(Vanilla):
    """A flavor that refuses to prepare until it is told otherwise."""

    refuses = True

    async def prepare(
        self, properties: Raw, spec: InstanceSpec, allocation: Allocation
    ) -> InstanceSpec:
        if self.refuses:
            raise PluginFailure("no more room in the rack")
        return await super().prepare(properties, spec, allocation)


def test_failures_are_backed_off_with_a_reason_and_end_by_themselves(tmp_path: Path) -> None:
    async def story() -> None:
        flavor = FailingFlavor()
        async with group(tmp_path, spec(2), flavor) as made:
            with pytest.raises(NotConverged, match="no more room in the rack"):
                await made.wait(0.3)
            reasons = await made.why()
            assert {reason.code for reason in reasons} == {"backing-off"}
            assert {reason.slot for reason in reasons} == {"0", "1"}
            flavor.refuses = False
            await made.wait(100)

    run(story)


class HealthStub(Vanilla):
    """A flavor whose health is asked for; ``unhealthy`` holds the IDs it calls unhealthy, ``new``
    what it says of new ones.
    """

    offers = frozenset[str]()

    def __init__(self) -> None:
        self.unhealthy: set[str] = set()

    async def healthy(self, properties: Raw, instance: Description) -> Health:
        note = (instance.tags or {}).get("tier", "")
        return (
            Health.UNHEALTHY
            if instance.id in self.unhealthy or note == "broken"
            else Health.HEALTHY
        )


def test_an_unhealthy_new_instance_stops_the_roll_and_says_why(tmp_path: Path) -> None:
    async def story() -> None:
        plugins = {"instance-file": FileInstances(tmp_path), "flavor-vanilla": HealthStub()}
        async with ikdemo.Group(spec(3), plugins, poll_interval=0.2) as made:
            await made.wait(100)
            old = set(files(tmp_path))
            broken = spec(3)
            broken["Properties"]["Flavor"]["Properties"]["Tags"] = {"tier": "broken"}
            await made.commit(broken)
            with pytest.raises(NotConverged, match="the update has stopped"):
                await made.wait(1.0)
            assert len(old & set(files(tmp_path))) == 2
            await made.commit(spec(3))
            await made.wait(100)
            assert {one["Tags"]["tier"] for one in files(tmp_path).values()} == {"web"}

    run(story)


def test_a_flavors_tags_cannot_take_an_instance_out_of_its_group(tmp_path: Path) -> None:
    wanted = spec(2)
    wanted["Properties"]["Flavor"]["Properties"]["Tags"] = {
        "infrakit.group": "hijack",
        "infrakit.config_sha": "x",
    }

    async def story() -> None:
        async with group(tmp_path, wanted) as made:
            await made.wait(100)
            assert len(files(tmp_path)) == 2

    run(story)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ID": ""}, "Group ID must not be blank"),
        ({"Properties": None}, "Invalid properties: $.Properties: missing"),
        ({"Properties": []}, "Invalid properties: $.Properties: expected an object, got a list"),
        (
            {"Properties": section("Flavor", {"Init": "x"})},
            "$.Properties.Flavor.Properties.Init: expected a list",
        ),
        (
            {"Properties": section("Instance", [])},
            "$.Properties.Instance.Properties: expected an object, got a list",
        ),
    ],
)
def test_a_bad_spec_is_refused_in_one_sentence_and_changes_nothing(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    async def story() -> None:
        with pytest.raises(SpecError) as caught:
            async with group(tmp_path, {**spec(2), **change}):
                pass
        assert words in str(caught.value)
        assert files(tmp_path) == {}

    run(story)
