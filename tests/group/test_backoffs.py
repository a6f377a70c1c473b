"""Back-offs: a refusal that only another spec can end, exits that count, and waits that
outlive the process.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

import ikdemo
from ikdemo.flavor.vanilla import Vanilla
from ikdemo.group.plugin import Groups
from ikdemo.group.store import Store
from ikdemo.instance.file.plugin import FileInstances
from ikdemo.rpc.peers import Peers
from ikdemo.spi.decode import decode
from ikdemo.spi.documents import Allocation, Description, GroupSpec, InstanceSpec
from ikdemo.spi.errors import NotConverged, PluginFailure, SpecError
from ikdemo.spi.events import Emit, Event


def spec(note: str, size: int = 1) -> dict[str, Any]:
    properties = {
        "Allocation": {"Size": size},
        "Instance": {"Plugin": "instance-file", "Properties": {"Note": note}},
        "Flavor": {"Plugin": "flavor-vanilla", "Properties": {"Tags": {"note": note}}},
    }
    return {"ID": "web", "Properties": properties}


class Fussy(Vanilla):
    """Refuses to prepare what is noted as bad: for good ("never") or for now ("later")."""

    def __init__(self) -> None:
        self.asked = 0

    async def prepare(
        self, properties: Raw, spec: InstanceSpec, allocation: Allocation
    ) -> InstanceSpec:
        self.asked += 1
        if b'"never"' in bytes(properties):
            raise SpecError("nobody can prepare this")
        if b'"later"' in bytes(properties):
            raise PluginFailure("not today")
        return await super().prepare(properties, spec, allocation)


def test_a_refusal_of_the_spec_is_not_tried_again_until_the_spec_changes(tmp_path: Path) -> None:
    async def story() -> None:
        flavor = Fussy()
        plugins = {"instance-file": FileInstances(tmp_path), "flavor-vanilla": flavor}
        async with (
            asyncio.timeout(100),
            ikdemo.Group(spec("never"), plugins, poll_interval=0.02) as group,
        ):
            with pytest.raises(NotConverged, match="nobody can prepare this"):
                await group.wait(0.5)
            assert [reason.code for reason in await group.why()] == ["spec-refused"]
            assert flavor.asked == 1
            await group.commit(spec("good"))
            await group.wait(100)

    asyncio.run(story())


class Polled(FileInstances):
    """File instances that note each time when a poll reaches them."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.polls = asyncio.Semaphore(0)

    async def describe_instances(
        self, tags: Mapping[str, str], slots: bool = False
    ) -> list[Description]:
        self.polls.release()
        return await super().describe_instances(tags, slots)

    async def digest_instances(self, group: str) -> str:
        self.polls.release()
        return await super().digest_instances(group)


@asynccontextmanager
async def served(
    short_dir: Path, flavor: Fussy, instances: FileInstances | None = None
) -> AsyncIterator[Groups]:
    """Serve both plugins on sockets and hand out a group plugin that reaches them there."""
    plugins = short_dir / "p"
    peers = Peers(plugins)
    files = await ikdemo.serve(
        instances or FileInstances(short_dir / "i"), name="instance-file", directory=plugins
    )
    serving = await ikdemo.serve(flavor, name="flavor-vanilla", directory=plugins)
    groups = Groups(peers, state_dir=short_dir / "s", poll_interval=0.05)
    await groups.start(lambda event: None)
    try:
        yield groups
    finally:
        await groups.stop()
        await peers.close()
        await serving.stop()
        await files.stop()


def committed(note: str) -> GroupSpec:
    return decode(json.dumps(spec(note)).encode(), GroupSpec)


def test_a_refusal_is_final_across_a_socket_as_well(short_dir: Path) -> None:
    async def story() -> None:
        flavor, files = Fussy(), Polled(short_dir / "i")
        async with asyncio.timeout(100), served(short_dir, flavor, files) as groups:
            await groups.commit_group(committed("never"))
            while not [r for r in await groups.why_group("web") if r.code == "spec-refused"]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            asked = flavor.asked
            while not files.polls.locked():
                await files.polls.acquire()
            for _ in range(6):
                await files.polls.acquire()
            assert flavor.asked == asked == 1

    asyncio.run(story())


def test_the_wait_of_a_troubled_slot_outlives_the_process(short_dir: Path) -> None:
    async def story() -> tuple[int, int]:
        flavor = Fussy()
        async with asyncio.timeout(100), served(short_dir, flavor) as groups:
            await groups.commit_group(committed("later"))
            while flavor.asked < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        store = Store(short_dir / "s")
        (record,) = store.open()
        store.close()
        attempts = record.backoffs["0"].attempts
        async with asyncio.timeout(100), served(short_dir, flavor) as groups:
            before = flavor.asked
            (reason,) = await groups.why_group("web")
            assert reason.code == "backing-off"
            assert "not today" in reason.error
            return attempts, flavor.asked - before

    attempts, asked_at_once = asyncio.run(story())
    assert attempts >= 2
    assert asked_at_once == 0


class Mortal(FileInstances):
    """File instances that can die by themselves, as processes do: the plugin reports it."""

    emit: Emit

    async def start(self, emit: Emit) -> None:
        self.emit = emit
        await super().start(emit)

    async def provision(self, spec: InstanceSpec, slot: str | None = None) -> str:
        made = await super().provision(spec, slot)
        self.starts = getattr(self, "starts", 0) + 1
        asyncio.get_running_loop().call_soon(self._die, made, slot)
        return made

    def _die(self, instance: str, slot: str | None) -> None:
        (self._path / instance).unlink()
        self._refreshed()
        self.emit(
            Event(
                "lost",
                group="web",
                instance=instance,
                slot=slot or "",
                code="died",
                text="exit status 1",
            )
        )


def test_what_dies_as_soon_as_it_is_made_is_made_less_and_less_often(tmp_path: Path) -> None:
    async def story() -> int:
        instances = Mortal(tmp_path)
        plugins = {"instance-file": instances, "flavor-vanilla": Vanilla()}
        async with (
            asyncio.timeout(100),
            ikdemo.Group(spec("v1"), plugins, poll_interval=0.02) as group,
        ):
            with pytest.raises(NotConverged, match="exit status 1"):
                await group.wait(3.0)
        return instances.starts

    assert 2 <= asyncio.run(story()) <= 6
