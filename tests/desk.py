"""Real programs for tests: plugin processes in a directory of their own, and commands run against
them as a person would.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path


class Desk:
    """One plugin directory, the plugins started in it, and a folder to run commands in."""

    def __init__(self, root: Path) -> None:
        self.root, self.plugins, self.cwd, self.instances = (
            root,
            root / "plugins",
            root / "cwd",
            root / "instances",
        )
        self.cwd.mkdir()
        self.environment = {**os.environ, "INFRAKIT_PLUGINS_DIR": str(self.plugins), "TZ": "UTC"}
        # not that of the person who runs the tests
        self.environment["IKDEMO_DESK"] = str(root / "copy")
        self.processes: dict[str, subprocess.Popen[str]] = {}

    def command(self, line: str) -> list[str]:
        """Turn ``infrakit ...`` or ``ikdemo ...`` into a command that runs here, whether or not it
        is installed.
        """
        program, *words = line.split()
        return [*self.program(program), *words]

    def program(self, name: str) -> list[str]:
        """Say how a program is started; a desk with other executables replaces this."""
        if name == "infrakit":
            return [
                sys.executable,
                "-c",
                "import sys; from ikdemo.cli.main import infrakit; sys.exit(infrakit())",
            ]
        return [sys.executable, "-m", "ikdemo", *([] if name == "ikdemo" else [name])]

    def run(self, line: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command line to its end."""
        command = self.command(line)
        return subprocess.run(
            command,
            env=self.environment,
            cwd=self.cwd,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=200,
        )

    def popen(self, line: str) -> subprocess.Popen[str]:
        """Start a command line and leave it running."""
        return subprocess.Popen(
            self.command(line),
            env=self.environment,
            cwd=self.cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def start(self, program: str, name: str, *flags: str) -> subprocess.Popen[str]:
        """Start a plugin program and wait until it answers the door."""
        command = [*self.program(program), "--name", name, *flags]
        with (self.root / f"{name}.log").open("w") as log:
            process = self.processes[name] = subprocess.Popen(
                command, env=self.environment, cwd=self.cwd, stderr=log, text=True
            )
        deadline = time.monotonic() + 100
        while process.poll() is None and time.monotonic() < deadline:
            with socket.socket(socket.AF_UNIX) as probe:
                if probe.connect_ex(str(self.plugins / name)) == 0:
                    return process
            time.sleep(0.02)
        raise AssertionError(self.log(name))

    def start_three(self) -> None:
        """Start what a group needs: instances in a folder, a flavor, and the group plugin with a
        poll that never comes.
        """
        self.start("infrakit-instance-file", "instance-file", "--dir", str(self.instances))
        self.start("infrakit-flavor-vanilla", "flavor-vanilla")
        self.start("infrakit-group-default", "group", "--poll-interval", "1h")

    def stop(self, name: str, how: signal.Signals = signal.SIGTERM) -> int:
        """End a plugin and return its exit status."""
        process = self.processes.pop(name)
        process.send_signal(how)
        return process.wait(100)

    def log(self, name: str) -> str:
        return (self.root / f"{name}.log").read_text()

    def living(self) -> list[str]:
        """Return the instance files that are there, sorted."""
        return sorted(path.name for path in self.instances.glob("instance-*"))

    def until(self, number: int) -> list[str]:
        """Wait until so many instance files are there, and return them."""
        deadline = time.monotonic() + 100
        while len(self.living()) != number and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(self.living()) == number, self.living()
        return self.living()

    def put_spec(self, file: str, group: str = "web", size: int = 3, **properties: object) -> None:
        """Write a group's spec into the folder that commands run in."""
        instance = {"Plugin": "instance-file", "Properties": properties or {"Note": "v1"}}
        flavor = {"Plugin": "flavor-vanilla", "Properties": {}}
        spec = {
            "ID": group,
            "Properties": {"Allocation": {"Size": size}, "Instance": instance, "Flavor": flavor},
        }
        (self.cwd / file).write_text(json.dumps(spec))

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()
