"""An instance ends with all that it started, however far that went away, and whoever ends it;
nobody else's processes do.
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
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lasting import run
from marked import marked
from msgspec import Raw

from ikdemo.instance import procfs
from ikdemo.instance.process.descendants import Processes, scan
from ikdemo.instance.process.orphans import end_orphans, kill_orphans
from ikdemo.instance.process.plugin import ProcessInstances
from ikdemo.spi.documents import InstanceSpec
from ikdemo.spi.errors import PluginFailure
from ikdemo.spi.events import Event

SLEEPER = InstanceSpec(Raw(b'{"Command": ["sleep", "1000"]}'), {"infrakit.group": "g"})
TWICE = (
    "import os, time; os.fork() and os._exit(0); os.setsid(); os.fork() and os._exit(0); "
    "time.sleep(1000)"
)
WAYS = {
    "another session": "setsid sleep 1000 &",
    "another group": "timeout 1000 sleep 1000 &",
    "a daemon": f'{sys.executable} -c "{TWICE}" &',
    "a daemon that ignores SIGTERM": "setsid sh -c 'trap \"\" TERM; sleep 1000; sleep 1000' &",
    "a cleared environment": "env -i sleep 1000 &",
    "a cleared environment in another session": "env -i setsid sleep 1000 &",
    "a child of one in another session, environment cleared": "setsid sh -c 'env -i setsid sleep "
    "1000 & exec sleep 1000' &",
}


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "p"
    end_orphans(tmp_path)


async def begin(directory: Path, **options: Any) -> tuple[ProcessInstances, list[Event]]:
    made, told = ProcessInstances(directory, **options), list[Event]()
    await made.start(told.append)
    return made, told


def there(directory: Path) -> dict[int, int]:
    """Return pid and start time of every process that works in a folder: what it was started with
    may be gone by now.
    """
    found = {}
    for pid, one in scan().stats.items():
        try:
            if Path(f"/proc/{pid}/cwd").readlink() == directory:
                found[pid] = one.start
        except OSError:
            continue
    return found


async def settled(where: Path, made: ProcessInstances, instance: str) -> dict[int, int]:
    """Wait until an instance has said that it is ready and everything that it starts runs a program
    that sleeps.
    """
    while "ready" not in await made.logs(instance):
        await asyncio.sleep(0.01)
    while not all(
        name in (b"sleep", b"sh", b"timeout") or b"time.sleep" in rest
        for name, rest in map(command, there(directory))
    ):
        await asyncio.sleep(0.01)
    return there(where)


def command(pid: int) -> tuple[bytes, bytes]:
    try:
        name, _, rest = Path(f"/proc/{pid}/cmdline").read_bytes().partition(b"\0")
    except OSError:
        return b"sleep", b""
    return os.path.basename(name), rest  # noqa: PTH119  bytes


def script(way: str, then: str) -> InstanceSpec:
    return InstanceSpec(
        Raw(b"{}"),
        {"infrakit.group": "g"},
        f'cd "$WHERE"\n{WAYS[way]}\nsleep 0.2; echo ready\n{then}',
    )


@pytest.fixture
def where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "where").mkdir()
    monkeypatch.setenv("WHERE", str(tmp_path / "where"))
    return tmp_path / "where"


@pytest.mark.parametrize("way", WAYS)
def test_what_went_away_is_ended_by_destroy(directory: Path, where: Path, way: str) -> None:
    async def story() -> None:
        made, told = await begin(directory, grace=0.3)
        other = await made.provision(script(way, "exec sleep 1000"), "1")
        instance = await made.provision(script(way, "exec sleep 1000"), "0")
        await settled(where, made, other)
        everybody = await settled(where, made, instance)
        assert len(everybody) >= 4
        await made.destroy(instance)
        left = there(where)
        assert len(left) == len(everybody) // 2, (
            "what belongs to another instance stays, and nothing else"
        )
        assert [event.kind for event in told] == ["provisioned", "provisioned", "destroyed"]
        await made.destroy(other)
        assert there(where) == {}
        await made.stop()

    run(story)


LEAVING_MARKS = [way for way in WAYS if way != "a cleared environment in another session"]
"""What can be found when the leader is gone: the parent of one that cleared everything is not known
any longer.
"""


@pytest.mark.parametrize("way", LEAVING_MARKS)
@pytest.mark.parametrize("death", ["its own", "kill -9"])
def test_what_went_away_is_ended_after_the_leader(
    directory: Path, where: Path, way: str, death: str
) -> None:
    async def story() -> None:
        made, told = await begin(directory)
        instance = await made.provision(
            script(way, "read x < go; exit 3" if death == "its own" else "exec sleep 1000"), "0"
        )
        if death == "its own":
            os.mkfifo(where / "go")
        await settled(where, made, instance)
        if death == "its own":
            (where / "go").write_text("on\n")
        else:
            os.kill(json.loads((directory / f"{instance}.json").read_text())["Pid"], signal.SIGKILL)
        while "lost" not in [event.kind for event in told] or there(where):
            await asyncio.sleep(0.01)
        await made.stop()

    run(story)


@pytest.mark.parametrize("way", LEAVING_MARKS)
@pytest.mark.parametrize("fate", ["buried", "destroyed", "lost"])
def test_what_went_away_is_ended_by_a_plugin_that_was_restarted(
    directory: Path, where: Path, way: str, fate: str
) -> None:
    async def story() -> None:
        made, _ = await begin(directory)
        instance = await made.provision(script(way, "exec sleep 1000"), "0")
        await settled(where, made, instance)
        leader = json.loads((directory / f"{instance}.json").read_text())["Pid"]
        await made.stop()
        if fate == "buried":
            os.kill(leader, signal.SIGKILL)
            os.waitpid(leader, 0)
        made, told = await begin(directory, grace=0.3)
        if fate == "destroyed":
            await made.destroy(instance)
            assert there(where) == {}
        elif fate == "lost":
            os.kill(leader, signal.SIGKILL)
        while there(where) or not told:
            await asyncio.sleep(0.01)
        assert [event.kind for event in told] == ["destroyed" if fate == "destroyed" else "lost"]
        assert list(directory.iterdir()) == []
        await made.stop()

    run(story)


def test_orphans_that_begin_others_while_they_are_killed_are_ended_as_well(
    directory: Path, where: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = (
        'cd "$WHERE"; setsid sh -c "while :; do setsid sleep 1000 & sleep 0.05; done" & '
        "echo ready; exec sleep 1000"
    )

    def kill_late(processes: Processes, orphans: dict[int, int]) -> None:
        while not there(where).keys() - orphans.keys():
            time.sleep(0.01)
        monkeypatch.undo()
        kill_orphans(processes, orphans)

    async def story() -> None:
        made, _ = await begin(directory)
        instance = await made.provision(InstanceSpec(Raw(b"{}"), None, script), "0")
        while len(there(where)) < 4:
            await asyncio.sleep(0.01)
        await made.stop()
        leader = records(directory)[instance]
        os.kill(leader, signal.SIGKILL)
        os.waitpid(leader, 0)
        monkeypatch.setattr("ikdemo.instance.process.table.kill_orphans", kill_late)
        made, _ = await begin(directory)
        await made.stop()  # it finishes what it began
        assert there(where) == {}

    run(story)


def records(directory: Path) -> dict[str, int]:
    return {
        path.stem: int(json.loads(path.read_text())["Pid"]) for path in directory.glob("*.json")
    }


@pytest.mark.parametrize("attributes", [True, False])
def test_a_plugin_at_the_place_of_another_ends_none_of_its_instances(
    directory: Path, monkeypatch: pytest.MonkeyPatch, attributes: bool
) -> None:
    if not attributes:
        monkeypatch.setattr(os, "getxattr", unsupported)
        monkeypatch.setattr(os, "setxattr", unsupported)

    async def story() -> None:
        first, told = await begin(directory)
        ids = [await first.provision(SLEEPER, str(slot)) for slot in range(3)]
        living = records(directory)
        directory.rename(directory.parent / "moved")
        second, news = await begin(directory)
        assert (news, await second.describe_instances({})) == ([], [])
        assert sorted(marked(directory)) == sorted(living.values())
        own = await second.provision(SLEEPER, "0")
        before = sorted(path.name for path in directory.iterdir())
        with pytest.raises(PluginFailure, match="is not the directory that this plugin took"):
            await first.provision(SLEEPER, "3")
        assert sorted(path.name for path in directory.iterdir()) == before
        # it holds them still
        assert sorted(one.id for one in await first.describe_instances({})) == sorted(ids)
        await first.destroy(ids[0])
        os.kill(living[ids[1]], signal.SIGKILL)
        while "lost" not in [event.kind for event in told]:
            await asyncio.sleep(0.01)
        assert sorted(path.name for path in directory.iterdir()) == before
        assert list(records(directory.parent / "moved")) == [ids[2]]
        await first.stop()
        # where its records and its mark are
        again, news = await begin(directory.parent / "moved", takes_along=True)
        assert ([one.id for one in await again.describe_instances({})], news) == ([ids[2]], [])
        await again.stop()
        assert len(marked(directory)) == 1
        await second.destroy(own)
        await second.stop()

    run(story)


def unsupported(*_: Any) -> Any:
    raise OSError(95, "Operation not supported")


def test_instances_of_a_version_without_marks_are_known_by_records_only(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        with monkeypatch.context() as patched:
            patched.setattr("ikdemo.instance.process.plugin.environment_of", without_mark)
            made, _ = await begin(directory)
            kept, unknown = [await made.provision(SLEEPER, str(slot)) for slot in range(2)]
            await made.stop()
        pids = records(directory)
        (directory / f"{unknown}.json").unlink()
        made, told = await begin(directory)
        assert (told, [one.id for one in await made.describe_instances({})]) == ([], [kept])
        assert sorted(marked(directory)) == sorted(pids.values()), "a place is no proof"
        await made.destroy(kept)
        assert marked(directory) == [pids[unknown]]
        await made.stop()

    run(story)


def without_mark(*arguments: Any) -> dict[str, str]:
    from ikdemo.instance.ownership import OWNER
    from ikdemo.instance.process.spawn import environment_of

    return {name: text for name, text in environment_of(*arguments).items() if name != OWNER}


def test_a_lab_ends_what_is_below_its_directory_and_nothing_else(directory: Path) -> None:
    async def story() -> None:
        for name in ("lab/a", "lab/b", "labour"):
            (directory.parent / name).parent.mkdir(exist_ok=True)
            made, _ = await begin(directory.parent / name)
            await made.provision(SLEEPER, "0")
            await made.stop()
        end_orphans(directory.parent / "lab")
        while any(marked(directory.parent / name) for name in ("lab/a", "lab/b")):
            await asyncio.sleep(0.01)
        assert len(marked(directory.parent / "labour")) == 1

    run(story)


def test_a_process_that_only_looks_like_one_of_an_instance_stays(directory: Path) -> None:
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as stranger:

        async def story() -> None:
            made, _ = await begin(directory)
            instance = await made.provision(SLEEPER, "0")
            path = directory / f"{instance}.json"
            record = json.loads(path.read_text())
            await made.stop()
            os.kill(record["Pid"], signal.SIGKILL)
            os.waitpid(record["Pid"], 0)
            path.write_text(
                json.dumps(
                    record | {"Pid": stranger.pid, "Start": procfs.start_of(stranger.pid) - 1}
                )
            )
            made, told = await begin(directory)
            assert [event.kind for event in told] == ["lost"]
            await made.stop()

        run(story)
        assert stranger.poll() is None
        stranger.kill()
