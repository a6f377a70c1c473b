"""Our command line against recorded runs of InfraKit v0.1.0's: standard output and exit status
exactly, messages word for word.

A setup is prepared once and its lines are run in their order. Error messages that are the Go
library's own words ("json: ...", "Post ...") are replaced by sentences of ours, of which only the
form is checked here.
"""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

LINES = [
    json.loads(line) for line in Path(__file__).with_name("cli.jsonl").read_text().splitlines()
]
SETUPS = list(dict.fromkeys(line["setup"] for line in LINES))
INFRAKIT = [
    sys.executable,
    "-c",
    "import sys; from ikdemo.cli.main import infrakit; sys.exit(infrakit())",
]
PROGRAMS = {
    "group": "infrakit-group-default",
    "instance-file": "infrakit-instance-file",
    "flavor-vanilla": "infrakit-flavor-vanilla",
    "flavor-combo": "infrakit-flavor-combo",
    "flavor-zookeeper": "infrakit-flavor-zookeeper",
}

GOS_OWN = re.compile(
    r'^(json: |invalid character|unexpected end of JSON|Post "http|invalid argument .* strconv\.)'
)
LONG_NAME = "a-very-long-plugin-name-of-more-than-twenty"
CATTLE = {
    "infrakit.group": "cattle",
    "infrakit.config_sha": "m2xF9SB95FGMbjtTpBRgzn5tTas=",
    "tier": "web",
}
LISTED = (
    ("instance-0001", None, {"group": "a", "tier": "web"}),
    ("instance-0002", "10.0.0.1", {"tier": "db", "group": "a"}),
    ("instance-0003", None, None),
    ("the-quite-long-instance-identifier-0004", None, {"k": "v=w", "k2": "a,b"}),
)


class World:
    """A folder with plugins, instances and a working directory, prepared as a ``setup`` says."""

    def __init__(self, root: Path) -> None:
        self.root, self.plugins, self.instances, self.cwd = (
            root,
            root / "plugins",
            root / "instances",
            root / "cwd",
        )
        for folder in (self.instances, self.cwd):
            folder.mkdir()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def environment(self, more: dict[str, str] | None = None) -> dict[str, str]:
        extra = {key: self.fill(value) for key, value in (more or {}).items()}
        return {**os.environ, "INFRAKIT_PLUGINS_DIR": str(self.plugins), **extra}

    def start(self, *names: str, program: str = "") -> None:
        for name in names:
            flags = {
                "group": ["--poll-interval", "1h"],
                "instance-file": ["--dir", str(self.instances)],
            }.get(name, [])
            command = [
                sys.executable,
                "-m",
                "ikdemo",
                program or PROGRAMS[name],
                "--name",
                name,
                *flags,
            ]
            with (self.root / f"{name}.log").open("wb") as log:
                self.processes[name] = subprocess.Popen(
                    command, env=self.environment(), cwd=self.cwd, stderr=log
                )
        for name in names:
            self.wait_for(name)

    def wait_for(self, name: str) -> None:
        deadline = time.monotonic() + 100
        while time.monotonic() < deadline and self.processes[name].poll() is None:
            with socket.socket(socket.AF_UNIX) as probe:
                if probe.connect_ex(os.fsencode(self.plugins / name)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError((self.root / f"{name}.log").read_text())

    def end(self, name: str, how: signal.Signals) -> None:
        self.processes[name].send_signal(how)
        self.processes.pop(name).wait(100)

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()

    def put(self, name: str, logical: str | None, tags: dict[str, str] | None) -> None:
        spec = {
            "Properties": None,
            "Tags": tags,
            "Init": "",
            "LogicalID": logical,
            "Attachments": None,
        }
        document = {"ID": name, "LogicalID": logical, "Tags": tags, "Spec": spec}
        (self.instances / name).write_text(json.dumps(document))

    def fill(self, text: str) -> str:
        return text.replace("${PLUGINS_DIR}", str(self.plugins)).replace(
            "${RUN_DIR}", str(self.root)
        )

    def prepare(self, setup: str) -> None:
        """Bring about what a recording's ``setup`` says in words."""
        if "does not exist" in setup:
            return
        if "regular file" in setup and "holds" not in setup:
            (self.root / "afile").write_text("")
            return
        self.plugins.mkdir(mode=0o700)
        if "holds a regular file" in setup:
            (self.plugins / "notes.txt").write_text("")
            (self.plugins / "sub").mkdir()
        elif "one stale socket" in setup:
            self.start("group")
            self.end("group", signal.SIGKILL)
        elif setup.startswith("one plugin: fake"):
            self.start(LONG_NAME, program=PROGRAMS["group"])
        elif setup.startswith("group running"):
            self.start("group")
        elif "exists and is empty" not in setup:
            self._prepare_instances(setup)
            self.start(*PROGRAMS)
        if "killed with SIGKILL (stale socket), others" in setup:
            self.end("instance-file", signal.SIGKILL)
        if "stopped with SIGTERM" in setup:
            self.end("instance-file", signal.SIGTERM)

    def _prepare_instances(self, setup: str) -> None:
        if setup.startswith("life:cattle"):
            for number in (1, 2, 3):
                self.put(f"instance-000{number}", None, CATTLE)
        elif "instances: instance-0001" in setup:
            for name, logical, tags in LISTED:
                self.put(name, logical, tags)

    def run(self, line: dict[str, Any]) -> tuple[int, str, str]:
        for name, content in line.get("files", {}).items():
            (self.cwd / name).write_text(content)
        command = [*INFRAKIT, *line["argv"][1:]]
        environment = self.environment(line.get("env"))
        if line.get("tty"):
            return (*run_on_terminal(command, environment, self.cwd), "")
        stdin = line["stdin"] or ""
        done = subprocess.run(
            command,
            env=environment,
            cwd=self.cwd,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=100,
        )
        return done.returncode, done.stdout, done.stderr


def run_on_terminal(command: list[str], environment: dict[str, str], cwd: Path) -> tuple[int, str]:
    """Run with both outputs on one terminal and return the exit status and what appeared there."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, env=environment, cwd=cwd, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""
    try:
        while select.select([ours], [], [], 20)[0]:
            seen += os.read(ours, 4096)
    except OSError:
        pass  # Linux says so when the other end is closed
    os.close(ours)
    return process.wait(100), seen.decode()


@pytest.fixture
def world(short_dir: Path) -> Iterator[World]:
    made = World(short_dir)
    yield made
    made.close()


def normal(text: str) -> str:
    return re.sub(r"instance-\d{5,} *", "instance-<RAND>", text)


def last_message(stderr: str) -> tuple[str, str]:
    """Return level and message of the last log line that is graver than a warning."""
    found = re.findall(
        r'^time="[^"]+" level=(fatal|error) msg=("(?:[^"\\]|\\.)*"|\S*) $', stderr, re.MULTILINE
    )
    level, message = found[-1] if found else ("", "")
    return level, json.loads(message) if message.startswith('"') else message


def differences(world: World, line: dict[str, Any]) -> list[str]:
    """Run a recorded line and say what is different."""
    status, stdout, stderr = world.run(line)
    if line.get("tty"):
        return (
            []
            if (status, stdout) == (line["exit"], line["terminal"])
            else [f"terminal: {stdout!r}"]
        )
    wanted, got = world.fill(line["stdout"]), normal(stdout)
    if line.get("unordered_lines"):
        wanted, got = (json.dumps(sorted(text.splitlines())) for text in (wanted, got))
    found = [] if status == line["exit"] else [f"exit status {status}"]
    found += [] if got == wanted else [f"stdout {got!r}, not {wanted!r}"]
    message, wanted_message = last_message(stderr), last_message(world.fill(line["stderr"]))
    if GOS_OWN.match(wanted_message[1]):
        found += [] if message[0] == "fatal" and message[1] else [f"no message: {stderr!r}"]
    elif message != wanted_message:
        found.append(f"message {message!r}, not {wanted_message!r}")
    return [*found, *(["a traceback"] if "Traceback" in stderr else [])]


@pytest.mark.parametrize("setup", SETUPS, ids=lambda setup: setup[:40])
def test_a_recorded_run_is_matched(world: World, setup: str) -> None:
    world.prepare(setup)
    wrong = {}
    for line in LINES:
        if line["setup"] == setup and (found := differences(world, line)):
            wrong[f"{line['seq']}: {' '.join(line['argv'])}"] = found
    assert not wrong, json.dumps(wrong, indent=2)
    assert "does not exist" not in setup or world.plugins.stat().st_mode & 0o777 == 0o700
