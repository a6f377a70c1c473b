"""How long generated tests search: 2,000 examples of each promise, or 100,000, for hours, when
IKDEMO_SOAK is set.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

SOAK = bool(os.environ.get("IKDEMO_SOAK"))
PATIENCE = 6 * 3600 if SOAK else 60
"""Seconds for one test."""

settings.register_profile("ci", max_examples=2_000, deadline=None)
settings.register_profile(
    "soak", max_examples=100_000, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)

searched = settings.get_profile("soak" if SOAK else "ci")
"""For promises over single plans: ``@searched`` above ``@given``."""
lived = settings(searched, max_examples=10_000 if SOAK else 300)
"""For whole lives and long runs, each of which is many plans."""
