"""The plugin processes of a lab: what each is started with, what is said of one that ends, and what
is refused before anything is started.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
import time
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ikdemo
from ikdemo.lab import Lab
from ikdemo.rpc.discovery import ENVIRONMENT
from ikdemo.spi.errors import IkdemoError, PluginUnavailable

PACKAGE = Path(ikdemo.__file__).parent
UNINSTALLED = """
import sys
sys.path[:0] = sys.argv[1:]
from ikdemo.lab import Lab
Lab  # loaded
sys.path.insert(0, "")
with Lab() as lab:
    lab.start()
    print(len(lab.plugins()), *set(lab.plugins().column("state")))
"""
FORBID_PIDFD_OPEN = """
import ctypes, struct
# a filter of system calls: number 434 fails with ENOSYS, all others are let by
LOAD_NUMBER, IF_EQUAL, RETURN, FAIL, ALLOW = 0x20, 0x15, 0x06, 0x00050000 | 38, 0x7FFF0000
rules = [(LOAD_NUMBER, 0, 0, 0), (IF_EQUAL, 0, 1, 434), (RETURN, 0, 0, FAIL), (RETURN, 0, 0, ALLOW)]
filters = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *rule) for rule in rules))
address = ctypes.addressof(filters)
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(rules), address))
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program) == 0
"""


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab() as opened:
        yield opened


def sleeper() -> dict[str, Any]:
    """Return the spec of a group of one process."""
    instance = {"Plugin": "instance-process", "Properties": {"Command": ["sleep", "60"]}}
    flavor = {"Plugin": "flavor-vanilla", "Properties": {}}
    return {
        "ID": "one",
        "Properties": {"Allocation": {"Size": 1}, "Instance": instance, "Flavor": flavor},
    }


def of(lab: Lab) -> dict[str, int]:
    return {name: process.pid for name, process in lab._plugins.processes.items()}


def environment(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/environ").read_text().split("\0")


def test_each_plugin_is_a_process_with_a_session_and_nothing_of_the_others(lab: Lab) -> None:
    lab.start()
    lab.start_plugin("instance-file", "collabnix-instance-file")
    pids = of(lab)
    assert {os.getsid(pid) for pid in pids.values()} == set(pids.values())
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
    assert lab._plugins.processes["group"]._process.wait(100) == -signal.SIGKILL
    # and not what it did last
    assert lab._plugins.processes["group"].state == "ended: exit status -9"
    assert lab.socket("group").is_socket()
    lab.start_again("group")
    after = of(lab)
    assert {name for name in after if after[name] != before[name]} == {"group"}
    lab.stop_plugin("group")
    assert not lab.socket("group").exists()
    assert not Path(f"/proc/{after['group']}").exists()
    assert lab._plugins.processes["group"].state == "stopped"


def test_a_plugin_that_says_nothing_ends_with_its_exit_status(lab: Lab) -> None:
    lab.start("flavor-vanilla")
    process = lab._plugins.processes["flavor-vanilla"]
    process.kill()
    process.log.write_text("")
    process._log_from = 0
    assert process.complaint() == "exit status -9"


def test_a_start_that_cannot_be_says_what_the_program_said(lab: Lab) -> None:
    with pytest.raises(
        PluginUnavailable, match=r"bad did not start: .*poll interval must be longer than 0"
    ):
        lab.start_plugin("group", "bad", poll_interval="0s")
    assert lab._plugins.processes["bad"].state.startswith("ended: ")


def test_a_plugin_sees_the_environment_of_the_moment_it_is_started_in(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOLD", "after the lab was opened")
    lab.start("instance-process", "flavor-vanilla", "group")
    lab.commit(sleeper())
    lab.wait("one")
    (instance,) = [int(row[-1]) for row in lab.processes("one").rows]
    assert "TOLD=after the lab was opened" in environment(instance)


@pytest.mark.parametrize("kib", [296, 900])
def test_a_large_environment_is_passed_on_whole(
    kib: int, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kernel of a large Kubernetes cluster is told of every service in it."""
    for number in range(kib * 1024 // 90):
        monkeypatch.setenv(
            f"SERVICE_{number:05}_PORT", f"tcp://10.3.246.84:{number:05}".ljust(70, "é")
        )
    monkeypatch.setenv("TOLD", "\udcff")
    lab.start("instance-process", "flavor-vanilla", "group")
    lab.commit(sleeper())
    lab.wait("one")
    (instance,) = [int(row[-1]) for row in lab.processes("one").rows]
    while not (told := Path(f"/proc/{instance}/environ").read_bytes().split(b"\0"))[0]:
        time.sleep(0.01)  # it is just beginning its program
    assert sum(one.startswith(b"SERVICE_") for one in told) == kib * 1024 // 90
    assert b"TOLD=\xff" in told


def test_an_environment_that_is_too_long_is_refused_in_words(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LONG", "x" * 200_000)
    with pytest.raises(IkdemoError, match="flavor-vanilla cannot be started: Argument list too"):
        lab.start("flavor-vanilla")


def test_a_package_that_cannot_be_imported_is_named(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ikdemo").mkdir()
    (tmp_path / "ikdemo" / "__init__.py").write_text("raise ImportError('half of it is missing')")
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(sys, "path", [str(tmp_path)])
        for _ in range(2):
            with pytest.raises(IkdemoError) as refused:
                lab.start("flavor-combo")
            why = "ImportError: half of it is missing"
            assert str(refused.value) == f"flavor-combo did not start: {why}"
        elsewhere.setattr(sys, "executable", "/bin/false")
        with pytest.raises(IkdemoError, match="flavor-combo did not start: exit status 1"):
            lab.start("flavor-combo")
    assert lab.start("flavor-combo").column("state") == ["running"]


def test_a_package_that_is_not_installed_is_found_where_this_python_finds_it(
    tmp_path: Path,
) -> None:
    """As in a clone that a notebook put on ``sys.path``; a learner's own file of a plugin's name is
    left alone.
    """
    (tmp_path / "clone").mkdir()
    (tmp_path / "clone" / "ikdemo").symlink_to(PACKAGE)
    (tmp_path / "cwd").mkdir()
    (tmp_path / "cwd" / "msgspec.py").write_text("raise SystemExit('my own notes')")
    venv.create(tmp_path / "other")
    others = [str(tmp_path / "clone"), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    begin = [str(tmp_path / "other" / "bin" / "python"), "-c", UNINSTALLED, *others]
    done = subprocess.run(begin, cwd=tmp_path / "cwd", capture_output=True, text=True, timeout=100)
    assert (done.stdout.split(), done.stderr) == (["3", "running"], "")


def test_a_system_without_pidfds_is_named_by_the_doctor() -> None:
    program = (
        f"{FORBID_PIDFD_OPEN}\nimport sys\nfrom ikdemo.cli.main import "
        "ikdemo\nsys.argv[1:] = ['doctor']\nikdemo()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=100
    )
    (line,) = [line for line in done.stdout.splitlines() if "pidfd" in line]
    assert line.startswith(
        "no   pidfd                 pidfd_open: function not implemented  ->  labs and process "
        "instances need"
    )


def test_a_strict_python_has_nothing_to_warn_of() -> None:
    """A socket or a pipe that is left open is a ResourceWarning at the end."""
    program = "from ikdemo.lab import Lab\nlab = Lab()\nlab.start()"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", "-c", program],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("seconds", [2, 0.25, "2s"])
def test_a_number_for_a_duration_means_seconds(lab: Lab, seconds: float | str) -> None:
    assert ["group", "infrakit-group-default", "running"] in list(
        lab.start_plugin("group", poll_interval=seconds)
    )
    said = lab._plugins.processes["group"].command
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
def test_a_value_of_no_use_is_one_sentence_and_starts_nothing(lab: Lab, slip) -> None:
    with pytest.raises(IkdemoError) as refused:
        slip(lab)
    assert "\n" not in str(refused.value)
    assert of(lab) == {}
