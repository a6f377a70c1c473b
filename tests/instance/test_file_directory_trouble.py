"""An instance directory that is missing, taken, forbidden, or that vanishes and comes back."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

from ikdemo.disk import Lease
from ikdemo.instance.file.plugin import FileInstances
from ikdemo.spi.documents import GROUP_TAG, SHA_TAG, InstanceSpec
from ikdemo.spi.errors import IkdemoError, InUse, PluginFailure

SPEC = InstanceSpec(Raw(b"{}"), {GROUP_TAG: "g", SHA_TAG: "s"})

OWNER = """
import asyncio, sys
from ikdemo.instance.file.plugin import FileInstances
from ikdemo.spi.documents import InstanceSpec

async def main():
    plugin = FileInstances(sys.argv[1])
    await plugin.start(lambda event: None)
    print(await plugin.provision(InstanceSpec(), "0"), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""

START_AS_NOBODY = """
import asyncio, os, sys
from ikdemo.instance.file.plugin import FileInstances
from ikdemo.spi.errors import IkdemoError

if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
try:
    asyncio.run(FileInstances(sys.argv[1]).start(print))
except IkdemoError as error:
    print(error)
"""


def refusal_of(path: Path) -> str:
    """Start a plugin on ``path`` and return the one sentence with which it refuses."""
    with pytest.raises(IkdemoError) as caught:
        asyncio.run(FileInstances(path).start(print))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_directory_that_cannot_be_had_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert (
        refusal_of(tmp_path / "no" / "such")
        == f"create {tmp_path}/no/such: its parent folder does not exist"
    )
    assert refusal_of(tmp_path / "file") == f"open {tmp_path}/file: not a directory"
    assert refusal_of(tmp_path / "file" / "i") == f"create {tmp_path}/file/i: not a directory"


def test_a_read_only_directory_is_refused_in_one_sentence() -> None:
    home = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        (home / "i").mkdir(mode=0o555)
        home.chmod(0o555)
        for path, sentence in ((home / "i", "write to"), (home / "new", "create")):
            ran = subprocess.run(
                [sys.executable, "-c", START_AS_NOBODY, str(path)],
                capture_output=True,
                text=True,
                check=True,
            )
            assert (ran.stdout, ran.stderr) == (f"{sentence} {path}: permission denied\n", "")
    finally:
        home.chmod(0o755)
        shutil.rmtree(home)


def test_the_second_owner_is_refused_until_the_first_is_killed_and_then_takes_over_at_once(
    tmp_path: Path, running: Any
) -> None:
    home = tmp_path / "i"
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(home)], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        instance = owner.stdout.readline().strip()
        assert refusal_of(home) == f"{home} is in use by pid {owner.pid}"
        (home / ".ikdemo-1-1.tmp").write_text("left half-writ")
        os.kill(owner.pid, signal.SIGKILL)
        owner.wait()

        async def story() -> None:
            async with running(home) as (plugin, heard):
                assert [d.slot for d in await plugin.describe_instances({}, slots=True)] == ["0"]
                assert await plugin.provision(InstanceSpec(), "0") == instance
                assert heard.events == []

        asyncio.run(story())
    assert [path.name for path in home.iterdir()] == [instance]


@pytest.mark.parametrize("how", ["deleted", "moved away", "parent moved away"])
def test_a_missing_directory_is_no_empty_world_and_works_again_when_it_is_back(
    tmp_path: Path, running: Any, how: str
) -> None:
    home = tmp_path / "parent" / "i"
    home.parent.mkdir()
    gone, away = (
        (home.parent, tmp_path / "away")
        if how == "parent moved away"
        else (home, tmp_path / "away")
    )

    async def story() -> None:
        async with running(home) as (plugin, heard):
            instance = await plugin.provision(SPEC, "0")
            shutil.rmtree(gone) if how == "deleted" else gone.rename(away)
            for call in (
                plugin.describe_instances({}),
                plugin.provision(SPEC, "0"),
                plugin.destroy(instance),
            ):
                with pytest.raises(
                    PluginFailure, match=f"^open {re.escape(str(home))}: no such file or directory$"
                ):
                    await call
            assert (await heard.next("reported")).text.startswith(f"{home} is gone")
            home.mkdir(mode=0o700) if how == "deleted" else away.rename(gone)
            assert (await heard.next("reported")).text == f"{home} is back"  # without any call
            assert [d.id for d in await plugin.describe_instances({})] == (
                [] if how == "deleted" else [instance]
            )
            assert heard.facts().count(("lost", instance)) == (1 if how == "deleted" else 0)
            second = await plugin.provision(SPEC, "1")
            (home / second).unlink()
            assert (await heard.next("lost")).instance == second
            with pytest.raises(InUse):
                Lease(home)

    asyncio.run(story())


def test_another_directory_in_the_same_place_is_doubt_until_the_first_is_back(
    tmp_path: Path, running: Any
) -> None:
    home = tmp_path / "i"

    async def story() -> None:
        async with running(home) as (plugin, heard):
            kept, lost = await plugin.provision(SPEC, "0"), await plugin.provision(SPEC, "1")
            home.rename(tmp_path / "old")
            home.mkdir()
            shutil.copy(tmp_path / "old" / kept, home / kept)
            calls = [
                plugin.describe_instances({}),
                plugin.provision(SPEC, "0"),
                plugin.destroy(kept),
                plugin.digest_instances("g"),
            ]
            for call in calls:
                with pytest.raises(
                    PluginFailure,
                    match=f"^{re.escape(str(home))} is another directory than the one that "
                    "was taken",
                ):
                    await call
            assert [path.name for path in home.iterdir()] == [kept]
            (tmp_path / "old" / lost).unlink()
            home.rename(tmp_path / "other")
            (tmp_path / "old").rename(home)
            assert (await heard.next("lost")).instance == lost  # without any call
            assert [d.id for d in await plugin.describe_instances({})] == [kept]
            assert heard.facts().count(("reported", "")) == 2

    asyncio.run(story())


def test_a_deleted_directory_is_succeeded_by_the_next_one_which_is_compared_with_it(
    tmp_path: Path, running: Any
) -> None:
    home = tmp_path / "i"

    async def story() -> None:
        async with running(home) as (plugin, heard):
            kept, lost = await plugin.provision(SPEC, "0"), await plugin.provision(SPEC, "1")
            shutil.copytree(home, tmp_path / "new")
            (tmp_path / "new" / lost).unlink()
            shutil.rmtree(home)
            (tmp_path / "new").rename(home)
            assert [d.id for d in await plugin.describe_instances({})] == [kept]
            assert [fact for fact in heard.facts() if fact[0] in ("lost", "provisioned")][2:] == [
                ("lost", lost)
            ]

    asyncio.run(story())


def test_a_directory_that_somebody_else_took_meanwhile_is_not_touched(
    tmp_path: Path, running: Any
) -> None:
    home = tmp_path / "i"

    async def story() -> None:
        async with running(home) as (plugin, _):
            home.rmdir()
            home.mkdir()
            other = Lease(home)
            for call in (plugin.describe_instances({}), plugin.provision(SPEC, "0")):
                with pytest.raises(InUse, match=f"is in use by pid {os.getpid()}"):
                    await call
            assert list(os.scandir(home)) == []
            other.release()
            await plugin.provision(SPEC, "0")

    asyncio.run(story())


def test_a_full_disk_is_said_and_leaves_no_instance(tmp_path: Path) -> None:
    script = """
import asyncio, resource, signal, sys
from ikdemo.instance.file.plugin import FileInstances
from ikdemo.spi.documents import InstanceSpec
from ikdemo.spi.errors import IkdemoError

async def main():
    plugin = FileInstances(sys.argv[1])
    await plugin.start(lambda event: None)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
    try:
        await plugin.provision(InstanceSpec(), "0")
    except IkdemoError as error:
        print(error)
    print(await plugin.describe_instances({}))

asyncio.run(main())
"""
    ran = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert re.fullmatch(
        rf"write {re.escape(str(tmp_path))}/instance-\d+: file too large\n\[\]\n", ran.stdout
    )
    assert list(tmp_path.iterdir()) == []


def test_start_and_stop_leave_no_descriptor_open(tmp_path: Path) -> None:
    async def story() -> None:
        before = len(list(os.scandir("/proc/self/fd")))
        for _ in range(3):
            plugin = FileInstances(tmp_path)
            await plugin.start(print)
            await plugin.stop()
            await plugin.stop()
            with pytest.raises(IkdemoError):
                await FileInstances(tmp_path / "no" / "such").start(print)
        assert len(list(os.scandir("/proc/self/fd"))) == before

    asyncio.run(story())
