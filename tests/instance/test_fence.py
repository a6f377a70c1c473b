"""Of two leaders the later one acts: file and process plugins refuse the older one from the claim
on, across restarts, and a claim is answered when all that the older one began is over.
"""
# ruff: noqa: ASYNC240  nothing else runs in these loops

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from marked import marked
from msgspec import Raw

from ikdemo.instance import fence
from ikdemo.instance.file.plugin import FileInstances
from ikdemo.instance.process.plugin import ProcessInstances
from ikdemo.spi.documents import InstanceSpec
from ikdemo.spi.errors import CorruptState, Fenced, PluginFailure

Kind = Callable[[Path], FileInstances | ProcessInstances]


def spec(group: str = "web", command: str = "exec sleep 1000") -> InstanceSpec:
    properties = Raw(json.dumps({"Command": ["sh", "-c", command]}).encode())
    return InstanceSpec(properties, {"infrakit.group": group, "infrakit.config_sha": "s"})


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """Give a plugin's directory; processes that are left at the end are killed."""
    yield tmp_path / "p"
    for pid in marked(tmp_path / "p"):
        os.kill(pid, signal.SIGKILL)


@asynccontextmanager
async def started(kind: Kind, directory: Path) -> AsyncIterator[Any]:
    plugin = kind(directory)
    await plugin.start(lambda event: None)
    try:
        yield plugin
    finally:
        await plugin.stop()


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 100))


async def living(plugin: Any, group: str = "web") -> list[str]:
    return [one.id for one in await plugin.describe_instances({"infrakit.group": group})]


def epochs(directory: Path) -> dict[str, int]:
    found: dict[str, int] = json.loads((directory / fence.FILE).read_text())["Epochs"]
    return found


async def assert_fenced(acting: Coroutine[Any, Any, Any], epoch: int, begun: int) -> None:
    with pytest.raises(Fenced, match=rf"^fenced: epoch {epoch} is over, {begun} has begun$"):
        await acting


@pytest.mark.parametrize("kind", [FileInstances, ProcessInstances])
def test_after_a_claim_an_older_leader_is_refused_and_others_are_not(
    directory: Path, kind: Kind
) -> None:
    async def story() -> None:
        async with started(kind, directory) as plugin:
            await plugin.claim("web", 7)
            old = await plugin.provision(spec(), "0", 7)
            await plugin.claim("web", 9)
            before = await living(plugin)
            await assert_fenced(plugin.provision(spec(), "0", 7), 7, 9)
            await assert_fenced(plugin.provision(spec(), "1", 8), 8, 9)
            await assert_fenced(plugin.destroy(old, 7), 7, 9)
            await assert_fenced(plugin.claim("web", 8), 8, 9)
            assert await living(plugin) == before == [old]

            assert await plugin.provision(spec(), "0", 9) == old
            await plugin.claim("web", 9)
            await plugin.destroy(old, 9)
            for unclaimed in (
                plugin.provision(spec(), "0", 10),
                plugin.provision(spec("x"), "0", 1),
            ):
                with pytest.raises(PluginFailure, match="has not been claimed"):
                    await unclaimed

            # who has no epoch, and another group, are as they were
            plain = await plugin.provision(spec())
            await plugin.destroy(plain)
            await plugin.claim("other", 1)
            await plugin.destroy(await plugin.provision(spec("other"), "0", 1), 1)
            assert await living(plugin) == []
            with pytest.raises(PluginFailure) as missing:
                await plugin.destroy(plain, 7)
            assert "fenced" not in str(missing.value)

    run(story)


@pytest.mark.parametrize("kind", [FileInstances, ProcessInstances])
def test_what_was_claimed_outlives_the_plugin(directory: Path, kind: Kind) -> None:
    async def story() -> None:
        async with started(kind, directory) as plugin:
            await plugin.claim("web", 7)
            await plugin.claim("web", 9)
            await plugin.claim("ä / \n", 2**63 - 1)
            made = await plugin.provision(spec(), "0", 9)
        async with started(kind, directory) as plugin:
            await assert_fenced(plugin.claim("web", 7), 7, 9)
            await assert_fenced(plugin.provision(spec(), "1", 8), 8, 9)
            await assert_fenced(plugin.destroy(made, 7), 7, 9)
            await assert_fenced(plugin.claim("ä / \n", 2**63 - 2), 2**63 - 2, 2**63 - 1)
            await plugin.destroy(made, 9)
            assert await living(plugin) == []

    run(story)
    assert epochs(directory) == {"web": 9, "ä / \n": 2**63 - 1}


CLAIMER = """
import asyncio, sys
from ikdemo.instance.file.plugin import FileInstances

async def main():
    plugin = FileInstances(sys.argv[1])
    await plugin.start(lambda event: None)
    for epoch in range(int(sys.argv[2]), 10**6):
        await plugin.claim("web", epoch)
        print(epoch, flush=True)

asyncio.run(main())
"""


def test_a_plugin_killed_at_any_moment_knows_every_claim_that_it_answered(directory: Path) -> None:
    answered = 0
    for answers in (1, 2, 3, 5, 8, 13):
        claiming = subprocess.Popen(
            [sys.executable, "-c", CLAIMER, str(directory), str(answered + 1)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert claiming.stdout is not None
        for _ in range(answers):
            answered = int(claiming.stdout.readline())
        claiming.kill()
        rest = claiming.stdout.read().split("\n")[:-1]  # what it had still answered
        claiming.wait()
        claiming.stdout.close()
        answered = int(rest[-1]) if rest else answered
        # the claim under way may have become durable, and no later one
        assert epochs(directory)["web"] in (answered, answered + 1)
        answered = epochs(directory)["web"]


def test_a_claim_waits_until_what_an_older_leader_began_is_over(directory: Path) -> None:
    async def story() -> None:
        async with started(lambda path: ProcessInstances(path, grace=1000), directory) as plugin:
            await plugin.claim("web", 7)
            asked = directory.parent / "asked"
            deaf = spec(command=f"trap 'touch {asked}' TERM; while :; do sleep 0.01; done")
            made = await plugin.provision(deaf, "0", 7)
            (described,) = await plugin.describe_instances({})
            ending = asyncio.create_task(plugin.destroy(made, 7))
            while not asked.exists():  # noqa: ASYNC110  no event tells
                await asyncio.sleep(0.01)
            try:
                ending.cancel()  # as when the old leader is killed: the ending goes on all the same
                claiming = asyncio.create_task(plugin.claim("web", 9))
                while not (directory / fence.FILE).exists() or epochs(directory)["web"] < 9:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                await plugin.claim("other", 9)  # is written after it, and has nothing to wait for
                await asyncio.sleep(0)
                assert not claiming.done()
                # but nothing of the older one begins any more
                await assert_fenced(plugin.provision(spec(), "1", 7), 7, 9)
            finally:
                os.kill(int(described.tags["pid"]), signal.SIGKILL)
            await claiming
            assert await living(plugin) == []

    run(story)


def test_a_claim_that_cannot_wait_longer_says_so_and_may_be_made_again(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fence, "CLAIM_WAIT", 0.05)

    async def story() -> None:
        guard, held = fence.Fence(), asyncio.Event()
        directory.mkdir()
        opened = os.open(directory, os.O_RDONLY)
        guard.open(opened)
        await guard.claim("web", 7, opened)

        async def slow() -> str:
            await held.wait()
            return "made"

        acting = asyncio.create_task(guard.act("web", 7, slow))
        await asyncio.sleep(0)
        await guard.claim("other", 9, opened)
        for _ in range(2):
            with pytest.raises(PluginFailure, match="what an older one began is not over"):
                await guard.claim("web", 9, opened)
        with pytest.raises(Fenced):
            guard.check("web", 7)
        held.set()
        await guard.claim("web", 9, opened)
        assert acting.done()
        assert await acting == "made"
        await guard.close()
        os.close(opened)

    run(story)


def test_of_claims_at_the_same_time_the_greatest_stays(directory: Path) -> None:
    async def story() -> None:
        async with started(FileInstances, directory) as plugin:
            for first in range(1, 200, 20):
                claims = [plugin.claim("web", first + (7 * n) % 20) for n in range(20)]
                answers = await asyncio.gather(*claims, return_exceptions=True)
                assert {type(one) for one in answers} <= {type(None), Fenced}
                assert epochs(directory) == {"web": first + 19}
                await plugin.claim("web", first + 19)

    run(story)


def test_a_claim_needs_the_directory_in_which_it_is_kept(directory: Path) -> None:
    async def story() -> None:
        for kind in (FileInstances, ProcessInstances):
            async with started(kind, directory) as plugin:
                await plugin.claim("web", 9)
                moved = directory.rename(directory.parent / "moved")
                with pytest.raises(PluginFailure):
                    await plugin.claim("web", 10)
                directory.mkdir()
                with pytest.raises(PluginFailure):
                    await plugin.claim("web", 10)
                assert not (directory / fence.FILE).exists()
                directory.rmdir()
                moved.rename(directory)
                await plugin.claim("web", 10)
                assert epochs(directory) == {"web": 10}
            shutil.rmtree(directory)

    run(story)


def test_a_file_plugin_whose_directory_was_deleted_forgets_no_claim(directory: Path) -> None:
    async def story() -> None:
        async with started(FileInstances, directory) as plugin:
            await plugin.claim("web", 9)
            shutil.rmtree(directory)
            directory.mkdir()
            await assert_fenced(plugin.provision(spec(), "0", 7), 7, 9)
            assert epochs(directory) == {"web": 9}

    run(story)


@pytest.mark.parametrize("kind", [FileInstances, ProcessInstances])
@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"Epochs":{"web":"9"}}', '{"Epochs":{"web":0}}']
)
def test_a_file_of_epochs_that_makes_no_sense_lets_no_plugin_begin(
    directory: Path, kind: Kind, text: str
) -> None:
    directory.mkdir()
    (directory / fence.FILE).write_text(text)

    async def story() -> None:
        with pytest.raises(CorruptState) as caught:
            await kind(directory).start(lambda event: None)
        assert str(directory / fence.FILE) in str(caught.value)
        assert "\n" not in str(caught.value)
        (directory / fence.FILE).unlink()
        async with started(kind, directory) as plugin:
            await plugin.claim("web", 1)

    run(story)


def test_what_is_kept_is_bounded(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fence, "LIMIT", 200)

    async def story() -> None:
        async with started(FileInstances, directory) as plugin:
            await plugin.claim("web", 1)
            with pytest.raises(PluginFailure, match="cannot be claimed"):
                await plugin.claim("x" * 300, 1)
            await plugin.claim("web", 2)
        async with started(FileInstances, directory) as plugin:
            await assert_fenced(plugin.claim("web", 1), 1, 2)

    run(story)


def test_a_claim_that_cannot_be_written_is_no_claim(directory: Path) -> None:
    async def story() -> None:
        async with started(FileInstances, directory) as plugin:
            await plugin.claim("web", 7)
            await plugin.provision(spec(), "0", 7)
            (directory / fence.FILE).unlink()
            (directory / fence.FILE).mkdir()  # so that no file can take its place
            for _ in range(2):
                with pytest.raises(PluginFailure):
                    await plugin.claim("web", 9)
            await assert_fenced(plugin.provision(spec(), "1", 7), 7, 9)
            (directory / fence.FILE).rmdir()
            await plugin.claim("web", 9)
            assert epochs(directory) == {"web": 9}

    run(story)
