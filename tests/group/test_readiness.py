"""What counts as done: an update whose last batch has lived, and health that somebody has said."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

from ikdemo.embedding import _Here
from ikdemo.flavor.vanilla import Vanilla
from ikdemo.group.clock import Clock
from ikdemo.group.plugin import Groups
from ikdemo.instance.file.plugin import FileInstances
from ikdemo.spi.decode import decode
from ikdemo.spi.documents import Description, GroupSpec, Health, InstanceSpec
from ikdemo.spi.errors import PluginUnavailable


class Skipping(Clock):
    """A clock that is put forward by hand, so that nobody has to wait for what takes seconds."""

    def __init__(self) -> None:
        self.ahead = 0.0
        super().__init__()

    def now(self) -> float:
        return super().now() + self.ahead


class Mortals(FileInstances):
    """Files that could end by themselves, as processes can."""

    offers = FileInstances.offers - {"ConstantLife"}


class HealthStub(Vanilla):
    """A flavor that has to be asked; ``says`` is its answer by the version of the instance."""

    offers: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self.says: dict[str, Health] = {}
        self.away = ""

    async def healthy(self, properties: Raw, instance: Description) -> Health:
        if self.away:
            raise PluginUnavailable(self.away)
        return self.says.get((instance.tags or {}).get("version", ""), Health.HEALTHY)


def spec(version: str, size: int = 3) -> GroupSpec:
    properties = {
        "Allocation": {"Size": size},
        "Instance": {"Plugin": "instances", "Properties": {}},
        "Flavor": {"Plugin": "flavor", "Properties": {"Tags": {"version": version}}},
    }
    return decode(json.dumps({"ID": "web", "Properties": properties}).encode(), GroupSpec)


class World:
    """One group plugin over files, with a clock and a flavor in the test's hands."""

    def __init__(
        self, root: Path, flavor: Vanilla, instances: type[FileInstances] = Mortals
    ) -> None:
        self.clock, self.flavor, self.directory = Skipping(), flavor, root / "i"
        self.directory.mkdir(exist_ok=True)
        self.instances = instances(self.directory)
        self.here = _Here({"instances": self.instances, "flavor": flavor})
        self.groups = Groups(self.here, state_dir=root / "s", poll_interval=0.02, clock=self.clock)

    def versions(self) -> list[str]:
        return sorted(
            json.loads(path.read_text())["Tags"]["version"]
            for path in self.directory.glob("instance-*")
        )

    async def why(self) -> dict[str, list[str]]:
        said: dict[str, list[str]] = {}
        for reason in await self.groups.why_group("web"):
            said.setdefault(reason.code, []).append(reason.slot)
        return said

    async def converged(self) -> bool:
        return (await self.groups.describe_group("web")).converged

    async def until(self, wanted: Any, skip: float = 0.0) -> None:
        """Let passes be made until something is so, the clock put forward by ``skip`` seconds
        between them.
        """
        while True:
            said = wanted()
            if await said if asyncio.iscoroutine(said) else said:
                return
            self.clock.ahead += skip
            await self.groups.step_group("web")

    async def two_passes(self) -> None:
        for _ in range(2):
            await self.groups.step_group("web")


@asynccontextmanager
async def kept(world: World) -> AsyncIterator[World]:
    async with asyncio.timeout(100):
        await world.instances.start(world.here.rings["instances"].append)
        await world.groups.start(lambda event: None)
        try:
            yield world
        finally:
            await world.groups.stop()
            await world.instances.stop()


def test_what_can_end_by_itself_has_to_live_five_seconds_before_the_next_one_leaves(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with kept(World(tmp_path, Vanilla())) as world:
            await world.groups.commit_group(spec("v1"))
            await world.until(world.converged)
            await world.groups.commit_group(spec("v2"))
            await world.until(lambda: "v2" in world.versions())
            await world.two_passes()
            assert world.versions() == ["v1", "v1", "v2"]
            assert "health-unknown" in await world.why()
            world.clock.ahead += 5.0
            await world.until(lambda: world.versions() == ["v1", "v2", "v2"])
            await world.two_passes()
            assert world.versions() == ["v1", "v2", "v2"]

    asyncio.run(story())


def test_an_update_of_files_that_are_well_for_good_waits_for_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with kept(World(tmp_path, Vanilla(), FileInstances)) as world:
            await world.groups.commit_group(spec("v1"))
            await world.until(world.converged)
            await world.groups.commit_group(spec("v2"))
            await world.until(world.converged)
            assert world.versions() == ["v2"] * 3

    asyncio.run(story())


def test_the_last_batch_awaits_readiness_like_the_others_also_after_a_restart(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with kept(World(tmp_path, Vanilla())) as world:
            await world.groups.commit_group(spec("v1", 1))
            await world.until(world.converged)
            await world.groups.commit_group(spec("v2", 1))
            await world.until(lambda: world.versions() == ["v2"])
            await world.two_passes()
            assert not await world.converged()
        async with kept(World(tmp_path, Vanilla())) as world:
            await world.two_passes()
            assert not await world.converged()
            await world.until(world.converged, skip=1.0)
            assert world.clock.ahead >= 4.0

    asyncio.run(story())


def test_a_stopped_update_heals_what_it_has_not_taken_with_what_was_good(tmp_path: Path) -> None:
    async def story() -> None:
        health_stub = HealthStub()
        async with kept(World(tmp_path, health_stub)) as world:
            await world.groups.commit_group(spec("v1"))
            await world.until(world.converged)
            health_stub.says["v2"] = Health.UNHEALTHY
            await world.groups.commit_group(spec("v2"))
            await world.until(lambda: "v2" in world.versions())

            async def halted() -> bool:
                return "halted" in await world.why()

            await world.until(halted)
            lost = next(
                p
                for p in world.directory.glob("instance-*")
                if json.loads(p.read_text())["Tags"]["version"] == "v1"
            )
            lost.unlink()
            await world.until(lambda: len(world.versions()) == 3)
            await world.two_passes()
            assert world.versions() == ["v1", "v1", "v2"]
            await world.groups.commit_group(spec("v1"))
            await world.until(world.converged, skip=1.0)
            assert world.versions() == ["v1"] * 3

    asyncio.run(story())


@pytest.mark.parametrize("unknown", [True, False])
def test_no_answer_of_a_flavor_is_not_health(tmp_path: Path, unknown: bool) -> None:
    async def story() -> None:
        health_stub = HealthStub()
        async with kept(World(tmp_path, health_stub)) as world:
            if unknown:
                health_stub.says["v1"] = Health.UNKNOWN
            await world.groups.commit_group(spec("v1"))
            await world.until(lambda: len(world.versions()) == 3)
            await world.two_passes()
            assert await world.converged() is not unknown
            assert ("health-unknown" in await world.why()) is unknown
            health_stub.says["v1"] = Health.HEALTHY
            await world.until(world.converged)
            health_stub.says["v1"] = Health.UNKNOWN  # later, that counts for nothing
            await world.two_passes()
            assert await world.converged()

    asyncio.run(story())


def test_a_flavor_that_cannot_be_asked_is_named(tmp_path: Path) -> None:
    async def story() -> None:
        health_stub = HealthStub()
        async with kept(World(tmp_path, health_stub)) as world:
            await world.groups.commit_group(spec("v1"))
            await world.until(world.converged)
            health_stub.away = "plugin flavor cannot be reached"

            async def noticed() -> bool:
                return not await world.converged()

            await world.until(noticed)
            (reason,) = await world.groups.why_group("web")
            assert reason.code == "plugin-unreachable"
            assert "plugin flavor cannot be reached" in reason.text
            for _ in range(5):  # also in passes in which nobody asks
                await world.groups.step_group("web")
                assert not await world.converged()
            health_stub.away = ""
            await world.until(world.converged)

    asyncio.run(story())


class Forgetful(FileInstances):
    """A plugin without slots that describes what it destroyed a while longer, as clouds do."""

    offers: frozenset[str] = frozenset()

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.calls: list[str] = []
        self.shown: dict[str, Description] = {}

    async def provision(self, spec: InstanceSpec, slot: str | None = None) -> str:
        return await super().provision(spec)

    async def destroy(self, instance: str) -> None:
        self.calls.append(instance)
        if instance not in self.shown:
            self.shown |= {
                one.id: one for one in await super().describe_instances({}) if one.id == instance
            }
            await super().destroy(instance)

    async def describe_instances(
        self, tags: Mapping[str, str], slots: bool = False
    ) -> list[Description]:
        return [*await super().describe_instances(tags), *self.shown.values()]


def test_what_was_destroyed_and_is_still_described_is_not_destroyed_at_every_pass(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with kept(World(tmp_path, Vanilla(), Forgetful)) as world:
            assert isinstance(world.instances, Forgetful)
            await world.groups.commit_group(spec("v1"))
            await world.until(world.converged)
            await world.groups.scale_group("web", 2)
            await world.until(lambda: len(world.versions()) == 2)
            for _ in range(10):
                await world.groups.step_group("web")
            assert len(world.instances.calls) == 1
            assert "draining" in await world.why()
            world.instances.shown.clear()
            await world.until(world.converged)

    asyncio.run(story())
