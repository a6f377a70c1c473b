"""The two command line programs: ``infrakit`` with InfraKit's verbs, ``ikdemo`` with the same and the test-drive's own.

Decides which verbs each program has and how it ends: 0, or 1 after one line on stderr. Called by the console scripts and by
``python -m ikdemo``, which also runs the plugin programs under their own names.
"""

from __future__ import annotations

import errno
import logging
import os
import sys
from collections.abc import Callable, Sequence

from ..spi.errors import IkdemoError
from .commands import Command, Program
from .flags import Flag
from .logs import set_up

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
    (*_INFRAKIT, Command("version", "Print the version", ("about",))),
    forgiving=True,
)
IKDEMO = Program(
    "ikdemo",
    "ikdemo is a test-drive of self-healing infrastructure. Begin with: ikdemo demo",
    (
        Command("demo", "See a group heal: plugins, five instances, two deleted, a plot", ("demo",)),
        Command("lab", "Open the notebooks in JupyterLab", ("desk",)),
        Command("doctor", "Say what this machine can do, and what to do about a no", ("doctor",)),
        Command(
            "group",
            "Commit, watch, explain and destroy groups of instances",
            ("groups", "reconciling", "waiting"),
            (_GROUP_NAME,),
        ),
        *_INFRAKIT[1:],
        Command("events", "Print what the plugins say, as it happens", ("stream",)),
        Command("schema", "Print the JSON schema of a group's spec", ("schema",)),
        Command("version", "Print the version", ("about",)),
    ),
)


def infrakit() -> int:
    """Run ``infrakit`` with the arguments of this process."""
    return guarded(INFRAKIT.run, sys.argv[1:])


def ikdemo() -> int:
    """Run ``ikdemo``, or a plugin program named as its first argument, with the arguments of this process."""
    argv = sys.argv[1:]
    if argv and argv[0].startswith("infrakit-"):
        from . import programs

        return guarded(programs.run, argv)
    return guarded(IKDEMO.run, argv)


def guarded(run: Callable[[Sequence[str]], int], argv: Sequence[str]) -> int:
    """Run a program and turn whatever it ends with into an exit status and at most one line on stderr."""
    set_up()
    log = logging.getLogger(__name__)
    try:
        "\0".join(argv).encode()  # an argument that is no text cannot travel in JSON
        status = run(argv)
        print(end="", flush=True)
        return status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read our output has enough: say nothing
        _drop_output()
        return 1
    except UnicodeEncodeError:
        log.critical("an argument is not UTF-8 text")
    except IkdemoError as error:
        log.critical("%s", error)
    except OSError as error:
        log.error("%s", _go_words(error))
        try:
            sys.stdout.flush()
        except OSError:  # it was the output itself that could not be written
            _drop_output()
    return 1


def _drop_output() -> None:
    """Forget what could not be written, or the interpreter would try again at its end and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _go_words(error: OSError) -> str:
    """Say an operating system's no as InfraKit does: what was done, to which file, why."""
    why = os.strerror(error.errno).lower() if error.errno else str(error)
    verb = "read" if error.errno == errno.EISDIR else "open"
    return f"{verb} {error.filename}: {why}" if error.filename is not None else why
