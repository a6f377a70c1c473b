"""The plugin programs that a lab can start, by the names learners use, and what is typed to start one.

Only here does the lab know which program needs what. Called by ``Bench``.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..spi.errors import IkdemoError
from .place import Place

PROGRAMS = {
    "group": "infrakit-group-default",
    "instance-file": "infrakit-instance-file",
    "instance-process": "ikdemo-instance-process",
    "instance-docker": "ikdemo-instance-docker",
    "flavor-vanilla": "infrakit-flavor-vanilla",
    "flavor-probe": "ikdemo-flavor-probe",
    "flavor-combo": "infrakit-flavor-combo",
    "flavor-zookeeper": "infrakit-flavor-zookeeper",
}


def arguments(kind: str, name: str, flags: Mapping[str, str], place: Place) -> list[str]:
    """Return the program that serves a plugin under ``name``, and its flags; raises IkdemoError when there is no such kind."""
    if kind not in PROGRAMS:
        raise IkdemoError(f"There is no plugin {kind!r} to start; there are: {', '.join(PROGRAMS)}")
    words = [word for flag, value in flags.items() for word in (f"--{flag.replace('_', '-')}", value)]
    if kind == "instance-file":
        words += ["--dir", str(place.instances(name))]
    return [PROGRAMS[kind], "--name", name, *words, "--exit-with-stdin"]
