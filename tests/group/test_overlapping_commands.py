"""Commands on one group at the same time take effect one after the other, whatever is slow, and
each gets an answer (P9).
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw
from msgspec.structs import replace

from ikdemo.embedding import _Here
from ikdemo.flavor.vanilla import Vanilla
from ikdemo.group.plugin import Groups
from ikdemo.group.store import Record, Store
from ikdemo.spi.decode import decode
from ikdemo.spi.documents import Description, GroupSpec, InstanceSpec
from ikdemo.spi.errors import IkdemoError, PluginFailure, SpecError, UnknownGroup


class Gate:
    """Lets calls through, or holds them until it is opened again; ``waiting`` is set when one is
    held.
    """

    def __init__(self) -> None:
        self.waiting = asyncio.Event()
        self._open = asyncio.Event()
        self._open.set()

    def close(self) -> None:
        self.waiting.clear()
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    async def passed(self) -> None:
        if not self._open.is_set():
            self.waiting.set()
            await self._open.wait()


class Machines:
    """A plain instance plugin without extensions, whose calls can be held."""

    interface = "Instance"
    offers: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self.living: dict[str, dict[str, str]] = {}
        self.made = self.peak = 0
        self.describing, self.provisioning = Gate(), Gate()

    async def validate(self, properties: Raw) -> None: ...

    async def provision(self, spec: InstanceSpec, slot: str | None = None) -> str:
        await self.provisioning.passed()
        self.made += 1
        self.living[f"i-{self.made}"] = dict(spec.tags or {})
        self.peak = max(self.peak, len(self.living))
        return f"i-{self.made}"

    async def destroy(self, instance: str) -> None:
        del self.living[instance]

    async def describe_instances(
        self, tags: Mapping[str, str], slots: bool = False
    ) -> list[Description]:
        await self.describing.passed()
        return [
            Description(one, None, has)
            for one, has in self.living.items()
            if tags.items() <= has.items()
        ]


class SlowStore:
    """Holds the saves of a group plugin until it is released, as a disk does whose flush takes
    long.
    """

    def __init__(self, groups: Groups) -> None:
        self._save, self._released = groups._store.save, threading.Event()
        self.begun = 0
        self._released.set()
        groups._store.save = self._held  # type: ignore[method-assign]

    def hold(self) -> None:
        self._released.clear()

    def release(self) -> None:
        self._released.set()

    def _held(self, record: Record) -> None:
        self.begun += 1
        assert self._released.wait(100)
        self._save(record)

    async def until(self, begun: int) -> None:
        while self.begun < begun:  # noqa: ASYNC110  counted in another thread
            await asyncio.sleep(0.001)


def spec(note: str, size: int = 3, plugin: str = "machines") -> GroupSpec:
    document = {
        "ID": "web",
        "Properties": {
            "Allocation": {"Size": size},
            "Instance": {"Plugin": plugin, "Properties": {"Note": note}},
            "Flavor": {"Plugin": "vanilla", "Properties": {}},
        },
    }
    return decode(json.dumps(document).encode(), GroupSpec)


@asynccontextmanager
async def kept(machines: Machines, state: Path | None = None, **more: Any) -> AsyncIterator[Groups]:
    groups = Groups(
        _Here({"machines": machines, "vanilla": Vanilla(), **more}),
        state_dir=state,
        poll_interval=0.05,
    )
    async with asyncio.timeout(100):
        await groups.start(lambda event: None)
        try:
            yield groups
        finally:
            await groups.stop()


async def whole(groups: Groups, group: str = "web") -> None:
    while not (await groups.describe_group(group)).converged:  # noqa: ASYNC110
        await asyncio.sleep(0.005)


async def note(groups: Groups) -> tuple[str, int]:
    (shown,) = await groups.inspect_groups()
    properties = json.loads(bytes(shown.properties))
    return properties["Instance"]["Properties"]["Note"], properties["Allocation"]["Size"]


async def paused(groups: Groups) -> bool:
    return any(reason.code == "paused" for reason in await groups.why_group("web"))


@pytest.mark.parametrize("pause_first", [True, False])
def test_a_pause_and_a_commit_at_once_both_hold(tmp_path: Path, pause_first: bool) -> None:
    async def story() -> None:
        async with kept(Machines(), tmp_path) as groups:
            store = SlowStore(groups)
            await groups.commit_group(spec("v1"))
            await whole(groups)
            store.hold()
            begun = store.begun
            one, other = groups.pause_group("web"), groups.commit_group(spec("v2"))
            first = asyncio.create_task(one if pause_first else other)
            await store.until(begun + 1)
            second = asyncio.create_task(other if pause_first else one)
            for _ in range(20):
                await asyncio.sleep(0)
            store.release()
            await asyncio.gather(first, second)
            assert await note(groups) == ("v2", 3)
            assert await paused(groups)

    asyncio.run(story())
    (record,) = Store(tmp_path).open()
    assert record.paused
    assert b"v2" in bytes(record.properties.instance.properties)


def test_a_scale_during_whose_look_a_commit_is_answered_does_not_undo_it() -> None:
    async def story() -> None:
        machines = Machines()
        async with kept(machines) as groups:
            await groups.commit_group(spec("v1"))
            await whole(groups)
            await groups.pause_group("web")  # so that nobody else describes
            machines.describing.close()
            scaling = asyncio.create_task(groups.scale_group("web", 4))
            await machines.describing.waiting.wait()
            committing = asyncio.create_task(groups.commit_group(spec("v2")))
            machines.describing.open()
            await asyncio.gather(scaling, committing)
            assert (await note(groups))[0] == "v2"

    asyncio.run(story())


def test_two_first_commits_at_once_are_one_and_a_replacement() -> None:
    async def story() -> None:
        async with kept(Machines()) as groups:
            said = await asyncio.gather(
                groups.commit_group(spec("v1")), groups.commit_group(spec("v1", 5))
            )
            assert sorted(said) == [
                "Adding 2 instances to increase the group size to 5",
                "Managing 3 instances",
            ]
            assert await note(groups) == ("v1", 5)

    asyncio.run(story())


def test_a_commit_beside_a_free_begins_no_second_loop() -> None:
    async def story() -> None:
        machines = Machines()
        async with kept(machines) as groups:
            machines.provisioning.close()
            await groups.commit_group(spec("v1", 5))
            await machines.provisioning.waiting.wait()
            freeing = asyncio.create_task(groups.free_group("web"))
            while (await groups.list_groups()) != []:  # noqa: ASYNC110
                await asyncio.sleep(0)
            committing = asyncio.create_task(groups.commit_group(spec("v1", 5)))
            others = ["other-0", "other-1", "other-2"]
            for other in others:  # as long as they need for the same
                await groups.commit_group(replace(spec("v1", 1), id=other))
            assert not committing.done()  # the former loop has a call under way
            machines.provisioning.open()
            assert await asyncio.gather(freeing, committing) == [None, "Managing 5 instances"]
            for group in ["web", *others]:
                await whole(groups, group)
            await groups.step_group("web")
            await groups.step_group("web")
            assert (machines.made, machines.peak) == (5 + 3, 5 + 3)

    asyncio.run(story())


@pytest.mark.parametrize("command", ["pause", "resume", "scale", "destroy"])
def test_a_freed_group_does_not_come_back_by_another_command(tmp_path: Path, command: str) -> None:
    async def story() -> None:
        async with kept(Machines(), tmp_path) as groups:
            store = SlowStore(groups)
            await groups.commit_group(spec("v1"))
            await whole(groups)
            store.hold()
            begun = store.begun
            freeing = asyncio.create_task(groups.free_group("web"))
            await store.until(begun + 1)
            calls = {
                "pause": lambda: groups.pause_group("web"),
                "resume": lambda: groups.resume_group("web"),
                "scale": lambda: groups.scale_group("web", 4),
                "destroy": lambda: groups.destroy_group("web"),
            }
            other = asyncio.create_task(calls[command]())
            for _ in range(20):
                await asyncio.sleep(0)
            store.release()
            await freeing
            with pytest.raises(UnknownGroup):
                await other
            assert await groups.list_groups() == []

    asyncio.run(story())
    assert Store(tmp_path).open() == []


def test_a_change_is_made_wholly_although_its_caller_goes_away(tmp_path: Path) -> None:
    async def story() -> None:
        async with kept(Machines(), tmp_path) as groups:
            store = SlowStore(groups)
            await groups.commit_group(spec("v1"))
            await whole(groups)
            store.hold()
            begun = store.begun
            for call in (groups.commit_group(spec("v2")), groups.free_group("web")):
                leaving = asyncio.create_task(call)
                await store.until(begun + 1)
                leaving.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await leaving
                store.release()
                if call.__name__ == "commit_group":
                    while (await note(groups))[0] != "v2":  # noqa: ASYNC110
                        await asyncio.sleep(0.001)
                    await whole(groups)
                    store.hold()
                    begun = store.begun
            while groups._supervisors:  # noqa: ASYNC110
                await asyncio.sleep(0.001)

    asyncio.run(story())
    assert Store(tmp_path).open() == []


@pytest.mark.parametrize("end", ["stop", "free"])
def test_a_step_whose_pass_hangs_is_answered_when_its_loop_ends(
    end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ikdemo.group.supervisor.STOP_WAIT", 0.05)

    async def story() -> None:
        machines = Machines()
        async with kept(machines) as groups:
            await groups.commit_group(spec("v1"))
            await whole(groups)
            machines.describing.close()
            step = asyncio.create_task(groups.step_group("web"))
            await machines.describing.waiting.wait()
            next_step = asyncio.create_task(groups.step_group("web"))
            await asyncio.sleep(0)
            await (groups.stop() if end == "stop" else groups.free_group("web"))
            by = "the group plugin stopped" if end == "stop" else "a free"
            for waiting in (step, next_step):
                with pytest.raises(PluginFailure, match=f"overtaken by {by}"):
                    await waiting

    asyncio.run(story())


def test_a_step_that_a_commit_overtakes_is_made_with_what_is_wanted_then() -> None:
    async def story() -> None:
        machines = Machines()
        async with kept(machines) as groups:
            await groups.commit_group(spec("v1"))
            await whole(groups)
            await groups.pause_group("web")
            machines.describing.close()
            step = asyncio.create_task(groups.step_group("web"))
            await machines.describing.waiting.wait()
            scaling = asyncio.create_task(groups.scale_group("web", 4))
            machines.describing.open()
            await scaling
            done = await step
            assert len(machines.living) == 3 + len(done.outcomes)

    asyncio.run(story())


def test_a_destroy_that_is_overtaken_by_a_free_says_so() -> None:
    async def story() -> None:
        machines = Machines()

        async def stuck(instance: str) -> None:
            raise PluginFailure("not today")

        machines.destroy = stuck  # type: ignore[method-assign]
        async with kept(machines) as groups:
            await groups.commit_group(spec("v1"))
            await whole(groups)
            destroying = asyncio.create_task(groups.destroy_group("web"))
            while await groups.inspect_groups():  # noqa: ASYNC110
                await asyncio.sleep(0)
            assert [one.id for one in await groups.list_groups()] == ["web"]
            assert any("being destroyed" in reason.text for reason in await groups.why_group("web"))
            with pytest.raises(
                PluginFailure,
                match="is being destroyed; to let it go at once: ikdemo group free --force web",
            ):
                await groups.force_free("web", force=False)
            freed = await groups.force_free("web", force=True)
            assert freed.left == tuple(sorted(machines.living))
            with pytest.raises(IkdemoError, match=r"overtaken by a free|is not being watched"):
                await destroying
            assert await groups.list_groups() == []

    asyncio.run(story())


def test_a_freed_group_whose_record_cannot_be_removed_does_not_come_back(tmp_path: Path) -> None:
    async def story() -> None:
        async with kept(Machines(), tmp_path) as groups:
            await groups.commit_group(spec("v1"))
            await whole(groups)

            def refuse(group: str) -> None:
                raise PluginFailure("no")

            groups._store.remove = refuse  # type: ignore[method-assign]
            await groups.free_group("web")
            assert await groups.list_groups() == []
        async with kept(Machines(), tmp_path) as groups:
            assert await groups.list_groups() == []

    asyncio.run(story())
    assert Store(tmp_path).open() == []


def test_a_destroy_says_that_the_record_of_a_group_without_instances_cannot_be_removed() -> None:
    async def story() -> None:
        machines = Machines()
        async with kept(machines) as groups:
            await groups.commit_group(spec("v1"))
            await whole(groups)
            remove = groups._store.remove

            def refuse(group: str) -> None:
                raise PluginFailure("remove web: no space left on device")

            groups._store.remove = refuse  # type: ignore[method-assign]
            with pytest.raises(IkdemoError, match="no space left on device"):
                await groups.destroy_group("web")
            assert machines.living == {}
            groups._store.remove = remove  # type: ignore[method-assign]
            await groups.destroy_group("web")
            assert await groups.list_groups() == []

    asyncio.run(story())


def test_a_group_with_instances_cannot_be_given_another_instance_plugin() -> None:
    async def story() -> None:
        machines, others = Machines(), Machines()
        async with kept(machines, others=others) as groups:
            await groups.commit_group(spec("v1"))
            await whole(groups)
            for pretend in (True, False):
                with pytest.raises(SpecError, match="scale it to 0") as refused:
                    await groups.commit_group(spec("v1", plugin="others"), pretend)
                assert refused.value.path == "$.Properties.Instance.Plugin"
            await groups.scale_group("web", 0)
            await whole(groups)
            assert machines.living == {}
            await groups.commit_group(spec("v1", plugin="others"))
            await whole(groups)
            assert (len(machines.living), len(others.living)) == (0, 3)
            await groups.destroy_group("web")
            assert others.living == {}

    asyncio.run(story())


def test_what_is_asked_of_a_plugin_without_slots_is_written_down_before_it_is_asked(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        machines = Machines()
        async with kept(machines, tmp_path) as groups:
            machines.provisioning.close()
            await groups.commit_group(spec("v1"))
            await machines.provisioning.waiting.wait()
            (stored,) = tmp_path.glob("*.json")  # noqa: ASYNC240  as a plugin that is killed now leaves it
            assert sorted(json.loads(stored.read_text())["expected"]) == ["0", "1", "2"]
            machines.provisioning.open()
            await whole(groups)

    asyncio.run(story())
