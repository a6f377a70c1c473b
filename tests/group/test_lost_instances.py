"""What is lost is buried by the flavor that offers it: once, also after a restart, never instead of
healing; what was drained is not, and no other flavor is asked.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

from ikdemo.embedding import _Here as Lookup
from ikdemo.flavor.combo import Combo
from ikdemo.flavor.vanilla import Vanilla
from ikdemo.group import lost_instances
from ikdemo.group.plugin import Groups
from ikdemo.instance.file.plugin import FileInstances
from ikdemo.spi.decode import encode
from ikdemo.spi.documents import Description, GroupSpec
from ikdemo.spi.errors import PluginFailure
from ikdemo.spi.events import Event


class Burier(Vanilla):
    """A vanilla that writes down whom it buried, unless it ``refuses``, and whom it drained.
    ``reached``: how often it was asked to bury.
    """

    offers = frozenset({"Bury"})

    def __init__(self) -> None:
        self.buried: list[Description] = []
        self.drained: list[str] = []
        self.reached = 0
        self.refuses: Callable[[], Awaitable[None]] | None = None

    async def drain(self, properties: Raw, instance: Description) -> None:
        self.drained.append(instance.id)

    async def bury(self, properties: Raw, instance: Description) -> None:
        self.reached += 1
        if self.refuses is not None:
            await self.refuses()
        self.buried.append(instance)


class NotOffering(Burier):
    offers = frozenset()


async def refuse() -> None:
    raise PluginFailure("it is not down yet")


class World:
    """A group plugin over files in ``home``, and a flavor of the test's own."""

    def __init__(self, home: Path, flavor: Any = None) -> None:
        self.home, self.flavor = home, flavor or Burier()
        self.files = home / "files"
        self.events: list[Event] = []

    @asynccontextmanager
    async def running(self):
        """Run everything, as one process would; the files and the group's record outlive it."""
        plugins = {"files": FileInstances(self.files), "flavor": self.flavor}
        lookup = Lookup(plugins)
        if isinstance(self.flavor, OfCombo):
            plugins["inner"], plugins["flavor"] = self.flavor, Combo(lookup)
            lookup = Lookup(plugins)
            plugins["flavor"]._lookup = lookup
        groups = Groups(lookup, state_dir=self.home / "state", poll_interval=3600.0)
        await plugins["files"].start(lookup.rings["files"].append)
        await groups.start(self.events.append)
        try:
            yield groups
        finally:
            await groups.stop()
            await plugins["files"].stop()

    async def commit(self, groups: Groups, size: int = 3) -> None:
        own = {"Plugin": "inner", "Properties": {}}
        properties = {"Flavors": [own, own]} if isinstance(self.flavor, OfCombo) else {}
        document = {
            "Allocation": {"Size": size},
            "Instance": {"Plugin": "files", "Properties": {}},
            "Flavor": {"Plugin": "flavor", "Properties": properties},
        }
        await groups.commit_group(GroupSpec("web", Raw(encode(document))))
        await self.whole(groups, size)

    async def whole(self, groups: Groups, size: int = 3) -> None:
        while True:
            whole = (await groups.describe_group("web")).converged
            if whole and len(self.living()) == size:
                return
            await asyncio.sleep(0.01)

    def living(self) -> list[str]:
        return sorted(path.name for path in self.files.glob("instance-*"))

    def lose(self) -> str:
        lost = self.living()[0]
        (self.files / lost).unlink()
        return lost

    def record(self) -> dict[str, Any]:
        (file,) = (self.home / "state").glob("*.json")
        return {"described": {}, **json.loads(file.read_text())}

    async def until(self, true: Callable[[], object]) -> None:
        while True:
            if true():
                return
            await asyncio.sleep(0.01)


class OfCombo(Burier):
    """The same, inside a combo, twice."""


def run(story: Awaitable[None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(100):
            await story

    asyncio.run(bounded())


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lost_instances, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(lost_instances, "LONGEST_WAIT", 0.01)


def test_what_is_lost_is_buried_and_what_is_drained_is_not(tmp_path: Path) -> None:
    async def story() -> None:
        world = World(tmp_path)
        async with world.running() as groups:
            await world.commit(groups)
            lost = world.lose()
            await world.until(lambda: world.flavor.buried)
            (told,) = world.flavor.buried
            assert (told.id, (told.tags or {})["infrakit.group"]) == (lost, "web")
            await world.whole(groups)
            await groups.scale_group("web", 1)
            await world.whole(groups, 1)
            # what is still to be buried is lost and was not drained
            await world.until(lambda: set(world.record()["described"]) == set(world.living()))
            again = world.lose()
            await world.until(lambda: len(world.flavor.buried) == 2)
            assert [one.id for one in world.flavor.buried] == [lost, again]
            assert len(world.flavor.drained) == 2
            await world.whole(groups, 1)
            await groups.destroy_group("web")

    run(story())


def test_a_flavor_that_does_not_offer_it_is_never_asked(tmp_path: Path) -> None:
    async def story() -> None:
        world = World(tmp_path, NotOffering())
        async with world.running() as groups:
            await world.commit(groups)
            world.lose()
            await world.whole(groups)
            assert world.record()["described"] == {}
            assert world.flavor.reached == 0

    run(story())


def test_healing_does_not_wait_for_a_burial_that_hangs(tmp_path: Path) -> None:
    async def story() -> None:
        world = World(tmp_path)
        world.flavor.refuses = asyncio.Event().wait
        async with world.running() as groups:
            await world.commit(groups)
            for _ in range(3):
                world.lose()
                await world.whole(groups)
            assert (world.flavor.reached, world.flavor.buried) == (1, [])

    run(story())


def test_what_cannot_be_buried_yet_is_tried_again(tmp_path: Path) -> None:
    async def story() -> None:
        world = World(tmp_path)
        world.flavor.refuses = refuse
        async with world.running() as groups:
            await world.commit(groups)
            lost = world.lose()
            await world.until(lambda: world.flavor.reached > 2)
            assert world.flavor.buried == []
            world.flavor.refuses = None
            await world.until(lambda: world.flavor.buried)
            assert [one.id for one in world.flavor.buried] == [lost]

    run(story())


def test_what_is_lost_now_does_not_wait_for_the_next_attempt_at_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        monkeypatch.setattr(lost_instances, "FIRST_WAIT", 3600.0)
        monkeypatch.setattr(lost_instances, "LONGEST_WAIT", 3600.0)
        world = World(tmp_path)
        world.flavor.refuses = refuse
        async with world.running() as groups:
            await world.commit(groups)
            world.lose()
            await world.until(lambda: world.flavor.reached)
            await world.whole(groups)
            world.flavor.refuses = None
            lost = world.lose()
            await world.until(lambda: world.flavor.buried)
            assert [one.id for one in world.flavor.buried] == [lost]
            assert world.flavor.reached == 2

    run(story())


def test_an_answer_that_never_comes_is_a_failed_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        monkeypatch.setattr(lost_instances, "BURY_WITHIN", 0.01)
        world = World(tmp_path)
        world.flavor.refuses = asyncio.Event().wait
        async with world.running() as groups:
            await world.commit(groups)
            world.lose()
            await world.until(lambda: world.flavor.reached == 2)

    run(story())


def test_in_the_end_it_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        monkeypatch.setattr(lost_instances, "ATTEMPTS", 5)
        world = World(tmp_path)
        world.flavor.refuses = refuse
        async with world.running() as groups:
            await world.commit(groups)
            lost = world.lose()
            await world.whole(groups)
            await world.until(lambda: lost not in world.record()["described"])
            assert world.flavor.reached == 5
            said = f"what {lost} left elsewhere stays there: 5 attempts have failed: it is not down"
            assert said in caplog.text

    run(story())


def test_what_was_lost_before_a_restart_or_during_it_is_buried_after_it(tmp_path: Path) -> None:
    async def story() -> None:
        world = World(tmp_path)
        world.flavor.refuses = refuse
        async with world.running() as groups:
            await world.commit(groups)
            before = world.lose()
            await world.whole(groups)
            await world.until(lambda: world.flavor.reached)
            await world.until(lambda: len(world.record()["described"]) == 4)
        meanwhile = world.lose()
        world.flavor.refuses = None
        async with world.running() as groups:
            await world.until(lambda: len(world.flavor.buried) == 2)
            assert {one.id for one in world.flavor.buried} == {before, meanwhile}
            assert all((one.tags or {})["infrakit.group"] == "web" for one in world.flavor.buried)
            await world.whole(groups)

    run(story())


def test_while_a_group_is_paused_nothing_is_buried(tmp_path: Path) -> None:
    async def story() -> None:
        world = World(tmp_path)
        async with world.running() as groups:
            await world.commit(groups)
            await groups.pause_group("web")
            lost = world.lose()
            await world.until(lambda: "drifted" in [event.kind for event in world.events])
            for _ in range(100):  # turns in which it would have been asked
                await asyncio.sleep(0)
            assert world.flavor.reached == 0
            await groups.resume_group("web")
            await world.until(lambda: world.flavor.buried)
            assert [one.id for one in world.flavor.buried] == [lost]

    run(story())


def test_a_combo_passes_it_on_to_each_of_its_flavors(tmp_path: Path) -> None:
    async def story() -> None:
        world = World(tmp_path, OfCombo())
        async with world.running() as groups:
            await world.commit(groups)
            lost = world.lose()
            await world.until(lambda: len(world.flavor.buried) == 2)
            assert [one.id for one in world.flavor.buried] == [lost, lost]

    run(story())
