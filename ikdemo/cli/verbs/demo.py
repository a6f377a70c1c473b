"""The verb ``ikdemo demo``: the whole walk-through in a terminal, with real plugin processes and
nothing left behind.

What is told is the lab's record, line by line as it grows.
"""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Self

from ...assembly import ending_signals
from ...lab import Lab, Recovery, collabnix
from ...spi.errors import IkdemoError
from ..commands import Invocation, Verb, say

GROUP, WALKTHROUGH = "walkthrough", "collabnix-instance-file"
SIZE = 5
LOSSES = 2
PICTURE = "recovery.png"
PAUSE = 1.0
"""Seconds to let a person look, and to show that what was reached is held."""
TELL_EVERY = 0.02


def demo(call: Invocation) -> int:
    """Start, commit, break, watch it heal; return 0 only when it did. Ctrl-C and other ends clean
    up as well.
    """
    for number in ending_signals():
        signal.signal(number, signal.default_int_handler)
    with Lab() as lab:
        say(f"== Four plugins start, each a process of its own, in {lab.plugin_dir}")
        lab.start("instance-file", "flavor-vanilla", "group")
        print(lab.start_plugin("instance-file", WALKTHROUGH))
        with RecordPrinter(lab, GROUP) as record:
            record.headline(
                f"infrakit group commit collabnix-walkthrough.json: {SIZE} instances are wanted"
            )
            lab.commit(collabnix(WALKTHROUGH, SIZE, group=GROUP))
            lab.wait(GROUP, 15.0)
            time.sleep(PAUSE)
            folder = lab.directory(WALKTHROUGH)
            record.headline(
                f"rm: {LOSSES} of the {SIZE} files in {folder} vanish, and nobody is told"
            )
            lab.kill(GROUP, LOSSES)
            lab.wait(GROUP, 15.0)
            time.sleep(PAUSE)
        recovery = lab.recovery(GROUP)
        print(
            "\n== The last fall, from its fault "
            f"on\n{recovery.stamps()}\n\n{recovery.measures()}\n",
            flush=True,
        )
        living = len(list(folder.iterdir()))
    _save(recovery)
    healed = recovery.healed and living == SIZE
    print(
        f"{'Healed' if healed else 'NOT healed'}: {living} of {SIZE} instances. Now every plugin "
        "is stopped and every file gone."
    )
    return 0 if healed else 1


class RecordPrinter:
    """Prints every line of a group's record once, soon after it is written; all that is left when
    the block ends.
    """

    def __init__(self, lab: Lab, group: str) -> None:
        self._lab, self._group = lab, group
        self._told: Counter[tuple[str, str]] = Counter()
        self._one_at_a_time = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep_telling, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._tell()

    def headline(self, text: str) -> None:
        """Print what comes next, below everything that was before."""
        self._tell()
        print()
        say(f"== {text}")

    def _keep_telling(self) -> None:
        while not self._over.wait(TELL_EVERY):
            self._tell()

    def _tell(self) -> None:
        now: Counter[tuple[str, str]] = Counter()
        with self._one_at_a_time:
            for seconds, who, what in self._lab.timeline(self._group):
                now[who, what] += 1
                if now[who, what] > self._told[who, what]:
                    self._told[who, what] += 1
                    say(f"{seconds:>9}s  {who:<{len(WALKTHROUGH)}}  {what}")


def _save(recovery: Recovery) -> None:
    """Save the recovery figure, or say what it needs."""
    try:
        recovery.save(PICTURE)
        say(f"The recovery as a picture: {Path(PICTURE).absolute()}")
    except IkdemoError as error:
        say(f"No {PICTURE}: {error}")
    except OSError as error:
        say(f"No {PICTURE}: it cannot be written here ({error.strerror})")


DEMO = (
    Verb(
        "demo", "", "See a group heal: start plugins, commit, delete instances, watch, plot", demo
    ),
)
