"""What befalls calls in one schedule: how long they take, and how many fail, before or after they
took effect.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, fields

RATES = (0.0, 0.0, 0.0, 0.03, 0.1, 0.25)


@dataclass(frozen=True)
class Weather:
    """Shares of calls: ``slow``: take ``pace`` seconds in the mean. ``hang``: take 5 to 15 s.
    ``refused``: nothing is sent.

    ``failed``: answered with an error, and nothing happened; ``broken``: answered with an error
      though it happened; ``lost``: happened, and no answer came; ``late``: no answer came, and it
      happens afterwards.
    """

    slow: float = 0.0
    pace: float = 0.1
    hang: float = 0.0
    refused: float = 0.0
    failed: float = 0.0
    broken: float = 0.0
    lost: float = 0.0
    late: float = 0.0

    def seconds(self, dice: random.Random) -> float:
        """Draw how long one way takes."""
        if self.hang and dice.random() < self.hang:
            return dice.uniform(5.0, 15.0)
        return dice.expovariate(1 / self.pace) if dice.random() < self.slow else 0.0

    def fate(self, dice: random.Random, *, changing: bool) -> str:
        """Draw what becomes of a call; one that changes nothing can only be refused or fail."""
        drawn = dice.random()
        for name in (
            ("refused", "failed", "broken", "lost", "late") if changing else ("refused", "failed")
        ):
            drawn -= getattr(self, name)
            if drawn < 0:
                return name
        return "well"


CALM = Weather()


def draw(dice: random.Random) -> Weather:
    """Draw a weather in which most things go well."""
    rates = {
        field.name: dice.choice(RATES)
        for field in fields(Weather)
        if field.name not in ("slow", "pace", "hang")
    }
    hang = dice.choice((0.0, 0.0, 0.0, 0.02, 0.1))
    return Weather(
        slow=dice.choice((0.0, 0.3, 0.8, 1.0)),
        pace=dice.choice((0.01, 0.1, 1.0)),
        hang=hang,
        **rates,
    )
