"""The launcher of a lab: what it forks are processes like any other, held without a doubt, and none outlives it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ikdemo.lab import Lab
from ikdemo.rpc.discovery import ENVIRONMENT
from ikdemo.spi.errors import IkdemoError, PluginUnavailable


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab() as opened:
        yield opened


def of(lab: Lab) -> dict[str, int]:
    return {name: process.pid for name, process in lab._processes.items()}


def launcher(lab: Lab) -> subprocess.Popen[bytes]:
    return lab._launcher._process


def environment(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/environ").read_text().split("\0")


def test_each_plugin_is_a_process_with_a_session_a_name_and_nothing_of_the_others(lab: Lab) -> None:
    lab.start()
    lab.start_plugin("instance-file", "collabnix-instance-file")
    pids = of(lab)
    assert {os.getsid(pid) for pid in pids.values()} == set(pids.values())
    names = {Path(f"/proc/{pid}/comm").read_text().strip() for pid in pids.values()}
    assert names == {"instance-file", "flavor-vanilla", "group", "collabnix-insta"}
    for name, pid in pids.items():
        assert f"{ENVIRONMENT}={lab.plugin_dir}" in environment(pid)
        assert Path(f"/proc/{pid}/cwd").resolve() == lab.plugin_dir.resolve()
        targets = {number: str(Path(f"/proc/{pid}/fd/{number}").readlink()) for number in range(3)}
        assert targets[0].startswith("pipe:")
        assert targets[1] == targets[2] == str((lab.root / "logs" / f"{name}.log").resolve())
        assert f"/{name}" in Path(targets[1]).read_text()


def test_a_killed_plugin_leaves_the_others_and_a_stale_socket_and_starts_again(lab: Lab) -> None:
    lab.start()
    before = of(lab)
    os.kill(before["group"], signal.SIGKILL)  # from elsewhere, as in a terminal
    assert lab._processes["group"]._process.wait(10) == -signal.SIGKILL
    assert lab._processes["group"].state.startswith("ended: ")
    assert lab.socket("group").is_socket()
    lab.start_again("group")
    after = of(lab)
    assert {name for name in after if after[name] != before[name]} == {"group"}
    lab.stop_plugin("group")
    assert not lab.socket("group").exists()
    assert not Path(f"/proc/{after['group']}").exists()
    assert lab._processes["group"].state == "stopped"


def test_a_plugin_that_says_nothing_ends_with_its_exit_status(lab: Lab) -> None:
    lab.start("flavor-vanilla")
    process = lab._processes["flavor-vanilla"]
    process.kill()
    process.log.write_text("")
    process._log_from = 0
    assert process.complaint() == "exit status -9"


def test_a_start_that_cannot_be_says_what_the_program_said(lab: Lab) -> None:
    with pytest.raises(PluginUnavailable, match=r"bad did not start: .*poll interval must be longer than 0"):
        lab.start_plugin("group", "bad", poll_interval="0s")
    assert lab._processes["bad"].state.startswith("ended: ")


def test_plugins_end_with_a_launcher_that_is_killed_and_the_next_start_gets_another(lab: Lab) -> None:
    lab.start()
    processes = list(lab._processes.values())
    killed = launcher(lab)
    killed.kill()
    for process in processes:
        process._process.wait(10)
        assert not process.running
    assert [path.name for path in lab.plugin_dir.iterdir() if path.is_socket()] == []
    for name in of(lab):
        lab.start_again(name)
    assert launcher(lab).pid != killed.pid
    assert all(state == "running" for _, _, state in lab.plugins().rows)


def test_a_plugin_sees_the_environment_of_the_moment_it_is_started_in(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOLD", "after the launcher had begun")
    lab.start("instance-process", "flavor-vanilla", "group")
    spec = {
        "ID": "one",
        "Properties": {
            "Allocation": {"Size": 1},
            "Instance": {"Plugin": "instance-process", "Properties": {"Command": ["sleep", "60"]}},
            "Flavor": {"Plugin": "flavor-vanilla", "Properties": {}},
        },
    }
    lab.commit(spec)
    lab.wait("one")
    (instance,) = [int(row[-1]) for row in lab.processes("one").rows]
    assert "TOLD=after the launcher had begun" in environment(instance)


def test_a_closed_lab_has_no_launcher_and_a_reset_one_keeps_it() -> None:
    lab = Lab()
    lab.start("flavor-vanilla")
    begun = launcher(lab)
    lab.reset()
    lab.start("flavor-vanilla")
    assert launcher(lab) is begun
    pid = of(lab)["flavor-vanilla"]
    lab.close()
    assert begun.returncode is not None
    assert not Path(f"/proc/{pid}").exists()


def test_a_process_is_never_confused_with_one_that_got_its_pid(lab: Lab) -> None:
    """After its end every signal is for nobody, whoever has the pid by then."""
    lab.start("flavor-vanilla")
    forked = lab._processes["flavor-vanilla"]._process
    held = os.pidfd_open(forked.pid)
    forked.terminate()
    assert select.select([held], [], [], 10)[0]
    os.close(held)
    assert forked.wait(10) == 0
    forked.terminate()
    forked.kill()
    assert forked.poll() == 0


def test_an_order_that_is_too_long_is_refused_in_words(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        monkeypatch.setenv(f"LONG_{number}", "x" * 100_000)
    with pytest.raises(IkdemoError, match="infrakit-flavor-vanilla cannot be started: Message too long"):
        lab.start("flavor-vanilla")


@pytest.mark.parametrize("seconds", [2, 0.25, "2s"])
def test_a_number_for_a_duration_means_seconds(lab: Lab, seconds: float | str) -> None:
    assert ["group", "infrakit-group-default", "running"] in list(lab.start_plugin("group", poll_interval=seconds))
    said = lab._processes["group"].arguments
    assert said[said.index("--poll-interval") + 1] == {2: "2s", 0.25: "0.25s"}.get(seconds, seconds)


@pytest.mark.parametrize(
    "slip",
    [
        lambda lab: lab.start_plugin("group", poll_interval=[2]),
        lambda lab: lab.start_plugin("group", poll_interval=True),
        lambda lab: lab.start_plugin("group", poll_interval=float("nan")),
        lambda lab: lab.start_plugin("group", store=None),
        lambda lab: lab.start_plugin("group", store="no\0ne"),
        lambda lab: lab.start_plugin("group", 5),
        lambda lab: lab.start_plugin("group", "../elsewhere"),
        lambda lab: lab.start_plugin(["group"]),
        lambda lab: lab.start("flavor-vanilla", 5),
        lambda lab: lab.serve(object(), 5),
    ],
)
def test_a_value_of_no_use_is_one_sentence_and_the_launcher_lives_on(lab: Lab, slip) -> None:
    before = launcher(lab).pid
    with pytest.raises(IkdemoError) as refused:
        slip(lab)
    assert "\n" not in str(refused.value)
    lab.start("instance-file", "flavor-vanilla")
    assert launcher(lab).pid == before
