"""The plugins of a lab: started, served, stopped and killed.

Owns the lab's directory, its processes and its session, and ends them together. What a plugin does
with groups and instances is not known here.
"""

from __future__ import annotations

import atexit
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ...spi.contracts import Plugin
from ...spi.errors import IkdemoError, InUse
from ..show.tables import Table
from .child_processes import PROGRAMS, PluginProcess, check_plugin_name, program_command
from .session import Session
from .stubs import WithoutEvents
from .workspace import Holds, Workspace, own


class PluginCommands:
    """A directory with plugins in it, until it is closed. ``session`` is the one open now."""

    def __init__(self) -> None:
        self._workspace = Workspace()
        self._programs: dict[str, str] = {}
        self.processes: dict[str, PluginProcess] = {}
        self._directories: dict[str, str] = {}
        self.leading = ""
        """The manager that was elected last, whose groups those of every other manager are now."""
        self._starting = threading.Lock()  # a button and a cell may start the same plugin
        self.session = Session(self._workspace.plugins)
        atexit.register(self.close)
        own(self)

    @property
    def root(self) -> Path:
        """The lab's own directory; it is removed with the lab."""
        return self._workspace.root

    @property
    def plugin_dir(self) -> Path:
        """Where the sockets are: what INFRAKIT_PLUGINS_DIR must say for programs that are to see
        this lab.
        """
        return self._workspace.plugins

    def socket(self, name: str) -> Path:
        """Return the socket of a plugin, for ``curl --unix-socket``."""
        return self.plugin_dir / name

    def directory(self, name: str) -> Path:
        """Return the directory in which the file plugin ``name`` keeps its instances, one file
        each.
        """
        if name not in self._directories:
            raise IkdemoError(
                f"{name!r} is not a file plugin of this lab, so it keeps no instance files"
            )
        return self._workspace.instances(self._directories[name])

    def start(self, *kinds: str) -> Table:
        """Start plugins under their usual names and wait until they answer; without arguments the
        three that a group needs.

        What runs already, started in the same way, stays as it is, and the table says so.
        """
        self.session.must_be_open()
        kinds = kinds or ("instance-file", "flavor-vanilla", "group")
        for kind in kinds:
            # a slip in the last one comes before the first is started
            program_command(kind, kind, {}, self._workspace.instances)
        already = self._running(kinds)
        return self._answered([self._launch(kind, kind, {}) for kind in kinds], already)

    def start_plugin(
        self, kind: str, name: str | None, flags: Mapping[str, object], *, recorded: bool = True
    ) -> Table:
        """Start one plugin, under another name or with flags, and wait until it answers.

        ``recorded``: what it tells is recorded; not of one whose events another plugin passes on.
        """
        already = self._running([name or kind])
        return self._answered([self._launch(kind, name or kind, flags)], already, recorded)

    def start_script(self, script: str | Path, name: str) -> Table:
        """Start a Python file that serves a plugin under ``name``, and wait until it answers.

        The file is looked for in the lab's directory. It should end when its standard input does,
        so that it never outlives this Python; ``assembly.run`` does that when asked to.
        """
        self.session.must_be_open()
        path = self.root / script
        if not path.is_file():
            raise IkdemoError(f"There is no file {str(script)!r} to start")
        already, command = self._running([name]), [sys.executable, str(path)]
        return self._answered([self._run(name, command, f"python {path.name}")], already)

    def serve(self, plugin: Plugin, name: str) -> Table:
        """Serve a plugin object under ``name`` from a thread of this Python, until the lab is
        closed or another object is.
        """
        self._serve(plugin, name, f"a {type(plugin).__name__} of this notebook")
        return self.plugins()

    def mute(self, name: str, *, under: str) -> Table:
        """Serve the instance plugin ``name`` once more as ``under``: a plugin in between passes on
        every call and no event.
        """
        self._serve(WithoutEvents(self.session.peers, name), under, "passes calls on, no events")
        if name in self._directories:
            self._directories[under] = self._directories[name]
        return self.plugins()

    def stop_plugin(self, name: str) -> Table:
        """Stop a plugin gracefully, as Ctrl-C does; its socket goes away."""
        self._process(name).stop()
        return self.plugins()

    def kill_plugin(self, name: str) -> Table:
        """Kill a plugin as ``kill -9`` does; its socket stays behind and nobody answers there."""
        self._process(name).kill()
        return self.plugins()

    def start_again(self, name: str) -> Table:
        """Start a plugin process that has ended, with the flags it had, and wait until it
        answers.
        """
        ended = self._process(name)
        self._must_be_free(name)
        return self._answered([self._run(name, ended.command, self._programs[name])])

    def is_process(self, name: str) -> bool:
        """Say whether a plugin of this lab is a process, which can be started, stopped and
        killed.
        """
        return name in self.processes

    def running_since(self, name: str) -> float:
        """Return when a plugin process was started last, in seconds since the epoch; 0.0 when it
        does not run.
        """
        process = self.processes.get(name)
        return process.began if process is not None and process.running else 0.0

    def plugins(self) -> Table:
        """List the plugins of this lab."""
        return self._listed()

    @property
    def running(self) -> list[str]:
        """The plugins that run, in the order in which they were started first."""
        return [name for name in list(self._programs) if self.state(name) == "running"]

    def of_kind(self, kind: str) -> list[str]:
        """Return the plugins that were started as one of this kind, also those that have ended."""
        return [name for name, one in list(self._programs.items()) if one == PROGRAMS[kind]]

    def teller(self, name: str) -> str:
        """Return the plugin that tells what happens to the instances of ``name``: of one that is
        served without events, the one behind it.
        """
        return self._directories.get(name, name)

    def state(self, name: str) -> str:
        """Say "running", or how a plugin has ended."""
        if name in self.processes:
            return self.processes[name].state
        # served by this Python, as long as the session is open
        return "running" if self.session.open else "stopped"

    def close(self) -> None:
        """Stop every plugin, managers and group plugins first, and remove the directory; a second
        call does nothing.
        """
        if not self.session.open:
            return
        atexit.unregister(self.close)
        self._end_all("lab closed")
        self._workspace.remove()

    def reset(self) -> None:
        """End every plugin, empty the directory, forget, and open another session."""
        self._end_all("lab was reset")
        self._workspace.clear()
        for known in (self._programs, self.processes, self._directories):
            known.clear()
        self.leading = ""
        self.session = Session(self._workspace.plugins)

    def descriptors(self) -> Iterator[int]:
        """Yield every descriptor that keeps the lab open."""
        parts: list[Holds] = [self._workspace, self.session, *self.processes.values()]
        for part in parts:
            yield from part.descriptors()

    def disown(self) -> None:
        """Be closed, in a process that was forked from the one that has the lab."""
        self.session.disown()

    def _end_all(self, ended: str) -> None:
        self.session.end(ended)
        order = {PROGRAMS["manager"]: 0, PROGRAMS["group"]: 1}
        for name in sorted(self.processes, key=lambda name: order.get(self._programs[name], 2)):
            self.processes[name].stop()
        self.session.close(ended)

    def _launch(self, kind: str, name: str, flags: Mapping[str, object]) -> PluginProcess:
        self.session.must_be_open()
        command = program_command(kind, name, flags, self._workspace.instances)
        started = self._run(name, command, PROGRAMS[kind])
        if kind == "instance-file":
            self._directories[name] = name
        return started

    def _run(self, name: str, command: Sequence[str], program: str) -> PluginProcess:
        with self._starting:
            if name in self._running([name]) and self.processes[name].command == command:
                return self.processes[name]
            self._must_be_free(name)
            if name in self.processes:
                # it has ended by itself; this closes what is left of it
                self.processes[name].kill()
            log = self._workspace.logs / f"{name}.log"
            self.processes[name] = PluginProcess(name, command, self.plugin_dir, log)
            self._programs[name] = program
            return self.processes[name]

    def _serve(self, plugin: Plugin, name: str, program: str) -> None:
        if not self.session.serves(name):
            self._must_be_free(name)
        self.session.serve(plugin, name)
        self._programs[name] = program

    def _must_be_free(self, name: str) -> None:
        check_plugin_name(name)
        self.session.must_be_open()
        if self.session.serves(name):
            raise InUse(f"{name!r} is already running in this lab, as {self._programs[name]}")
        if self._running([name]):
            error = InUse(f"{name!r} is already running in this lab")
            error.add_note(f"To start it in another way, stop it first: lab.stop_plugin({name!r})")
            raise error

    def _running(self, names: Sequence[str]) -> list[str]:
        """Return those of these names under which a process of this lab runs."""
        return [
            name
            for name in names
            if isinstance(name, str) and name in self.processes and self.processes[name].running
        ]

    def _answered(
        self, started: Sequence[PluginProcess], already: Sequence[str] = (), recorded: bool = True
    ) -> Table:
        """Wait until the plugins answer and are followed; the table says which of them ran
        ``already``.
        """
        if recorded:
            self.session.follow(started)
        else:
            self.session.wait_for(started)
        return self._listed(already)

    def _listed(self, already: Sequence[str] = ()) -> Table:
        states = {
            name: "already running" if name in already else self.state(name)
            for name in list(self._programs)
        }
        rows = [(name, self._programs[name], state) for name, state in states.items()]
        return Table(
            ["plugin", "program", "state"], sorted(rows), empty="No plugin was started yet."
        )

    def _process(self, name: str) -> PluginProcess:
        if name not in self.processes:
            there = ", ".join(self.processes) or "none"
            raise IkdemoError(
                f"There is no plugin process {name!r} in this lab; there are: {there}"
            )
        return self.processes[name]
