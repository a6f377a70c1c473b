"""The clock for spans and deadlines: no setting of the date moves it, it goes on while the machine
sleeps, and every process of a machine reads the same from it.
"""

from __future__ import annotations

import time


def since_boot() -> float:
    """Return seconds since the boot, time spent suspended included (CLOCK_BOOTTIME)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
