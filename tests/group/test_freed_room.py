"""Two groups, and room for the instances of one: who waits for a place gets it when the other group
makes one free.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ikdemo.embedding import _Here
from ikdemo.flavor.vanilla import Vanilla
from ikdemo.group.clock import Clock
from ikdemo.group.plugin import Groups
from ikdemo.instance.file.plugin import FileInstances
from ikdemo.spi.decode import decode
from ikdemo.spi.documents import GroupSpec, InstanceSpec
from ikdemo.spi.errors import PluginFailure
from ikdemo.spi.events import Event

ROOM = 6


class Small(FileInstances):
    """Has room for so many files; counts what it refuses."""

    refused = 0

    async def provision(self, spec: InstanceSpec, slot: str | None = None) -> str:
        if len(list(self._path.glob("instance-*"))) >= ROOM:
            self.refused += 1
            raise PluginFailure("no room")
        return await super().provision(spec, slot)


class Settable(Clock):
    """A clock that can be put ahead, as if time had passed, and be made to stand."""

    ahead = 0.0
    stands = False
    _stood = 0.0

    def now(self) -> float:
        if not self.stands:
            self._stood = super().now()
        return self._stood + self.ahead


def spec(group: str, size: int) -> GroupSpec:
    sections = {
        "Instance": {"Plugin": "files", "Properties": {}},
        "Flavor": {"Plugin": "flavor", "Properties": {}},
    }
    return decode(
        json.dumps(
            {"ID": group, "Properties": {"Allocation": {"Size": size}, **sections}}
        ).encode(),
        GroupSpec,
    )


@asynccontextmanager
async def full(root: Path, clock: Settable) -> AsyncIterator[tuple[Groups, Small]]:
    """Fill the room with one group, and let another wait for a place longer than any test takes;
    nothing is polled.
    """
    files = Small(root)
    here = _Here({"files": files, "flavor": Vanilla()})
    groups = Groups(here, state_dir=None, poll_interval=3600.0, clock=clock)
    await groups.start(lambda event: None)
    await files.start(here.rings["files"].append)
    try:
        async with asyncio.timeout(100):
            await groups.commit_group(spec("first", ROOM))
            while not (await groups.describe_group("first")).converged:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            await groups.commit_group(spec("second", 1))
            while files.refused < 12:  # its wait has doubled to more than a minute
                clock.ahead += 120.0
                groups._registry.supervisors["second"].wake()
                await asyncio.sleep(0.005)
            yield groups, files
    finally:
        await groups.stop()
        await files.stop()


def test_a_place_that_another_group_makes_free_is_taken_at_once(tmp_path: Path) -> None:
    async def story() -> None:
        async with full(tmp_path, Settable()) as (groups, _):
            (reason,) = await groups.why_group("second")
            assert reason.code == "backing-off"
            await groups.scale_group("first", ROOM - 1)
            while not (await groups.describe_group("second")).converged:  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    asyncio.run(story())


def test_however_many_places_are_made_free_what_was_refused_is_tried_once_a_second(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        clock = Settable()
        async with full(tmp_path, clock) as (groups, files):
            tell, refused = groups._lookup.rings["files"].append, files.refused  # type: ignore[attr-defined]
            clock.stands = True
            for second in (1, 2):
                for number in range(50):
                    tell(Event("destroyed", group="first", instance=f"i-{number}"))
                    await asyncio.sleep(0.002)
                while files.refused < refused + second:  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
                assert files.refused == refused + second
                clock.ahead += 1.0

    asyncio.run(story())
