"""How long an orderly end takes at most, in one place: what each part allows itself, and how long to wait before a kill.

A plugin ends in this order: its server answers what is at hand, cuts what is left, then the plugin itself ends. Whoever ends a
plugin from outside waits for the sum of it, and some more.
"""

from __future__ import annotations

REQUESTS = 10.0
"""Seconds for requests at hand; after that they are given up."""
CUTTING = 1.0
"""Seconds for clients to take the last answers, and as many for what was given up to end."""
PLUGIN = 10.0
"""Seconds for the plugin itself: a pass of a group that is under way, or instances of the usual grace time that end with it."""
EXIT = 3.0
"""Seconds for a Python to end, on a machine that is busy."""


def stop_within(grace: float = 0.0) -> float:
    """Return the seconds to wait for the orderly end of a plugin whose instances have so many seconds to end themselves.

    >>> stop_within(), stop_within(60.0)
    (25.0, 85.0)
    """
    return REQUESTS + 2 * CUTTING + PLUGIN + EXIT + grace
