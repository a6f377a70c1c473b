"""The work bench under a lab: plugins that are started, served, stopped and killed.

Owns the lab's directory, its processes and its line to them, and ends them together.
``GroupCommands`` puts the verbs of groups on top.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

from ...rpc.peers import Peers
from ...spi.contracts import Plugin
from ...spi.errors import IkdemoError, InUse
from ..show.tables import Table
from .launcher import Launcher
from .plugin_process import PROGRAMS, Begin, PluginProcess, Script, arguments, check_plugin_name
from .session import Session
from .stubs import WithoutEvents
from .timeline import Timeline
from .workspace import Holds, Workspace, own

T = TypeVar("T")


class Plugins:
    """A directory with plugins in it. Close it, or leave the ``with`` block, and nothing of it is
    left.
    """

    def __init__(self) -> None:
        self._place = Workspace()
        self._launcher = Launcher(self._place.plugins, self._place.logs / "launcher.log")
        self._programs: dict[str, str] = {}
        self._processes: dict[str, PluginProcess] = {}
        self._files: dict[str, str] = {}
        self._starting = threading.Lock()  # a button and a cell may start the same plugin
        self._line = Session(self._place.plugins)
        atexit.register(self.close)
        own(self)

    @property
    def root(self) -> Path:
        """The lab's own directory; it is removed with the lab."""
        return self._place.root

    @property
    def plugin_dir(self) -> Path:
        """Where the sockets are: what INFRAKIT_PLUGINS_DIR must say for programs that are to see
        this lab.
        """
        return self._place.plugins

    def socket(self, name: str) -> Path:
        """Return the socket of a plugin, for ``curl --unix-socket``."""
        return self.plugin_dir / name

    def directory(self, name: str) -> Path:
        """Return the directory in which the file plugin ``name`` keeps its instances, one file
        each.
        """
        if name not in self._files:
            raise IkdemoError(
                f"{name!r} is not a file plugin of this lab, so it keeps no instance files"
            )
        return self._place.instances(self._files[name])

    def start(self, *kinds: str) -> Table:
        """Start plugins under their usual names and wait until they answer; without arguments the
        three that a group needs.

        What runs already, started in the same way, stays as it is, and the table says so.
        """
        self._line.must_be_open()
        kinds = kinds or ("instance-file", "flavor-vanilla", "group")
        for kind in kinds:
            # a slip in the last one comes before the first is started
            arguments(kind, kind, {}, self._place)
        already = self._running(kinds)
        return self._answered([self._launch(kind, kind, {}) for kind in kinds], already)

    def start_plugin(
        self, kind: str, name: str | None = None, **flags: str | float | Path
    ) -> Table:
        """Start one plugin, under another name or with flags such as ``poll_interval=2`` (seconds),
        and wait until it answers.
        """
        already = self._running([name or kind])
        return self._answered([self._launch(kind, name or kind, flags)], already)

    def start_script(self, script: str | Path, name: str) -> Table:
        """Start a Python file that serves a plugin under ``name``, and wait until it answers.

        The file is looked for in the lab's directory. It should end when its standard input does,
        so that it never outlives this Python; ``assembly.run`` does that when asked to.
        """
        self._line.must_be_open()
        path = self.root / script
        if not path.is_file():
            raise IkdemoError(f"There is no file {str(script)!r} to start")
        begin, already = partial(Script, plugin_dir=self.plugin_dir), self._running([name])
        return self._answered([self._run(name, [str(path)], f"python {path.name}", begin)], already)

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
        self._serve(WithoutEvents(self._peers, name), under, "passes calls on, no events")
        if name in self._files:
            self._files[under] = self._files[name]
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
        return self._answered([self._run(name, ended.arguments, self._programs[name], ended.begin)])

    def is_process(self, name: str) -> bool:
        """Say whether a plugin of this lab is a process, which can be started, stopped and
        killed.
        """
        return name in self._processes

    def running_since(self, name: str) -> float:
        """Return when a plugin process was started last, in seconds since the epoch; 0.0 when it
        does not run.
        """
        process = self._processes.get(name)
        return process.began if process is not None and process.running else 0.0

    def plugins(self) -> Table:
        """List the plugins of this lab."""
        return self._listed()

    def close(self) -> None:
        """Stop every plugin, the group plugins first, and remove the directory; a second call does
        nothing.
        """
        if not self._line.open:
            return
        atexit.unregister(self.close)
        self._end_all("lab closed")
        self._launcher.close()
        self._place.remove()

    def descriptors(self) -> Iterator[int]:
        """Yield every descriptor that keeps the lab open."""
        parts: list[Holds] = [self._place, self._launcher, self._line, *self._processes.values()]
        for part in parts:
            yield from part.descriptors()

    def disown(self) -> None:
        """Be closed, in a process that was forked from the one that has the lab."""
        self._line.disown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def line(self) -> Session:
        """The line to the plugins that is open now; whatever looks at the lab for long ends with
        it.
        """
        return self._line

    @property
    def _record(self) -> Timeline:
        return self._line.record

    @property
    def _peers(self) -> Peers:
        return self._line.peers

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return self._line.call(work)

    def _begin_anew(self) -> None:
        """End every plugin, empty the directory, and forget; the lab can be used again
        afterwards.
        """
        self._end_all("lab was reset")
        self._place.clear()
        for known in (self._programs, self._processes, self._files):
            known.clear()
        self._line = Session(self._place.plugins)

    def _end_all(self, ended: str) -> None:
        self._line.end(ended)
        for name in sorted(
            self._processes, key=lambda name: self._programs[name] != PROGRAMS["group"]
        ):
            self._processes[name].stop()
        self._line.close(ended)

    def _launch(self, kind: str, name: str, flags: Mapping[str, object]) -> PluginProcess:
        self._line.must_be_open()
        words = arguments(kind, name, flags, self._place)
        started = self._run(name, words, PROGRAMS[kind], self._launcher.start)
        if kind == "instance-file":
            self._files[name] = name
        return started

    def _run(
        self, name: str, arguments: Sequence[str], program: str, begin: Begin
    ) -> PluginProcess:
        with self._starting:
            if name in self._running([name]) and self._processes[name].arguments == arguments:
                return self._processes[name]
            self._must_be_free(name)
            if name in self._processes:
                # it has ended by itself; this closes what is left of it
                self._processes[name].kill()
            log = self._place.logs / f"{name}.log"
            self._processes[name] = PluginProcess(name, arguments, begin, log)
            self._programs[name] = program
            return self._processes[name]

    def _serve(self, plugin: Plugin, name: str, program: str) -> None:
        if not self._line.serves(name):
            self._must_be_free(name)
        self._line.serve(plugin, name)
        self._programs[name] = program

    def _must_be_free(self, name: str) -> None:
        check_plugin_name(name)
        self._line.must_be_open()
        if self._line.serves(name):
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
            if isinstance(name, str) and name in self._processes and self._processes[name].running
        ]

    def _answered(self, started: Sequence[PluginProcess], already: Sequence[str] = ()) -> Table:
        """Wait until the plugins answer and are followed; the table says which of them ran
        ``already``.
        """
        self._line.follow(started)
        return self._listed(already)

    def _listed(self, already: Sequence[str] = ()) -> Table:
        states = {
            name: "already running" if name in already else self._state(name)
            for name in list(self._programs)
        }
        rows = [(name, self._programs[name], state) for name, state in states.items()]
        return Table(
            ["plugin", "program", "state"], sorted(rows), empty="No plugin was started yet."
        )

    def _process(self, name: str) -> PluginProcess:
        if name not in self._processes:
            there = ", ".join(self._processes) or "none"
            raise IkdemoError(
                f"There is no plugin process {name!r} in this lab; there are: {there}"
            )
        return self._processes[name]

    def _state(self, name: str) -> str:
        if name in self._processes:
            return self._processes[name].state
        # served by this Python, as long as the line is open
        return "running" if self._line.open else "stopped"
