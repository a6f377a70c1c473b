"""Makes the plugins of the programs from what their flags said: one function for each, which
imports only what it needs.

Each gets the values of the flags, the folder of the sockets and the lookup of other plugins. What
cannot be made of them is refused before, by the functions that check. Called by ``programs``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..spi.errors import IkdemoError

if TYPE_CHECKING:
    from ..spi.contracts import Lookup, Plugin


def check_nothing(values: Mapping[str, Any]) -> None:
    """Accept whatever the flags accept, each by itself."""


def check_group(values: Mapping[str, Any]) -> None:
    if values["poll-interval"] <= 0:
        raise IkdemoError("the poll interval must be longer than 0")
    if values["state-dir"] and values["store"] != "file":
        raise IkdemoError("--store none keeps nothing, so there is no use for a --state-dir")


def check_life(values: Mapping[str, Any]) -> None:
    if values["grace"] < 0:
        raise IkdemoError("the grace time must not be shorter than 0")


def group(values: Mapping[str, Any], directory: Path, lookup: Lookup) -> Plugin:
    from ..group.plugin import Groups

    state = Path(values["state-dir"] or directory / f"{values['name']}.state")
    kept = state if values["store"] == "file" else None
    return Groups(lookup, state_dir=kept, poll_interval=values["poll-interval"])


def file(values: Mapping[str, Any], directory: Path, lookup: Lookup) -> Plugin:
    from ..instance.file.plugin import FileInstances

    return FileInstances(_instances(values, directory))


def process(values: Mapping[str, Any], directory: Path, lookup: Lookup) -> Plugin:
    from ..instance.process.plugin import ProcessInstances

    return ProcessInstances(_instances(values, directory), **_life(values))


def docker(values: Mapping[str, Any], directory: Path, lookup: Lookup) -> Plugin:
    from ..instance.docker.plugin import DockerInstances

    return DockerInstances(_instances(values, directory), **_life(values))


def _instances(values: Mapping[str, Any], directory: Path) -> Path:
    return Path(values["dir"]) if values["dir"] else directory / f"{values['name']}.instances"


def _life(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return how instances live and end that are running things."""
    return {
        "grace": values["grace"],
        "most": values["most"],
        "takes_along": values["exit-with-stdin"],
    }


def vanilla(values: Mapping[str, Any], directory: Path, lookup: Lookup) -> Plugin:
    from ..flavor.vanilla import Vanilla

    return Vanilla()


def probe(values: Mapping[str, Any], directory: Path, lookup: Lookup) -> Plugin:
    from ..flavor.probe import Probe

    return Probe()


def combo(values: Mapping[str, Any], directory: Path, lookup: Lookup) -> Plugin:
    from ..flavor.combo import Combo

    return Combo(lookup)


def zookeeper(values: Mapping[str, Any], directory: Path, lookup: Lookup) -> Plugin:
    from ..flavor.zookeeper import Zookeeper

    return Zookeeper()
