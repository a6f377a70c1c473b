"""A group that exists only in numbers, on a virtual clock: the real planner, thousands of faults,
no waiting.

It keeps time as the group plugin does: a pass that acts lasts as long as an instance takes to be
made, and is followed by another at once; a pass that finds nothing to do is followed by the poll.
It tells the same events. Made by notebooks for ``Experiment``, whose kills may come faster than the
brake on storms allows: each is followed by what a resume does, so that theory holds.
"""

from __future__ import annotations

import random

from ...reconcile.analysis.simulator import Simulation
from ...reconcile.model import Desired, slots_of
from ...reconcile.settle import with_backoffs
from ...spi.documents import Allocation
from ...spi.errors import IkdemoError
from ...spi.events import Event
from ..faults.targets import choose
from ..show.recovery import Recovery
from ..teaching.check import Check, Point

AT_ONCE = 1e-6
"""Seconds between a pass that acted and the next."""


class Simulated:
    """A simulated group of ``size`` slots, a poll every ``poll`` seconds and ``provision`` seconds
    to make an instance.
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
        (victim,) = choose(self.group, self._living(), 1, seed)
        slot = self._born.pop(victim)[1]
        del self._world.living[victim]
        self._world.memory = with_backoffs(self._world.memory, {})
        self._tell("fault", self._now, victim, slot)
        self._tell("lost", self._now, victim, slot)

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
