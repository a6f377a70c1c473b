"""Whom an experiment is made on: a group of a lab, seen and broken through the lab's own verbs.

``Subject`` is all that an experiment asks of a group, so the same experiment runs on files, on
processes and on a simulated group (``simulated``). Made by ``Experiment``. An experiment kills
faster than a group's brake on storms allows, so it ends the storm that it is now and then, as a
person would by ``resume``; what is measured is healing, and not the brake.
"""

from __future__ import annotations

import time
from typing import Protocol

from ...reconcile.backoff import ALLOWANCE
from ...spi.errors import IkdemoError
from ..lab import Lab
from ..show.recovery import Recovery
from ..teaching.check import Check, Point

PATIENCE = 20.0
"""Seconds that a group has to be whole again when an experiment ends."""


class Subject(Protocol):
    """A group that can be broken. ``size`` is the number of slots wanted; times are seconds of the
    subject's own clock.
    """

    group: str
    size: int

    def now(self) -> float: ...
    def wait_until(self, time: float) -> None: ...
    def steady(self) -> Check:
        """Check that the group is as wanted now."""
        ...

    def filled(self) -> int:
        """Count the instances that live now."""
        ...

    def kill(self, seed: int) -> None:
        """End one living instance, chosen by the seed."""
        ...

    def restore(self) -> str:
        """Undo what an experiment may have left and wait until the group is as wanted; say what
        came of it, never raise.
        """
        ...

    def recovery(self, since: float) -> Recovery:
        """Return the record of the group's falls after a time."""
        ...


class LiveGroup:
    """A group of real instances in a lab; raises IkdemoError when the lab knows of no such
    group.
    """

    def __init__(self, lab: Lab, group: str) -> None:
        self._lab, self.group = lab, group
        lab.inspect(group)
        self.size = lab.recovery(group).size
        self._killed, self._braked_at = 0, ALLOWANCE * self.size // 2

    def now(self) -> float:
        return self._lab.line.record.now()

    def wait_until(self, moment: float) -> None:
        """Sleep; half-way, when so much was killed that the next slot would wait, resume the group
        if it is whole.

        Half-way, because the loop looks when it is resumed, and no kill is to be timed by that.
        """
        if self._killed >= self._braked_at:
            time.sleep(max(0.0, (moment - self.now()) / 2))
            if self.filled() == self.size:
                self._lab.resume(self.group)
                self._killed = 0
        time.sleep(max(0.0, moment - self.now()))

    def steady(self) -> Check:
        """Check that the group is as wanted and that its loop acts: a paused one heals nothing."""
        whole = self._lab.check(self.group, size=self.size)
        acts = not whole or not self._paused()
        return Check(
            [
                *whole.points,
                Point(
                    acts, "its loop acts", f"it is paused; let it act: lab.resume({self.group!r})"
                ),
            ]
        )

    def filled(self) -> int:
        return len(self._lab.describe(self.group))

    def kill(self, seed: int) -> None:
        self._lab.kill(self.group, 1, seed=seed)
        self._killed += 1

    def restore(self) -> str:
        """Let the loop act again, should somebody have paused it, and wait with nothing more; wait
        for it.
        """
        try:
            self._lab.resume(self.group)
            return self._lab.wait(self.group, PATIENCE)
        except IkdemoError as error:
            return f"not restored: {error}"

    def _paused(self) -> bool:
        return "paused" in self._lab.why(self.group).column("reason")

    def recovery(self, since: float) -> Recovery:
        return self._lab.recovery(self.group, since)
