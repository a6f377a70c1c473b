"""A process plugin that is short of descriptors, or may not look, is in doubt: nothing is told
lost, started or ended.
"""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from lasting import run
from marked import marked
from msgspec import Raw

from ikdemo.instance import procfs
from ikdemo.instance.process.descriptors import KEPT, SpareDescriptors
from ikdemo.instance.process.plugin import ProcessInstances
from ikdemo.instance.state_files import StateFiles
from ikdemo.spi.documents import InstanceSpec
from ikdemo.spi.errors import PluginFailure
from ikdemo.spi.events import Event

SLEEPER = InstanceSpec(
    Raw(b'{"Command": ["sleep", "1000"]}'), {"infrakit.group": "g", "infrakit.config_sha": "s"}
)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "p"
    for pid in marked(tmp_path / "p"):
        os.kill(pid, signal.SIGKILL)


@contextmanager
def only(free: int) -> Iterator[None]:
    """Leave so many descriptors to open within the block; the lowest ones that are free now are
    taken as well.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened = []
    while len(opened) < free + 1:
        opened.append(os.open(os.devnull, os.O_RDONLY))
    for one in opened:
        os.close(one)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(opened), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def begin(directory: Path, **options: Any) -> tuple[ProcessInstances, list[Event]]:
    made, told = ProcessInstances(directory, **options), list[Event]()
    await made.start(told.append)
    return made, told


def files(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@pytest.mark.parametrize("free", [*range(9), 12, 20])
def test_a_start_short_of_descriptors_is_refused_and_changes_nothing(
    directory: Path, free: int
) -> None:
    async def story() -> None:
        made, _ = await begin(directory)
        ids = [await made.provision(SLEEPER, str(slot)) for slot in range(6)]
        await made.stop()
        before, living = files(directory), sorted(marked(directory))
        told: list[Event] = []
        with only(free):
            again = ProcessInstances(directory)
            with pytest.raises(PluginFailure, match="too many open files"):
                await again.start(told.append)
        assert (told, files(directory), sorted(marked(directory))) == ([], before, living)
        made, told = await begin(directory, takes_along=True)
        assert sorted(one.id for one in await made.describe_instances({})) == sorted(ids)
        assert told == []
        await made.stop()

    run(story)


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.ENOMEM, errno.ENFILE])
@pytest.mark.parametrize("file", ["stat", "json", "boot_id"])
def test_what_cannot_be_looked_at_is_not_gone(
    directory: Path, monkeypatch: pytest.MonkeyPatch, file: str, number: int
) -> None:
    async def story() -> None:
        made, _ = await begin(directory)
        await made.provision(SLEEPER, "0")
        await made.stop()
        before, living = files(directory), marked(directory)
        opened, told = os.open, list[Event]()

        def refusing(path: Any, *rest: Any, **named: Any) -> int:
            if str(path).endswith(file) and str(path) != "/proc/self/stat":
                raise OSError(number, os.strerror(number))
            return opened(path, *rest, **named)

        procfs.boot.cache_clear()
        with monkeypatch.context() as patched:
            patched.setattr(os, "open", refusing)
            if (file, number) != ("json", errno.EACCES):  # that file is no record, which is said
                with pytest.raises(PluginFailure, match=os.strerror(number).lower()):
                    await ProcessInstances(directory).start(told.append)
                assert told == []
        assert (files(directory), marked(directory)) == (before, living)

    run(story)


def test_a_record_that_is_none_costs_no_process_its_life(directory: Path) -> None:
    async def story() -> None:
        made, _ = await begin(directory)
        instance = await made.provision(SLEEPER, "0")
        await made.stop()
        (directory / f"{instance}.json").write_text("{")
        before, living = files(directory), marked(directory)
        made, told = await begin(directory)
        assert [event.kind for event in told] == ["reported"]
        assert "as are processes of that name" in told[0].text
        await made.stop()
        assert (files(directory), marked(directory)) == (before, living)

    run(story)


@pytest.mark.parametrize("free", [*range(8), KEPT - 1])
def test_nothing_is_begun_without_descriptors_and_what_lives_can_still_be_ended(
    directory: Path, free: int
) -> None:
    async def story() -> None:
        made, told = await begin(directory)
        ids = [await made.provision(SLEEPER, str(slot)) for slot in range(3)]
        told.clear()
        before, living = files(directory), sorted(marked(directory))
        with only(free):
            with pytest.raises(
                PluginFailure,
                match="no room to start a process: fewer than 16 file descriptors are free",
            ):
                await made.provision(SLEEPER, "3")
            assert len(await made.describe_instances({})) == 3
        assert (told, files(directory), sorted(marked(directory))) == ([], before, living)
        with only(free):
            await made.destroy(ids[0])
            await asyncio.gather(*map(made.destroy, ids[1:]))
        assert [event.kind for event in told] == ["destroyed"] * 3
        assert (files(directory), marked(directory)) == ([], [])
        await made.stop()

    run(story)


@pytest.mark.parametrize("failing", ["hold", "write"])
def test_a_process_that_cannot_be_taken_up_is_ended(
    directory: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    async def story() -> None:
        made, told = await begin(directory)

        def refused(*_: Any) -> Any:
            if failing == "hold":
                raise OSError(errno.EMFILE, "Too many open files")
            raise PluginFailure("write: too many open files")

        with monkeypatch.context() as patched:
            if failing == "hold":
                patched.setattr(os, "pidfd_open", refused)
            else:
                patched.setattr(StateFiles, "write", refused)
            with pytest.raises(PluginFailure, match="too many open files"):
                await made.provision(SLEEPER, "0")
        assert (await made.describe_instances({}), files(directory), marked(directory)) == (
            [],
            [],
            [],
        )
        assert [event.kind for event in told if event.kind == "lost"] == []
        await made.stop()

    run(story)


def test_spare_descriptors_are_there_when_all_others_are_in_use() -> None:
    spare = SpareDescriptors(3)
    with only(0):
        with pytest.raises(OSError, match="Too many open files"):
            os.open(os.devnull, os.O_RDONLY)
        with spare:
            for one in [os.open(os.devnull, os.O_RDONLY) for _ in range(3)]:
                os.close(one)
        assert len(spare) == 3
    spare.close()
