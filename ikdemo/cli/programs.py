"""Which plugin programs there are: their names, flags and defaults.

The plugins are made in ``factories``, how they are served is in ``program``. Called by the console scripts, by
``ikdemo infrakit-...`` or ``ikdemo ikdemo-...``, by ``up`` and by ``orders``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ..spi.errors import IkdemoError
from . import factories
from .exit_status import guarded
from .flags import Flag, duration, whole_number
from .pages import unknown
from .program import PluginProgram


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
        "Instances that are processes of this machine; with --exit-with-stdin it ends them when it ends",
        "instance-process",
        "instance.process.plugin",
        factories.process,
        (_REGISTER, _GRACE, _MOST),
        factories.check_life,
    ),
    PluginProgram(
        "ikdemo-instance-docker",
        "Instances that are containers of a Docker engine; with --exit-with-stdin it ends them when it ends",
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
    """Return the program of this name, or of this short one, such as ``group``; raises IkdemoError when there is none."""
    found = next((p for p in _PROGRAMS if name in (p.name, p.socket)), None)
    if found is None:
        raise IkdemoError(f"There is no plugin {name!r} to start; there are: {', '.join(p.socket for p in _PROGRAMS)}")
    return found


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
