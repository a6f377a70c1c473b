"""Measures what a frame of the dashboard costs the kernel: its processor time from the record to
the message on the wire.

A real kernel runs the frames, one loss and one replacement each, and counts the time of all its
threads; the medians of several rounds are printed. Run as ``python -m benchmarks.dashboard [--json
FILE]``; needs half a minute.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import statistics
import subprocess
import time
from pathlib import Path

from msgspec import UNSET, UnsetType

from ikdemo.lab import Lab
from ikdemo.lab.dashboard.dashboard import Dashboard
from ikdemo.spi.events import Event

SIZES = (5, 40, 100, 1000)
FRAMES, ROUNDS = 40, 7
PATIENCE = 120.0
"""Seconds that the kernel has to answer."""


def main() -> None:
    """Run the rounds in a kernel and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    args = parser.parse_args()
    measured = in_kernel(
        "from benchmarks.dashboard import rounds; import json; print(json.dumps(rounds()))"
    )
    print("slots   ms per frame (lowest to highest round)")
    for size, found in measured.items():
        print(f"{size:>5}   {statistics.median(found):.2f} ({min(found):.2f} to {max(found):.2f})")
    if args.json:
        args.json.write_text(json.dumps({"kernel ms per frame": measured}, indent=1))


def rounds() -> dict[int, list[float]]:
    """Return milliseconds of processor time per frame, a figure for each round and size."""
    with Lab() as lab:
        lab.start()
        boards = {size: _Board(lab, size) for size in SIZES}
        return {size: [board.round() for _ in range(ROUNDS)] for size, board in boards.items()}


class _Board:
    """A dashboard that is not followed by its thread: every frame is drawn by hand, after one
    instance went and another came.
    """

    def __init__(self, lab: Lab, size: int) -> None:
        self._lab, self._turn = lab, 0
        self._names = [f"instance-{slot}" for slot in range(size)]
        self._group = f"bench-{size}"
        self._dashboard = Dashboard(lab, self._group, lab._line, lambda: lab._why(self._group))
        self._tell("committed", size=size)
        for slot, name in enumerate(self._names):
            self._tell("provisioned", name, str(slot))
        self._dashboard.view._frame()

    def round(self) -> float:
        """Draw some frames and return the milliseconds of one."""
        began = time.process_time()
        for _ in range(FRAMES):
            slot, self._turn = self._turn % len(self._names), self._turn + 1
            self._tell("lost", self._names[slot], str(slot))
            self._names[slot] = f"instance-{slot}-{self._turn}"
            self._tell("provisioned", self._names[slot], str(slot))
            self._dashboard.view._frame()
        return 1000 * (time.process_time() - began) / FRAMES

    def _tell(
        self, kind: str, instance: str = "", slot: str = "", size: int | UnsetType = UNSET
    ) -> None:
        self._lab._record.add(
            [Event(kind, time.time(), "instance-file", self._group, instance, slot, size=size)]
        )


def in_kernel(code: str) -> dict[str, list[float]]:
    """Run ``code`` in a fresh kernel and return the JSON that it prints; raises RuntimeError with
    whatever it said instead.
    """
    from jupyter_client.manager import start_new_kernel

    root = str(Path(__file__).parents[1])
    manager, client = start_new_kernel(
        kernel_name="python3", cwd=root, env=dict(os.environ), stderr=subprocess.DEVNULL
    )
    try:
        client.execute(code)
        printed = ""
        while True:
            message = client.get_iopub_msg(timeout=PATIENCE)
            content = message["content"]
            if message["msg_type"] == "stream" and content["name"] == "stdout":
                printed += content["text"]
            elif message["msg_type"] == "error":
                raise RuntimeError("\n".join(content["traceback"]))
            elif (
                message["msg_type"] == "status" and content["execution_state"] == "idle" and printed
            ):
                found: dict[str, list[float]] = json.loads(printed)
                return found
    except queue.Empty:
        raise RuntimeError(f"the kernel was silent for {PATIENCE:g} s") from None
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


if __name__ == "__main__":
    main()
