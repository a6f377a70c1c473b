"""Between two polls a group goes by the events of its plugin: exits cost no observation, anything
odd costs one, nothing is missed.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec import Raw

import ikdemo
from ikdemo.flavor.vanilla import Vanilla
from ikdemo.group.plugin import Groups
from ikdemo.instance.file.plugin import FileInstances
from ikdemo.rpc.peers import Peers
from ikdemo.spi.decode import decode
from ikdemo.spi.documents import Description, GroupSpec, Health, InstanceSpec
from ikdemo.spi.events import Emit, Event, EventBatch

SIZE = 5


class Watched(FileInstances):
    """File instances that count how often they are described, and what they have told."""

    looks = 0
    made = 0
    told = 0

    async def start(self, emit: Emit) -> None:
        def tell(event: Event) -> None:
            self.told += 1
            emit(event)

        await super().start(tell)

    async def describe_instances(
        self, tags: Mapping[str, str], slots: bool = False
    ) -> list[Description]:
        self.looks += 1
        return await super().describe_instances(tags, slots)

    async def provision(self, spec: InstanceSpec, slot: str | None = None) -> str:
        self.made += 1
        return await super().provision(spec, slot)


class Asked(Vanilla):
    """A flavor whose health has to be asked for."""

    offers = frozenset()

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def healthy(self, properties: Raw, instance: Description) -> Health:
        self.asked.append(instance.id)
        return Health.HEALTHY


class Heard(Peers):
    """Peers that count the events of the files' plugin that the group was given, of its present
    process.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.heard, self._stream = 0, ""

    async def events(self, name: str) -> AsyncIterator[EventBatch]:
        async for batch in super().events(name):
            yield batch
            if name == "files":  # asked for more: this one was delivered
                self.heard = len(batch.events) + self.heard * (batch.stream == self._stream)
                self._stream = batch.stream


class LiveGroup:
    """A group of five files, its poll an hour away, over sockets."""

    def __init__(self, files: Path, plugin: Watched, groups: Groups, peers: Heard) -> None:
        self.files, self.plugin, self.groups, self.peers = files, plugin, groups, peers

    async def commit(self, size: int = SIZE, note: str = "v1") -> None:
        sections = {
            "Instance": {"Plugin": "files", "Properties": {"Note": note}},
            "Flavor": {"Plugin": "flavor", "Properties": {}},
        }
        spec = {"ID": "web", "Properties": {"Allocation": {"Size": size}, **sections}}
        await self.groups.commit_group(decode(json.dumps(spec).encode(), GroupSpec))

    def living(self) -> list[Path]:
        return sorted(self.files.glob("instance-*"))

    async def until(self, holds: Callable[[], Any]) -> None:
        async with asyncio.timeout(100):
            while not holds():  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    async def at_rest(self) -> int:
        """Wait until the group is as large as wanted, all that is on disk was told, all that was
        told was delivered, and the loop waits; return how often it has looked by then.
        """
        await self.until(lambda: len(self.living()) == SIZE)
        rests = False
        while not rests:
            await asyncio.sleep(0.005)
            # a look that is not counted: what the kernel has not told yet is told by then
            await FileInstances.describe_instances(self.plugin, {})
            rests = self.plugin.told == self.peers.heard and self._waits()
        return self.plugin.looks

    def _waits(self) -> bool:
        """Say whether the loop waits for news, with as many instances as are wanted."""
        wake = self.groups._supervisors["web"]._wake
        return bool(wake._waiters) and not wake.is_set() and len(self.living()) == SIZE


@asynccontextmanager
async def live(root: Path, flavor: Vanilla) -> AsyncIterator[LiveGroup]:
    plugin, peers = Watched(root / "i"), Heard(root / "p")
    serving = [
        await ikdemo.serve(plugin, name="files", directory=root / "p"),
        await ikdemo.serve(flavor, name="flavor", directory=root / "p"),
    ]
    groups = Groups(peers, state_dir=None, poll_interval=3600.0)
    await groups.start(lambda event: None)
    try:
        yield LiveGroup(root / "i", plugin, groups, peers)
    finally:
        await groups.stop()
        await peers.close()
        for one in serving:
            await one.stop()


def run(
    root: Path, story: Callable[[LiveGroup], Awaitable[None]], flavor: Vanilla | None = None
) -> None:
    async def told() -> None:
        async with asyncio.timeout(100), live(root, flavor or Vanilla()) as made:
            await made.commit()
            await made.at_rest()
            await story(made)

    asyncio.run(told())


def test_deaths_are_healed_without_a_look(short_dir: Path) -> None:
    async def story(live: LiveGroup) -> None:
        looks = await live.at_rest()
        for count in (1, SIZE, SIZE - 1):  # more would be a storm
            targets = live.living()[:count]
            for target in targets:
                target.unlink()
            await live.until(
                lambda targets=targets: (
                    len(live.living()) == SIZE and not set(targets) & set(live.living())
                )
            )
        assert await live.at_rest() == looks
        assert live.plugin.made == SIZE + 1 + SIZE + SIZE - 1

    run(short_dir, story)


def test_what_somebody_does_by_hand_is_looked_at_at_once(short_dir: Path) -> None:
    async def story(live: LiveGroup) -> None:
        kept, moved = live.living()[:2]
        twin = kept.read_bytes().replace(kept.name.encode(), b"instance-twin")
        (live.files / "instance-twin").write_bytes(twin)
        await live.until(lambda: len(live.living()) == SIZE)
        await live.at_rest()
        edited, text = live.living()[2], live.living()[2].read_bytes()
        for content, told in (
            (re.sub(rb'(config_sha": *)"[^"]*"', rb'\1"another"', text), True),
            (text, False),
        ):
            before = live.plugin.looks
            edited.write_bytes(content)
            await live.until(lambda before=before: live.plugin.looks > before)
            why = [reason.text for reason in await live.groups.why_group("web")]
            assert (
                any(
                    f"describes instance {edited.name} with config_sha 'another'" in text
                    for text in why
                )
                == told
            )
            assert edited.exists()
        elsewhere = live.files.parent / moved.name
        for path in live.living()[:2]:  # away, healed, and back: two in one slot
            shutil.move(path, elsewhere)
            await live.until(lambda: len(live.living()) == SIZE)
            shutil.move(elsewhere, path)
            await live.until(lambda: len(live.living()) == SIZE)
        await live.at_rest()
        slots = [json.loads(path.read_bytes())["Slot"] for path in live.living()]
        assert sorted(slots) == [str(slot) for slot in range(SIZE)]

    run(short_dir, story)


def test_nothing_is_destroyed_without_a_look(short_dir: Path) -> None:
    async def story(live: LiveGroup) -> None:
        looks = await live.at_rest()
        await live.commit(note="v2")
        await live.until(
            lambda: (
                all(b"v2" in path.read_bytes() for path in live.living())
                and len(live.living()) == SIZE
            )
        )
        assert await live.at_rest() >= looks + SIZE  # one at a time

    run(short_dir, story)


def test_a_flavor_that_has_to_be_asked_is_asked_about_what_a_look_describes(
    short_dir: Path,
) -> None:
    flavor = Asked()

    async def story(live: LiveGroup) -> None:
        before = await live.at_rest()
        flavor.asked.clear()
        live.living()[0].unlink()
        await live.until(lambda: len(live.living()) == SIZE)
        assert await live.at_rest() > before
        assert {path.name for path in live.living()} <= set(flavor.asked)

    run(short_dir, story, flavor)


def test_a_folder_that_is_gone_and_back_is_looked_at(short_dir: Path) -> None:
    async def story(live: LiveGroup) -> None:
        before = live.living()
        live.files.rename(live.files.with_name("away"))
        while not (await live.groups.why_group("web")):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        live.files.with_name("away").rename(live.files)
        await live.until(lambda: live.living() == before)
        await live.at_rest()
        assert live.living() == before
        before[0].unlink()
        await live.until(lambda: len(live.living()) == SIZE and before[0] not in live.living())

    run(short_dir, story)


def test_a_plugin_that_was_restarted_is_looked_at(short_dir: Path) -> None:
    async def story() -> None:
        peers = Heard(short_dir / "p")
        flavor = await ikdemo.serve(Vanilla(), name="flavor", directory=short_dir / "p")
        groups = Groups(peers, state_dir=None, poll_interval=3600.0)
        await groups.start(lambda event: None)
        for turn in range(3):
            plugin = Watched(short_dir / "i")
            serving = await ikdemo.serve(plugin, name="files", directory=short_dir / "p")
            made = LiveGroup(short_dir / "i", plugin, groups, peers)
            if turn == 0:
                await made.commit()
            await made.until(lambda made=made: len(made.living()) == SIZE and made.plugin.looks)
            await made.at_rest()
            await serving.stop()
            made.living()[turn].unlink()  # nobody is there to tell
        await groups.stop()
        await peers.close()
        await flavor.stop()

    asyncio.run(asyncio.wait_for(story(), 100))
