"""What holds of every simulated group after faults, however its loop learns what happened."""

from __future__ import annotations

from ikdemo.reconcile.analysis.simulator import Faults, Simulation
from ikdemo.reconcile.desired import Desired

SIZE, PASSES = 5, 80
"""Instances of a group, and passes of its loop under faults."""


def check_whole(simulation: Simulation, seed: int) -> None:
    """Never one too many, no healthy one harmed; whole in the end, with nothing left to do."""
    assert simulation.peak <= SIZE, seed
    assert simulation.harmed == 0, seed
    assert simulation.settle_down(60), simulation.dry_run().plan.reasons
    assert len(simulation.living) == SIZE
    assert simulation.dry_run().plan.actions == ()


def check_update(simulation: Simulation, desired: Desired, faults: Faults, seed: int) -> None:
    """An update under faults stays within size and surge, and ends."""
    assert simulation.settle_down(10)
    simulation.set_desired(desired)
    simulation.begin_count()
    simulation.faults = faults
    for _ in range(PASSES):
        simulation.step()
    assert simulation.peak <= SIZE + desired.pace.surge, seed
    assert simulation.settle_down(200), simulation.dry_run().plan.reasons
    assert {seen.sha for seen in simulation.living.values()} == {desired.sha}
    assert len(simulation.living) == SIZE
