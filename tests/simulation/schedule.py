"""A schedule: which commands, faults and restarts come when, in which weather. All of it is drawn
from one number.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import NamedTuple

from .weather import Weather
from .weather import draw as draw_weather

COMMANDS = {
    "commit": 6,
    "pretend": 1,
    "scale": 4,
    "pause": 3,
    "resume": 3,
    "step": 3,
    "free": 3,
    "destroy": 2,
    "force": 1,
    "inspect": 2,
    "why": 2,
    "describe": 2,
}
FAULTS = {"kill": 3, "make_unhealthy": 2, "down": 1, "restart": 1, "crash": 1}
GAPS = (0.0, 0.0, 0.0, 0.005, 0.05, 0.5, 3.0, 12.0)
"""Seconds between two things that happen."""
PATIENCE_OF_CALLERS = (0.0, 0.01, 0.5, 5.0)
"""Seconds after which a caller that gives up does so."""


class Item(NamedTuple):
    """One thing that happens, so many seconds ``after`` the one before. ``gives_up``: seconds, None
    for one who waits.
    """

    after: float
    verb: str
    group: str = "a"
    note: str = "v1"
    size: int = 1
    pick: float = 0.0
    gives_up: float | None = None


@dataclass(frozen=True)
class Schedule:
    """``slots``: of the instance plugin; ``lag``: seconds until it shows what it made;
    ``constant``: the flavor's health.

    ``telling``: the plugins' events arrive. ``resumes``: at the end whatever is paused is resumed.
    """

    seed: int
    items: tuple[Item, ...]
    weather: Weather
    slots: bool = True
    lag: float = 0.0
    constant: bool = True
    telling: bool = True
    poll: float = 5.0
    resumes: bool = True

    def __str__(self) -> str:
        of_all = (
            f"slots={self.slots} lag={self.lag} constant={self.constant} "
            f"telling={self.telling} poll={self.poll}"
        )
        lines = [
            f"+{i.after:<6} {i.verb} {i.group} {i.note}x{i.size} {i.pick:.2f} gives_up={i.gives_up}"
            for i in self.items
        ]
        return "\n  ".join([f"seed {self.seed}: {of_all}", str(self.weather), *lines])


def draw(seed: int) -> Schedule:
    """Draw the schedule of a number: some kinds of command and of fault, not all at once, so that
    each gets its turn.
    """
    dice = random.Random(seed)
    kinds = {
        verb: weight for verb, weight in COMMANDS.items() if verb == "commit" or dice.random() < 0.6
    }
    kinds |= {verb: weight for verb, weight in FAULTS.items() if dice.random() < 0.3}
    groups = ("a",) if dice.random() < 0.8 else ("a", "b")
    verbs, weights = list(kinds), list(kinds.values())
    items = [
        _item(dice, verb, groups)
        for verb in ["commit", *dice.choices(verbs, weights, k=dice.randint(4, 22))]
    ]
    return Schedule(
        seed,
        tuple(items),
        draw_weather(dice),
        slots=dice.random() < 0.6,
        lag=dice.choice((0.0, 0.0, 1.0, 4.0)),
        constant=dice.random() < 0.6,
        telling=dice.random() < 0.8,
        poll=dice.choice((1.0, 5.0, 20.0, 3600.0)),
        resumes=dice.random() < 0.7,
    )


def _item(dice: random.Random, verb: str, groups: tuple[str, ...]) -> Item:
    gives_up = dice.choice(PATIENCE_OF_CALLERS) if dice.random() < 0.05 else None
    size = dice.randint(0, 4) if verb == "scale" else dice.randint(1, 4)
    note = dice.choice(("v1", "v1", "v2", "v3"))
    return Item(dice.choice(GAPS), verb, dice.choice(groups), note, size, dice.random(), gives_up)
