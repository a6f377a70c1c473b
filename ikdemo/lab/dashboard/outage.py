"""Sets the outages of web servers side by side: what was measured, and what theory says of noticing. Called by notebooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

from ...spi.durations import parse_duration
from ..show.tables import Table, say_seconds
from .servers import Outage


class Noticing(NamedTuple):
    """How long it may take until a silent server is called unhealthy, in seconds."""

    least: float
    mean: float
    most: float


def expected_noticing(interval: float, timeout: float, threshold: int) -> Noticing:
    """Return what theory says of a server that falls silent at any moment between two checks.

    A simple derivation of our own: the first check to fail begins after 0 to one interval, the last one that is needed
    ``threshold - 1`` intervals later, and that one fails after its timeout.

    >>> expected_noticing(interval=0.5, timeout=0.25, threshold=3)
    Noticing(least=1.25, mean=1.5, most=1.75)
    """
    least = (threshold - 1) * interval + timeout
    return Noticing(least, least + interval / 2, least + interval)


def side_by_side(measured: Mapping[str, Sequence[Outage]], spec: Mapping[str, Any]) -> Table:
    """Set measured outages (medians) above what theory says of the group's probe; ``spec`` is the group's."""
    rows = [
        (name, str(len(outages)), *(say_seconds(median(one[i] for one in outages)) for i in range(3)))
        for name, outages in measured.items()
    ]
    flavor = spec["Properties"]["Flavor"]["Properties"]
    interval, timeout = parse_duration(flavor["Interval"]), parse_duration(flavor["Timeout"])
    theory = expected_noticing(interval, timeout, flavor["Threshold"])
    span = f"{say_seconds(theory.least)} to {say_seconds(theory.most)}"
    rows.append(("theory of the probe", "-", f"{say_seconds(theory.mean)} ({span})", "-", "-"))
    return Table(["fault", "times", "noticed", "new process", "all answer again"], rows)
