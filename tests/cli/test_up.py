"""``ikdemo up``: several plugins from one terminal, each a real process; how they end, and what is
refused before any starts.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from asking import ask, until
from desk import Desk
from plain_plugin import plain

from ikdemo.cli.programs import find
from ikdemo.cli.verbs.up import _read
from ikdemo.group.supervisor import STOP_WAIT
from ikdemo.instance import procfs
from ikdemo.rpc.discovery import ENVIRONMENT
from ikdemo.spi.durations import CUTTING, PLUGIN, REQUESTS, stop_within

NEWS = re.compile('level=info msg="(?!Listening)[A-Z]')
USUAL = ["flavor-vanilla", "group", "instance-file"]


class Terminal:
    """One ``ikdemo up`` in the foreground, and the lines that it and its plugins have printed."""

    def __init__(self, desk: Desk, *arguments: str) -> None:
        self.plugins = desk.plugins
        self.process = subprocess.Popen(
            [*desk.program("ikdemo"), "up", *arguments],
            env=desk.environment,
            cwd=desk.cwd,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        assert self.process.stderr is not None
        self.stream = self.process.stderr

    def listening(self, number: int) -> list[str]:
        """Wait until so many plugins have said where they listen, and return their names,
        sorted.
        """
        return sorted(
            Path(self.line("Listening at: ").split('"')[3].rpartition("/")[2]).name
            for _ in range(number)
        )

    def line(self, words: str) -> str:
        """Return the next line, but for news of groups; it must have these words in it."""
        line = self.stream.readline()
        while NEWS.search(line):
            line = self.stream.readline()
        assert words in line, line
        return line

    def pids(self) -> dict[str, int]:
        """Return the plugins' processes by the name that ``ps`` shows, which is that of the
        plugin.
        """
        own = os.fsencode(self.plugins)
        seeing = [
            pid
            for pid, told in procfs.with_variable(ENVIRONMENT)
            if told[os.fsencode(ENVIRONMENT)] == own
        ]
        return {
            Path(f"/proc/{pid}/comm").read_text().strip(): pid
            for pid in seeing
            if pid != self.process.pid
        }

    def end(self, how: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        """End it, and return its exit status and what was printed since, but for news of groups."""
        self.process.send_signal(how)
        _, rest = self.process.communicate(timeout=100)
        return self.process.returncode, "".join(
            line for line in rest.splitlines(keepends=True) if not NEWS.search(line)
        )


@contextmanager
def terminal(desk: Desk, *arguments: str) -> Iterator[Terminal]:
    made = Terminal(desk, *arguments)
    try:
        yield made
    finally:
        made.process.kill()
        made.process.wait()
        made.stream.close()


def gone(pids: dict[str, int]) -> bool:
    """Wait until these processes have ended."""
    held = []
    for pid in pids.values():
        try:
            held.append(os.pidfd_open(pid))
        except ProcessLookupError:
            continue
    ended = [bool(select.select([one], [], [], 10)[0]) for one in held]
    for one in held:
        os.close(one)
    return all(ended)


@contextmanager
def hanging(path: Path) -> Iterator[threading.Semaphore]:
    """Serve an instance plugin that never answers Provision; the semaphore counts how often it was
    asked.
    """
    asked, ended = threading.Semaphore(0), threading.Event()

    def answer(method: str) -> object:
        if method == "Instance.Provision":
            asked.release()
            ended.wait()
        return {"Descriptions": []} if method == "Instance.DescribeInstances" else {"OK": True}

    with plain(path, "Instance", answer):
        try:
            yield asked
        finally:
            ended.set()


def told(path: Path, kind: str) -> bool:
    batch = ask(path, "Events.Watch", {"Since": {"Stream": "", "Next": 0}, "Timeout": 0})
    return kind in [event["Kind"] for event in batch["Events"]]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_a_group_needs_is_started_and_ended_from_one_terminal(
    desk: Desk, how: signal.Signals
) -> None:
    with terminal(desk) as up:
        assert up.listening(3) == USUAL
        pids = up.pids()
        assert sorted(pids) == USUAL
        assert len({os.getsid(pid) for pid in pids.values()} - {os.getsid(0)}) == 3
        desk.put_spec("web.json")
        assert desk.run("infrakit group commit web.json").returncode == 0
        assert "converged" in desk.run("ikdemo group wait web").stdout
        assert up.end(how) == (0, "")
    assert gone(pids)
    assert [path.name for path in desk.plugins.iterdir() if path.is_socket()] == []


def test_others_are_named_by_short_or_full_names_each_with_its_flags(desk: Desk) -> None:
    files = desk.cwd / "my files"
    arguments = [
        "flavor-combo",
        "infrakit-instance-file --name collabnix-instance-file --dir 'my files'",
    ]
    with terminal(desk, *arguments) as up:
        assert up.listening(2) == ["collabnix-instance-file", "flavor-combo"]
        assert sorted(up.pids()) == ["collabnix-insta", "flavor-combo"]
        assert files.is_dir()
        assert up.end() == (0, "")


def test_the_group_ends_first(desk: Desk) -> None:
    """What keeps it from ending keeps the others there: it must never see them go."""
    with terminal(desk) as up:
        up.listening(3)
        pids = up.pids()
        os.kill(pids["group"], signal.SIGSTOP)
        up.process.send_signal(signal.SIGTERM)
        assert not select.select([up.stream], [], [], 0.3)[0]
        assert desk.run("infrakit instance --name instance-file describe -q").returncode == 0
        os.kill(pids["group"], signal.SIGCONT)
        assert up.process.wait(100) == 0
        assert gone(pids)


def test_what_ends_in_order_is_not_killed(desk: Desk) -> None:
    """The times of all that ends one after the other, and how long the program that ends a plugin
    waits for it.
    """
    grace = next(flag.default for flag in find("instance-process").flags if flag.name == "grace")
    assert STOP_WAIT < PLUGIN
    assert grace < PLUGIN - 2
    assert stop_within() > REQUESTS + 2 * CUTTING + PLUGIN + 2
    assert stop_within(60.0) == stop_within() + 60.0
    within = _read(["instance-process --grace 60s", "flavor-vanilla"], 4)
    assert [plugin.stop_within for plugin in within] == [stop_within(60.0), stop_within()]


def test_a_pass_and_a_call_that_hang_end_in_time(desk: Desk) -> None:
    """The instance plugin takes Provision calls and never answers; no process is killed, and no
    socket stays behind.
    """
    desk.plugins.mkdir(mode=0o700)
    with hanging(desk.plugins / "hangs") as asked, terminal(desk, "flavor-vanilla", "group") as up:
        assert up.listening(2) == ["flavor-vanilla", "group"]
        desk.put_spec("web.json")
        spec = (desk.cwd / "web.json").read_text().replace("instance-file", "hangs")
        ask(desk.plugins / "group", "Group.CommitGroup", {"Spec": json.loads(spec)})
        assert asked.acquire(timeout=100)  # a pass is under way
        with ThreadPoolExecutor(1) as caller:
            cut = caller.submit(
                ask, desk.plugins / "group", "Group.DestroyGroup", {"ID": "web"}, 60.0
            )
            until(lambda: told(desk.plugins / "group", "destroying"))
            up.process.send_signal(signal.SIGTERM)
            _, rest = up.process.communicate(timeout=100)
            assert (up.process.returncode, "is killed" in rest) == (0, False), rest
            assert cut.exception() is not None
    assert [path.name for path in desk.plugins.iterdir() if path.is_socket()] == ["hangs"]


def test_nothing_outlives_a_launcher_that_is_killed(desk: Desk) -> None:
    with terminal(desk) as up:
        up.listening(3)
        pids = up.pids()
        assert up.end(signal.SIGKILL)[0] == -signal.SIGKILL
        assert gone(pids)
    assert [path.name for path in desk.plugins.iterdir() if path.is_socket()] == []


def test_a_plugin_that_is_killed_is_named_and_the_others_go_on(desk: Desk) -> None:
    with terminal(desk) as up:
        up.listening(3)
        os.kill(up.pids()["instance-file"], signal.SIGKILL)
        up.line("instance-file has ended: killed by SIGKILL; the others go on")
        assert sorted(up.pids()) == ["flavor-vanilla", "group"]
        assert up.end() == (1, "")


def test_a_plugin_that_cannot_start_is_named_with_what_it_said(desk: Desk) -> None:
    desk.start("infrakit-flavor-vanilla", "flavor-vanilla")
    with terminal(desk, "flavor-vanilla") as up:
        up.line("flavor-vanilla: flavor-vanilla is already served by a live plugin")
        assert up.line("flavor-vanilla has ended: exit status 1").count("others") == 0
        assert up.process.wait(100) == 1


def test_a_plugin_that_is_stopped_by_hand_is_no_failure(desk: Desk) -> None:
    with terminal(desk, "flavor-vanilla") as up:
        up.listening(1)
        os.kill(up.pids()["flavor-vanilla"], signal.SIGTERM)
        up.line("flavor-vanilla has ended: exit status 0")
        assert up.process.wait(100) == 0


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("grup", "There is no plugin 'grup' to start; there are: group, instance-file"),
        ("", "'' is not a plugin and its flags: it is empty"),
        ("instance-file --dir 'here", "no closing quotation"),
        ("group --poll-interval 0s", "the poll interval must be longer than 0"),
        ("group --store none --state-dir x", "--store none keeps nothing"),
        ("instance-process --grace -1s", "the grace time must not be shorter than 0"),
        ("group --nope", "unknown flag: --nope"),
        ("group what", 'unknown command "what" for "infrakit-group-default"'),
        ("flavor-vanilla --name a/b", "a/b"),
        ("flavor-combo --name " + "n" * 110, "107"),
        ("flavor-combo --name flavor-vanilla", "Two plugins would be called flavor-vanilla"),
    ],
)
def test_a_slip_is_one_sentence_and_nothing_is_started(
    desk: Desk, argument: str, sentence: str
) -> None:
    command = [*desk.program("ikdemo"), "up", "flavor-vanilla", argument]
    done = subprocess.run(
        command, env=desk.environment, cwd=desk.cwd, capture_output=True, text=True, timeout=100
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r'time="[^"]+" level=fatal msg=.* \n', done.stderr), done.stderr
    assert sentence in done.stderr.replace('\\"', '"')
    assert not desk.plugins.exists()
