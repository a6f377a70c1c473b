"""Whom a lab breaks: chooses among the living, finds their processes, and sends them signals.
Called by ``Lab``.

A process is known by pid and start time together, so a signal never reaches somebody else who was
given the pid.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from ...instance.process import procfs
from ...instance.process.state_files import ProcessRecord
from ...reconcile.analysis.service import ASKED, GONE, SILENT
from ...spi.decode import decode
from ...spi.errors import IkdemoError

T = TypeVar("T")


def choose(group: str, living: Sequence[T], n: int, seed: int | None) -> list[T]:
    """Return ``n`` of the living in their order, the same ones for the same seed; raises
    IkdemoError when there are too few.
    """
    if type(n) is not int or n < 0:
        raise IkdemoError(f"How many instances? Expected a whole number such as 2, got {n!r}")
    if n > len(living):
        raise IkdemoError(
            f"Group {group!r} has only {len(living)} instances, so {n} of them cannot be broken"
        )
    return [living[index] for index in sorted(random.Random(seed).sample(range(len(living)), n))]


def record_of(register: Path, instance: str) -> ProcessRecord | None:
    """Return what a process plugin has written down about one of its instances; None when it lives
    no more.

    Raises IkdemoError when no process plugin has its register there.
    """
    if not register.is_dir():
        raise IkdemoError(
            f"{register.stem!r} is no process plugin of this lab, so its instances have no "
            "processes"
        )
    try:
        return decode((register / f"{instance}.json").read_bytes(), ProcessRecord)
    except FileNotFoundError:
        return None


def number_of(name: str) -> signal.Signals:
    """Return a signal by its name.

    >>> number_of("KILL").name, number_of("SIGSTOP").name
    ('SIGKILL', 'SIGSTOP')
    """
    try:
        return signal.Signals[name if name.startswith("SIG") else f"SIG{name}"]
    except KeyError:
        raise IkdemoError(
            f"There is no signal {name!r}; there are KILL, STOP, CONT, TERM and more"
        ) from None


def effect_of(number: signal.Signals) -> tuple[str, str]:
    """Return what a signal does to an instance, as the kind and the code of the event that is
    recorded for it.

    >>> effect_of(signal.SIGKILL), effect_of(signal.SIGSTOP), effect_of(signal.SIGCONT), effect_of(signal.SIGTERM)
    (('fault', 'gone'), ('fault', 'silent'), ('mended', 'silent'), ('fault', 'asked'))
    """
    if number == signal.SIGCONT:
        return "mended", SILENT
    return (
        "fault",
        GONE if number == signal.SIGKILL else SILENT if number == signal.SIGSTOP else ASKED,
    )


def send(record: ProcessRecord, number: signal.Signals) -> None:
    """Send a signal to an instance's process; one that has ended meanwhile is no error. Raises
    PluginFailure.
    """
    procfs.kill(record.pid, record.start, number)
