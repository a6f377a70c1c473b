"""The two command line programs: ``infrakit`` with InfraKit's verbs, ``ikdemo`` with the same and
the test-drive's own.

Decides which verbs each program has. ``ikdemo`` also runs the plugin programs under their own
names.
"""

from __future__ import annotations

import sys

from .commands import Command, Program
from .exit_status import guarded
from .flags import Flag

_GROUP_NAME = Flag("name", "name of the group plugin", default="group")
_NAME = Flag("name", "name of the plugin")
_INFRAKIT = (
    Command(
        "group",
        "Commit, watch and destroy groups of instances",
        ("group_verbs.GROUP",),
        (_GROUP_NAME,),
    ),
    Command(
        "instance", "Make, list and destroy single instances", ("plugin_verbs.INSTANCE",), (_NAME,)
    ),
    Command("flavor", "Ask a flavor what it would do", ("plugin_verbs.FLAVOR",), (_NAME,)),
    Command("plugin", "See which plugins run", ("plugin_verbs.PLUGIN",)),
)
INFRAKIT = Program(
    "infrakit",
    "infrakit talks to the plugins that keep groups of instances as they were declared.",
    (*_INFRAKIT, Command("version", "Print the version", ("about_verbs.VERSION",))),
    forgiving=True,
)
IKDEMO = Program(
    "ikdemo",
    "ikdemo is a test-drive of self-healing infrastructure. Begin with: ikdemo demo",
    (
        Command(
            "demo", "See a group heal: plugins, five instances, two deleted, a plot", ("demo.DEMO",)
        ),
        Command("up", "Start plugins together, each a process of its own", ("up.UP",)),
        Command("lab", "Open the notebooks in JupyterLab", ("lab_verbs.LAB",)),
        Command("labs", "List the labs that notebooks have open", ("lab_verbs.LABS",)),
        Command(
            "doctor", "Say what this machine can do, and what to do about a no", ("doctor.DOCTOR",)
        ),
        Command(
            "group",
            "Commit, watch, explain and destroy groups of instances",
            ("group_verbs.GROUP", "loop_verbs.LOOP"),
            (_GROUP_NAME,),
        ),
        Command(
            "instance",
            "Make, list and destroy single instances, and see what they print",
            ("plugin_verbs.INSTANCE", "plugin_verbs.INSTANCE_LOGS"),
            (_NAME,),
        ),
        Command(
            "manager",
            "Commit several groups at once, to a manager",
            ("manager_verbs.MANAGER",),
            (_GROUP_NAME,),
        ),
        Command(
            "leader",
            "Say which of several managers leads, and since when",
            ("manager_verbs.LEADER",),
            (_GROUP_NAME,),
        ),
        *_INFRAKIT[2:],
        Command(
            "watch",
            "Watch a group heal, and break it with a key, in this terminal",
            ("watch.watch_verb.WATCH",),
            (_GROUP_NAME,),
        ),
        Command("events", "Print what the plugins say, as it happens", ("event_log.EVENTS",)),
        Command("schema", "Print the JSON schema of a group's spec", ("about_verbs.SCHEMA",)),
        Command("version", "Print the version", ("about_verbs.VERSION",)),
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
