"""Runs a plugin program and says on SIGUSR1 how long its event loop was away at most since it was
last asked.

Away is the time from when the loop has been told what is due until it looks again: whoever asks the
plugin something meanwhile waits for that long. The answer is one line of JSON on standard output.
Started by ``pauses`` as ``python -m benchmarks.heartbeat infrakit-group-default ...``, or with
``bare`` for a loop that has nothing to do.
"""

from __future__ import annotations

import asyncio
import json
import selectors
import signal
import sys
import time

from ikdemo.cli import programs
from ikdemo.cli.exit_status import guarded

TICK = 0.005
"""Seconds between two turns of the bare loop."""


class Turns(selectors.EpollSelector):
    """Where an event loop looks what is due; ``longest`` and ``work`` are the longest turn and the
    processor time in it.
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


def tell(number: int = signal.SIGUSR1, frame: object = None) -> None:
    """Print the longest turn, and begin anew; a signal brings two arguments."""
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
    signal.signal(signal.SIGUSR1, tell)
    selectors.DefaultSelector = Turns  # type: ignore[misc, assignment]  # the selector that asyncio gives a new loop
    if sys.argv[1] == "bare":
        asyncio.run(tick())
    else:
        sys.exit(guarded(programs.run, sys.argv[1:]))
