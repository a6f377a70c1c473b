"""What theory says of a group under random faults, and how sure a measurement is: distributions,
intervals, limits.

Beside the two averages of ``recovery`` this holds what an experiment is compared with, and the one
bootstrap. Chance comes in as dice, times are in seconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from ..backoff import BASE, CAP
from .simulator import Dice

ROUNDS = 1000
"""Times that a bootstrap draws its sample."""


class Interval(NamedTuple):
    """From ``low`` to ``high``, both included."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Say whether a value lies within."""
        return self.low <= value <= self.high


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which ``share`` (0 to 1) of the values lie, between neighbours in
    proportion.

    >>> quantile([4.0, 1.0, 2.0], 0.5), quantile([0.0, 10.0], 0.95)
    (2.0, 9.5)
    """
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def bootstrap(
    values: Sequence[float],
    of: Callable[[Sequence[float]], float],
    dice: Dice,
    *,
    confidence: float = 0.95,
) -> Interval:
    """Return the interval that holds the true value of ``of`` with this confidence, judged by the
    values alone.

    The sample is drawn again, with repetition, ``ROUNDS`` times; the interval is where the middle
    share of the results lies.

    >>> bootstrap([2.0, 2.0, 2.0], max, iter([0.0] * 3000).__next__)
    Interval(low=2.0, high=2.0)
    """
    drawn = [of([values[int(dice() * len(values))] for _ in values]) for _ in range(ROUNDS)]
    return Interval(quantile(drawn, (1 - confidence) / 2), quantile(drawn, (1 + confidence) / 2))


def arrivals(rate: float, dice: Dice) -> Iterator[float]:
    """Yield the moments of a Poisson process: ``rate`` a second on average, each independent of all
    before; without end.

    >>> moments = arrivals(2.0, iter([0.5, 0.75]).__next__)
    >>> [round(next(moments), 3) for _ in range(2)]
    [0.347, 1.04]
    """
    moment = 0.0
    while True:
        moment -= math.log(1.0 - dice()) / rate
        yield moment


def recovered_within(seconds: float, poll: float, provision: float) -> float:
    """Return the share of faults that are healed so many seconds later, with a poll every ``poll``
    seconds.

    The wait for the next poll is uniform, and then ``provision`` seconds pass; so the share rises
    along a straight line.

    >>> [recovered_within(s, poll=10.0, provision=1.0) for s in (1.0, 6.0, 11.0, 99.0)]
    [0.0, 0.5, 1.0, 1.0]
    """
    if poll <= 0:
        return float(seconds >= provision)
    return min(1.0, max(0.0, (seconds - provision) / poll))


def availability_under_load(rate: float, poll: float, provision: float) -> float:
    """Return the share of time that the only slot of a group is filled, for kills that are not
    rare.

    A simple derivation of our own: after acting, the loop observes once more and the poll begins
    again. So a kill after a time X, exponential of mean 1/rate, waits T - (X mod T). On average X
    and this wait are T / (1 - exp(-rate T)) together, then L passes. For rare kills this is
    ``expected_availability``; for frequent ones it is less, because they come early in the poll.

    >>> round(availability_under_load(rate=0.01, poll=1.0, provision=0.0), 4), 1 / (1 + 0.01 * 0.5)
    (0.995, 0.9950248756218907)
    >>> round(availability_under_load(rate=10.0, poll=1.0, provision=0.0), 4)
    0.1
    """
    if poll <= 0:
        return 1 / (1 + rate * provision)
    return 1 / (rate * (poll / -math.expm1(-rate * poll) + provision))


def creations_with_backoff(seconds: float, life: float) -> int:
    """Return how often one slot is filled within ``seconds`` if each instance dies ``life`` seconds
    after it was made.

    The first exit is answered at once, the n-th after a wait that doubles up to a cap; of the
    jitter, its mean is taken.

    >>> creations_with_backoff(0.0, life=1.0), creations_with_backoff(600.0, life=1.0)
    (1, 15)
    """
    made, now, wait = 1, life, 0.0
    while now + wait <= seconds:
        now += wait + life
        wait = 0.75 * min(CAP, BASE * 2.0 ** min(made - 1, 16))
        made += 1
    return made


def creations_without_backoff(seconds: float, life: float) -> int:
    """Return the same for a loop that fills the slot at once, whatever happened before.

    >>> creations_without_backoff(600.0, life=1.0)
    601
    """
    return 1 + int(seconds / life)
