"""Which plugin programs there are: their names, flags and defaults, and what makes each plugin.

A program runs under its own name, as ``ikdemo NAME``, or forked by ``ikdemo up``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..spi.errors import IkdemoError
from .commands import unknown
from .engine_flags import ENGINE_FLAGS, swarm_of
from .exit_status import guarded
from .flags import Flag, duration, listed, whole_number
from .manager_program import MANAGER
from .plugin_program import Flags, PluginProgram

if TYPE_CHECKING:
    from ..spi.contracts import Lookup, Plugin

Make = Callable[..., "Plugin"]


def _group(make: Make, values: Flags, directory: Path, lookup: Lookup) -> Plugin:
    state = Path(values["state-dir"] or directory / f"{values['name']}.state")
    kept = state if values["store"] == "file" else None
    return make(lookup, state_dir=kept, poll_interval=values["poll-interval"])


def _files(make: Make, values: Flags, directory: Path, _: Lookup) -> Plugin:
    return make(_instances(values, directory))


def _running(make: Make, values: Flags, directory: Path, _: Lookup) -> Plugin:
    """Make a plugin whose instances live and end: processes, containers."""
    return make(
        _instances(values, directory),
        grace=values["grace"],
        most=values["most"],
        takes_along=values["exit-with-stdin"],
    )


def _placed(make: Make, values: Flags, *_: object) -> Plugin:
    """Make a plugin whose instances a swarm places."""
    from ..engine import EngineAddress

    files = ("", "", "")
    if values["host"] and os.environ.get("DOCKER_TLS_VERIFY"):
        folder = Path(os.environ.get("DOCKER_CERT_PATH") or Path.home() / ".docker")
        files = (str(folder / "ca.pem"), str(folder / "cert.pem"), str(folder / "key.pem"))
    return make(
        values["namespace"],
        [EngineAddress(host, *files) for host in values["host"]],
        grace=values["grace"],
        most=values["most"],
        takes_along=values["exit-with-stdin"],
    )


def _machines(make: Make, values: Flags, directory: Path, _: Lookup) -> Plugin:
    return make(
        _instances(values, directory), most=values["most"], takes_along=values["exit-with-stdin"]
    )


def _instances(values: Flags, directory: Path) -> Path:
    return Path(values["dir"]) if values["dir"] else directory / f"{values['name']}.instances"


def _flavor(make: Make, *_: object) -> Plugin:
    return make()


def _combo(make: Make, values: Flags, directory: Path, lookup: Lookup) -> Plugin:
    return make(lookup)


def _node_flavor(make: Make, values: Flags, directory: Path, lookup: Lookup) -> Plugin:
    return make(swarm_of(values))


def _check_group(values: Flags) -> None:
    if values["poll-interval"] <= 0:
        raise IkdemoError("the poll interval must be longer than 0")
    if values["state-dir"] and values["store"] != "file":
        raise IkdemoError("--store none keeps nothing, so there is no use for a --state-dir")


def _check_life(values: Flags) -> None:
    if values["grace"] < 0:
        raise IkdemoError("the grace time must not be shorter than 0")


def _check_placed(values: Flags) -> None:
    _check_life(values)
    if not values["namespace"]:
        raise IkdemoError("the namespace must have a name")


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
_STATE_FILES = Flag(
    "dir",
    "folder of the register and the output (default: NAME.instances beside the socket)",
    placeholder="folder",
)
_OWNED = Flag(
    "dir",
    "folder that says whose the containers are (default: NAME.instances beside the socket)",
    placeholder="folder",
)
_DISKS = Flag(
    "dir",
    "folder of the register and the disks (default: NAME.instances beside the socket)",
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
_NAMESPACE = Flag(
    "namespace",
    "whose the instances are: plugins of the same namespace have the same",
    default="ikdemo",
    placeholder="name",
)
_HOSTS = Flag(
    "host",
    "engines that manage the swarm, may be repeated (default: the one that docker finds)",
    listed,
    [],
    placeholder="address,...",
)
_MOST_MACHINES = Flag(
    "most", "how many machines may be on at a time", whole_number, 20, placeholder="number"
)
_PROGRAMS = (
    PluginProgram(
        "infrakit-group-default",
        "Keeps groups of instances as they were committed",
        "group",
        "group.plugin:Groups",
        _group,
        (_POLL, _STORE, _STATE),
        _check_group,
    ),
    PluginProgram(
        "infrakit-instance-file",
        "Instances that are files in a folder",
        "instance-file",
        "instance.file.plugin:FileInstances",
        _files,
        (_DIR,),
    ),
    PluginProgram(
        "ikdemo-instance-process",
        "Instances that are processes of this machine; with --exit-with-stdin it ends them "
        "when it ends",
        "instance-process",
        "instance.process.plugin:ProcessInstances",
        _running,
        (_STATE_FILES, _GRACE, _MOST),
        _check_life,
    ),
    PluginProgram(
        "ikdemo-instance-docker",
        "Instances that are containers of a Docker engine; with --exit-with-stdin it ends them "
        "when it ends",
        "instance-docker",
        "instance.docker.plugin:DockerInstances",
        _running,
        (_OWNED, _GRACE, _MOST),
        _check_life,
    ),
    PluginProgram(
        "ikdemo-instance-swarm",
        "Instances that a Docker swarm places on its nodes; with --exit-with-stdin it ends them "
        "when it ends",
        "instance-swarm",
        "instance.swarm.plugin:SwarmInstances",
        _placed,
        (_NAMESPACE, _HOSTS, replace(_GRACE, default=0.0), _MOST),
        _check_placed,
    ),
    PluginProgram(
        "ikdemo-instance-machine",
        "Instances that are machines in namespaces of this one, with a Docker engine each; needs "
        "root; with --exit-with-stdin it ends them when it ends",
        "instance-machine",
        "instance.machine.plugin:MachineInstances",
        _machines,
        (_DISKS, _MOST_MACHINES),
    ),
    PluginProgram(
        "infrakit-flavor-vanilla",
        "The flavor that adds what its Properties say",
        "flavor-vanilla",
        "flavor.vanilla:Vanilla",
        _flavor,
    ),
    PluginProgram(
        "ikdemo-flavor-probe",
        "The flavor that checks the health of its instances",
        "flavor-probe",
        "flavor.probe:Probe",
        _flavor,
    ),
    PluginProgram(
        "infrakit-flavor-combo",
        "The flavor that is several flavors at once",
        "flavor-combo",
        "flavor.combo:Combo",
        _combo,
    ),
    PluginProgram(
        "infrakit-flavor-zookeeper",
        "The flavor of a ZooKeeper ensemble's members",
        "flavor-zookeeper",
        "flavor.zookeeper:Zookeeper",
        _flavor,
    ),
    PluginProgram(
        "infrakit-flavor-swarm",
        "The flavor of machines that join a Docker swarm",
        "flavor-swarm",
        "flavor.swarm_flavor:SwarmFlavor",
        _node_flavor,
        ENGINE_FLAGS,
    ),
    MANAGER,
)


def find(name: str) -> PluginProgram:
    """Return the program of this name, or of this short one, such as ``group``; raises IkdemoError
    when there is none.
    """
    found = next((p for p in _PROGRAMS if name in (p.name, p.short)), None)
    if found is None:
        raise IkdemoError(
            f"There is no plugin {name!r} to start; there are: "
            f"{', '.join(p.short for p in _PROGRAMS)}"
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
