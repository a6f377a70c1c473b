"""A process plugin that is restarted knows its own again, and nobody else's; one that takes its
instances along leaves none.
"""
# ruff: noqa: ASYNC110, ASYNC222, ASYNC240  nothing else runs in these loops, and most of what is
# awaited has no event

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lasting import run
from marked import marked
from msgspec import Raw

from ikdemo.instance import procfs
from ikdemo.instance.process.plugin import ProcessInstances
from ikdemo.spi.documents import InstanceSpec
from ikdemo.spi.errors import InUse, PluginFailure
from ikdemo.spi.events import Event

SLEEPER = InstanceSpec(
    Raw(b'{"Command": ["sleep", "1000"]}'), {"infrakit.group": "g", "infrakit.config_sha": "s"}
)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """Give a register's directory; processes that are left at the end are killed."""
    yield tmp_path / "p"
    for pid in marked(tmp_path / "p"):
        os.kill(pid, signal.SIGKILL)


async def begin(directory: Path, **options: Any) -> tuple[ProcessInstances, list[Event]]:
    made = ProcessInstances(directory, **options)
    told: list[Event] = []
    await made.start(told.append)
    return made, told


def pids(directory: Path) -> dict[str, int]:
    return {
        path.stem: int(json.loads(path.read_text())["Pid"]) for path in directory.glob("*.json")
    }


def test_what_lives_is_known_again_and_what_died_meanwhile_is_told(directory: Path) -> None:
    async def story() -> None:
        made, _ = await begin(directory)
        ids = [await made.provision(SLEEPER, str(slot)) for slot in range(3)]
        before = pids(directory)
        await made.stop()
        held = os.pidfd_open(before[ids[1]])
        os.kill(before[ids[1]], signal.SIGKILL)
        os.waitid(os.P_PIDFD, held, os.WEXITED)
        os.close(held)
        made, told = await begin(directory)
        assert sorted(one.id for one in await made.describe_instances({})) == sorted(
            [ids[0], ids[2]]
        )
        assert [(event.kind, event.code, event.instance, event.slot) for event in told] == [
            ("lost", "unknown", ids[1], "1")
        ]
        assert pids(directory) == {name: pid for name, pid in before.items() if name != ids[1]}
        assert await made.provision(SLEEPER, "0") == ids[0]
        for instance in (ids[0], ids[2]):
            await made.destroy(instance)
        assert list(directory.iterdir()) == []
        await made.stop()

    run(story)


@pytest.mark.parametrize("member", ["Start", "Boot"])
def test_a_pid_that_was_given_to_another_process_is_never_taken_for_ours(
    directory: Path, member: str
) -> None:
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as stranger:

        async def story() -> None:
            made, _ = await begin(directory)
            instance = await made.provision(SLEEPER, "0")
            record = json.loads((directory / f"{instance}.json").read_text())
            await made.destroy(instance)
            await made.stop()
            record |= {"Pid": stranger.pid, "Start": procfs.start_of(stranger.pid)}
            record[member] = record[member] - 1 if member == "Start" else "another boot"
            (directory / f"{instance}.json").write_text(json.dumps(record))
            made, told = await begin(directory, takes_along=True)
            assert await made.describe_instances({}) == []
            assert [event.kind for event in told] == ["lost"]
            assert list(directory.iterdir()) == []
            await made.stop()

        run(story)
        assert stranger.poll() is None
        stranger.kill()


def test_a_forged_record_that_is_right_about_pid_and_start_is_the_same_process(
    directory: Path,
) -> None:
    async def story() -> None:
        made, _ = await begin(directory)
        instance = await made.provision(SLEEPER, "0")
        await made.stop()
        assert (
            procfs.start_of(pids(directory)[instance])
            == json.loads((directory / f"{instance}.json").read_text())["Start"]
        )
        made, told = await begin(directory, takes_along=True)
        assert told == []
        await made.stop()
        assert marked(directory) == []

    run(story)


def test_a_plugin_killed_between_starting_and_registering_leaves_no_orphan(directory: Path) -> None:
    code = f"""
import asyncio, os, signal
from msgspec import Raw
from ikdemo.instance.process.plugin import ProcessInstances
from ikdemo.instance.state_files import StateFiles
from ikdemo.spi.documents import InstanceSpec
StateFiles.write = lambda self, record: os.kill(os.getpid(), signal.SIGKILL)
async def story():
    made = ProcessInstances({str(directory)!r})
    await made.start(print)
    await made.provision(InstanceSpec(Raw(b'{{"Command": ["sleep", "1000"]}}')), "0")
asyncio.run(story())
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=100).returncode == -signal.SIGKILL
    [orphan] = marked(directory)
    assert list(directory.glob("*.json")) == []

    async def story() -> None:
        held = os.pidfd_open(orphan)
        made, told = await begin(directory)
        ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(held, ended.set)
        await asyncio.wait_for(ended.wait(), 100)
        asyncio.get_running_loop().remove_reader(held)
        os.close(held)
        assert told == []
        assert list(directory.iterdir()) == []
        await made.stop()

    run(story)


def test_children_that_outlived_their_leader_while_the_plugin_was_away_are_ended(
    directory: Path,
) -> None:
    async def story() -> None:
        made, _ = await begin(directory)
        instance = await made.provision(
            InstanceSpec(Raw(b"{}"), None, "sleep 1000 & echo ready; wait"), "0"
        )
        while not await made.logs(instance):
            await asyncio.sleep(0.01)
        leader = pids(directory)[instance]
        await made.stop()
        os.kill(leader, signal.SIGKILL)
        os.waitpid(leader, 0)
        assert len(marked(directory)) == 1
        made, _ = await begin(directory)
        while marked(directory):
            await asyncio.sleep(0.01)
        await made.stop()

    run(story)


def test_a_directory_has_one_owner_and_what_is_no_record_is_left_alone(directory: Path) -> None:
    async def story() -> None:
        directory.mkdir()
        (directory / "notes.json").write_text("{")
        (directory / "other.json").symlink_to("/etc/passwd")
        made, told = await begin(directory)
        assert [event.kind for event in told] == ["reported", "reported"]
        assert "'notes.json' is no instance's record" in told[0].text
        assert "symbolic link" in told[1].text
        with pytest.raises(InUse, match=f"in use by pid {os.getpid()}"):
            await begin(directory)
        await made.stop()
        assert sorted(path.name for path in directory.iterdir()) == ["notes.json", "other.json"]
        with pytest.raises(PluginFailure, match="parent folder does not exist"):
            await begin(directory / "a" / "b")

    run(story)
