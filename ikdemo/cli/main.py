"""The two command line programs: ``infrakit`` with InfraKit's verbs, ``ikdemo`` with the same and
the test-drive's own.

Decides which verbs each program has. Called by the console scripts and by ``python -m ikdemo``,
which also runs the plugin programs under their own names.
"""

from __future__ import annotations

import sys

from .commands import Command, Program
from .exit_status import guarded
from .flags import Flag

_GROUP_NAME = Flag("name", "name of the group plugin", default="group")
_NAME = Flag("name", "name of the plugin")
_INFRAKIT = (
    Command("group", "Commit, watch and destroy groups of instances", ("groups",), (_GROUP_NAME,)),
    Command("instance", "Make, list and destroy single instances", ("instances",), (_NAME,)),
    Command("flavor", "Ask a flavor what it would do", ("flavors",), (_NAME,)),
    Command("plugin", "See which plugins run", ("plugins",)),
)
INFRAKIT = Program(
    "infrakit",
    "infrakit talks to the plugins that keep groups of instances as they were declared.",
    (*_INFRAKIT, Command("version", "Print the version", ("version",))),
    forgiving=True,
)
IKDEMO = Program(
    "ikdemo",
    "ikdemo is a test-drive of self-healing infrastructure. Begin with: ikdemo demo",
    (
        Command(
            "demo", "See a group heal: plugins, five instances, two deleted, a plot", ("demo",)
        ),
        Command("up", "Start plugins together, each a process of its own", ("up",)),
        Command("lab", "Open the notebooks in JupyterLab", ("lab",)),
        Command("labs", "List the labs that notebooks have open", ("labs",)),
        Command("doctor", "Say what this machine can do, and what to do about a no", ("doctor",)),
        Command(
            "group",
            "Commit, watch, explain and destroy groups of instances",
            ("groups", "loop"),
            (_GROUP_NAME,),
        ),
        Command(
            "instance",
            "Make, list and destroy single instances, and see what they print",
            ("instances", "instance_logs"),
            (_NAME,),
        ),
        *_INFRAKIT[2:],
        Command(
            "watch",
            "Watch a group heal, and break it with a key, in this terminal",
            ("watch",),
            (_GROUP_NAME,),
        ),
        Command("events", "Print what the plugins say, as it happens", ("events",)),
        Command("schema", "Print the JSON schema of a group's spec", ("schema",)),
        Command("version", "Print the version", ("version",)),
    ),
)


def infrakit() -> int:
    """Run ``infrakit`` with the arguments of this process."""
    return guarded(INFRAKIT.run, sys.argv[1:])


def ikdemo() -> int:
    """Run ``ikdemo``, or a plugin program named as its first argument, with the arguments of this
    process.
    """
    argv = sys.argv[1:]
    if argv and argv[0].startswith(("infrakit-", "ikdemo-")):
        from . import programs

        return guarded(programs.run, argv)
    return guarded(IKDEMO.run, argv)
