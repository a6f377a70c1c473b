"""The verb ``ikdemo demo``: the whole walk-through in a terminal, with real plugin processes and nothing left behind.

What is told is the lab's record, line by line as it grows. Loaded by ``commands``.
"""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..lab import Lab, Recovery, collabnix
from ..spi.errors import IkdemoError
from .commands import Call, Verb

WALKTHROUGH = "collabnix-instance-file"
SIZE = 5
VICTIMS = 2
PICTURE = "recovery.png"
TELL_EVERY = 0.02


def demo(call: Call) -> int:
    """Start, commit, break, watch it heal; return 0 only when it did. Ctrl-C and SIGTERM end it, and clean up as well."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with Lab() as lab:
        _say(f"Four plugins start, each a process of its own, in {lab.plugin_dir}")
        lab.start("instance-file", "flavor-vanilla", "group")
        print(lab.start_plugin("instance-file", WALKTHROUGH))
        with _telling(lab):
            _say(f"infrakit group commit collabnix-walkthrough.json: {SIZE} instances are wanted")
            lab.commit(collabnix(WALKTHROUGH, SIZE))
            lab.wait("collabnix", 15.0)
            folder = lab.directory(WALKTHROUGH)
            _say(f"rm: {VICTIMS} of the {SIZE} files in {folder} vanish, and nobody is told")
            lab.kill("collabnix", VICTIMS)
            lab.wait("collabnix", 15.0)
        recovery = lab.recovery("collabnix")
        _say("What happened, from the fault on")
        print(f"{recovery.stamps()}\n\n{recovery.measures()}\n")
        living = len(list(folder.iterdir()))
    _save(recovery)
    healed = recovery.healed and living == SIZE
    print(f"{'Healed' if healed else 'NOT healed'}: {living} of {SIZE} instances. Every plugin is stopped, every file is gone.")
    return 0 if healed else 1


def _say(text: str) -> None:
    print(f"\n== {text}", flush=True)


@contextmanager
def _telling(lab: Lab) -> Iterator[None]:
    """Print every line of the lab's record once, soon after it is written; all of them when the block ends."""
    told: Counter[tuple[str, str]] = Counter()
    over = threading.Event()

    def tell() -> None:
        now: Counter[tuple[str, str]] = Counter()
        for seconds, who, what in lab.timeline("collabnix"):
            now[who, what] += 1
            if now[who, what] > told[who, what]:
                told[who, what] += 1
                print(f"{seconds:>9}s  {who:<{len(WALKTHROUGH)}}  {what}", flush=True)

    def keep_telling() -> None:
        while not over.wait(TELL_EVERY):
            tell()

    teller = threading.Thread(target=keep_telling, daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()
    tell()


def _save(recovery: Recovery) -> None:
    """Save the recovery figure, or say what it needs."""
    try:
        recovery.save(PICTURE)
        print(f"The recovery as a picture: {Path(PICTURE).absolute()}")
    except IkdemoError as error:
        print(f"No {PICTURE}: {error}")
    except OSError as error:
        print(f"No {PICTURE}: it cannot be written here ({error.strerror})")


VERBS = (Verb("demo", "", "See a group heal: start plugins, commit, delete instances, watch, plot", demo),)
