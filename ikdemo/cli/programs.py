"""Which plugin programs there are: their names, flags and defaults.

The plugins are made in ``factories``, how they are served is in ``program``. Called by the console
scripts, by ``ikdemo infrakit-...`` or ``ikdemo ikdemo-...``, by ``up`` and by ``orders``.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..spi.errors import IkdemoError
from . import factories
from .commands import HELP, LOG, flag_table, unknown
from .exit_status import guarded
from .flags import Flag, duration, parse, switch, whole_number

if TYPE_CHECKING:
    from ..spi.contracts import Lookup, Plugin

EXIT_WITH_STDIN = Flag(
    "exit-with-stdin",
    "stop when standard input ends, as it does when the parent dies",
    switch,
    False,
)


@dataclass(frozen=True)
class PluginProgram:
    """A program that serves one plugin. ``make`` gets the flags, the folder of the sockets and the
    lookup of other plugins.

    ``socket`` is the plugin's usual name, and the short one of the program; ``module`` has the
    plugin; ``check`` raises IkdemoError for flags that do not go together.
    """

    name: str
    summary: str
    socket: str
    module: str
    make: Callable[[Mapping[str, Any], Path, Lookup], Plugin]
    flags: tuple[Flag, ...] = ()
    check: Callable[[Mapping[str, Any]], None] = factories.check_nothing

    def run(self, argv: Sequence[str]) -> int:
        """Serve until SIGTERM or Ctrl-C and return the exit status; raises IkdemoError when the
        flags are wrong.
        """
        parsed = parse(argv, self._flags())
        if parsed.values["help"] or parsed.words == ["help"]:
            print(
                f"{self.summary}.\n\nUsage: {self.name} [version] "
                f"[flags]\n\n{flag_table(self._flags())}"
            )
            return 0
        if parsed.words == ["version"]:
            print(f"Version: {__version__}\nRevision: Unspecified")
            return 0
        values = self.read(argv)
        return self.serve(values, exit_with_stdin=values["exit-with-stdin"])

    def read(self, argv: Sequence[str]) -> Mapping[str, Any]:
        """Return the values of the flags; raises IkdemoError for every slip that shows before
        anything is served.
        """
        from ..disk import check_name
        from ..rpc.discovery import check_length, plugin_dir

        parsed = parse(argv, self._flags())
        if parsed.words:
            raise IkdemoError(unknown(parsed.words[0], self.name, ["version", "help"]))
        check_length(plugin_dir() / check_name(parsed.values["name"]))
        self.check(parsed.values)
        return parsed.values

    def load(self) -> None:
        """Import what ``serve`` needs, so that processes that are forked afterwards find it
        there.
        """
        for module in ("assembly", self.module):
            importlib.import_module(f"ikdemo.{module}")

    def serve(self, values: Mapping[str, Any], *, exit_with_stdin: bool) -> int:
        """Serve what ``read`` has read, and return the exit status; raises IkdemoError when it
        cannot be served.
        """
        from ..assembly import run
        from ..rpc.discovery import plugin_dir
        from .logs import set_up

        set_up(values["log"])
        directory = plugin_dir()
        try:
            return run(
                lambda lookup: self.make(values, directory, lookup),
                name=values["name"],
                directory=directory,
                exit_with_stdin=exit_with_stdin,
            )
        except OSError as error:
            where = f": {error.filename}" if error.filename else ""
            raise IkdemoError(
                f"{values['name']} cannot be served: "
                f"{(error.strerror or str(error)).lower()}{where}"
            ) from None

    def _flags(self) -> tuple[Flag, ...]:
        name = Flag("name", "name of the plugin, which is that of its socket", default=self.socket)
        return (name, *self.flags, EXIT_WITH_STDIN, LOG, HELP)


def _store(text: str) -> str:
    if text not in ("file", "none"):
        raise ValueError("expected file or none")
    return text


_POLL = Flag(
    "poll-interval",
    "how often to look although nothing was reported",
    duration,
    10.0,
    placeholder="duration",
)
_STATE = Flag(
    "state-dir",
    "folder of the committed specs (default: NAME.state beside the socket)",
    placeholder="folder",
)
_STORE = Flag(
    "store",
    "keep committed specs in a file each, or none across restarts",
    _store,
    "file",
    placeholder="file|none",
)
_DIR = Flag(
    "dir",
    "folder of the instance files (default: NAME.instances beside the socket)",
    placeholder="folder",
)
_REGISTER = Flag(
    "dir",
    "folder of the register and the output (default: NAME.instances beside the socket)",
    placeholder="folder",
)
_OWNED = Flag(
    "dir",
    "folder that says whose the containers are (default: NAME.instances beside the socket)",
    placeholder="folder",
)
_GRACE = Flag(
    "grace",
    "time between asking an instance to end and killing it",
    duration,
    5.0,
    placeholder="duration",
)
_MOST = Flag(
    "most", "how many instances may live at a time", whole_number, 100, placeholder="number"
)
_PROGRAMS = (
    PluginProgram(
        "infrakit-group-default",
        "Keeps groups of instances as they were committed",
        "group",
        "group.plugin",
        factories.group,
        (_POLL, _STORE, _STATE),
        factories.check_group,
    ),
    PluginProgram(
        "infrakit-instance-file",
        "Instances that are files in a folder",
        "instance-file",
        "instance.file.plugin",
        factories.file,
        (_DIR,),
    ),
    PluginProgram(
        "ikdemo-instance-process",
        "Instances that are processes of this machine; with --exit-with-stdin it ends them "
        "when it ends",
        "instance-process",
        "instance.process.plugin",
        factories.process,
        (_REGISTER, _GRACE, _MOST),
        factories.check_life,
    ),
    PluginProgram(
        "ikdemo-instance-docker",
        "Instances that are containers of a Docker engine; with --exit-with-stdin it ends them "
        "when it ends",
        "instance-docker",
        "instance.docker.plugin",
        factories.docker,
        (_OWNED, _GRACE, _MOST),
        factories.check_life,
    ),
    PluginProgram(
        "infrakit-flavor-vanilla",
        "The flavor that adds what its Properties say",
        "flavor-vanilla",
        "flavor.vanilla",
        factories.vanilla,
    ),
    PluginProgram(
        "ikdemo-flavor-probe",
        "The flavor that checks the health of its instances",
        "flavor-probe",
        "flavor.probe",
        factories.probe,
    ),
    PluginProgram(
        "infrakit-flavor-combo",
        "The flavor that is several flavors at once",
        "flavor-combo",
        "flavor.combo",
        factories.combo,
    ),
    PluginProgram(
        "infrakit-flavor-zookeeper",
        "The flavor of a ZooKeeper ensemble's members",
        "flavor-zookeeper",
        "flavor.zookeeper",
        factories.zookeeper,
    ),
)


def find(name: str) -> PluginProgram:
    """Return the program of this name, or of this short one, such as ``group``; raises IkdemoError
    when there is none.
    """
    found = next((p for p in _PROGRAMS if name in (p.name, p.socket)), None)
    if found is None:
        raise IkdemoError(
            f"There is no plugin {name!r} to start; there are: "
            f"{', '.join(p.socket for p in _PROGRAMS)}"
        )
    return found


def run(argv: Sequence[str]) -> int:
    """Run the plugin program whose name is the first argument."""
    program = next((p for p in _PROGRAMS if p.name == argv[0]), None)
    if program is None:
        raise IkdemoError(unknown(argv[0], "ikdemo", [p.name for p in _PROGRAMS]))
    return program.run(argv[1:])


def main() -> int:
    """Run the plugin program that this process was started as, with its arguments."""
    return guarded(run, [Path(sys.argv[0]).name, *sys.argv[1:]])
