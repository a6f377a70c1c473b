"""Runs a plugin program whose handshake names its interface and nothing else, as InfraKit's own
plugins do.

Neither Batch nor Events nor Slots nor a word about health is offered, so nobody uses them. Started
by ``keeping`` as ``python -m benchmarks.plain infrakit-instance-file --dir ...``.
"""

from __future__ import annotations

import sys

from ikdemo.cli import programs
from ikdemo.cli.exit_status import guarded
from ikdemo.flavor.vanilla import Vanilla
from ikdemo.instance.file.plugin import FileInstances
from ikdemo.rpc import methods
from ikdemo.spi.contracts import VERSION, Plugin
from ikdemo.spi.documents import Api


def only_the_interface(plugin: Plugin) -> list[Api]:
    """Answer the handshake as a program of InfraKit's would."""
    return [Api(plugin.interface, VERSION)]


if __name__ == "__main__":
    methods.implemented = only_the_interface
    FileInstances.offers = Vanilla.offers = frozenset()
    sys.exit(guarded(programs.run, sys.argv[1:]))
