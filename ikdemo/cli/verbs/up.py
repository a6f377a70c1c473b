"""The verb ``ikdemo up``: several plugins from one terminal, each a process of its own, forked from
this one.

Decides what is started, what is said of a plugin that ends by itself, and in which order all end.
"""

from __future__ import annotations

import logging
import os
import shlex
import signal
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ...rpc.discovery import ensure_dir, plugin_dir
from ...spi.durations import stop_within
from ...spi.errors import IkdemoError
from ..commands import Invocation, Verb
from ..exit_status import guarded
from ..forking import ParentPipe, fork
from ..manager_program import BEHIND, MANAGER
from ..plugin_program import PluginProgram
from ..programs import find

USUAL = ("instance-file", "flavor-vanilla", "group")
"""What a group needs."""
MANAGED = ("instance-file", "flavor-vanilla", "manager")
"""What it needs where a manager stands before its group plugin, which comes by itself."""
BEHIND_WAIT = 20.0
"""Seconds that a manager waits for the socket of its group plugin."""

log = logging.getLogger(__name__)


class Wanted(NamedTuple):
    """A plugin to start, and the values of its flags."""

    program: PluginProgram
    values: Mapping[str, Any]

    @property
    def name(self) -> str:
        name: str = self.values["name"]
        return name

    @property
    def stop_within(self) -> float:
        """Seconds that it gets to end in order; after that it is killed."""
        return stop_within(self.values.get("grace", 0.0))

    @property
    def ends_in(self) -> int:
        """Which round it ends in: managers, then groups, then what groups use."""
        return 0 if self.program is MANAGER else 1 if self.program.socket == "group" else 2

    def serve(self) -> int:
        """Serve it in this process until told to stop, or until the process that forked this one
        ends.
        """
        return guarded(self._serve, ())

    def _serve(self, _: Sequence[str]) -> int:
        if self.program is MANAGER:
            _await_socket(self.values[BEHIND])
        try:
            return self.program.serve(self.values, exit_with_stdin=True)
        except IkdemoError as error:
            raise IkdemoError(f"{self.name}: {error}") from None  # several share this terminal


def up(call: Invocation) -> int:
    """Start plugins, wait until they have ended or are to end, and return 0 unless one of them
    failed.
    """
    wanted = _read(_completed(call.arguments or USUAL), call["log"])
    ensure_dir(call.directory)
    for plugin in wanted:
        plugin.program.load()
    from ...assembly import ending_signals

    # Never delivered from here on, only waited for: none is lost, and none interrupts what is done
    # about another.
    signals = ending_signals() | {signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    pipe = ParentPipe()
    running = {fork(plugin.serve, name=plugin.name, pipe=pipe): plugin for plugin in wanted}
    failed = False
    while running:
        if signal.sigwait(signals) != signal.SIGCHLD:
            return 1 if _end(running) or failed else 0
        for plugin, status in _ended(running):
            rest = "; the others go on" if running else ""
            log.log(
                logging.ERROR if status else logging.INFO,
                "%s has ended: %s%s",
                plugin.name,
                _words(status),
                rest,
            )
            failed = failed or bool(status)
    return 1 if failed else 0


def _completed(arguments: Sequence[str]) -> Sequence[str]:
    """Return the arguments with what a manager needs: alone it stands for all that a group needs.

    >>> _completed(["group"]), _completed(["manager"])
    (['group'], ('instance-file', 'flavor-vanilla', 'manager'))
    """
    return MANAGED if list(arguments) == ["manager"] else arguments


def _read(arguments: Sequence[str], level: int) -> list[Wanted]:
    """Return what the arguments name; raises IkdemoError for every slip that shows before anything
    is started.
    """
    wanted = list[Wanted]()
    for argument in arguments:
        try:
            words = shlex.split(argument)
            if not words:
                raise ValueError("it is empty")
        except ValueError as error:
            raise IkdemoError(
                f"{argument!r} is not a plugin and its flags: {str(error).lower()}"
            ) from None
        program = find(words[0])
        words = [f"--log={level}", *words[1:]]
        plugin = Wanted(
            program, program.read(MANAGER.beside(words) if program is MANAGER else words)
        )
        if plugin.name in (other.name for other in wanted):
            raise IkdemoError(
                f"Two plugins would be called {plugin.name}; give one of them another --name"
            )
        wanted.append(plugin)
    for manager in [plugin for plugin in wanted if plugin.program is MANAGER]:
        behind = manager.values[BEHIND]
        if behind not in (plugin.name for plugin in wanted):
            program = find("group")
            words = [f"--log={level}", f"--name={behind}", "--store=none"]
            wanted.append(Wanted(program, program.read(words)))
    return wanted


def _await_socket(name: str) -> None:
    """Wait until a plugin that is started at the same time has its socket, or should have it."""
    until = time.monotonic() + BEHIND_WAIT
    while not (plugin_dir() / name).exists() and time.monotonic() < until:
        time.sleep(0.05)


def _end(running: dict[int, Wanted]) -> bool:
    """End every plugin, managers and groups first, so that none of them sees the others go; kill
    those that do not end in time.

    Returns whether one of them failed, or had to be killed.
    """
    failed = False
    for this_round in range(3):
        until = time.monotonic() + max(
            (plugin.stop_within for plugin in running.values()), default=0.0
        )
        for pid, plugin in running.items():
            if plugin.ends_in == this_round:
                os.kill(pid, signal.SIGTERM)
        while (
            any(plugin.ends_in == this_round for plugin in running.values())
            and (left := until - time.monotonic()) > 0
        ):
            if signal.sigtimedwait({signal.SIGCHLD}, left):
                failed = any(status for _, status in _ended(running)) or failed
    for pid, plugin in running.items():
        log.warning("%s did not end within %.0f s and is killed", plugin.name, plugin.stop_within)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return failed or bool(running)


def _ended(running: dict[int, Wanted]) -> list[tuple[Wanted, int]]:
    """Take the plugins that have ended out of ``running``, and return them with their exit
    status.
    """
    ended = []
    for pid in list(running):
        reaped, status = os.waitpid(pid, os.WNOHANG)
        if reaped:
            ended.append((running.pop(pid), os.waitstatus_to_exitcode(status)))
    return ended


def _words(status: int) -> str:
    return f"exit status {status}" if status >= 0 else f"killed by {signal.Signals(-status).name}"


UP = (
    Verb(
        "up",
        "[PLUGIN]...",
        f"Start plugins and keep them until Ctrl-C: {', '.join(USUAL)}.\n"
        'Or others, each with its flags in quotes: up group "instance-file --dir ./instances".\n'
        "up manager starts the same with a manager before the group plugin",
        up,
    ),
)
