"""What cannot be looked at is not known to be gone: the plugin says so in every method, loses
nothing, and goes on afterwards.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw
from msgspec import json as wire

from ikdemo.instance.file import directory
from ikdemo.instance.file.contents import Contents
from ikdemo.instance.notices import Notice
from ikdemo.spi.documents import GROUP_TAG, SHA_TAG, InstanceSpec
from ikdemo.spi.errors import PluginFailure

SPEC = InstanceSpec(Raw(b"{}"), {GROUP_TAG: "g", SHA_TAG: "s"})

UNREADABLE = """
import asyncio, os, sys
from pathlib import Path
from ikdemo.instance.file.plugin import FileInstances
from ikdemo.spi.documents import InstanceSpec
from ikdemo.spi.errors import IkdemoError

if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
home, events = Path(sys.argv[1]), []

async def ask(plugin):
    changing = plugin.provision(InstanceSpec(), "0"), plugin.destroy(made[1])
    for call in (plugin.describe_instances({}), plugin.digest_instances(""), *changing):
        try:
            await call
            return "answered"
        except IkdemoError as error:
            said = str(error)
    return said

async def main():
    plugin = FileInstances(home)
    await plugin.start(events.append)
    made.extend([await plugin.provision(InstanceSpec(), str(slot)) for slot in range(3)])
    file = home / made[0]
    (home / "theirs").write_text("")
    (home / "theirs").chmod(0)
    print(len(await plugin.describe_instances({})))
    whole = file.read_text()
    file.write_text(whole + " ")
    file.chmod(0)
    print(await ask(plugin))
    await plugin.stop()
    plugin = FileInstances(home)
    await plugin.start(events.append)
    print(await ask(plugin))
    file.chmod(0o644)
    print(len(await plugin.describe_instances({})))
    print({event.kind for event in events if event.instance}, len(list(home.iterdir())))
    for event in events:
        if event.kind == "reported":
            print(event.text)

made = []
asyncio.run(main())
"""


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Refuse this process any new descriptor."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open("/", os.O_RDONLY)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def one_by_one(take: Any, name: str) -> Any:
    """Return a way to take notices that tells the first time only of one name: the kernel tells one
    after the other.
    """
    late: list[dict[str, Notice]] = []

    def taken(notices: Any) -> Any:
        found = take(notices)
        if not late:
            late.append({other: notice for other, notice in found.items() if other != name})
            return {name: found[name]}
        return found

    return taken


def test_a_file_that_may_not_be_read_is_doubt_if_it_may_be_an_instance_also_after_a_restart() -> (
    None
):
    home = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        home.chmod(0o777)
        ran = subprocess.run(
            [sys.executable, "-c", UNREADABLE, str(home)],
            capture_output=True,
            text=True,
            check=True,
        )
        instance = next(path.name for path in home.iterdir() if path.read_text().endswith(" "))
        refused = f"open {home}/{instance}: permission denied"
        foreign = f"{home}: 'theirs' is no instance and is left alone: may not be read"
        doubt = f"{home}: what is there is not known for sure: {refused}"
        told = [foreign, doubt, *sorted([foreign, doubt])]
        answers = ["3", refused, refused, "3", "{'provisioned'} 4"]
        said = ran.stdout.splitlines()
        assert [*said[:7], *sorted(said[7:])] == [*answers, *told]
    finally:
        shutil.rmtree(home)


def test_without_a_descriptor_left_nothing_is_lost_and_nothing_is_made(
    tmp_path: Path, running: Any
) -> None:
    async def story() -> None:
        async with running(tmp_path) as (plugin, heard):
            edited, deleted, kept = [await plugin.provision(SPEC, str(slot)) for slot in range(3)]
            content = json.loads((tmp_path / edited).read_text())
            (tmp_path / edited).write_text(json.dumps({**content, "LogicalID": "new"}))
            (tmp_path / deleted).unlink()
            with no_descriptor_left():
                for call in (
                    plugin.describe_instances({}),
                    plugin.provision(SPEC, "7"),
                    plugin.destroy(kept),
                ):
                    with pytest.raises(
                        PluginFailure, match=f"^open {tmp_path}/{edited}: too many open files$"
                    ):
                        await call
            assert {d.id: d.logical_id for d in await plugin.describe_instances({})} == {
                edited: "new",
                kept: None,
            }
            assert heard.facts()[3:] == [("lost", deleted), ("reported", ""), ("changed", edited)]
            with no_descriptor_left(), pytest.raises(PluginFailure, match=r"too many open files$"):
                await plugin.provision(SPEC, "7")
            assert len(await plugin.describe_instances({})) == 2

    asyncio.run(story())


@pytest.mark.parametrize("watched", [True, False])
def test_without_a_descriptor_left_a_directory_that_cannot_be_listed_is_not_empty(
    tmp_path: Path, running: Any, monkeypatch: pytest.MonkeyPatch, watched: bool
) -> None:
    def refuse(fd: int) -> None:
        raise OSError(28, "No space left on device")

    if not watched:
        monkeypatch.setattr(directory, "Notices", refuse)

    async def story() -> None:
        async with running(tmp_path) as (plugin, heard):
            made = [await plugin.provision(SPEC, str(slot)) for slot in range(3)]
            (tmp_path / made[0]).rename(tmp_path / "elsewhere")
            with no_descriptor_left():
                for call in (
                    plugin.describe_instances({}),
                    plugin.provision(SPEC, "0"),
                    plugin.destroy(made[0]),
                ):
                    with pytest.raises(PluginFailure, match=r"too many open files$"):
                        await call
            assert {d.id for d in await plugin.describe_instances({})} == set(made)
            assert {kind for kind, _ in heard.facts()} <= {"provisioned", "reported"}

    asyncio.run(story())


@pytest.mark.parametrize("watched", [False, True])
def test_a_file_that_is_renamed_while_the_directory_is_listed_is_not_lost(
    tmp_path: Path, running: Any, monkeypatch: pytest.MonkeyPatch, watched: bool
) -> None:
    def refuse(fd: int) -> None:
        raise OSError(28, "No space left on device")

    if not watched:
        monkeypatch.setattr(directory, "Notices", refuse)
    listed, turns = Contents._listed, itertools.count()

    def listed_and_renamed(contents: Contents, fd: int) -> set[str]:
        found = listed(contents, fd)
        if next(turns) == 0:
            next(tmp_path.glob("*")).rename(tmp_path / "renamed-again")
        return found

    async def story() -> None:
        async with running(tmp_path) as (plugin, heard):
            instance = await plugin.provision(SPEC, "0")
            if watched:  # so that it is not told under which name it is now before it is listed
                (tmp_path / instance).rename(tmp_path / ".hidden")
                (tmp_path / ".hidden").rename(tmp_path / "renamed")
                monkeypatch.setattr(
                    directory.Notices, "take", one_by_one(directory.Notices.take, instance)
                )
            monkeypatch.setattr(Contents, "_listed", listed_and_renamed)
            for _ in range(2):
                assert [d.id for d in await plugin.describe_instances({})] == [instance]
            assert heard.facts() == [("provisioned", instance)]
            assert next(turns) >= 1

    asyncio.run(story())


def test_a_path_that_is_no_text_is_told_with_its_odd_bytes_replaced(
    tmp_path: Path, running: Any
) -> None:
    home = tmp_path / os.fsdecode(b"caf\xe9")

    async def story() -> None:
        async with running(home) as (plugin, heard):
            (home / os.fsdecode(b"\xff")).write_text("x")
            await plugin.describe_instances({})
            with pytest.raises(PluginFailure, match="caf\ufffd/nothing: no such file"):
                await plugin.destroy("nothing")
            home.rename(tmp_path / "away")
            with pytest.raises(PluginFailure, match="caf\ufffd: no such file"):
                await plugin.describe_instances({})
            (tmp_path / "away").rename(home)
            await plugin.describe_instances({})
            assert [event.kind for event in heard.events] == ["reported"] * 3
            wire.encode([event.text for event in heard.events])  # a lone surrogate would be refused

    asyncio.run(story())
