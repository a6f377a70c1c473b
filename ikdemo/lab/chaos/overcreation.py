"""How many instances are too many: three ways to plan, under answers that are stale, partial or
lost, in a simulated world.

``Counting`` is what the others are compared with: it counts what it sees and puts the difference
right, as InfraKit does. It lives here because nothing but this comparison may use it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

from ...reconcile.analysis.simulator import Dice, Faults, Simulation
from ...reconcile.desired import Desired, slots_of
from ...spi.documents import Allocation
from ...spi.plans import Action, Outcome, Plan, Step
from ..show.tables import Table
from .results import FigureResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZE, LOOKS = 5, 80
KILLED = 0.1
"""Chance that an instance is killed before a pass."""
CALM = 6
"""Passes before the faults begin, so that no earlier answer is from before the group was there."""
FAULTS = {
    "stale: an earlier answer": Faults(stale=0.2),
    "partial: one is missing": Faults(partial=0.2),
    "lost: done, but no answer": Faults(lost=0.2),
}
"""What goes wrong with one call in five."""


class Counting(Simulation):
    """Counts the instances that it sees; adds what lacks, removes what is too much, and repeats a
    call that was not answered.
    """

    def step(self, *, advance: bool = True) -> Step:
        """Make one pass by counting alone."""
        self.counts["pass"] += 1
        seen = self._observe().instances
        lacking = SIZE - len(seen)
        actions = [Action("provision", "missing")] * lacking
        for one in sorted(seen, key=lambda one: one.id)[: max(0, -lacking)]:
            actions.append(Action("destroy", "surplus", instance=one.id))
        outcomes = tuple(self._repeat_until_answered(action) for action in actions)
        self.now += self.poll if advance else 0.0
        return Step(seen, Plan(tuple(actions), converged=not actions), outcomes)

    def _repeat_until_answered(self, action: Action) -> Outcome:
        """Call until there is an answer."""
        while (outcome := self._call(action)).unknown:
            pass
        return outcome


def _group(*, idempotent: bool) -> Desired:
    return Desired("simulated", "sha", slots_of(Allocation(SIZE)), idempotent=idempotent)


PLANNERS: dict[str, Callable[[Dice], Simulation]] = {
    "counting": lambda dice: Counting(_group(idempotent=False), dice),
    "expectations": lambda dice: Simulation(_group(idempotent=False), dice),
    "slots": lambda dice: Simulation(_group(idempotent=True), dice),
}
"""InfraKit's way; our planner with a plugin that knows no slots; our planner with one that does."""


class Runs(NamedTuple):
    """What became of one planner under one fault, run by run: how many lived after each pass, and
    how many it destroyed.
    """

    fault: str
    planner: str
    traces: tuple[tuple[int, ...], ...]
    destroyed: tuple[int, ...]

    @property
    def exceeding(self) -> float:
        """The share of runs (0 to 1) in which there were more than wanted at some time."""
        return fmean(max(trace) > SIZE for trace in self.traces)

    @property
    def most(self) -> int:
        """How many there were beyond the wanted, at most."""
        return max(max(trace) for trace in self.traces) - SIZE


@dataclass(frozen=True, repr=False)
class Overcreation(FigureResult):
    """Three planners under three faults. In a notebook it shows itself as a figure."""

    runs: tuple[Runs, ...]

    def table(self) -> Table:
        """List for each fault and planner how often and how far it went beyond the size."""
        rows = [
            (
                one.fault,
                one.planner,
                f"{one.exceeding:.0%}",
                f"+{max(0, one.most)}",
                f"{fmean(one.destroyed):.1f}",
            )
            for one in self.runs
        ]
        return Table(
            [
                "fault, one call in five",
                "planner",
                "runs with too many",
                "at most",
                "healthy ones destroyed a run",
            ],
            rows,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return every run as plain values, ready for JSON."""
        return {"size": SIZE, "runs": [one._asdict() for one in self.runs]}

    @property
    def title(self) -> str:
        return f"Instances alive when {SIZE} are wanted: each thin line is one run of {LOOKS} looks"

    @property
    def words(self) -> str:
        shares = dict[str, list[str]]()
        for one in self.runs:
            shares.setdefault(one.planner, []).append(f"{one.exceeding:.0%}")
        said = "; ".join(f"{planner} {', '.join(found)}" for planner, found in shares.items())
        faults = ", ".join(fault.partition(":")[0] for fault in FAULTS)
        return (
            f"Share of {len(self.runs[0].traces)} runs with more than {SIZE} instances when "
            f"answers are {faults}: {said}."
        )

    def figure(self) -> Figure:
        """Draw how many lived, a room for each fault, counting against slots."""
        from .figures import draw_overcreation

        return draw_overcreation(self)


def overcreation(runs: int = 40, seed: int = 1) -> Overcreation:
    """Let each planner keep a group of five through ``runs`` seeded storms of each fault, with the
    same kills for all.
    """
    return Overcreation(
        tuple(
            _storms(fault, planner, [random.Random(f"{seed} {fault} {run}") for run in range(runs)])
            for fault in FAULTS
            for planner in PLANNERS
        )
    )


def _storms(fault: str, planner: str, chances: list[random.Random]) -> Runs:
    traces, destroyed = [], []
    for chance in chances:
        world = PLANNERS[planner](random.Random(chance.random()).random)
        for _ in range(CALM):
            world.step()
        world.faults = FAULTS[fault]
        before, trace = len(world.living) - world.counts["made"], []
        for _ in range(LOOKS):
            if chance.random() < KILLED:
                world.kill(chance.random())
            world.step()
            trace.append(len(world.living))
        traces.append(tuple(trace))
        destroyed.append(before + world.counts["made"] - world.counts["kill"] - trace[-1])
    return Runs(fault, planner, tuple(traces), tuple(destroyed))
