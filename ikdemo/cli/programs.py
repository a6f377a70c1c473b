"""The plugin programs: read their flags, set up the log, and serve one plugin until told to stop.

Decides names, flags and defaults of the programs; the plugins are made in ``makers``, how they are served is below. Called by the
console scripts, and by ``ikdemo infrakit-...`` or ``ikdemo ikdemo-...`` (which is how the lab starts them).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..spi.errors import IkdemoError
from . import makers
from .ending import guarded
from .flags import Flag, duration, parse, switch, whole_number
from .pages import HELP, LOG, flag_table, unknown

if TYPE_CHECKING:
    from ..spi.contracts import Lookup, Plugin

EXIT_WITH_STDIN = Flag("exit-with-stdin", "stop when standard input ends, as it does when the parent dies", switch, False)


@dataclass(frozen=True)
class PluginProgram:
    """A program that serves one plugin. ``make`` gets the flags, the folder of the sockets and the lookup of other plugins."""

    name: str
    summary: str
    socket: str
    make: Callable[[Mapping[str, Any], Path, Lookup], Plugin]
    flags: tuple[Flag, ...] = ()

    def run(self, argv: Sequence[str]) -> int:
        """Serve until SIGTERM or Ctrl-C and return the exit status; raises IkdemoError when the flags are wrong."""
        name = Flag("name", "name of the plugin, which is that of its socket", default=self.socket)
        flags = (name, *self.flags, EXIT_WITH_STDIN, LOG, HELP)
        parsed = parse(argv, flags)
        if parsed.values["help"] or parsed.words == ["help"]:
            print(f"{self.summary}.\n\nUsage: {self.name} [version] [flags]\n\n{flag_table(flags)}")
            return 0
        if parsed.words == ["version"]:
            print(f"Version: {__version__}\nRevision: Unspecified")
            return 0
        if parsed.words:
            raise IkdemoError(unknown(parsed.words[0], self.name, ["version", "help"]))
        return self._serve(parsed.values)

    def _serve(self, values: Mapping[str, Any]) -> int:
        from ..assembly import run
        from ..disk import check_name
        from ..rpc.discovery import plugin_dir
        from .logs import set_up

        set_up(values["log"])
        check_name(values["name"])
        directory = plugin_dir()
        try:
            return run(
                lambda lookup: self.make(values, directory, lookup),
                name=values["name"],
                directory=directory,
                exit_with_stdin=values["exit-with-stdin"],
            )
        except OSError as error:
            where = f": {error.filename}" if error.filename else ""
            raise IkdemoError(f"{values['name']} cannot be served: {(error.strerror or str(error)).lower()}{where}") from None


def _store(text: str) -> str:
    if text not in ("file", "none"):
        raise ValueError("expected file or none")
    return text


_POLL = Flag("poll-interval", "how often to look although nothing was reported", duration, 10.0, placeholder="duration")
_STATE = Flag("state-dir", "folder of the committed specs (default: NAME.state beside the socket)", placeholder="folder")
_STORE = Flag("store", "keep committed specs in a file each, or none across restarts", _store, "file", placeholder="file|none")
_DIR = Flag("dir", "folder of the instance files (default: NAME.instances beside the socket)", placeholder="folder")
_REGISTER = Flag("dir", "folder of the register and the output (default: NAME.instances beside the socket)", placeholder="folder")
_OWNED = Flag(
    "dir", "folder that says whose the containers are (default: NAME.instances beside the socket)", placeholder="folder"
)
_GRACE = Flag("grace", "time between asking an instance to end and killing it", duration, 5.0, placeholder="duration")
_MOST = Flag("most", "how many instances may live at a time", whole_number, 100, placeholder="number")
_PROGRAMS = (
    PluginProgram(
        "infrakit-group-default",
        "Keeps groups of instances as they were committed",
        "group",
        makers.group,
        (_POLL, _STORE, _STATE),
    ),
    PluginProgram("infrakit-instance-file", "Instances that are files in a folder", "instance-file", makers.file, (_DIR,)),
    PluginProgram(
        "ikdemo-instance-process",
        "Instances that are processes of this machine; with --exit-with-stdin it ends them when it ends",
        "instance-process",
        makers.process,
        (_REGISTER, _GRACE, _MOST),
    ),
    PluginProgram(
        "ikdemo-instance-docker",
        "Instances that are containers of a Docker engine; with --exit-with-stdin it ends them when it ends",
        "instance-docker",
        makers.docker,
        (_OWNED, _GRACE, _MOST),
    ),
    PluginProgram("infrakit-flavor-vanilla", "The flavor that adds what its Properties say", "flavor-vanilla", makers.vanilla),
    PluginProgram("ikdemo-flavor-probe", "The flavor that checks the health of its instances", "flavor-probe", makers.probe),
    PluginProgram("infrakit-flavor-combo", "The flavor that is several flavors at once", "flavor-combo", makers.combo),
    PluginProgram(
        "infrakit-flavor-zookeeper", "The flavor of a ZooKeeper ensemble's members", "flavor-zookeeper", makers.zookeeper
    ),
)


def run(argv: Sequence[str]) -> int:
    """Run the plugin program whose name is the first argument."""
    program = next((p for p in _PROGRAMS if p.name == argv[0]), None)
    if program is None:
        raise IkdemoError(unknown(argv[0], "ikdemo", [p.name for p in _PROGRAMS]))
    return program.run(argv[1:])


def group_default() -> int:
    """Run ``infrakit-group-default`` with the arguments of this process."""
    return _main("infrakit-group-default")


def instance_file() -> int:
    """Run ``infrakit-instance-file`` with the arguments of this process."""
    return _main("infrakit-instance-file")


def instance_process() -> int:
    """Run ``ikdemo-instance-process`` with the arguments of this process."""
    return _main("ikdemo-instance-process")


def instance_docker() -> int:
    """Run ``ikdemo-instance-docker`` with the arguments of this process."""
    return _main("ikdemo-instance-docker")


def flavor_vanilla() -> int:
    """Run ``infrakit-flavor-vanilla`` with the arguments of this process."""
    return _main("infrakit-flavor-vanilla")


def flavor_probe() -> int:
    """Run ``ikdemo-flavor-probe`` with the arguments of this process."""
    return _main("ikdemo-flavor-probe")


def flavor_combo() -> int:
    """Run ``infrakit-flavor-combo`` with the arguments of this process."""
    return _main("infrakit-flavor-combo")


def flavor_zookeeper() -> int:
    """Run ``infrakit-flavor-zookeeper`` with the arguments of this process."""
    return _main("infrakit-flavor-zookeeper")


def _main(program: str) -> int:
    return guarded(run, [program, *sys.argv[1:]])
