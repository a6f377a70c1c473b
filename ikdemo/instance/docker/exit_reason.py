"""How a container ended: from its exit status and from what the engine told of it before."""

from __future__ import annotations

import signal
from collections.abc import Container

from ...engine import Row
from ..common import EARLY, FROM_OUTSIDE, ExitReason

TOLD_FOR = 60.0
"""Seconds after a signal sent through the engine in which a container's end is that signal's
doing.
"""


class ExitSignals:
    """What was told of containers that still lived: that they were sent a signal, that they had no
    memory left.
    """

    def __init__(self) -> None:
        self._signalled: dict[str, int] = {}
        self._starved: set[str] = set()

    def note(self, container: str, event: Row) -> None:
        """Remember an event of one of the kinds kill and oom."""
        if event["Action"] == "oom":
            self._starved.add(container)
        else:
            self._signalled[container] = time_of(event)

    def reason(self, container: str, began: int, event: Row) -> ExitReason:
        """Say how a container ended that began at ``began``, in the engine's nanoseconds."""
        now, status = time_of(event), int(event["Actor"]["Attributes"].get("exitCode") or 0)
        was_signalled = (
            container in self._signalled and now - self._signalled[container] < TOLD_FOR * 10**9
        )
        return exit_reason_of(
            status,
            max(0, now - began) / 10**9,
            was_signalled=was_signalled,
            starved=container in self._starved,
        )

    def keep(self, containers: Container[str]) -> None:
        """Forget what concerns others than these."""
        self._signalled = {name: at for name, at in self._signalled.items() if name in containers}
        self._starved = {name for name in self._starved if name in containers}


def time_of(event: Row) -> int:
    """Return when an event happened, in nanoseconds of the engine's clock."""
    return int(event.get("timeNano") or 0)


def exit_reason_of(
    status: int, age: float, *, was_signalled: bool = False, starved: bool = False
) -> ExitReason:
    """Say how a container ended. ``was_signalled``: it was sent a signal through the engine.
    ``starved``: it had no more memory.

    >>> exit_reason_of(137, 60.0)
    ExitReason(code='killed', text='was ended by SIGKILL after 60.0 s')
    >>> exit_reason_of(137, 0.2).code, exit_reason_of(3, 60.0).code
    ('early', 'died')
    >>> exit_reason_of(0, 60.0, was_signalled=True).code
    'killed'
    """
    if starved:
        return ExitReason("died", f"needed more memory than it may have, after {age:.1f} s")
    number = status - 128  # so the engine, and a shell, passes a signal on
    if number not in FROM_OUTSIDE:
        return ExitReason(
            "killed" if was_signalled else "died", f"exited with status {status} after {age:.1f} s"
        )
    code = "killed" if was_signalled or age >= EARLY else "early"
    return ExitReason(code, f"was ended by {signal.Signals(number).name} after {age:.1f} s")
