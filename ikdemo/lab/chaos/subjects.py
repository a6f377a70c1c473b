"""What an experiment is made on: a group of a lab, seen and broken through the lab's own methods,
or a group that exists only in numbers, on a virtual clock.

``Subject`` is all that an experiment asks of a group, so the same experiment runs on files, on
processes and on a simulated group. An experiment kills faster than a group's brake on storms
allows, so a live group is resumed now and then, as a person would; what is measured is healing, and
not the brake.
"""

from __future__ import annotations

import random
import time
from typing import Protocol

from ...reconcile.analysis.simulator import Simulation
from ...reconcile.backoff import ALLOWANCE
from ...reconcile.desired import Desired, slots_of
from ...reconcile.settle import with_backoffs
from ...spi.documents import Allocation
from ...spi.errors import IkdemoError
from ...spi.events import Event
from ..faults.targets import choose
from ..lab import Lab
from ..show.recovery_report import Recovery
from ..teaching.check import Check, Point

PATIENCE = 20.0
"""Seconds that a group has to be whole again when an experiment ends."""
AT_ONCE = 1e-6
"""Seconds between a pass that acted and the next."""


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
        return self._lab.session.record.now()

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
        """Check that the loop acts and that the group is as wanted; of a paused one only that it is
        paused, since whether it is as wanted may not have been found out since.
        """
        if self._paused():
            cure = f"it is paused; let it act: lab.resume({self.group!r})"
            return Check([Point(False, "its loop acts", cure)])
        whole = self._lab.check(self.group, size=self.size)
        return Check([*whole.points, Point(True, "its loop acts", "")])

    def filled(self) -> int:
        return len(self._lab.describe(self.group))

    def kill(self, seed: int) -> None:
        self._lab.kill(self.group, 1, seed=seed)
        self._killed += 1

    def restore(self) -> str:
        """Let the loop act again, also after a pause, and wait until the group is as wanted."""
        try:
            self._lab.resume(self.group)
            return self._lab.wait(self.group, PATIENCE)
        except IkdemoError as error:
            return f"not restored: {error}"

    def _paused(self) -> bool:
        try:
            return "paused" in self._lab.why(self.group).column("reason")
        except IkdemoError:  # as of a group that is not there, which the other points say
            return False

    def recovery(self, since: float) -> Recovery:
        return self._lab.recovery(self.group, since)


class Simulated:
    """A simulated group of ``size`` slots, a poll every ``poll`` seconds and ``provision`` seconds
    to make an instance: the real planner, thousands of faults, no waiting.

    It keeps time as the group plugin does: a pass that acts lasts as long as an instance takes to
    be made, and is followed by another at once; a pass that finds nothing to do is followed by the
    poll. It tells the same events. Each kill is followed by what a resume does, so that theory
    holds.
    """

    def __init__(
        self, size: int = 5, *, poll: float = 10.0, provision: float = 1.0, group: str = "simulated"
    ) -> None:
        if size < 1 or poll <= 0 or provision < 0:
            raise IkdemoError(
                "A simulated group needs at least one slot, a poll above 0 s and a provision "
                "time of 0 s or more"
            )
        self.group, self.size, self.poll, self.provision = group, size, poll, provision
        self._world = Simulation(
            Desired(group, "sha", slots_of(Allocation(size))), random.Random(0).random, poll=poll
        )
        self._events = [Event("committed", 0.0, "simulated", group, size=size)]
        self._born: dict[str, tuple[float, str]] = {}
        self._now, self._next_pass = 0.0, 0.0
        self.wait_until(provision)

    def now(self) -> float:
        return self._now

    def wait_until(self, time: float) -> None:
        """Let the virtual clock run; every pass that is due on the way is made."""
        while self._next_pass <= time:
            self._pass(self._next_pass)
        self._now = max(self._now, time)

    def steady(self) -> Check:
        whole = self.filled() == self.size
        return Check(
            [
                Point(
                    whole,
                    f"all {self.size} slots of the simulated group are filled",
                    "let its clock run: wait_until(...)",
                )
            ]
        )

    def filled(self) -> int:
        return len(self._living())

    def kill(self, seed: int) -> None:
        (killed,) = choose(self.group, self._living(), 1, seed)
        slot = self._born.pop(killed)[1]
        del self._world.living[killed]
        self._world.memory = with_backoffs(self._world.memory, {})
        self._tell("fault", self._now, killed, slot)
        self._tell("lost", self._now, killed, slot)

    def restore(self) -> str:
        """Let the clock run to the next poll and until what is missing is made."""
        self.wait_until(self._now + self.poll + 2 * self.provision + 2 * AT_ONCE)
        return f"{self.group} has {self.filled()} of {self.size} slots filled"

    def recovery(self, since: float) -> Recovery:
        told = sorted(self._events, key=lambda event: event.time)  # a birth is told when it begins
        return Recovery(self.group, told, self._now, since)

    def _living(self) -> list[str]:
        """Return the instances that are made, in the order of slots."""
        born = [
            (slot.zfill(9), name) for name, (time, slot) in self._born.items() if time <= self._now
        ]
        return [name for _, name in sorted(born)]

    def _pass(self, time: float) -> None:
        self._now = self._world.now = time
        step = self._world.step(advance=False)
        if step.outcomes:
            self._tell("planned", time)
        for outcome in step.outcomes:
            self._born[outcome.instance] = time + self.provision, outcome.action.slot
            self._tell("provisioned", time + self.provision, outcome.instance, outcome.action.slot)
        self._next_pass = time + (self.provision + AT_ONCE if step.outcomes else self.poll)

    def _tell(self, kind: str, time: float, instance: str = "", slot: str = "") -> None:
        self._events.append(Event(kind, time, "simulated", self.group, instance, slot))
