"""Stop at the k-th side effect, for every k, then start again: the end is that of a run without a
crash.

A side effect is a file made or removed by the instance plugin, or a record written or removed by
the group plugin. A crash is one of two: the effect did not happen, or it happened and nobody was
told. Then nothing of the process goes on, and a new one finds only what was on disk.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ikdemo.flavor.vanilla import Vanilla
from ikdemo.group.plugin import Groups
from ikdemo.group.registry import Registry
from ikdemo.group.store import Record, Store
from ikdemo.instance.file.plugin import FileInstances
from ikdemo.spi.contracts import FlavorPlugin, Found, GroupPlugin, InstancePlugin
from ikdemo.spi.documents import GroupSpec, InstanceSpec
from ikdemo.spi.errors import PluginNotFound, UnknownGroup
from ikdemo.spi.events import EventBatch


class Fuse:
    """Counts side effects and lets the process hang for ever at one of them: dead, as far as
    anybody can tell.
    """

    def __init__(self, at: int, before: bool) -> None:
        self.at, self.before, self.count = at, before, 0
        self.blown = asyncio.Event()

    async def around(self, effect: Callable[[], Awaitable[Any]]) -> Any:
        self.count += 1
        if self.blown.is_set() or self.count > self.at or (self.count == self.at and self.before):
            await self._hang()
        result = await effect()
        if self.count == self.at:
            await self._hang()
        return result

    async def _hang(self) -> None:
        self.blown.set()
        await asyncio.Event().wait()


class FusedFiles(FileInstances):
    """The file plugin as the group sees it through the fuse."""

    fuse: Fuse

    async def provision(self, spec: InstanceSpec, slot: str | None = None) -> str:
        return await self.fuse.around(lambda: FileInstances.provision(self, spec, slot))

    async def destroy(self, instance: str) -> None:
        await self.fuse.around(lambda: FileInstances.destroy(self, instance))


class FusedRegistry(Registry):
    """The registry of a group plugin whose store is behind the fuse."""

    fuse: Fuse

    async def _save(self, record: Record) -> None:
        await self.fuse.around(lambda: Registry._save(self, record))

    async def _remove(self, group: str) -> None:
        await self.fuse.around(lambda: Registry._remove(self, group))


class Process:
    """One life of a group plugin and its instance plugin, over directories that outlive it."""

    def __init__(self, root: Path, fuse: Fuse) -> None:
        self.files = FusedFiles(root / "instances")
        self.files.fuse = fuse
        self.vanilla = Vanilla()
        self.fuse = fuse
        self.groups = Groups(self, state_dir=root / "state", poll_interval=60.0)
        self.groups._registry.__class__ = FusedRegistry
        self.groups._registry.fuse = fuse  # type: ignore[attr-defined]

    async def instance(self, name: str) -> Found[InstancePlugin]:
        return Found(self.files, self.files.offers)

    async def flavor(self, name: str) -> Found[FlavorPlugin]:
        return Found(self.vanilla, self.vanilla.offers)

    async def group(self, name: str) -> Found[GroupPlugin]:
        raise PluginNotFound(name)

    async def events(self, name: str) -> AsyncIterator[EventBatch]:
        yield EventBatch("s", 0, [], gap=True)
        await asyncio.Event().wait()

    async def start(self) -> None:
        await self.files.start(lambda event: None)
        await self.groups.start(lambda event: None)

    async def die(self) -> None:
        """End without a chance to finish anything."""
        ours = {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}
        for task in ours:
            task.cancel()
        await asyncio.gather(*ours, return_exceptions=True)
        self.groups._store.close()
        await self.files.stop()


def spec(size: int, note: str) -> GroupSpec:
    properties = {
        "Allocation": {"Size": size},
        "Instance": {"Plugin": "instance-file", "Properties": {"Note": note}},
        "Flavor": {"Plugin": "flavor-vanilla", "Properties": {}},
    }
    return GroupSpec("g", msgspec.Raw(json.dumps(properties).encode()))


async def whole(process: Process) -> None:
    while not (await process.groups.describe_group("g")).converged:  # noqa: ASYNC110
        await asyncio.sleep(0)


async def step(process: Process, number: int) -> None:
    """Do one step of the story, to its end; a step that was cut off may be done again."""
    groups = process.groups
    if number == 0:
        await groups.commit_group(spec(3, "v1"))
    elif number == 1:
        await groups.commit_group(spec(2, "v1"))
    elif number == 2:
        await groups.commit_group(spec(3, "v2"))
    elif number == 3:
        with_group = await groups.inspect_groups()
        if with_group:
            try:
                await groups.destroy_group("g")
            except UnknownGroup:
                pass
        else:  # it was being destroyed when the process died: wait until that is done
            while groups._supervisors:  # noqa: ASYNC110
                await asyncio.sleep(0)
        return
    await whole(process)


def world(root: Path) -> list[tuple[str, str]]:
    found = []
    for path in (root / "instances").glob("instance-*"):
        content = json.loads(path.read_text())
        found.append((content["Slot"], content["Spec"]["Properties"]["Note"]))
    return sorted(found)


EXPECTED = [
    [("0", "v1"), ("1", "v1"), ("2", "v1")],
    [("0", "v1"), ("1", "v1")],
    [("0", "v2"), ("1", "v2"), ("2", "v2")],
    [],
]


async def story(root: Path, at: int, before: bool) -> bool:
    """Run the story with a crash at the ``at``-th side effect; return whether there was one."""
    fuse = Fuse(at, before)
    process = Process(root, fuse)
    await process.start()
    for number, expected in enumerate(EXPECTED):
        if not fuse.blown.is_set() and not await cut_off(step(process, number), fuse):
            assert world(root) == expected
            continue
        if process.fuse is fuse:  # this is where it died: a new process takes over
            assert len(world(root)) <= 3
            await process.die()
            process = Process(root, Fuse(10**9, before=False))
            await process.start()
        await step(process, number)
        assert world(root) == expected, (at, before, number)
    await process.die()
    assert stored(root) == []
    return fuse.blown.is_set()


async def cut_off(doing: Coroutine[Any, Any, None], fuse: Fuse) -> bool:
    """Let something be done until it is done or the fuse has blown; return whether it has."""
    task, blown = asyncio.create_task(doing), asyncio.create_task(fuse.blown.wait())
    await asyncio.wait([task, blown], return_when=asyncio.FIRST_COMPLETED)
    if not fuse.blown.is_set():
        blown.cancel()
        await task
    return fuse.blown.is_set()


def stored(root: Path) -> list[Record]:
    store = Store(root / "state")
    try:
        return store.open()
    finally:
        store.close()


@pytest.mark.parametrize("before", [True, False], ids=["not done", "done and not told"])
def test_a_crash_at_any_side_effect_ends_as_no_crash(short_dir: Path, before: bool) -> None:
    crashes = 0
    for at in itertools.count(1):
        root = short_dir / f"{at}"
        root.mkdir()

        async def bounded(root: Path = root, at: int = at) -> bool:
            async with asyncio.timeout(100):
                return await story(root, at, before)

        if not asyncio.run(bounded()):
            break
        crashes += 1
    assert crashes >= 17  # 3 + 1 + 2*2 + 1 + 3 files, 4 records written, 1 removed
