"""Every list of planted bugs; each area has a file of its own."""

from __future__ import annotations

from . import containers, files, group, planner, processes, simulated, terminals
from .mutant import Mutant

ALL: tuple[Mutant, ...] = (
    *planner.MUTANTS,
    *group.MUTANTS,
    *simulated.MUTANTS,
    *files.MUTANTS,
    *processes.MUTANTS,
    *containers.MUTANTS,
    *terminals.MUTANTS,
)
