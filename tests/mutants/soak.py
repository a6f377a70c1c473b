"""Bugs that a short soak has to find by itself, without a test that was written for them."""

from __future__ import annotations

from .mutant import Mutant

SOAK = "tests/ground/test_soak.py::test_a_short_soak_strikes_in_every_way_and_no_promise_is_broken"

MUTANTS = (
    Mutant(
        "ikdemo/reconcile/members.py",
        "if tag == self._group or (tag is None and source.filters):",
        "if tag in (self._group, None):",
        SOAK,
    ),
    Mutant(
        "ikdemo/reconcile/backoff.py",
        "if allowance_is_used_up(self.allowances[slot], self._now) or",
        "if False and",
        SOAK,
    ),
)
