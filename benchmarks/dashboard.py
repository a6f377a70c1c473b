"""Measures what a frame of the dashboard costs the kernel: its processor time from the record to
the message on the wire.

A real kernel runs the frames, one loss and one replacement each, and counts the time of all its
threads. Run as ``python -m benchmarks.dashboard [--json FILE]``; needs half a minute.
"""

from __future__ import annotations

import json
import time
from functools import partial
from pathlib import Path

from nbclient import NotebookClient
from nbformat import from_dict

from ikdemo.lab import Lab
from ikdemo.lab.dashboard.dashboard import Dashboard
from ikdemo.spi.events import Event

from .bench import Bench, arguments, main
from .results import Measured, Row

SIZES = (5, 40, 100, 1000)
FRAMES, ROUNDS = 40, 7
PATIENCE = 120
"""Seconds that the kernel has to answer."""


def in_kernel(bench: Bench, size: int) -> Measured:
    """Draw frames of a dashboard with so many slots in a kernel."""
    code = f"from benchmarks.dashboard import frames; print(frames({size}, {bench.rounds(ROUNDS)}))"
    where = {"metadata": {"path": str(Path(__file__).parents[1])}}
    cell = {"cell_type": "code", "metadata": {}, "source": code, "outputs": []}
    parts = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 4}
    notebook = from_dict(parts)  # type: ignore[no-untyped-call]
    NotebookClient(notebook, timeout=PATIENCE, resources=where).execute()
    said = [one["text"] for one in notebook.cells[0].outputs if one.get("name") == "stdout"]
    return Measured(ours=json.loads(said[-1]))


def frames(size: int, rounds: int) -> list[float]:
    """Return the seconds of processor time of a frame, in each of some rounds.

    The dashboard is not followed by its thread: every frame is drawn by hand, after one instance
    went and another came.
    """
    names, group, found = [f"instance-{slot}" for slot in range(size)], "bench", list[float]()
    with Lab() as lab:
        lab.start()
        dashboard = Dashboard(lab, group, lambda: lab._groups.ask_why(group))
        event = partial(Event, time=time.time(), plugin="instance-file", group=group)
        tell = lab.session.record.add
        tell([event("committed", size=size)])
        tell([event("provisioned", instance=name, slot=str(n)) for n, name in enumerate(names)])
        dashboard.view._frame()
        for turn in range(rounds):
            began = time.process_time()
            for frame in range(turn * FRAMES, (turn + 1) * FRAMES):
                slot = frame % size
                tell([event("lost", instance=names[slot], slot=str(slot))])
                names[slot] = f"instance-{slot}-{frame}"
                tell([event("provisioned", instance=names[slot], slot=str(slot))])
                dashboard.view._frame()
            found.append((time.process_time() - began) / FRAMES)
    return found


ROWS = [
    Row(f"frame-{size}", f"a frame of {size:,} slots", "ms", size, {}, "", in_kernel)
    for size in SIZES
]

if __name__ == "__main__":
    main("dashboard", ROWS, arguments("what a frame of the dashboard costs the kernel"))
