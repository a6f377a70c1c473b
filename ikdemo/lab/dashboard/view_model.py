"""What a live view shows at one moment: the data that its picture is made of. Pure.

A group that grows does not fall, and neither does one that is rolled: its slots are filled, and
apart from that they get the wanted configuration.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ...reconcile.analysis.lives import Life
from ..show.theme import Sign

WINDOW = 30.0
"""Seconds that a picture shows."""


class Fall(NamedTuple):
    """The last fall: the fewest of ``size`` slots that were filled, and the seconds until all were
    again; None: not yet.

    The seconds are counted from the recorded fault, or from the first report: ``cause`` says which.
    """

    fewest: int
    size: int
    seconds: float | None
    cause: str


class CurveStep(NamedTuple):
    """A group from ``time`` until the next step: of ``size`` wanted slots so many are filled, so
    many of them as wanted now.

    ``reached`` is the most that were filled since this size was wanted: what is below it was lost,
    what is above has yet to grow.
    """

    time: float
    size: int
    filled: int
    current: int
    reached: int


class Lane(NamedTuple):
    """One slot: its instances within the window, oldest first, how many it ever had, and what it is
    now.
    """

    slot: str
    lives: list[Life]
    ever: int
    sign: Sign


@dataclass(frozen=True)
class ViewModel:
    """One group at the time ``now``. ``steps`` begin with the one that holds when the window
    begins, or with the group's birth.

    ``quality`` is the share of wanted slots that are filled, of whichever configuration,
    ``unnoticed`` how many are lost of which the loop does not know.
    """

    group: str
    now: float
    size: int
    living: int
    filled: int
    current: int
    surplus: int
    unnoticed: int
    steps: list[CurveStep]
    lanes: list[Lane]
    fall: Fall | None

    @property
    def quality(self) -> float:
        return self.filled / self.size if self.size else 1.0
