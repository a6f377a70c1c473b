"""Processes that a lab starts: plugins, as a person would start them in a terminal, and the shell
commands of a notebook. None outlives the lab.

Only here is decided what is typed to start a plugin, and how one is stopped and killed. A plugin
holds the other end of a pipe as its standard input and ends when the pipe does.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from ...disk import check_name
from ...rpc.discovery import ENVIRONMENT
from ...spi.durations import parse_duration, stop_within
from ...spi.errors import IkdemoError, OutcomeUnknown, PluginUnavailable

PROGRAMS = {
    "group": "infrakit-group-default",
    "manager": "infrakit-manager os",
    "instance-file": "infrakit-instance-file",
    "instance-process": "ikdemo-instance-process",
    "instance-docker": "ikdemo-instance-docker",
    "instance-machine": "ikdemo-instance-machine",
    "instance-swarm": "ikdemo-instance-swarm",
    "flavor-vanilla": "infrakit-flavor-vanilla",
    "flavor-probe": "ikdemo-flavor-probe",
    "flavor-combo": "infrakit-flavor-combo",
    "flavor-zookeeper": "infrakit-flavor-zookeeper",
    "flavor-swarm": "infrakit-flavor-swarm",
}
"""The kinds of plugins that a lab starts, and the program of each with its sub command."""
DURATIONS = ("poll_interval", "grace")
"""Flags for which a number means seconds."""
INFO = " level=info "
"""What a line of a plugin's log has that says what it does; every other line says what is wrong."""
COMMAND_WITHIN = 30.0
"""Seconds that a shell command may take."""


class PluginProcess:
    """One plugin, started by the words of ``command``; its output goes to a log that ``complaint``
    reads. Raises PluginUnavailable when the system starts no process.
    """

    def __init__(self, name: str, command: Sequence[str], plugin_dir: Path, log: Path) -> None:
        self.name, self.command, self.log = name, list(command), log
        self._ended = ""
        self.began = time.time()
        self._log_from = log.stat().st_size if log.exists() else 0
        try:
            with log.open("ab") as output:
                self._process = subprocess.Popen(
                    self.command,
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=output,
                    env={
                        **os.environ,
                        ENVIRONMENT: str(plugin_dir),
                        "PYTHONPATH": python_path(),
                    },
                    cwd=plugin_dir,
                    # an interrupted cell sends SIGINT to the kernel's whole process group
                    start_new_session=True,
                )
        except OSError as error:
            raise PluginUnavailable(
                f"{name} cannot be started: {error.strerror or error}"
            ) from None

    @property
    def pid(self) -> int:
        return self._process.pid

    def descriptors(self) -> Iterator[int]:
        """Yield its standard input, at whose end it ends."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            yield self._process.stdin.fileno()

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def state(self) -> str:
        """Say "running", how it was ended, or what it said when it ended by itself."""
        if self.running:
            return "running"
        # the log is read once, however often this is asked
        self._ended = self._ended or f"ended: {self.complaint()}"
        return self._ended

    def complaint(self) -> str:
        """Return the last line that the program wrote to its log since it was started, other than
        what it does; else its exit status.
        """
        lines = self.log.read_bytes()[self._log_from :].decode("utf-8", "replace").split("\n")
        complaints = (line.strip() for line in reversed(lines) if line.strip() and INFO not in line)
        return next(complaints, f"exit status {self._process.returncode}")

    def stop(self) -> None:
        """End the plugin gracefully; afterwards its socket is gone and the process is reaped. What
        takes too long is killed.
        """
        self._process.terminate()
        seconds = stop_within(self._grace)
        try:
            self._process.wait(seconds)
            ended = "stopped"
        except subprocess.TimeoutExpired:
            ended = f"killed: it did not end within {seconds:.0f} s"
        self.kill()
        self._ended = ended

    def kill(self) -> None:
        """End the plugin as ``kill -9`` does: at once, its socket stays behind."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._ended = "killed"

    @property
    def _grace(self) -> float:
        """Seconds that its instances have to end themselves, where the command says so."""
        for flag, value in itertools.pairwise(self.command):
            if flag == "--grace":
                with contextlib.suppress(ValueError):  # the program itself has refused it
                    return parse_duration(value)
        return 0.0


def python_path() -> str:
    """Return a PYTHONPATH with which another Python finds what this one does, installed or not.

    The folder of the notebook is not in it, unless this package lies there: a learner's
    ``docker.py`` is no plugin's.
    """
    ours = Path(__file__).parents[3]
    try:
        here = Path.cwd()
    except FileNotFoundError:  # it was removed
        here = Path("/")
    found = [path for path in (here / entry for entry in sys.path) if path == ours or path != here]
    return os.pathsep.join(map(str, dict.fromkeys(found)))


def program_command(
    kind: str, name: str, flags: Mapping[str, object], instances: Callable[[str], Path]
) -> list[str]:
    """Return what starts a plugin of this kind under ``name``; ``instances`` gives the directory in
    which a file plugin of a name keeps its instances.

    Raises IkdemoError when there is no such kind, when the name is none, or when a flag's value is
    of no use.
    """
    if kind not in list(PROGRAMS):
        raise IkdemoError(f"There is no plugin {kind!r} to start; there are: {', '.join(PROGRAMS)}")
    if kind == "manager" and "leader_file" not in flags:
        raise IkdemoError("A manager needs more than a name; start it by lab.start_manager()")
    check_plugin_name(name)
    words = [
        word
        for flag, value in flags.items()
        for word in (f"--{flag.replace('_', '-')}", _written(flag, value))
    ]
    if kind == "instance-file":
        words += ["--dir", str(instances(name))]
    # -P: nothing in the folder of the sockets is taken for a module
    python = [sys.executable, "-P", "-m", "ikdemo"]
    return [*python, *PROGRAMS[kind].split(), "--name", name, *words, "--exit-with-stdin"]


def check_plugin_name(name: object) -> None:
    """Raise IkdemoError for what cannot be the name of a plugin, which is a file's name."""
    if not isinstance(name, str):
        raise IkdemoError(f"the name of a plugin is a text, not {name!r}")
    check_name(name)


def _written(flag: str, value: object) -> str:
    """Write the value of a flag as it is typed.

    >>> _written("poll_interval", 2), _written("grace", 0.25), _written("most", 5)
    ('2s', '0.25s', '5')
    """
    if isinstance(value, str) and "\0" not in value:
        return value
    if isinstance(value, Path):
        return str(value)
    if (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and flag in DURATIONS
        and math.isfinite(value)
    ):
        return f"{value:.9f}".rstrip("0").rstrip(".") + "s"
    if isinstance(value, int) and not isinstance(value, bool) and flag not in DURATIONS:
        return str(value)
    expected = 'a number of seconds, or a text such as "2s"' if flag in DURATIONS else "a text"
    raise IkdemoError(f"{flag}: expected {expected}, got {value!r:.60}")


def run_shell(command: str, root: Path, plugin_dir: Path) -> str:
    """Run a command in ``root`` with this lab's plugins in sight, and return what it printed, both
    streams together.

    ``infrakit`` and ``ikdemo`` are those of this Python. The lab's directory is printed as
    ``$LAB``, which the command may use, too. Raises OutcomeUnknown when the command takes too long;
    it is killed then.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    environment = {
        **os.environ,
        ENVIRONMENT: str(plugin_dir),
        "PATH": path,
        "LAB": str(root),
    }
    child = subprocess.Popen(
        ["/bin/sh", "-c", command],
        cwd=root,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # so that whatever the command started can be ended with it
    )
    try:
        output, _ = child.communicate(timeout=COMMAND_WITHIN)
    except BaseException as error:
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise OutcomeUnknown(
                f"The command took longer than {COMMAND_WITHIN:.0f} s: {command}"
            ) from None
        raise
    printed = output.decode("utf-8", "replace").replace(str(root), "$LAB").rstrip()
    return (
        printed
        if child.returncode == 0
        else f"{printed}\n(exit status {child.returncode})".lstrip()
    )
