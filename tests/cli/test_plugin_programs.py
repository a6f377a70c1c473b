"""The plugin programs as a person starts them: what they say, how they end, and what they refuse in
one line.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import asking
import pytest

NAMES = {
    "infrakit-group-default": "group",
    "infrakit-instance-file": "instance-file",
    "ikdemo-instance-process": "instance-process",
    "infrakit-flavor-vanilla": "flavor-vanilla",
    "ikdemo-flavor-probe": "flavor-probe",
    "infrakit-flavor-combo": "flavor-combo",
    "infrakit-flavor-zookeeper": "flavor-zookeeper",
    "infrakit-flavor-swarm": "flavor-swarm",
}


@pytest.mark.parametrize("program", NAMES)
def test_a_program_says_where_it_listens_and_leaves_no_socket(desk, program: str) -> None:
    name = NAMES[program]
    desk.start(program, name)
    assert desk.run("infrakit plugin ls -q").stdout == f"{name:<20}\t{desk.plugins / name}\n"
    assert desk.stop(name) == 0
    assert re.fullmatch(
        rf'time="[^"]+" level=info msg="Listening at: {desk.plugins / name}" \n', desk.log(name)
    )
    assert not (desk.plugins / name).exists()


@pytest.mark.parametrize("program", NAMES)
def test_a_terminal_that_is_closed_is_an_orderly_end(desk, program: str) -> None:
    name = NAMES[program]
    desk.start(program, name)
    assert desk.stop(name, signal.SIGHUP) == 0
    assert not (desk.plugins / name).exists()


def test_a_program_under_nohup_outlives_its_terminal(desk) -> None:
    # what a program is started to ignore, it goes on to ignore
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = desk.start("infrakit-flavor-vanilla", "flavor-vanilla")
    finally:
        signal.signal(signal.SIGHUP, before)
    process.send_signal(signal.SIGHUP)
    assert "flavor-vanilla" in desk.run("infrakit plugin ls -q").stdout
    assert asking.ask(desk.plugins / "flavor-vanilla", "Plugin.Implements", {})["APIs"]
    assert desk.stop("flavor-vanilla") == 0


def test_a_program_ends_when_its_standard_input_is_a_terminal_that_was_closed(desk) -> None:
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "ikdemo", "infrakit-flavor-vanilla", "--exit-with-stdin"]
    with subprocess.Popen(
        command, env=desk.environment, stdin=theirs, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert "Listening at" in process.stderr.readline()
        os.close(theirs)
        os.close(ours)
        _, rest = process.communicate(timeout=100)
        assert (process.returncode, rest) == (0, "")
    assert not (desk.plugins / "flavor-vanilla").exists()


@pytest.mark.parametrize("program", NAMES)
def test_a_program_ends_with_its_standard_input_when_told_to(desk, program: str) -> None:
    command = [sys.executable, "-m", "ikdemo", program, "--exit-with-stdin"]
    process = subprocess.Popen(
        command, env=desk.environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert "Listening at" in process.stderr.readline()
    _, rest = process.communicate(timeout=100)
    assert (process.returncode, rest) == (0, "")
    assert not (desk.plugins / NAMES[program]).exists()


@pytest.mark.parametrize("program", NAMES)
def test_a_program_has_a_version_and_a_page(desk, program: str) -> None:
    assert re.fullmatch(
        r"Version: \d+\.\d+\.\d+\nRevision: .*\n", desk.run(f"ikdemo {program} version").stdout
    )
    assert f"Usage: {program}" in desk.run(f"ikdemo {program} --help").stdout


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("infrakit-instance-file --nope", "unknown flag: --nope"),
        ("infrakit-instance-file --name", "flag needs an argument: --name"),
        ("infrakit-instance-file what", 'unknown command "what" for "infrakit-instance-file"'),
        (
            "infrakit-group-default --poll-interval 10",
            "expected a duration such as 10s, 1m30s or 100ms",
        ),
        ("infrakit-group-default --poll-interval 0s", "the poll interval must be longer than 0"),
        ("infrakit-instance-file --dir /proc/nowhere/x", "/proc/nowhere/x"),
        ("infrakit-group-default --state-dir /proc/nowhere/x", "/proc/nowhere"),
        ("infrakit-flavor-vanilla --name a/b", "a/b"),
        ("infrakit-flavor-vanilla --name=", "name"),
        ("infrakit-flavor-vanilla --name " + "n" * 110, "107"),
        ("infrakit-flavour", 'unknown command "infrakit-flavour"'),
    ],
)
def test_a_start_that_cannot_be_is_one_fatal_line(desk, line: str, sentence: str) -> None:
    done = desk.run(f"ikdemo {line}")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r'time="[^"]+" level=fatal msg=.* \n', done.stderr), done.stderr
    assert sentence in done.stderr.replace('\\"', '"')


def test_a_name_and_a_folder_have_one_owner(desk) -> None:
    desk.start("infrakit-instance-file", "one", "--dir", str(desk.instances))
    again = desk.run(f"ikdemo infrakit-instance-file --name one --dir {desk.root}/other")
    shared = desk.run(f"ikdemo infrakit-instance-file --name two --dir {desk.instances}")
    assert (again.returncode, shared.returncode) == (1, 1)
    assert "one is already served by a live plugin" in again.stderr
    assert f"in use by pid {desk.processes['one'].pid}" in shared.stderr
    assert desk.run("infrakit instance --name one describe -q").returncode == 0
    desk.stop("one", signal.SIGKILL)
    desk.start("infrakit-instance-file", "one", "--dir", str(desk.instances))


def test_a_plugin_directory_that_everybody_may_write_is_refused(desk) -> None:
    desk.plugins.mkdir()
    desk.plugins.chmod(0o777)
    for line in ("ikdemo infrakit-flavor-vanilla", "infrakit plugin ls"):
        done = desk.run(line)
        assert done.returncode == 1
        assert "may be written by everybody" in done.stderr


def test_the_installed_programs_are_the_same(desk) -> None:
    scripts = Path(sys.executable).parent
    installed = [name for name in ("infrakit", "ikdemo", *NAMES) if (scripts / name).exists()]
    for name in installed:
        done = subprocess.run(
            [scripts / name, "version"],
            env=desk.environment,
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert (done.returncode, done.stderr) == (0, "")
    assert len(installed) in (0, len(NAMES) + 2)  # none in a tree that is only on the path


def test_standard_output_that_is_full_or_closed_is_no_traceback(desk) -> None:
    command = desk.command("ikdemo schema")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command,
            env=desk.environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=100,
        )
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        command, env=desk.environment, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=100
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")
