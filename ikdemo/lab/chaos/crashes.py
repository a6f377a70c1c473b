"""How often an instance is made that dies again and again: with waits that grow, with giving up,
and with neither; simulated.

The plans, the waits and the giving up are those of ``reconcile``; here is only a world in which
nothing lives long.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from ...reconcile.analysis.theory import creations_with_backoff, creations_without_backoff
from ...reconcile.backoff import GIVE_UP_AFTER
from ...reconcile.desired import Desired, slots_of
from ...reconcile.model import Memory, Observation, ReportedExit
from ...reconcile.plan import plan
from ...reconcile.settle import record_exits, settle
from ...spi.documents import Allocation, Health
from ...spi.errors import IkdemoError
from ...spi.plans import ObservedInstance, Outcome
from ..show.tables import Table
from .results import FigureResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class RestartPolicy(NamedTuple):
    """A way to answer deaths: with waits or without, and whether the instances die by their own
    doing.
    """

    name: str
    waits: bool
    own_doing: bool


POLICIES = (
    RestartPolicy("no back-off", waits=False, own_doing=False),
    RestartPolicy("back-off", waits=True, own_doing=False),
    RestartPolicy("back-off, then giving up", waits=True, own_doing=True),
)
"""Only what ends by its own doing is given up on: a bad program. What is killed from outside may
live another time.
"""


@dataclass(frozen=True, repr=False)
class CrashLoops(FigureResult):
    """When each slot was filled (seconds), for each way; in a notebook it shows itself as a
    figure.
    """

    seconds: float
    life: float
    made: dict[str, tuple[tuple[float, ...], ...]]

    def creations(self, way: str, until: float | None = None) -> list[int]:
        """Return how many instances were made in each slot up to a time, or in all."""
        return [
            bisect_right(times, self.seconds if until is None else until)
            for times in self.made[way]
        ]

    def theory(self, way: str) -> int:
        """Return what theory says of one slot."""
        if way == "no back-off":
            return creations_without_backoff(self.seconds, self.life)
        made = creations_with_backoff(self.seconds, self.life)
        return made if way == "back-off" else min(made, GIVE_UP_AFTER)

    def table(self) -> Table:
        """List how many instances were made in a slot, for each way."""
        rows = []
        for way in self.made:
            counts = self.creations(way)
            rows.append(
                (way, f"{median(counts):g}", f"{min(counts)} to {max(counts)}", self.theory(way))
            )
        return Table(
            ["the loop answers with", "made in a slot (median)", "all slots", "theory"], rows
        )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def title(self) -> str:
        return f"Instances made in one slot, each of which dies after {self.life:g} s"

    @property
    def words(self) -> str:
        said = [f"{way} {median(self.creations(way)):g}" for way in self.made]
        return (
            f"Instances made in a slot within {self.seconds:g} s, if each dies after "
            f"{self.life:g} s: {', '.join(said)}."
        )

    def figure(self) -> Figure:
        """Draw how many were made as time went on, a thin line for each slot, with theory
        dashed.
        """
        from .figures import draw_crashes

        return draw_crashes(self)


def crash_loops(seconds: float = 600.0, life: float = 1.0, slots: int = 40) -> CrashLoops:
    """Let a group of ``slots`` heal for so many simulated seconds while each instance dies ``life``
    seconds after it was made.
    """
    if life <= 0 or seconds <= 0 or slots < 1:
        raise IkdemoError("Crash loops need a life and a time above 0 s, and at least one slot")
    return CrashLoops(
        seconds, life, {one.name: _creations(one, seconds, life, slots) for one in POLICIES}
    )


def _creations(
    policy: RestartPolicy, seconds: float, life: float, slots: int
) -> tuple[tuple[float, ...], ...]:
    """Return for each slot the times at which an instance was made."""
    group = Desired("crashing", "sha", slots_of(Allocation(slots)))
    memory, now, serial = Memory(), 0.0, 0
    living: dict[str, ObservedInstance] = {}
    dies: dict[str, float] = {}
    made: dict[str, list[float]] = {slot.name: [] for slot in group.slots}
    while now <= seconds:
        dead = [living.pop(slot) for slot in list(living) if dies[slot] <= now]
        exits = [
            ReportedExit(one.slot or "", one.id, "died", now, policy.own_doing) for one in dead
        ]
        memory = record_exits(group, memory, exits, now) if policy.waits else Memory()
        observed = Observation(tuple(living.values()))
        todo, outcomes = plan(group, observed, memory, now), list[Outcome]()
        for action in todo.actions:
            serial += 1
            living[action.slot] = ObservedInstance(
                f"instance-{serial}", None, action.slot, "sha", Health.HEALTHY
            )
            dies[action.slot] = now + life
            made[action.slot].append(now)
            outcomes.append(Outcome(action, f"instance-{serial}"))
        memory = settle(group, observed, memory, todo, outcomes, now)
        next_exit = min((dies[slot] for slot in living), default=math.inf)
        now = min(next_exit, math.inf if todo.wake_after is None else now + todo.wake_after)
    return tuple(tuple(times) for times in made.values())
