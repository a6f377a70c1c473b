"""Every list of planted bugs by its name; each area has a file of its own."""

from __future__ import annotations

from . import (
    containers,
    desk,
    fences,
    files,
    group,
    labs,
    leaders,
    machines,
    managers,
    partitions,
    planner,
    processes,
    recovery,
    simulated,
    slots,
    soak,
    swarms,
    terminals,
    wire,
)
from .mutant import Mutant

LISTS: dict[str, tuple[Mutant, ...]] = {
    "planner": planner.MUTANTS,
    "group": group.MUTANTS,
    "simulated": simulated.MUTANTS,
    "files": files.MUTANTS,
    "processes": processes.MUTANTS,
    "containers": containers.MUTANTS,
    "machines": machines.MUTANTS,
    "terminals": terminals.MUTANTS,
    "desk": desk.MUTANTS,
    "recovery": recovery.MUTANTS,
    "partitions": partitions.MUTANTS,
    "labs": labs.MUTANTS,
    "leaders": leaders.MUTANTS,
    "fences": fences.MUTANTS,
    "managers": managers.MUTANTS,
    "wire": wire.MUTANTS,
    "soak": soak.MUTANTS,
    "slots": slots.MUTANTS,
    "swarms": swarms.MUTANTS,
}
ALL = tuple(mutant for mutants in LISTS.values() for mutant in mutants)
