"""The lab: what a notebook imports to start plugins, commit groups, break them and look at what
happened.

A lab holds its parts: the commands on plugins, which own processes, directory and session; the
commands on managers and on groups; the waits; the faults; the reports. Each part is handed the
parts that it needs and knows no other. Here is decided only what concerns all of them: which lab a
notebook has, and what a reset is. Every other method is that of a part.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import ClassVar, Concatenate, ParamSpec, Self, TypeVar

from ..spi.text import visible
from .dashboard.dashboard import Dashboard
from .dashboard.view import LiveView
from .faults.inject import FaultInjection
from .host.child_processes import run_shell
from .host.convergence import Convergence
from .host.group_commands import GroupCommands
from .host.manager_commands import ManagerCommands
from .host.plugin_commands import PluginCommands
from .host.session import Session
from .machines.lab_machines import Machines
from .reports import Reports
from .show.tables import Table, Words
from .teaching.hints import explain_missing_names
from .teaching.progress import follow_checks

P = ParamSpec("P")
R = TypeVar("R")
Part = TypeVar("Part")


def _of(part: str, method: Callable[Concatenate[Part, P], R]) -> Callable[Concatenate[Lab, P], R]:
    """Return a method of the lab that calls this method of its part, with the same signature and
    docstring.
    """

    @wraps(method)
    def call(lab: Lab, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return method(getattr(lab, part), *args, **kwargs)

    return call


class Lab:
    """A place of your own with real plugin processes. ``with Lab() as lab:`` closes it for you; so
    does the end of Python.
    """

    _of_the_notebook: ClassVar[Lab | None] = None

    def __init__(self) -> None:
        self._plugins = PluginCommands()
        self._managers = ManagerCommands(self._plugins)
        self._groups = GroupCommands(self._plugins)
        self._convergence = Convergence(self._plugins, self._groups)
        self._faults = FaultInjection(self._plugins, self._groups)
        self._reports = Reports(self._plugins, self._groups, self._convergence, self._faults)

    @classmethod
    def fresh(cls) -> Lab:
        """Return the one lab of this notebook, empty: a cell that is run again gets the same lab,
        after a ``reset``.

        One whose directory was removed is closed, and another one opened.
        """
        explain_missing_names()
        follow_checks()
        known = Lab._of_the_notebook
        if known is not None and known.session.open and not known.session.has_directory:
            known.close()
        if known is None or not known.session.open:
            known = Lab._of_the_notebook = cls()
        else:
            known.reset()
        return known

    @property
    def root(self) -> Path:
        """The lab's own directory; it is removed with the lab."""
        return self._plugins.root

    @property
    def plugin_dir(self) -> Path:
        """Where the sockets are: what INFRAKIT_PLUGINS_DIR must say for programs that are to see
        this lab.
        """
        return self._plugins.plugin_dir

    @property
    def session(self) -> Session:
        """The session with the plugins that is open now; what looks at the lab for long ends with
        it.
        """
        return self._plugins.session

    line = session
    """Its name in version 0.1.0."""

    socket = _of("_plugins", PluginCommands.socket)
    directory = _of("_plugins", PluginCommands.directory)
    start = _of("_plugins", PluginCommands.start)
    start_script = _of("_plugins", PluginCommands.start_script)
    serve = _of("_plugins", PluginCommands.serve)
    mute = _of("_plugins", PluginCommands.mute)
    stop_plugin = _of("_plugins", PluginCommands.stop_plugin)
    kill_plugin = _of("_plugins", PluginCommands.kill_plugin)
    start_again = _of("_plugins", PluginCommands.start_again)
    is_process = _of("_plugins", PluginCommands.is_process)
    running_since = _of("_plugins", PluginCommands.running_since)
    plugins = _of("_plugins", PluginCommands.plugins)
    close = _of("_plugins", PluginCommands.close)
    descriptors = _of("_plugins", PluginCommands.descriptors)
    disown = _of("_plugins", PluginCommands.disown)

    def start_plugin(
        self, kind: str, name: str | None = None, **flags: str | float | Path
    ) -> Table:
        """Start one plugin, under another name or with flags such as ``poll_interval=2`` (seconds),
        and wait until it answers.
        """
        return self._plugins.start_plugin(kind, name, flags)

    start_manager = _of("_managers", ManagerCommands.start_manager)
    elect = _of("_managers", ManagerCommands.elect)
    leader = _of("_managers", ManagerCommands.leader)

    commit = _of("_groups", GroupCommands.commit)
    scale = _of("_groups", GroupCommands.scale)
    describe = _of("_groups", GroupCommands.describe)
    inspect = _of("_groups", GroupCommands.inspect)
    free = _of("_groups", GroupCommands.free)
    destroy = _of("_groups", GroupCommands.destroy)
    why = _of("_groups", GroupCommands.why)
    pause = _of("_groups", GroupCommands.pause)
    resume = _of("_groups", GroupCommands.resume)
    plan = _of("_groups", GroupCommands.plan)
    step = _of("_groups", GroupCommands.step)
    instances = _of("_groups", GroupCommands.instances)
    health = _of("_groups", GroupCommands.health)
    wait = _of("_convergence", Convergence.wait)

    kill = _of("_faults", FaultInjection.kill)
    signal = _of("_faults", FaultInjection.signal)
    docker = _of("_faults", FaultInjection.docker)
    servers = _of("_faults", FaultInjection.servers)
    processes = _of("_faults", FaultInjection.processes)

    timeline = _of("_reports", Reports.timeline)
    rollout = _of("_reports", Reports.rollout)
    recovery = _of("_reports", Reports.recovery)
    measure = _of("_reports", Reports.measure)
    check = _of("_reports", Reports.check)

    def machines(self, number: int = 3) -> Machines:
        """Boot a Docker swarm of so many machines, and one more that manages it; they are the
        instances of the group ``machines``. Needs root and a Docker engine's programs.

        The same lab gives the same machines again. They end with the lab.
        """
        return Machines(self._plugins, self._groups, self._convergence, number)

    def watch(self, group: str) -> LiveView:
        """Return a live view of a group; in a notebook, it is shown when it is the last thing in a
        cell, or by ``display``.
        """
        return LiveView(group, self.session, partial(self._groups.ask_why, group)).start()

    def dashboard(self, group: str = "collabnix") -> Dashboard:
        """Return the dashboard of a group: its plugins, buttons that break and stop things, and the
        live view.
        """
        return Dashboard(self, group, partial(self._groups.ask_why, group)).start()

    def run(self, command: str) -> Words:
        """Run a shell command in the lab's directory, where ``infrakit`` sees this lab's plugins,
        and return what it printed.
        """
        self.session.must_be_open()
        return Words(run_shell(command, self.root, self.plugin_dir))

    def reset(self) -> Words:
        """Go back to an empty lab: destroy the groups, stop the plugins, remove every file in it;
        say what was done.

        The same lab can be used again at once. What cannot be destroyed is named, and its files go
        all the same.
        """
        self.session.must_be_open()
        said = self._groups.destroy_all()
        running = sorted(self._plugins.running)
        said += [f"stopped {', '.join(running)}"] if running else []
        self._plugins.reset()
        return Words(
            f"Reset: {'; '.join([*said, 'the lab is empty'])}. Begin again with lab.start()."
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        if not self.session.open:
            return "Lab, closed"
        return visible(
            f"Lab with {', '.join(sorted(self._plugins.running)) or 'no plugin running'}"
        )
