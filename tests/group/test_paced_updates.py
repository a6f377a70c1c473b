"""Rolling updates at a pace: batches, readiness, surge, and the way back."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

import ikdemo
from ikdemo.flavor.vanilla import Vanilla
from ikdemo.instance.file.plugin import FileInstances
from ikdemo.spi.documents import Description, Health, InstanceSpec
from ikdemo.spi.errors import NotConverged, SpecError


def spec(note: str, size: int = 4, **updating: Any) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "Allocation": {"Size": size},
        "Instance": {"Plugin": "instance-file", "Properties": {"Note": note}},
        "Flavor": {"Plugin": "flavor-vanilla", "Properties": {"Tags": {"version": note}}},
    }
    return {
        "ID": "web",
        "Properties": {**properties, **({"Updating": updating} if updating else {})},
    }


class Counting(FileInstances):
    """The file plugin, remembering how many instances lived after every change."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.directory = directory
        self.counts: list[int] = []

    def _count(self) -> None:
        self.counts.append(len(list(self.directory.glob("instance-*"))))

    async def provision(self, spec: InstanceSpec, slot: str | None = None) -> str:
        made = await super().provision(spec, slot)
        self._count()
        return made

    async def destroy(self, instance: str) -> None:
        await super().destroy(instance)
        self._count()


class HealthStub(Vanilla):
    """Calls every instance healthy, except those of versions named in ``bad``; counts how often it
    was asked.
    """

    offers = frozenset[str]()

    def __init__(self, *bad: str) -> None:
        self.bad = bad
        self.asked: dict[str, int] = {}

    async def healthy(self, properties: Raw, instance: Description) -> Health:
        self.asked[instance.id] = self.asked.get(instance.id, 0) + 1
        return (
            Health.UNHEALTHY if (instance.tags or {}).get("version") in self.bad else Health.HEALTHY
        )


def versions(directory: Path) -> list[str]:
    return sorted(
        json.loads(path.read_text())["Tags"]["version"] for path in directory.glob("instance-*")
    )


async def rolled(
    directory: Path, flavor: Vanilla, updating: dict[str, Any], poll: float = 60.0
) -> Counting:
    """Make a group of 4, roll it to v2 at a pace, and return the plugin with its counts of the
    roll.
    """
    instances = Counting(directory)
    plugins = {"instance-file": instances, "flavor-vanilla": flavor}
    async with asyncio.timeout(100), ikdemo.Group(spec("v1"), plugins, poll_interval=poll) as group:
        await group.wait(100)
        instances.counts.clear()
        await group.commit(spec("v2", **updating))
        await group.wait(100)
    assert versions(directory) == ["v2"] * 4
    return instances


def test_a_batch_leaves_at_a_time(tmp_path: Path) -> None:
    assert min(asyncio.run(rolled(tmp_path, Vanilla(), {"BatchSize": 2})).counts) == 2


def test_surge_keeps_the_group_at_its_size_all_along(tmp_path: Path) -> None:
    counts = asyncio.run(rolled(tmp_path, Vanilla(), {"Surge": 1})).counts
    assert min(counts) == 4
    assert max(counts) == 5


def test_a_new_instance_is_healthy_so_often_before_the_next_one_leaves(tmp_path: Path) -> None:
    health_stub = HealthStub()
    asyncio.run(rolled(tmp_path, health_stub, {"Count": 3}, poll=0.05))
    now = {path.name for path in tmp_path.glob("instance-*")}
    waited_for = sorted(times for name, times in health_stub.asked.items() if name in now)
    assert waited_for[1:] >= [3, 3, 3]


def test_a_new_instance_is_healthy_so_long_before_the_next_one_leaves(tmp_path: Path) -> None:
    began = time.monotonic()
    asyncio.run(rolled(tmp_path, HealthStub(), {"Duration": "100ms"}))
    assert time.monotonic() - began >= 0.3


def test_an_update_that_stopped_is_rolled_back_by_committing_the_old_spec(tmp_path: Path) -> None:
    async def story() -> None:
        plugins = {"instance-file": FileInstances(tmp_path), "flavor-vanilla": HealthStub("v2")}
        async with (
            asyncio.timeout(100),
            ikdemo.Group(spec("v1", Duration="0"), plugins, poll_interval=0.05) as group,
        ):
            await group.wait(100)
            await group.commit(spec("v2", Duration="0"))
            with pytest.raises(NotConverged, match="the update has stopped"):
                await group.wait(0.6)
            assert versions(tmp_path) == ["v1", "v1", "v1", "v2"]
            await group.commit(spec("v1", Duration="0"))
            await group.wait(100)
            assert versions(tmp_path) == ["v1"] * 4

    asyncio.run(story())


@pytest.mark.parametrize(
    ("updating", "path"),
    [
        ({"BatchSize": 0}, "$.Properties.Updating.BatchSize"),
        ({"Duration": "soon"}, "$.Properties.Updating.Duration"),
        ({"Duration": "-1s"}, "$.Properties.Updating.Duration"),
        ({"Surge": 1.5}, "$.Properties.Updating.Surge"),
    ],
)
def test_a_pace_that_cannot_be_kept_is_refused(
    tmp_path: Path, updating: dict[str, Any], path: str
) -> None:
    async def story() -> None:
        plugins = {"instance-file": FileInstances(tmp_path), "flavor-vanilla": Vanilla()}
        with pytest.raises(SpecError) as caught:
            async with ikdemo.Group(spec("v1", **updating), plugins):
                pass
        assert caught.value.path == path

    asyncio.run(story())


def test_updating_is_shown_where_it_was_given_and_nowhere_else(tmp_path: Path) -> None:
    async def inspect(wanted: dict[str, Any]) -> bytes:
        plugins = {"instance-file": FileInstances(tmp_path), "flavor-vanilla": Vanilla()}
        async with ikdemo.Group(wanted, plugins) as group:
            (shown,) = await group._groups.inspect_groups()
            return bytes(shown.properties)

    assert b"Updating" not in asyncio.run(inspect(spec("v1")))
    assert b'"Updating":{"BatchSize":2,"Count":0,"Surge":0}' in asyncio.run(
        inspect(spec("v1", BatchSize=2))
    )
