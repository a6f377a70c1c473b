"""Durations: as Go writes them ("10s", "1m30s"), as a person reads them, and those of an orderly
stop.

A stop has three parts, each with its own limit: the requests at hand, the plugin itself, and the
process. A program that stops another one waits for their sum (``stop_within``).
"""

from __future__ import annotations

import re

_SECONDS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}
_PART = r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)"
_WHOLE = re.compile(rf"[-+]?(?:{_PART})+\Z", re.ASCII)
_LONGEST = 2**63 / 1e9
_MOST_SIGNS = 100


def parse_duration(text: str) -> float:
    """Return the seconds that a duration stands for.

    A number needs its unit, only "0" goes without. Raises ValueError, with what was expected, for
    anything else and for what does not fit Go's 64 bits of nanoseconds.

    >>> [parse_duration(text) for text in ("10s", "1m30s", "100ms", "1.5h", "-2s", "0", ".5s")]
    [10.0, 90.0, 0.1, 5400.0, -2.0, 0.0, 0.5]
    >>> parse_duration("10")
    Traceback (most recent call last):
    ValueError: expected a duration such as 10s, 1m30s or 100ms
    """
    if text.lstrip("+-") == "0" and len(text) <= 2:
        return 0.0
    if len(text) > _MOST_SIGNS or not _WHOLE.match(text):
        raise ValueError("expected a duration such as 10s, 1m30s or 100ms")
    seconds = sum(
        float(number) * _SECONDS[unit] for number, unit in re.findall(_PART, text, re.ASCII)
    )
    if seconds >= _LONGEST:
        raise ValueError("expected a duration below 292 years")
    return -seconds if text.startswith("-") else seconds


def format_duration(seconds: float) -> str:
    """Write seconds as a person reads them, in at most two units.

    >>> [format_duration(s) for s in (0.0123, 1.25, 30, 95, 7260)]
    ['12ms', '1.2s', '30s', '1m35s', '2h1m']
    """
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 60:
        return f"{seconds:.1f}".removesuffix(".0") + "s"
    minutes, rest = divmod(int(min(seconds, _LONGEST)), 60)
    if minutes < 60:
        return f"{minutes}m{rest}s" if rest else f"{minutes}m"
    return f"{minutes // 60}h{minutes % 60}m"


REQUESTS = 10.0
"""Seconds for requests at hand; after that they are given up."""
CUTTING = 1.0
"""Seconds for clients to take the last answers, and as many for what was given up to end."""
PLUGIN = 10.0
"""Seconds for the plugin itself: a pass of a group that is under way, or instances of the usual
grace time that end with it.
"""
EXIT = 3.0
"""Seconds for a Python process to end, on a busy machine."""


def stop_within(grace: float = 0.0) -> float:
    """Return the seconds to wait for the orderly end of a plugin whose instances have so many
    seconds to end themselves.

    >>> stop_within(), stop_within(60.0)
    (25.0, 85.0)
    """
    return REQUESTS + 2 * CUTTING + PLUGIN + EXIT + grace
