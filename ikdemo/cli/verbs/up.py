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

from ...rpc.discovery import ensure_dir
from ...spi.durations import stop_within
from ...spi.errors import IkdemoError
from ..commands import Invocation, Verb
from ..exit_status import guarded
from ..forking import ParentPipe, fork
from ..plugin_program import PluginProgram
from ..programs import find

USUAL = ("instance-file", "flavor-vanilla", "group")
"""What a group needs."""

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
    def is_group(self) -> bool:
        return self.program.socket == "group"

    def serve(self) -> int:
        """Serve it in this process until told to stop, or until the process that forked this one
        ends.
        """
        return guarded(self._serve, ())

    def _serve(self, _: Sequence[str]) -> int:
        try:
            return self.program.serve(self.values, exit_with_stdin=True)
        except IkdemoError as error:
            raise IkdemoError(f"{self.name}: {error}") from None  # several share this terminal


def up(call: Invocation) -> int:
    """Start plugins, wait until they have ended or are to end, and return 0 unless one of them
    failed.
    """
    wanted = _read(call.arguments or USUAL, call["log"])
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
        plugin = Wanted(program, program.read([f"--log={level}", *words[1:]]))
        if plugin.name in (other.name for other in wanted):
            raise IkdemoError(
                f"Two plugins would be called {plugin.name}; give one of them another --name"
            )
        wanted.append(plugin)
    return wanted


def _end(running: dict[int, Wanted]) -> bool:
    """End every plugin, the groups first, so that none of them sees the others go; kill those that
    do not end in time.

    Returns whether one of them failed, or had to be killed.
    """
    failed = False
    for groups in (True, False):
        until = time.monotonic() + max(
            (plugin.stop_within for plugin in running.values()), default=0.0
        )
        for pid, plugin in running.items():
            if plugin.is_group is groups:
                os.kill(pid, signal.SIGTERM)
        while (
            any(plugin.is_group is groups for plugin in running.values())
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
        'Or others, each with its flags in quotes: up group "instance-file --dir ./instances"',
        up,
    ),
)
