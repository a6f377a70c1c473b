"""Runs a plugin program as a measurement needs it: ``python -m benchmarks.variants VARIANT PROGRAM
...``.

``plain``: the handshake names the interface and nothing else, as that of InfraKit's own plugins
does: neither Batch nor Events nor Slots is offered, nor a word about health. ``unfiltered``: the
file plugin shows all that there is, whatever it is asked for. ``heartbeat``: it prints a line of
JSON on SIGUSR1, for how long its event loop was away at most since it was last asked, which is how
long a caller waits; the program ``bare`` is a loop that has nothing to do.
"""

from __future__ import annotations

import asyncio
import json
import selectors
import signal
import sys
import time
from collections.abc import Mapping

from ikdemo.cli import programs
from ikdemo.cli.exit_status import guarded
from ikdemo.flavor.vanilla import Vanilla
from ikdemo.instance.file.plugin import FileInstances
from ikdemo.rpc import methods
from ikdemo.spi.contracts import VERSION, Plugin
from ikdemo.spi.documents import Api, Description

TICK = 0.005
"""Seconds between two turns of the bare loop."""


def plain() -> None:
    """Have the handshake answered as a program of InfraKit's would."""

    def only_the_interface(plugin: Plugin) -> list[Api]:
        return [Api(plugin.interface, VERSION)]

    methods.implemented = only_the_interface
    FileInstances.offers = Vanilla.offers = frozenset()


def unfiltered() -> None:
    """Have the file plugin describe every instance that it has."""
    describe = FileInstances.describe_instances

    async def describe_all(
        self: FileInstances, tags: Mapping[str, str], slots: bool = False
    ) -> list[Description]:
        return await describe(self, {}, slots)

    FileInstances.describe_instances = describe_all  # type: ignore[method-assign]
    FileInstances.offers = frozenset({"ConstantLife", "Slots"})


class Turns(selectors.EpollSelector):
    """Where an event loop looks what is due; ``longest`` and ``work`` are the longest time from one
    look to the next, and the processor time in it.
    """

    longest, work = 0.0, 0.0

    def __init__(self) -> None:
        super().__init__()
        self._left = time.perf_counter(), time.thread_time()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        away = time.perf_counter() - self._left[0]
        if away > Turns.longest:
            Turns.longest, Turns.work = away, time.thread_time() - self._left[1]
        ready = super().select(timeout)
        self._left = time.perf_counter(), time.thread_time()
        return ready


def heartbeat() -> None:
    """Have each new event loop measure its turns."""
    signal.signal(signal.SIGUSR1, lambda number, frame: tell())
    selectors.DefaultSelector = Turns  # type: ignore[misc, assignment]  # the selector that asyncio gives a new loop


def tell() -> None:
    """Print the longest turn, and begin anew."""
    print(json.dumps({"longest": Turns.longest, "work": Turns.work}), flush=True)
    Turns.longest = Turns.work = 0.0


async def tick() -> None:
    """Have nothing to do, until standard input ends; say so once, when it can be asked."""
    tell()
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
    while not ended.is_set():  # noqa: ASYNC110  turns are what is wanted
        await asyncio.sleep(TICK)


if __name__ == "__main__":
    {"plain": plain, "unfiltered": unfiltered, "heartbeat": heartbeat}[sys.argv[1]]()
    if sys.argv[2:] == ["bare"]:
        asyncio.run(tick())
    else:
        sys.exit(guarded(programs.run, sys.argv[2:]))
