"""A loop and a watch that end unexpectedly say so and are begun again; polls are an hour away, so
nothing else would heal.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

import pytest

from ikdemo.embedding import _Here
from ikdemo.flavor.vanilla import Vanilla
from ikdemo.group import subscriptions, supervisor
from ikdemo.group.observer import Observer
from ikdemo.group.plugin import Groups
from ikdemo.instance.file.plugin import FileInstances
from ikdemo.spi.contracts import Plugin
from ikdemo.spi.decode import decode
from ikdemo.spi.documents import GroupSpec
from ikdemo.spi.events import EventBatch

SIZE = 3
SECTIONS = {
    "Instance": {"Plugin": "files", "Properties": {}},
    "Flavor": {"Plugin": "flavor", "Properties": {}},
}
SPEC = {"ID": "web", "Properties": {"Allocation": {"Size": SIZE}, **SECTIONS}}


class Breaking(_Here):
    """A lookup whose event streams break, with an error that nobody foresaw, or just end, when they
    are told to.
    """

    def __init__(self, plugins: Mapping[str, Plugin]) -> None:
        super().__init__(plugins)
        self.begun = 0
        self.breaks: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def events(self, name: str) -> AsyncIterator[EventBatch]:
        if name != "files":
            await asyncio.Event().wait()
        self.begun += 1
        following = super().events(name)
        while True:
            batch = asyncio.ensure_future(anext(following))
            await asyncio.wait([batch, self.breaks], return_when=asyncio.FIRST_COMPLETED)
            if self.breaks.done():
                batch.cancel()
                self.breaks, broken = asyncio.get_running_loop().create_future(), self.breaks
                broken.result()
                return
            yield await batch


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "RECONNECT_AFTER", 0.01)
    monkeypatch.setattr(supervisor, "RESTART_AFTER", 0.01)


def run(folder: Path, story: Callable[[Breaking, Groups], Awaitable[None]]) -> None:
    async def told() -> None:
        files = FileInstances(folder)
        here = Breaking({"files": files, "flavor": Vanilla()})
        groups = Groups(here, state_dir=None, poll_interval=3600.0)
        await groups.start(lambda event: None)
        await files.start(here.rings["files"].append)
        try:
            async with asyncio.timeout(100):
                await groups.commit_group(decode(json.dumps(SPEC).encode(), GroupSpec))
                await until(lambda: len(living(folder)) == SIZE)
                await story(here, groups)
        finally:
            await groups.stop()
            await files.stop()

    asyncio.run(told())


async def until(holds: Callable[[], object]) -> None:
    while not holds():  # noqa: ASYNC110
        await asyncio.sleep(0.005)


def living(folder: Path) -> list[Path]:
    return sorted(folder.glob("instance-*"))


async def heals(folder: Path) -> None:
    target = living(folder)[0]
    target.unlink()
    await until(lambda: len(living(folder)) == SIZE and target not in living(folder))


def test_a_loop_that_ends_unexpectedly_is_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failing = [ZeroDivisionError("one over nothing")]
    due = Observer.seconds_to_poll

    def seconds_to_poll(observer: Observer) -> float:
        if failing:
            raise failing.pop()
        return due(observer)

    monkeypatch.setattr(Observer, "seconds_to_poll", seconds_to_poll)

    async def story(here: Breaking, groups: Groups) -> None:
        await until(lambda: not failing)
        await heals(tmp_path)

    run(tmp_path, story)
    assert "The loop of group web ended unexpectedly and is begun again" in caplog.text


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("one over nothing"), None], ids=["error", "end"]
)
def test_a_watch_that_ends_unexpectedly_is_begun_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, error: Exception | None
) -> None:
    async def story(here: Breaking, groups: Groups) -> None:
        await until(lambda: here.begun == 1)
        if error is None:
            here.breaks.set_result(None)
        else:
            here.breaks.set_exception(error)
        await until(lambda: here.begun == 2)
        await heals(tmp_path)
        await groups.describe_group("web")

    run(tmp_path, story)
    said = "Following the events of plugin files ended unexpectedly and is begun again"
    assert (said in caplog.text) == (error is not None)
