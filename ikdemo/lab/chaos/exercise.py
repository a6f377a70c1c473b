"""Checks the exercise of notebook 09: how often must a loop look, and does an experiment agree?"""

from __future__ import annotations

from collections.abc import Iterator

from ...reconcile.analysis.recovery import expected_availability
from ..teaching.check import Point, answered, checked
from .findings import Findings

RATE, PROVISION, WANTED = 0.01, 0.5, 0.99
ENOUGH = 500
"""Kills that say enough about availability."""


@checked
def immunology(poll: object, found: object) -> Iterator[Point]:
    """Find the longest poll that keeps 99 of 100 instances up when each lives 100 s, and try it on
    a simulated group.
    """
    hints = {
        2: "with it, half a poll alone takes the second that may be lost. The time to make an "
        "instance comes on top",
        2.02: "that is T without L: subtract the half second that it takes to make an instance",
        0.51: "that is T/2. The poll is twice as long",
        0.5: "that is enough, but it looks twice as often as it must",
    }
    right = [poll] if isinstance(poll, float | int) and 0.9 <= poll <= 1.021 else [1]
    yield answered(
        "seconds between two looks", poll, right, hints, "solve 1/(1 + rate (T/2 + L)) = 0.99 for T"
    )
    if not isinstance(found, Findings):
        yield Point(
            False, "an experiment was run", "put what run() returns in place of the three dots"
        )
        return
    said = f"Simulated(poll={poll!r}, provision={PROVISION}), rate={RATE}"
    yield Point(
        found.poll == poll, "it was run with this poll", f"it had poll={found.poll!r}: use {said}"
    )
    yield Point(
        found.rate == RATE, f"the rate of kills is {RATE}", f"it is {found.rate:g}: use {said}"
    )
    slow = f"it took {found.provision:.2g} s: use {said}"
    yield Point(
        abs(found.provision - PROVISION) < 0.01, f"an instance takes {PROVISION} s to make", slow
    )
    kills = len(found.kills)
    yield Point(
        kills >= ENOUGH, f"at least {ENOUGH} were killed", f"there were {kills}: allow more kills"
    )
    theory = expected_availability(found.rate, found.poll or 0.0, found.provision)
    agrees = bool(found.measures) and bool(found.measures[-1].agrees)
    yield Point(
        agrees,
        f"theory and experiment agree on {WANTED:.0%}",
        f"theory says {theory:.1%}, the table says what was measured",
    )
