"""A poll at which nothing has changed costs one line; whatever was not told is found by it all the
same, and healed.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import ikdemo
from ikdemo.flavor.vanilla import Vanilla
from ikdemo.instance.file.plugin import FileInstances
from ikdemo.spi.documents import Description
from ikdemo.spi.errors import PluginFailure
from ikdemo.spi.events import Emit, Event

SIZE, POLL = 4, 0.1
LOGICAL = {"LogicalIDs": ["a", "b", "a"]}


class Counted(FileInstances):
    """File instances that count their answers and, once told to, say nothing of what happens to
    them.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.described = self.digested = 0
        self.silent = self.refuses = False
        self.asked = asyncio.Condition()

    async def start(self, emit: Emit) -> None:
        def tell(event: Event) -> None:
            if not self.silent:
                emit(event)

        await super().start(tell)

    async def describe_instances(
        self, tags: Mapping[str, str], slots: bool = False
    ) -> list[Description]:
        self.described += 1
        return await super().describe_instances(tags, slots)

    async def digest_instances(self, group: str) -> str:
        async with self.asked:
            self.digested += 1
            self.asked.notify_all()
        if self.refuses:
            raise PluginFailure("no digest today")
        return await super().digest_instances(group)

    async def polls(self, number: int) -> None:
        """Wait until the group has asked so many more times."""
        async with self.asked:
            until = self.digested + number
            await self.asked.wait_for(lambda: self.digested >= until)


def run(
    home: Path,
    story: Callable[[Counted, ikdemo.Group], Awaitable[None]],
    allocation: dict[str, Any] | None = None,
) -> None:
    async def told() -> None:
        files = Counted(home)
        sections = {
            "Instance": {"Plugin": "files", "Properties": {}},
            "Flavor": {"Plugin": "flavor", "Properties": {}},
        }
        wanted = {
            "ID": "web",
            "Properties": {"Allocation": allocation or {"Size": SIZE}, **sections},
        }
        async with (
            asyncio.timeout(100),
            ikdemo.Group(
                wanted, {"files": files, "flavor": Vanilla()}, poll_interval=POLL
            ) as group,
        ):
            await group.wait(100)
            await files.polls(2)  # what was done at the beginning is long over by then
            await story(files, group)

    asyncio.run(told())


def ids(home: Path) -> set[str]:
    return {path.name for path in home.glob("instance-*")}


@pytest.mark.parametrize("allocation", [{"Size": SIZE}, LOGICAL])
def test_a_poll_over_what_is_known_describes_nothing(
    tmp_path: Path, allocation: dict[str, Any]
) -> None:
    async def story(files: Counted, group: ikdemo.Group) -> None:
        before, living = files.described, ids(tmp_path / "i")
        await files.polls(5)
        assert (files.described, ids(tmp_path / "i")) == (before, living)

    run(tmp_path / "i", story, allocation)


def lose(home: Path) -> None:
    min(home.glob("instance-*")).unlink()


def double(home: Path) -> None:
    shutil.copy(min(home.glob("instance-*")), home / "instance-0")


def edit(home: Path) -> None:
    target = min(home.glob("instance-*"))
    target.write_bytes(
        target.read_bytes().replace(b'"infrakit.group": "web"', b'"infrakit.group": "other"')
    )


@pytest.mark.parametrize("harm", [lose, double, edit])
def test_what_nobody_told_of_is_found_and_healed_at_the_poll(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    async def story(files: Counted, group: ikdemo.Group) -> None:
        files.silent = True
        before = files.described
        harm(tmp_path / "i")
        await files.polls(3)
        await group.wait(100)
        living = await group.instances()
        assert len(living) == SIZE and files.described > before
        assert len({instance.id for instance in living}) == SIZE

    run(tmp_path / "i", story)


def test_a_plugin_that_cannot_say_is_looked_at(tmp_path: Path) -> None:
    async def story(files: Counted, group: ikdemo.Group) -> None:
        files.refuses = True
        before = files.described
        await files.polls(4)
        assert files.described >= before + 3

    run(tmp_path / "i", story)
