"""How long generated tests search: 500 examples of each promise in ``make test``, 2,000 in CI,
100,000, for hours, when IKDEMO_SOAK is set.

IKDEMO_SEARCH, one of ``test``, ``ci`` and ``soak``, chooses one of them by its name.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from hypothesis import HealthCheck, settings


class Depth(NamedTuple):
    """How many examples are tried."""

    plans: int
    """Of a promise over single plans, and schedules of commands by number."""
    lives: int
    """Of whole lives and long runs, each of which is many plans."""
    schedules: int
    """Of schedules that are made smaller when they fail."""
    figures: int
    """Of lives whose figure is drawn."""


DEPTHS = {
    "test": Depth(500, 75, 50, 10),
    "ci": Depth(2_000, 300, 200, 25),
    "soak": Depth(100_000, 10_000, 10_000, 1_000),
}
IN_CI = any(os.environ.get(name) for name in ("CI", "IKDEMO_CI"))
SEARCH = os.environ.get("IKDEMO_SEARCH") or (
    "soak" if os.environ.get("IKDEMO_SOAK") else "ci" if IN_CI else "test"
)
DEPTH, SOAK = DEPTHS[SEARCH], SEARCH == "soak"
PATIENCE = 6 * 3600 if SOAK else 240
"""Seconds for one test: no bound but for what hangs."""

searched = settings(
    max_examples=DEPTH.plans,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],  # a bound on the clock
)
"""For promises over single plans: ``@searched`` above ``@given``."""
lived = settings(searched, max_examples=DEPTH.lives)
"""For whole lives and long runs, each of which is many plans."""
