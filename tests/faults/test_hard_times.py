"""A full disk, a read-only one, no more descriptors, folders that vanish, processes that hang: said
clearly, and healed after.

Every test sees its fault in what a program says before it takes the fault away. Then the group is
exactly as wanted: no instance was lost that was there, none was made twice, and no log holds an
internal error.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from asking import Refused, ask, held, until
from desk import Desk


def spec(group: str, size: int, instance: str = "instance-file") -> dict[str, Any]:
    sections = {
        "Instance": {"Plugin": instance, "Properties": {}},
        "Flavor": {"Plugin": "flavor-vanilla", "Properties": {}},
    }
    return {"ID": group, "Properties": {"Allocation": {"Size": size}, **sections}}


class Times:
    """A desk with its three plugins, seen through their sockets."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def ask(self, method: str, **params: object) -> Any:
        return ask(self.desk.plugins / "group", method, params)

    def commit(self, group: str, size: int, instance: str = "instance-file") -> None:
        self.ask("Group.CommitGroup", Spec=spec(group, size, instance))

    def sizes(self) -> dict[str, int]:
        groups = self.ask("Group.InspectGroups")["Groups"] or []
        return {group["ID"]: group["Properties"]["Allocation"]["Size"] for group in groups}

    def why(self, group: str) -> str:
        return " ".join(
            f"{reason['Code']}: {reason['Text']} {reason['Error']}"
            for reason in self.reasons(group)
        )

    def reasons(self, group: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("Reconcile.Why", ID=group)["Reasons"] or []
        return found

    def converged(self, group: str) -> bool:
        try:
            return bool(self.ask("Group.DescribeGroup", ID=group)["Description"]["Converged"])
        except Refused:
            return False

    def looks(self, group: str) -> None:
        """Have the group plugin look at a group, which lasts as long as its plugin lets it."""
        with suppress(Refused, OSError):
            self.ask("Reconcile.Plan", ID=group)

    def refusal(self, group: str) -> str:
        """Return why a group is not described, if it is not."""
        try:
            self.ask("Group.DescribeGroup", ID=group)
        except Refused as refused:
            return str(refused)
        return ""

    def whole(self, group: str, size: int, folder: Path | None = None) -> set[str]:
        """Wait until a group is as wanted, one instance in each slot, and return their names."""
        until(lambda: self.converged(group), say=lambda: (self.why(group), self.desk.log("group")))
        found = list((folder or self.desk.instances).glob("instance-*"))
        slots = sorted(json.loads(path.read_text())["Slot"] for path in found)
        assert slots == sorted(str(slot) for slot in range(size))
        return {path.name for path in found}

    def written(self, plugin: str = "instance-file") -> int:
        """Count the instances that a plugin has made since it began."""
        nothing = {"Since": {"Stream": "", "Next": 0}, "Timeout": 0, "Tags": {}}
        events = ask(self.desk.plugins / plugin, "Events.Watch", nothing)["Events"]
        return sum(
            event["Kind"] == "provisioned" and event["Text"] == "its file was written"
            for event in events
        )


@pytest.fixture
def times(desk: Desk) -> Iterator[Times]:
    """Give a desk, and look through every log of it at the end."""
    yield Times(desk)
    for log in desk.root.glob("*.log"):
        assert "Traceback" not in log.read_text()
        assert "level=error" not in log.read_text()


@pytest.fixture
def mount() -> Iterator[Callable[[Path, str], None]]:
    """Give a way to mount a small file system of its own on a folder (again: with other
    options).
    """
    mounted: list[Path] = []

    def mount(folder: Path, options: str) -> None:
        again = "remount," if folder in mounted else "mode=0700,"
        folder.mkdir(exist_ok=True)
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", again + options, "ikdemo-test", str(folder)],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            pytest.skip(
                f"a file system of its own can be mounted by root only: {done.stderr.strip()}"
            )
        if folder not in mounted:
            mounted.append(folder)

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def few_descriptors(pid: int, spare: int) -> Iterator[None]:
    """Let a process open so many files more than it has now."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (held(pid).descriptors + spare, before[1]))
    yield
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Let a process hang as one does whose machine is suspended."""
    os.kill(pid, signal.SIGSTOP)
    until(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def callers(path: Path, number: int, words: bytes = b"") -> Iterator[None]:
    """Hold so many connections to a plugin."""
    with ExitStack() as held_open:
        for _ in range(number):
            caller = held_open.enter_context(socket.socket(socket.AF_UNIX))
            caller.settimeout(100)
            caller.connect(str(path))
            caller.sendall(words)
        yield


def take(folder: Path, number: int) -> set[str]:
    """Remove so many instance files and return their names."""
    names = sorted(path.name for path in folder.glob("instance-*"))[:number]
    for name in names:
        (folder / name).unlink()
    return set(names)


def test_a_full_disk_is_named_and_the_group_is_whole_once_there_is_room(
    times: Times, mount: Callable[[Path, str], None]
) -> None:
    mount(times.desk.instances, "size=128k")
    times.desk.start_three()
    times.commit("web", 60)
    until(lambda: "no space left on device" in times.why("web"))
    assert 0 < len(times.desk.living()) < 60
    before = set(times.desk.living())
    for path in times.desk.instances.iterdir():
        assert path.name.startswith("instance-"), "a half-written file was left"
        assert json.loads(path.read_text())["Slot"]
    mount(times.desk.instances, "size=4m")
    assert before < times.whole("web", 60)
    assert times.written() == 60


def test_a_disk_too_full_for_the_state_refuses_a_commit_and_changes_nothing(
    times: Times, mount: Callable[[Path, str], None]
) -> None:
    times.desk.plugins.mkdir(mode=0o700)
    state = times.desk.plugins / "group.state"
    mount(state, "size=16k")
    times.desk.start_three()
    times.commit("web", 3)
    before = times.whole("web", 3)
    ballast = state / "ballast"
    with pytest.raises(OSError, match="No space left"), ballast.open("wb", buffering=0) as filling:
        while True:
            filling.write(bytes(4096))
    with pytest.raises(Refused, match=r"write .*group\.state.*: no space left on device"):
        times.commit("web", 5)
    assert times.sizes() == {"web": 3}
    assert times.whole("web", 3) == before
    ballast.unlink()
    times.commit("web", 5)
    assert before < times.whole("web", 5)


def test_a_read_only_instance_folder_is_named_and_what_is_there_stays(
    times: Times, mount: Callable[[Path, str], None]
) -> None:
    mount(times.desk.instances, "size=4m")
    times.desk.start_three()
    times.commit("web", 3)
    before = times.whole("web", 3)
    mount(times.desk.instances, "ro")
    times.commit("web", 5)
    until(lambda: "read-only file system" in times.why("web"))
    assert set(times.desk.living()) == before
    second = times.desk.run(
        f"ikdemo infrakit-instance-file --name other --dir {times.desk.instances}"
    )
    assert (second.returncode, "Traceback" in second.stderr) == (1, False)
    mount(times.desk.instances, "rw")
    assert before < times.whole("web", 5)
    assert times.written() == 5


def test_a_program_says_that_its_folder_is_read_only_and_ends(
    times: Times, mount: Callable[[Path, str], None]
) -> None:
    mount(times.desk.instances, "size=64k")
    mount(times.desk.instances, "ro")
    started = times.desk.run(f"ikdemo infrakit-instance-file --dir {times.desk.instances}")
    assert started.returncode == 1
    assert "read-only file system" in started.stderr
    assert len(started.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("fault", ["gone", "read-only", "another"])
def test_a_state_folder_that_cannot_be_written_refuses_a_commit_and_changes_nothing(
    times: Times, mount: Callable[[Path, str], None], fault: str
) -> None:
    times.desk.plugins.mkdir(mode=0o700)
    state, aside = times.desk.plugins / "group.state", times.desk.root / "aside"
    if fault == "read-only":
        mount(state, "size=64k")
    times.desk.start_three()
    times.commit("web", 3)
    before = times.whole("web", 3)
    if fault == "read-only":
        mount(state, "ro")
    else:
        state.rename(aside)
    if fault == "another":
        state.mkdir()
    expected = (
        "read-only file system"
        if fault == "read-only"
        else "nothing can be stored until it is back"
    )
    for method, params in (
        ("Group.CommitGroup", {"Spec": spec("web", 5)}),
        ("Group.CommitGroup", {"Spec": spec("api", 1)}),
        ("Reconcile.Pause", {"ID": "web"}),
        ("Group.DestroyGroup", {"ID": "web"}),
        ("Group.FreeGroup", {"ID": "web"}),
    ):
        with pytest.raises(Refused, match=expected):
            times.ask(method, **params)
    assert times.sizes() == {"web": 3}
    lost = take(times.desk.instances, 1)
    assert before - lost < times.whole("web", 3), "healing needs no state"
    if fault == "another":
        assert list(state.iterdir()) == []
        state.rmdir()
    mount(state, "rw") if fault == "read-only" else aside.rename(state)
    times.commit("web", 5)
    times.whole("web", 5)


def test_a_group_that_cannot_be_forgotten_is_forgotten_as_soon_as_it_can(times: Times) -> None:
    desk = times.desk
    desk.start("infrakit-instance-file", "instance-file", "--dir", str(desk.instances))
    desk.start("infrakit-flavor-vanilla", "flavor-vanilla")
    desk.start("infrakit-group-default", "group", "--poll-interval", "300ms")
    times.commit("web", 3)
    times.whole("web", 3)
    state, aside = desk.plugins / "group.state", desk.root / "aside"
    with stopped(desk.processes["instance-file"].pid):
        with pytest.raises(TimeoutError):
            ask(desk.plugins / "group", "Group.DestroyGroup", {"ID": "web"}, timeout=0.5)
        assert times.sizes() == {}, "it is marked for destruction"
        state.rename(aside)
    until(lambda: "it cannot be forgotten yet" in desk.log("group"), say=lambda: desk.log("group"))
    assert desk.living() == []
    with pytest.raises(Refused, match="is being destroyed"):
        times.commit("web", 3)
    aside.rename(state)
    until(lambda: "not being watched" in times.refusal("web"))
    assert not list(state.iterdir())
    times.commit("web", 3)
    times.whole("web", 3)


def test_a_group_plugin_without_descriptors_refuses_and_recovers(times: Times) -> None:
    times.desk.start_three()
    times.commit("web", 3)
    before = times.whole("web", 3)
    # one for the caller, none for the file
    with few_descriptors(times.desk.processes["group"].pid, spare=1):
        try:  # it may have made room by leaving a connection that nobody used
            times.commit("web", 5)
        except Refused as refused:
            assert "too many open files" in str(refused)
            assert times.sizes() == {"web": 3}
    times.commit("web", 5)
    assert before < times.whole("web", 5)
    assert times.written() == 5


def test_an_instance_plugin_without_descriptors_is_tried_again_and_makes_none_twice(
    times: Times,
) -> None:
    times.desk.start_three()
    times.commit("web", 3)
    before = times.whole("web", 3)
    with few_descriptors(times.desk.processes["instance-file"].pid, spare=0):
        times.commit("web", 5)
        # it is refused, or has made room by leaving a connection that nobody used
        until(
            lambda: "too many open files" in times.why("web") or len(times.desk.living()) == 5,
            say=lambda: times.why("web"),
        )
        assert before <= set(times.desk.living())
    assert before < times.whole("web", 5)
    assert times.written() == 5


@pytest.mark.parametrize("plugin", ["group", "instance-file", "flavor-vanilla"])
def test_more_connections_than_descriptors_wait_and_are_served_later(
    times: Times, plugin: str
) -> None:
    times.desk.start_three()
    times.commit("web", 3)
    times.whole("web", 3)
    path = times.desk.plugins / plugin
    with few_descriptors(times.desk.processes[plugin].pid, spare=5):
        with callers(path, 60):
            until(
                lambda: "too many open files" in times.desk.log(plugin),
                say=lambda: times.desk.log(plugin)[-2000:],
            )
        assert ask(path, "Plugin.Implements", {})["APIs"], "those that left made room"
    assert ask(path, "Plugin.Implements", {})["APIs"]
    assert len(times.desk.log(plugin).splitlines()) < 30
    times.commit("web", 4)
    times.whole("web", 4)


def test_an_instance_folder_that_is_gone_and_back_loses_and_doubles_nothing(times: Times) -> None:
    times.desk.start_three()
    times.commit("web", 5)
    before = times.whole("web", 5)
    aside = times.desk.root / "aside"
    times.desk.instances.rename(aside)
    until(lambda: "plugin-unreachable" in times.why("web"))
    assert "no such file or directory" in times.why("web")
    assert not times.desk.instances.exists()
    aside.rename(times.desk.instances)
    until(lambda: "is back" in times.desk.log("instance-file"))
    assert times.whole("web", 5) == before
    take(times.desk.instances, 2)
    times.whole("web", 5)
    assert times.written() == 7


def test_an_empty_folder_in_the_place_of_one_that_vanished_is_doubt_and_stays_empty(
    times: Times,
) -> None:
    times.desk.start_three()
    times.commit("web", 5)
    before = times.whole("web", 5)
    times.desk.instances.rename(times.desk.root / "aside")
    until(lambda: "plugin-unreachable" in times.why("web"))
    times.desk.instances.mkdir(mode=0o700)
    until(lambda: "another directory" in times.why("web"), say=lambda: times.why("web"))
    ask(times.desk.plugins / "group", "Reconcile.Step", {"ID": "web"})
    ask(times.desk.plugins / "group", "Reconcile.Step", {"ID": "web"})
    assert list(times.desk.instances.iterdir()) == []
    times.desk.instances.rmdir()
    (times.desk.root / "aside").rename(times.desk.instances)
    assert times.whole("web", 5) == before
    assert times.written() == 5


def test_a_hanging_instance_plugin_delays_only_its_own_groups(times: Times) -> None:
    desk = times.desk
    desk.start_three()
    other = desk.root / "other"
    desk.start("infrakit-instance-file", "other-file", "--dir", str(other))
    times.commit("slow", 4)
    times.commit("quick", 4, instance="other-file")
    slow, quick = times.whole("slow", 4), times.whole("quick", 4, other)
    end, meanwhile, rounds = time.monotonic() + 100, 0, 0
    with ThreadPoolExecutor() as asking, stopped(desk.processes["instance-file"].pid):
        lost_slow = take(desk.instances, 2)
        asked = asking.submit(times.looks, "slow")
        while meanwhile < 3:
            assert time.monotonic() < end, "it heals only when the plugin that hangs is given up"
            if asked.done():  # it was given up: on a slow machine that is no wonder
                asked = asking.submit(times.looks, "slow")
            lost = take(other, 2)
            quick = (quick - lost) | times.whole("quick", 4, other)
            rounds += 1
            meanwhile += not asked.done()
        assert times.sizes() == {"quick": 4, "slow": 4}
        assert set(desk.living()) == slow - lost_slow
    assert slow - lost_slow < times.whole("slow", 4)
    assert times.written() == 6
    assert times.written("other-file") == 4 + 2 * rounds


def test_a_hanging_flavor_delays_what_is_to_be_made_and_nothing_else(times: Times) -> None:
    times.desk.start_three()
    times.commit("web", 4)
    before = times.whole("web", 4)
    with stopped(times.desk.processes["flavor-vanilla"].pid):
        lost = take(times.desk.instances, 1)
        until(lambda: "missing" in times.why("web"))
        assert set(times.desk.living()) == before - lost
    assert before - lost < times.whole("web", 4)
    assert times.written() == 5


def test_a_group_plugin_that_was_suspended_makes_what_is_missing_and_no_more(times: Times) -> None:
    """As after ten minutes in a suspended machine: events were missed, calls have piled up, the
    clock has moved on.
    """
    desk = times.desk
    desk.start("infrakit-instance-file", "instance-file", "--dir", str(desk.instances))
    desk.start("infrakit-flavor-vanilla", "flavor-vanilla")
    desk.start("infrakit-group-default", "group", "--poll-interval", "50ms")
    times.commit("web", 10)
    before = times.whole("web", 10)
    unknown = b'{"jsonrpc":"2.0","method":"Nobody.Knows","id":1}'
    request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(unknown) + unknown
    with ExitStack() as waiting:
        with stopped(desk.processes["group"].pid):
            lost = take(desk.instances, 3)
            waiting.enter_context(callers(desk.plugins / "group", 20, request))
            time.sleep(1.0)  # twenty polls pass by
        assert before - lost < times.whole("web", 10)
    assert times.written() == 13
