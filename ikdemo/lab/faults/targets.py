"""What faults are made of: which instances are chosen, signals for their processes, Docker's own
commands for their containers.

A process is known by pid and start time together, so a signal never reaches another process that
was given the pid.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from ...engine.engine_client import EngineClient
from ...instance import procfs
from ...instance.process.process_record import ProcessRecord
from ...reconcile.analysis.service import ASKED, GONE, SILENT
from ...spi.decode import decode
from ...spi.errors import IkdemoError

T = TypeVar("T")
COMMAND_WITHIN = 20.0
"""Seconds until a command without an answer is given up."""
AT_ONCE = 8
DOCKER_COMMANDS: dict[str, Callable[[Any, str], object]] = {
    "kill": lambda api, name: api.kill(name),
    "rm -f": lambda api, name: api.remove_container(name, force=True, v=True),
    "stop": lambda api, name: api.stop(name),
    "pause": lambda api, name: api.pause(name),
}
"""What may follow the word ``docker``, and what the engine is asked then."""
DOCKER_EFFECTS = {"kill": GONE, "rm -f": GONE, "stop": ASKED, "pause": SILENT}
"""What each does to an instance, as the code of the fault that is recorded: one that is stopped may
take its time to end.
"""


def choose(group: str, targets: Sequence[T], n: int, seed: int | None) -> list[T]:
    """Return ``n`` of the targets in their order, the same ones for the same seed; raises
    IkdemoError when there are too few.
    """
    if type(n) is not int or n < 0:
        raise IkdemoError(f"How many instances? Expected a whole number such as 2, got {n!r}")
    if n > len(targets):
        raise IkdemoError(
            f"Group {group!r} has only {len(targets)} instances, so {n} of them cannot be broken"
        )
    return [targets[index] for index in sorted(random.Random(seed).sample(range(len(targets)), n))]


def record_of(state_dir: Path, instance: str) -> ProcessRecord | None:
    """Return what a process plugin has stored about one of its instances; None when it has ended.

    Raises IkdemoError when no process plugin keeps its state there.
    """
    if not state_dir.is_dir():
        raise IkdemoError(
            f"{state_dir.stem!r} is no process plugin of this lab, so its instances have no "
            "processes"
        )
    try:
        return decode((state_dir / f"{instance}.json").read_bytes(), ProcessRecord)
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

    >>> effect_of(signal.SIGKILL), effect_of(signal.SIGSTOP)
    (('fault', 'gone'), ('fault', 'silent'))
    >>> effect_of(signal.SIGCONT), effect_of(signal.SIGTERM)
    (('mended', 'silent'), ('fault', 'asked'))
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


def command_of(command: str) -> Callable[[Any, str], object]:
    """Return what a command asks of the engine; raises IkdemoError when it is none of ours."""
    if command not in DOCKER_COMMANDS:
        raise IkdemoError(
            f"There is no docker {command!r} here; there are: {', '.join(DOCKER_COMMANDS)}"
        )
    return DOCKER_COMMANDS[command]


def send_command(command: Callable[[Any, str], object], names: Sequence[str]) -> None:
    """Send a command to containers all at the same time, and wait until the engine has done it;
    raises what it refuses.
    """
    client = EngineClient(COMMAND_WITHIN, AT_ONCE)
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda name: client.ask(lambda api: command(api, name)), names))
    finally:
        client.disconnect()
