"""Groups of real web servers: killed, stopped, crashing, their plugins killed; what is left at the
end is what was wanted.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from asking import ask
from desk import Desk
from marked import marked
from msgspec.structs import replace

from ikdemo.group.store import Store
from ikdemo.instance import procfs
from ikdemo.lab.teaching.specs import collabnix_processes
from ikdemo.reconcile.backoff import GIVE_UP_AFTER

KILL, STOP = signal.SIGKILL, signal.SIGSTOP
PLUGINS = {
    "instance-process": ("ikdemo-instance-process", "--grace", "2s"),
    "flavor-probe": ("ikdemo-flavor-probe",),
    "group": ("infrakit-group-default", "--poll-interval", "1h"),
}


@pytest.fixture
def web(desk: Desk) -> Iterator[Desk]:
    """Give a desk with the three plugins of a group of web servers; at the end no process of it is
    left.
    """
    desk.environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for name in PLUGINS:
        start(desk, name)
    yield desk
    for name in list(desk.processes):
        desk.stop(name, KILL)
    for pid in ours(desk):
        os.kill(pid, KILL)


def start(desk: Desk, name: str) -> None:
    program, *flags = PLUGINS[name]
    desk.start(program, name, *flags)


def register(desk: Desk) -> Path:
    return desk.plugins / "instance-process.instances"


def ours(desk: Desk) -> list[int]:
    """Return every process that was started for an instance, by what is in its environment."""
    return marked(register(desk))


def until(holds: Callable[[], Any]) -> Any:
    """Wait until something holds, and return it."""
    deadline = time.monotonic() + 100
    while not (found := holds()):
        assert time.monotonic() < deadline, "it did not come to hold in time"
        time.sleep(0.01)
    return found


def commit(desk: Desk, spec: dict[str, Any]) -> None:
    (desk.cwd / "spec.json").write_text(json.dumps(spec))
    done = desk.run("infrakit group commit spec.json")
    assert done.returncode == 0, done.stderr


def wait(desk: Desk) -> None:
    done = desk.run("ikdemo group wait collabnix --timeout 100s")
    assert done.returncode == 0, done.stdout + done.stderr


def pids(desk: Desk) -> dict[str, int]:
    """Return the process of each instance that is registered."""
    found = {}
    for path in register(desk).glob("*.json"):
        try:
            found[path.stem] = int(json.loads(path.read_text())["Pid"])
        except FileNotFoundError:
            continue
    return found


def pages(desk: Desk) -> set[str]:
    """Ask every instance for its page; return the IDs of those that answered."""
    answered = set()
    described = (
        ask(desk.plugins / "instance-process", "Instance.DescribeInstances", {"Tags": {}})[
            "Descriptions"
        ]
        or []
    )
    for one in described:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{one['Tags']['port']}/", timeout=0.3
            ) as page:
                answered.add(page.read().decode().split()[0])
        except OSError:
            continue
    return answered


def all_answer(desk: Desk, number: int = 5) -> dict[str, int]:
    """Wait until so many instances answer, and return the process of each."""
    until(lambda: len(pages(desk)) == number)
    found = pids(desk)
    assert set(found) == pages(desk)
    return found


def test_the_example_is_the_lab_s_own_spec() -> None:
    example = Path(__file__).parents[2] / "examples" / "collabnix-processes.json"
    assert json.loads(example.read_text()) == collabnix_processes(group="collabnix-processes")


def test_a_killed_server_is_replaced_and_the_others_are_left_alone(web: Desk) -> None:
    commit(web, collabnix_processes())
    before = all_answer(web)
    target = sorted(before)[0]
    os.kill(before[target], KILL)
    until(lambda: target not in pids(web) and len(pids(web)) == 5)
    after = all_answer(web)
    assert {name: pid for name, pid in before.items() if name != target}.items() <= after.items()
    wait(web)
    assert len(ours(web)) == 5


def test_a_stopped_server_is_called_unhealthy_and_replaced(web: Desk) -> None:
    commit(web, collabnix_processes())
    before = all_answer(web)
    until(lambda: healthy(web) == set(before))
    target = sorted(before)[0]
    os.kill(before[target], STOP)
    until(lambda: target not in pids(web) and len(pids(web)) == 5)
    after = all_answer(web)
    assert len(set(before) & set(after)) == 4
    assert procfs.stat(before[target]) is None
    assert judged(web, "unhealthy") == [target]
    ended = [
        event for event in told(web, "instance-process") if event["Kind"] in ("destroyed", "lost")
    ]
    assert [(event["Kind"], event["Instance"]) for event in ended] == [("destroyed", target)]


def healthy(desk: Desk) -> set[str]:
    """Return the instances that the probe has called healthy so far."""
    return set(judged(desk, "healthy"))


def judged(desk: Desk, health: str) -> list[str]:
    """Return the instances that the probe has called so, in the order in which it did."""
    return [event["Instance"] for event in told(desk, "flavor-probe") if event["Code"] == health]


def told(desk: Desk, plugin: str) -> list[dict[str, Any]]:
    """Return what a plugin has told so far."""
    events: list[dict[str, Any]] = ask(
        desk.plugins / plugin, "Events.Watch", {"Since": {"Stream": "", "Next": 0}, "Timeout": 0}
    )["Events"]
    return events


ILL_AT_TIMES = """
import os
from http.server import BaseHTTPRequestHandler, HTTPServer
class Page(BaseHTTPRequestHandler):
    asked = 0
    def do_GET(self):
        Page.asked += 1
        ill = Page.asked > 1 and Page.asked % ROUND != 1
        print("ill" if ill else "well", flush=True)
        self.send_response(503 if ill else 200)
        self.end_headers()
    def log_message(self, *words): pass
HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Page).serve_forever()
"""
"""A server that is well at one of so many checks."""


@pytest.mark.parametrize(("ill", "stays"), [(2, True), (3, False)])
def test_a_server_stays_until_it_was_ill_so_many_times_in_a_row(
    web: Desk, ill: int, stays: bool
) -> None:
    spec = collabnix_processes(size=1)
    command = [sys.executable, "-c", ILL_AT_TIMES.replace("ROUND", str(ill + 1))]
    spec["Properties"]["Instance"]["Properties"] = {"Command": command}
    spec["Properties"]["Flavor"]["Properties"] = {
        "Check": {"HTTP": "/"},
        "Interval": "100ms",
        "Timeout": "20s",
        "Threshold": 3,
    }
    commit(web, spec)
    [(instance, _)] = until(lambda: pids(web)).items()
    if stays:
        until(lambda: len(checks(web, instance)) > 6 * (ill + 1))
        assert checks(web, instance).count("ill") >= 6 * ill
        assert (list(pids(web)), judged(web, "unhealthy")) == ([instance], [])
    else:
        until(lambda: instance not in pids(web))
        assert judged(web, "unhealthy")[:1] == [instance]


def checks(desk: Desk, instance: str) -> list[str]:
    """Return what a server printed at each check."""
    printed: list[str] = ask(
        desk.plugins / "instance-process", "Instance.Logs", {"Instance": instance, "Tail": 0}
    )["Lines"]
    return printed


def test_a_killed_plugin_knows_all_its_processes_again_and_misses_those_that_died(
    web: Desk,
) -> None:
    commit(web, collabnix_processes())
    before = all_answer(web)
    wait(web)
    web.stop("instance-process", KILL)
    assert sorted(ours(web)) == sorted(before.values())
    start(web, "instance-process")
    assert all_answer(web) == before
    wait(web)
    assert pids(web) == before
    web.stop("instance-process", KILL)
    target = sorted(before)[0]
    os.kill(before[target], KILL)
    start(web, "instance-process")
    until(lambda: len(pids(web)) == 5)
    after = all_answer(web)
    assert len(after.items() & before.items()) == 4
    assert sorted(ours(web)) == sorted(after.values())


def test_a_command_that_crashes_at_once_is_tried_less_and_less_and_why_says_so(web: Desk) -> None:
    spec = collabnix_processes(size=1)
    spec["Properties"]["Flavor"]["Properties"]["Init"] = [
        f"echo x >> {web.cwd}/starts",
        "echo cannot open the shop >&2",
        "exit 7",
    ]
    commit(web, spec)
    until(lambda: starts(web) >= 6)
    began = [
        event["Time"] for event in told(web, "instance-process") if event["Kind"] == "provisioned"
    ]
    waits = [later - sooner for sooner, later in itertools.pairwise(began)]
    # one more is at once where an instance was found missing before it was told how it had ended; a
    # hot loop would start hundreds
    assert waits[4] >= 1.0, waits
    assert waits[2] < waits[3] < waits[4], waits
    said = until(lambda: (text := why(web)) and "backing-off" in text and text)
    assert "exited with status 7" in said
    assert "cannot open the shop" in said
    commit(web, collabnix_processes(size=1))
    all_answer(web, 1)


def test_a_program_that_does_not_exist_is_a_reason_and_no_hot_loop(web: Desk) -> None:
    spec = collabnix_processes(size=2)
    spec["Properties"]["Instance"]["Properties"] = {"Command": ["no-such-program"]}
    commit(web, spec)
    said = until(lambda: (text := why(web)) and "backing-off" in text and text)
    assert "cannot run no-such-program: there is no such program" in said
    assert list(register(web).iterdir()) == []


def almost_given_up(desk: Desk) -> None:
    """Let every troubled slot of the stored group have all its tries but one behind it, as after
    most of a minute.
    """
    store = Store(desk.plugins / "group.state")
    for record in store.open():
        spent = {
            slot: replace(trouble, unproductive=GIVE_UP_AFTER - 1, not_before=0.0)
            for slot, trouble in record.backoffs.items()
        }
        store.save(replace(record, backoffs=spent))
    store.close()


@pytest.mark.parametrize(
    ("command", "last"),
    [
        (
            ["sh", "-c", 'echo x >> "$STARTS"; echo no such luck; exit 3'],
            "it said last: no such luck",
        ),
        (["no-such-program"], "cannot run no-such-program: there is no such program"),
    ],
)
def test_what_ends_at_once_or_is_not_there_is_given_up_until_somebody_says_so(
    web: Desk, command: list[str], last: str
) -> None:
    spec = collabnix_processes(size=1)
    spec["Properties"]["Instance"]["Properties"] = {
        "Command": command,
        "Env": {"STARTS": str(web.cwd / "starts")},
    }
    commit(web, spec)
    until(lambda: "backing-off" in (text := why(web)) and last in text)
    web.stop("group")
    almost_given_up(web)
    start(web, "group")
    said = given_up(web)
    assert said.startswith(
        "stopped trying until the spec changes: 9 attempts in a row came to nothing, the last one: "
    )
    assert said.endswith(last)
    assert said in why(web)
    assert (
        len(
            [
                event
                for event in told(web, "group")
                if event["Kind"] == "halted" and last in event["Text"]
            ]
        )
        == 1
    )
    web.stop("group", KILL)
    start(web, "group")
    assert given_up(web) == said
    tries = starts(web)
    # the same spec is no other spec
    assert web.run("infrakit group commit spec.json").returncode == 0
    assert web.run("ikdemo group step collabnix").returncode == 0
    assert (given_up(web), starts(web)) == (said, tries)
    assert web.run("ikdemo group resume collabnix").returncode == 0
    until(lambda: "backing-off" in why(web) or starts(web) > tries + 1)
    assert starts(web) > tries or command == ["no-such-program"]
    commit(web, collabnix_processes(size=1))
    all_answer(web, 1)


def why(desk: Desk) -> str:
    return desk.run("ikdemo group why collabnix").stdout


def given_up(desk: Desk) -> str:
    """Wait until the one slot of the group is given up, and return what is said of that."""

    def said() -> str:
        reasons = ask(desk.plugins / "group", "Reconcile.Why", {"ID": "collabnix"})["Reasons"]
        return next((str(reason["Text"]) for reason in reasons if reason["Code"] == "halted"), "")

    return str(until(said))


def starts(desk: Desk) -> int:
    """Count how often the command has been started."""
    return len((desk.cwd / "starts").read_text().split()) if (desk.cwd / "starts").exists() else 0


def test_nothing_is_left_after_a_group_was_destroyed(web: Desk) -> None:
    spec = collabnix_processes()
    init = spec["Properties"]["Flavor"]["Properties"]["Init"]
    spec["Properties"]["Flavor"]["Properties"]["Init"] = [
        "sleep 1000 & (trap '' TERM; sleep 1000; sleep 1000) &",
        *init,
    ]
    commit(web, spec)
    all_answer(web)
    assert len(ours(web)) > 10
    done = web.run("infrakit group destroy collabnix")
    assert done.returncode == 0, done.stderr
    assert ours(web) == []
    assert list(register(web).iterdir()) == []


@pytest.mark.parametrize("ending", ["its standard input ends", "it is asked to end"])
def test_a_plugin_that_ends_with_its_parent_takes_its_instances_along(
    web: Desk, ending: str
) -> None:
    web.stop("instance-process")
    command = [*web.program("ikdemo-instance-process"), "--exit-with-stdin", "--grace", "2s"]
    with (web.root / "log").open("w") as log:
        process = subprocess.Popen(
            command, env=web.environment, cwd=web.cwd, stdin=subprocess.PIPE, stderr=log
        )
    until(lambda: served(web.plugins / "instance-process"))
    commit(web, collabnix_processes())
    all_answer(web)
    web.stop("group", KILL)
    assert process.stdin is not None
    if ending == "it is asked to end":
        process.terminate()
    else:
        process.stdin.close()
    assert process.wait(100) == 0
    assert ours(web) == []
    assert list(register(web).iterdir()) == []
    process.stdin.close()


def served(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def test_plugins_that_just_stop_leave_the_instances_running(web: Desk) -> None:
    commit(web, collabnix_processes(size=2))
    before = all_answer(web, 2)
    for name in ("group", "instance-process"):
        assert web.stop(name) == 0
    assert sorted(ours(web)) == sorted(before.values())
    for name in ("instance-process", "group"):
        start(web, name)
    wait(web)
    assert all_answer(web, 2) == before


def test_after_many_kills_of_anything_there_are_exactly_the_wanted_ones(web: Desk) -> None:
    commit(web, collabnix_processes())
    dice = random.Random(5)
    killed = 0
    while killed < 30:
        living = sorted(pids(web).values())
        if dice.random() < 0.15:
            name = dice.choice(sorted(PLUGINS))
            web.stop(name, KILL)
            start(web, name)
        elif living:
            try:
                os.kill(dice.choice(living), dice.choice((KILL,) * 6 + (signal.SIGTERM, STOP)))
            except ProcessLookupError:
                continue
        killed += 1
        time.sleep(dice.random() * 0.3)
    until(lambda: len(pages(web)) == 5)
    wait(web)
    after = all_answer(web)
    assert sorted(ours(web)) == sorted(after.values())
    slots = [json.loads((register(web) / f"{name}.json").read_text())["Slot"] for name in after]
    assert sorted(slots) == ["0", "1", "2", "3", "4"]
    assert {path.suffix for path in register(web).iterdir()} == {".json", ".log"}
    assert len(list(register(web).iterdir())) == 10
