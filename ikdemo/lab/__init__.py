"""The lab: what a notebook imports to start plugins, commit groups, break them and look at what
happened. ``from ikdemo.lab import Lab, collabnix`` is all that a notebook needs.

Threads. A cell runs in the kernel's main thread, and every method of ``Lab`` is synchronous. One
daemon thread per session runs an event loop: it talks to the plugins, follows their events, writes
the record and serves the plugins that are objects of this Python; a cell waits for it with a
deadline. A live view and a web page each have a thread that draws, and each click of a button has
one that works; they end with the session. The record is what these threads share; its lock is in
``host.timeline``. Plugins are processes of their own and end when the pipe that is their standard
input does.

- ``lab``: the facade, which holds the parts. ``reports``: what a lab tells of what happened.
- ``host``: processes, threads and the directory of a lab. ``faults``: what breaks instances.
- ``show``: tables, words and figures. ``dashboard``: what moves on the screen.
- ``chaos``: experiments. ``docker``: containers, compared and recorded. ``machines``: a swarm.
- ``teaching``: checks, exercises, hints, progress, specs.

Names are loaded when first used: a command that wants one small part of a lab need not wait for all
of it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .chaos.availability import availability as availability
    from .chaos.crashes import crash_loops as crash_loops
    from .chaos.experiment import Experiment as Experiment
    from .chaos.overcreation import overcreation as overcreation
    from .chaos.subjects import Simulated as Simulated
    from .dashboard.servers import Servers as Servers
    from .dashboard.servers import side_by_side as side_by_side
    from .docker.docker_access import Docker as Docker
    from .docker.machine_access import machines_or_recording as machines_or_recording
    from .docker.recording import recorded_partition as recorded_partition
    from .host.stubs import Judge as Judge
    from .lab import Lab as Lab
    from .show.partition_report import Partition as Partition
    from .show.recovery_report import Recovery as Recovery
    from .show.recovery_report import compare as compare
    from .show.rollout import Rollout as Rollout
    from .show.rollout import paces as paces
    from .show.tables import Table as Table
    from .teaching import exercises as exercises
    from .teaching.progress import progress as progress
    from .teaching.specs import collabnix as collabnix
    from .teaching.specs import collabnix_containers as collabnix_containers
    from .teaching.specs import collabnix_processes as collabnix_processes

_HOMES = {
    "Docker": "docker.docker_access",
    "Experiment": "chaos.experiment",
    "Judge": "host.stubs",
    "Lab": "lab",
    "Partition": "show.partition_report",
    "Recovery": "show.recovery_report",
    "Rollout": "show.rollout",
    "Servers": "dashboard.servers",
    "Simulated": "chaos.subjects",
    "Table": "show.tables",
    "availability": "chaos.availability",
    "collabnix": "teaching.specs",
    "collabnix_containers": "teaching.specs",
    "collabnix_processes": "teaching.specs",
    "compare": "show.recovery_report",
    "crash_loops": "chaos.crashes",
    "exercises": "teaching.exercises",
    "machines_or_recording": "docker.machine_access",
    "overcreation": "chaos.overcreation",
    "paces": "show.rollout",
    "progress": "teaching.progress",
    "recorded_partition": "docker.recording",
    "side_by_side": "dashboard.servers",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = import_module(f".{_HOMES[name]}", __name__)
    # the one module that notebooks import whole
    return home if name == "exercises" else getattr(home, name)
