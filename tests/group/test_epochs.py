"""A group has the epoch of the latest leader that committed it; an older one is refused, across
restarts. Of two group plugins the one with the later epoch acts, and the other one says why not.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ikdemo.embedding import _Here
from ikdemo.flavor.vanilla import Vanilla
from ikdemo.group.plugin import Groups
from ikdemo.group.store import Record, Store
from ikdemo.instance import fence
from ikdemo.instance.file.plugin import FileInstances
from ikdemo.rpc.event_ring import EventRing
from ikdemo.spi.decode import decode
from ikdemo.spi.documents import GroupSpec, InstanceSpec
from ikdemo.spi.errors import Fenced, PluginFailure, PluginUnavailable
from ikdemo.spi.events import Cursor, Event


def spec(size: int = 3, note: str = "v1") -> GroupSpec:
    document = {
        "ID": "web",
        "Properties": {
            "Allocation": {"Size": size},
            "Instance": {"Plugin": "files", "Properties": {"Note": note}},
            "Flavor": {"Plugin": "vanilla", "Properties": {}},
        },
    }
    return decode(json.dumps(document).encode(), GroupSpec)


class Files(FileInstances):
    """A file plugin that notes what it is asked for, with which epoch, and what it refused; calls
    of an epoch can be held.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.asked: list[tuple[str, int | None]] = []
        self.refused: list[tuple[str, int | None]] = []
        self.held: dict[int | None, asyncio.Event] = {}
        self.waiting = asyncio.Event()

    async def claim(self, group: str, epoch: int) -> None:
        await self._noted("claim", epoch, lambda: super(Files, self).claim(group, epoch))

    async def provision(
        self, spec: InstanceSpec, slot: str | None = None, epoch: int | None = None
    ) -> str:
        if epoch in self.held:
            self.waiting.set()
            await self.held[epoch].wait()
        return await self._noted(
            "provision", epoch, lambda: super(Files, self).provision(spec, slot, epoch)
        )

    async def destroy(self, instance: str, epoch: int | None = None) -> None:
        await self._noted("destroy", epoch, lambda: super(Files, self).destroy(instance, epoch))

    async def _noted(self, what: str, epoch: int | None, call: Callable[[], Any]) -> Any:
        self.asked.append((what, epoch))
        try:
            return await call()
        except Fenced:
            self.refused.append((what, epoch))
            raise

    @property
    def size(self) -> int:
        """How many instances there are."""
        return len(list(self._path.glob("instance-*")))


@asynccontextmanager
async def plugins(
    files: FileInstances, *states: Path | None, poll: float = 0.05
) -> AsyncIterator[list[tuple[Groups, EventRing]]]:
    """Run as many group plugins as there are state directories, over one file plugin."""
    lookup = _Here({"files": files, "vanilla": Vanilla()})
    made = [
        (Groups(lookup, state_dir=state, poll_interval=poll), EventRing("group"))
        for state in states
    ]
    async with asyncio.timeout(100):
        await files.start(lookup.rings["files"].append)
        for groups, ring in made:
            await groups.start(ring.append)
        try:
            yield made
        finally:
            for groups, _ in made:
                await groups.stop()
            await files.stop()


@asynccontextmanager
async def watched(directory: Path, state: Path | None) -> AsyncIterator[Groups]:
    async with plugins(FileInstances(directory), state) as [(groups, _)]:
        yield groups


async def whole(groups: Groups) -> None:
    while not (await groups.describe_group("web")).converged:  # noqa: ASYNC110
        await asyncio.sleep(0.005)


async def codes(groups: Groups) -> list[str]:
    return [reason.code for reason in await groups.why_group("web")]


async def until_fenced(groups: Groups) -> None:
    while "fenced" not in await codes(groups):  # noqa: ASYNC110
        await asyncio.sleep(0.005)


async def told(ring: EventRing, code: str) -> list[Event]:
    batch = await ring.watch(Cursor(), 0.0, None)
    return [event for event in batch.events if event.code == code]


def stored(state: Path) -> Record:
    store = Store(state)
    (record,) = store.open()
    store.close()
    return record


def size_of(record: Record) -> int:
    return record.properties.allocation.size


@pytest.mark.parametrize("pretend", [False, True])
def test_an_older_leader_cannot_commit_also_after_a_restart(tmp_path: Path, pretend: bool) -> None:
    async def story() -> None:
        async with watched(tmp_path / "files", tmp_path / "state") as groups:
            await groups.commit_group(spec(3), epoch=9)
            with pytest.raises(Fenced, match=r"^fenced: epoch 7 is over, 9 has begun$"):
                await groups.commit_group(spec(5), pretend, 7)
        async with watched(tmp_path / "files", tmp_path / "state") as groups:
            with pytest.raises(Fenced, match=r"^fenced: epoch 8 is over, 9 has begun$"):
                await groups.commit_group(spec(5), pretend, 8)
            await groups.commit_group(spec(4), epoch=9)
            await groups.commit_group(spec(2), True, 10)

    asyncio.run(story())
    assert (stored(tmp_path / "state").epoch, size_of(stored(tmp_path / "state"))) == (9, 4)


def test_a_commit_without_an_epoch_leaves_the_group_its_own(tmp_path: Path) -> None:
    async def story() -> None:
        async with watched(tmp_path / "files", tmp_path / "state") as groups:
            await groups.commit_group(spec(3), epoch=9)
            await groups.commit_group(spec(4))
            await groups.scale_group("web", 5)

    asyncio.run(story())
    assert (stored(tmp_path / "state").epoch, size_of(stored(tmp_path / "state"))) == (9, 5)


def test_of_two_leaders_that_commit_at_once_the_later_one_stays(tmp_path: Path) -> None:
    async def story(begun_first: int) -> None:
        async with watched(tmp_path / "files", tmp_path / "state") as groups:
            await groups.commit_group(spec(1), epoch=begun_first)
            epochs = [begun_first + 1, begun_first + 2]
            for order in (epochs, epochs[::-1]):
                await asyncio.gather(
                    *(groups.commit_group(spec(epoch, "at once"), epoch=epoch) for epoch in order),
                    return_exceptions=True,
                )
        record = stored(tmp_path / "state")
        assert (record.epoch, size_of(record)) == (epochs[1], epochs[1])

    for begun_first in (1, 4, 7):
        asyncio.run(story(begun_first))


def test_what_keeps_nothing_across_restarts_says_so(tmp_path: Path) -> None:
    lookup = _Here({})
    assert Groups(lookup, state_dir=None).offers == {"Fence", "Reconcile", "Stateless"}
    assert Groups(lookup, state_dir=tmp_path).offers == {"Fence", "Reconcile"}


def test_of_two_leaders_that_want_different_sizes_only_the_later_one_acts(tmp_path: Path) -> None:
    async def story() -> None:
        began = time.time()
        files = Files(tmp_path / "files")
        async with plugins(files, None, None) as [(old, told_by_old), (new, _)]:
            await old.commit_group(spec(6), epoch=7)
            await whole(old)
            await new.commit_group(spec(4), epoch=9)
            await whole(new)
            assert files.size == 4
            await until_fenced(old)
            claimed = files.asked.index(("claim", 9))
            after = [one for one in files.asked[claimed:] if one[1] == 7]
            assert after == files.refused, "everything of the old one was refused"

            # what the world looks like is no reason to act, nor is a person's word
            for lost in (tmp_path / "files").glob("instance-*"):
                lost.unlink()
            await whole(new)
            for _ in range(3):
                assert (await old.step_group("web")).outcomes == ()
            step = await old.plan_group("web")
            assert (step.plan.actions, step.plan.converged) == ((), False)
            assert step.plan.reasons[0].code == "fenced"
            assert "fenced: epoch 7 is over, 9 has begun" in step.plan.reasons[0].text
            assert step.plan.reasons[0].since >= began - 1
            assert not (await old.describe_group("web")).converged
            assert after == files.refused
            assert [event.kind for event in await told(told_by_old, "fenced")] == ["halted"]

            # an older leader hears it at once, a later one ends it
            for epoch in (7, 8):
                with pytest.raises(Fenced, match=rf"^fenced: epoch {epoch} is over, 9 has begun$"):
                    await old.commit_group(spec(6), epoch=epoch)
            await old.commit_group(spec(5), epoch=10)
            await whole(old)
            await until_fenced(new)
            assert files.size == 5

    asyncio.run(story())


def test_an_action_on_its_way_when_a_later_leader_claims_is_refused(tmp_path: Path) -> None:
    async def story() -> None:
        files = Files(tmp_path / "files")
        files.held[7] = asyncio.Event()
        async with plugins(files, None, None) as [(old, _), (new, _)]:
            await old.commit_group(spec(6), epoch=7)
            await files.waiting.wait()
            await new.commit_group(spec(4), epoch=9)
            await whole(new)
            files.held[7].set()
            await until_fenced(old)
            assert set(files.refused) == {("provision", 7)}
            await whole(new)
            assert files.size == 4
            assert ("destroy", 9) not in files.asked, "there was nothing to put right"

    asyncio.run(story())


def test_a_refusal_that_comes_late_is_not_about_the_leader_of_now(tmp_path: Path) -> None:
    async def story() -> None:
        files = Files(tmp_path / "files")
        files.held[7] = asyncio.Event()
        async with plugins(files, None, None, poll=3600.0) as [(old, _), (new, _)]:
            await old.commit_group(spec(6, "v7"), epoch=7)
            await files.waiting.wait()
            await new.commit_group(spec(4, "v9"), epoch=9)
            await whole(new)
            await old.commit_group(spec(4, "v9"), epoch=10)
            files.held[7].set()  # refused by 9: that was begun, and 10 has not claimed yet
            await whole(old)
            assert ("provision", 7) in files.refused
            assert ("claim", 10) in files.asked

    asyncio.run(story())


def test_the_claim_comes_before_the_first_action_and_also_where_there_is_none(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        files = Files(tmp_path / "files")
        async with plugins(files, tmp_path / "state") as [(groups, _)]:
            await groups.commit_group(spec(3))
            await whole(groups)
            assert {epoch for _, epoch in files.asked} == {None}
            files.asked.clear()
            await groups.commit_group(spec(3), epoch=4)
            while ("claim", 4) not in files.asked:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            assert {one for one, _ in files.asked} == {"claim"}
            files.asked.clear()
            await groups.scale_group("web", 4)
            await whole(groups)
            assert files.asked[0] == ("claim", 4)
            assert ("provision", 4) in files.asked
        files.asked.clear()
        async with plugins(files, tmp_path / "state") as [(groups, _)]:
            next((tmp_path / "files").glob("instance-*")).unlink()
            await whole(groups)
            assert files.asked[0] == ("claim", 4)
            assert {epoch for _, epoch in files.asked} == {4}

    asyncio.run(story())


def test_a_plugin_that_forgot_the_epoch_is_claimed_again(tmp_path: Path) -> None:
    async def story() -> None:
        files = Files(tmp_path / "files")
        async with plugins(files, None) as [(groups, _)]:
            await groups.commit_group(spec(3), epoch=4)
            await whole(groups)
            (tmp_path / "files" / fence.FILE).unlink()
            files._fence.__init__()  # type: ignore[misc]
            next((tmp_path / "files").glob("instance-*")).unlink()
            await whole(groups)
            with pytest.raises(Fenced):
                await files.claim("web", 3)

    asyncio.run(story())


def test_a_plugin_without_fence_is_asked_as_ever(tmp_path: Path) -> None:
    class Unfenced(Files):
        offers = Files.offers - {"Fence"}

    async def story() -> None:
        files = Unfenced(tmp_path / "files")
        async with plugins(files, None) as [(groups, _)]:
            await groups.commit_group(spec(3), epoch=4)
            await whole(groups)
            await groups.destroy_group("web")
        assert {what for what, _ in files.asked} == {"provision", "destroy"}
        assert {epoch for _, epoch in files.asked} == {None}

    asyncio.run(story())


def test_nothing_is_done_while_the_claim_fails(tmp_path: Path) -> None:
    class Refusing(Files):
        full = True

        async def claim(self, group: str, epoch: int) -> None:
            if self.full:
                self.asked.append(("claim", epoch))
                raise PluginFailure("write .epochs: no space left on device")
            await super().claim(group, epoch)

    async def story() -> None:
        files = Refusing(tmp_path / "files")
        async with plugins(files, None) as [(groups, _)]:
            await groups.commit_group(spec(3), epoch=4)
            while files.asked.count(("claim", 4)) < 4:  # noqa: ASYNC110  two passes
                await asyncio.sleep(0.005)
            assert set(files.asked) == {("claim", 4)}
            assert files.size == 0
            reasons = await groups.why_group("web")
            assert "no space left on device" in reasons[0].error + reasons[0].text
            files.full = False
            await groups.resume_group("web")
            await whole(groups)

    asyncio.run(story())


def test_a_fenced_group_can_be_freed_and_a_destroy_says_why_not(tmp_path: Path) -> None:
    async def story() -> None:
        files = Files(tmp_path / "files")
        async with plugins(files, tmp_path / "state", None) as [(old, _), (new, _)]:
            await old.commit_group(spec(3), epoch=7)
            await whole(old)
            await new.commit_group(spec(3), epoch=9)
            while ("claim", 9) not in files.asked:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            await old.scale_group("web", 2)
            await until_fenced(old)
            with pytest.raises(PluginUnavailable, match="fenced: epoch 7 is over, 9 has begun"):
                await old.destroy_group("web")
            await old.force_free("web", force=True)
            assert files.size == 3
            # a group plugin that forgot is refused by what it would have to ask
            await old.commit_group(spec(2), epoch=7)
            await until_fenced(old)
        async with plugins(files, tmp_path / "state") as [(old, _)]:
            await until_fenced(old)
        assert files.size == 3

    asyncio.run(story())
