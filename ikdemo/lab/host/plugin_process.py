"""One plugin process, started as a person would start it in a terminal, and never outliving the
lab.

Programs of this package are forked by the ``Launcher``, a learner's own script is a Python of its
own: what both have in common is here. Called by ``Plugins``.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ...disk import check_name
from ...rpc.discovery import ENVIRONMENT
from ...spi.durations import parse_duration, stop_within
from ...spi.errors import IkdemoError

if TYPE_CHECKING:
    from .workspace import Workspace


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


class StartedProcess(Protocol):
    """A process that was started, as ``subprocess.Popen`` describes it."""

    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | None: ...
    def descriptors(self) -> Iterator[int]: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


Begin = Callable[[Sequence[str], int], StartedProcess]
"""Starts what the words say; its output goes to the descriptor."""


NEWS = " level=info "
"""What a line of a plugin's log has that tells what it does, and of nothing that is wrong."""


class PluginProcess:
    """A running plugin: what ``begin`` makes of the arguments; its log goes to a file that
    ``complaint`` reads.
    """

    def __init__(self, name: str, arguments: Sequence[str], begin: Begin, log: Path) -> None:
        self.name, self.arguments, self.begin, self.log = name, arguments, begin, log
        self._ended = ""
        self.began = time.time()
        self._log_from = log.stat().st_size if log.exists() else 0
        with log.open("ab") as stream:
            self._process = begin(arguments, stream.fileno())

    @property
    def pid(self) -> int:
        return self._process.pid

    def descriptors(self) -> Iterator[int]:
        """Yield every descriptor by which it is held."""
        return self._process.descriptors()

    @property
    def _grace(self) -> float:
        """Seconds that its instances have to end themselves, where the arguments say so."""
        for flag, value in itertools.pairwise(self.arguments):
            if flag == "--grace":
                with contextlib.suppress(ValueError):  # the program itself has refused it
                    return parse_duration(value)
        return 0.0

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
        """Return the last line that the program wrote to its log since it was started, news left
        out; else its exit status.
        """
        lines = self.log.read_bytes()[self._log_from :].decode("utf-8", "replace").split("\n")
        complaints = (line.strip() for line in reversed(lines) if line.strip() and NEWS not in line)
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
        self._ended = "killed"


class Script(subprocess.Popen[bytes]):
    """A Python file that was started by itself. The lab holds the other end of its standard input,
    at which it is to end.
    """

    def __init__(self, words: Sequence[str], output: int, *, plugin_dir: Path) -> None:
        super().__init__(
            [sys.executable, *words],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env={**os.environ, ENVIRONMENT: str(plugin_dir), "PYTHONPATH": python_path()},
            cwd=plugin_dir,
            # an interrupted cell sends SIGINT to the kernel's whole process group
            start_new_session=True,
        )

    def descriptors(self) -> Iterator[int]:
        """Yield its standard input, at whose end it ends."""
        if self.stdin is not None and not self.stdin.closed:
            yield self.stdin.fileno()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, and let go of its standard input."""
        status = super().wait(timeout)
        if self.stdin is not None:
            self.stdin.close()
        return status


PROGRAMS = {
    "group": "infrakit-group-default",
    "instance-file": "infrakit-instance-file",
    "instance-process": "ikdemo-instance-process",
    "instance-docker": "ikdemo-instance-docker",
    "flavor-vanilla": "infrakit-flavor-vanilla",
    "flavor-probe": "ikdemo-flavor-probe",
    "flavor-combo": "infrakit-flavor-combo",
    "flavor-zookeeper": "infrakit-flavor-zookeeper",
}


DURATIONS = ("poll_interval", "grace")
"""Flags for which a number means seconds."""


def arguments(kind: str, name: str, flags: Mapping[str, object], place: Workspace) -> list[str]:
    """Return the program that serves a plugin under ``name``, and its flags.

    Raises IkdemoError when there is no such kind, when the name is none, or when a flag's value is
    of no use.
    """
    if kind not in list(PROGRAMS):
        raise IkdemoError(f"There is no plugin {kind!r} to start; there are: {', '.join(PROGRAMS)}")
    check_plugin_name(name)
    words = [
        word
        for flag, value in flags.items()
        for word in (f"--{flag.replace('_', '-')}", _written(flag, value))
    ]
    if kind == "instance-file":
        words += ["--dir", str(place.instances(name))]
    return [PROGRAMS[kind], "--name", name, *words, "--exit-with-stdin"]


def check_plugin_name(name: object) -> None:
    """Raise IkdemoError for what cannot be the name of a plugin, which is a file's name."""
    if not isinstance(name, str):
        raise IkdemoError(f"the name of a plugin is a text, not {name!r}")
    check_name(name)


def _written(flag: str, value: object) -> str:
    """Write the value of a flag as it is typed.

    >>> _written("poll_interval", 2), _written("grace", 0.25), _written("most", 5), _written("store", "none")
    ('2s', '0.25s', '5', 'none')
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
