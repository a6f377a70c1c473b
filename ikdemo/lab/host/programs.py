"""The plugin programs that a lab can start, by the names learners use, and what is typed to start one.

Only here does the lab know which program needs what. Called by ``Bench``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from ...disk import check_name
from ...spi.errors import IkdemoError
from .workspace import Place

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


DURATIONS = ("poll_interval", "grace")
"""Flags for which a number means seconds."""


def arguments(kind: str, name: str, flags: Mapping[str, object], place: Place) -> list[str]:
    """Return the program that serves a plugin under ``name``, and its flags.

    Raises IkdemoError when there is no such kind, when the name is none, or when a flag's value is of no use.
    """
    if kind not in list(PROGRAMS):
        raise IkdemoError(f"There is no plugin {kind!r} to start; there are: {', '.join(PROGRAMS)}")
    check_plugin_name(name)
    words = [word for flag, value in flags.items() for word in (f"--{flag.replace('_', '-')}", _written(flag, value))]
    if kind == "instance-file":
        words += ["--dir", str(place.instances(name))]
    return [PROGRAMS[kind], "--name", name, *words, "--exit-with-stdin"]


def check_plugin_name(name: object) -> None:
    """Raise IkdemoError for what cannot be the name of a plugin, which is a file's name."""
    if not isinstance(name, str):
        raise IkdemoError(f"the name of a plugin is a text, not {name!r}")
    check_name(name)


def _written(flag: str, value: object) -> str:
    """Write the value of a flag as it is typed.

    >>> _written("poll_interval", 2), _written("grace", 0.25), _written("most", 5), _written("store", "none")
    ('2s', '0.25s', '5', 'none')
    """
    if isinstance(value, str) and "\0" not in value:
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and flag in DURATIONS and math.isfinite(value):
        return f"{value:.9f}".rstrip("0").rstrip(".") + "s"
    if isinstance(value, int) and not isinstance(value, bool) and flag not in DURATIONS:
        return str(value)
    expected = 'a number of seconds, or a text such as "2s"' if flag in DURATIONS else "a text"
    raise IkdemoError(f"{flag}: expected {expected}, got {value!r:.60}")
