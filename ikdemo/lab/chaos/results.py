"""What every result of chaos is: data, a table, a sentence and a figure; and one measured number
with its interval, beside what theory says of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ...reconcile.analysis.simulator import Dice
from ...reconcile.analysis.theory import Interval, bootstrap, quantile
from ...spi.text import visible
from ..show.images import faces, svg_text
from ..show.tables import Table, say_seconds

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Statistic = Callable[[Sequence[float]], float]


class Measure(NamedTuple):
    """A number, the interval that should hold the true one, what theory says (None: nothing), and
    how to say all three.
    """

    name: str
    value: float
    interval: Interval
    theory: float | None
    say: Callable[[float], str]

    @property
    def agrees(self) -> bool | None:
        """Whether theory lies within the interval; None where it says nothing."""
        return None if self.theory is None else self.interval.holds(self.theory)

    @property
    def words(self) -> str:
        """The measure as half a sentence."""
        low, high = map(self.say, self.interval)
        theory = "" if self.theory is None else f", theory {self.say(self.theory)}"
        return f"{self.name} {self.say(self.value)} (between {low} and {high}{theory})"

    def to_dict(self) -> dict[str, Any]:
        """Return the measure as plain values."""
        low, high = self.interval
        return {
            "name": self.name,
            "value": self.value,
            "low": low,
            "high": high,
            "theory": self.theory,
        }


def measure(
    name: str,
    values: Sequence[float],
    of: Statistic,
    dice: Dice,
    theory: float | None = None,
    say: Callable[[float], str] = say_seconds,
    confidence: float = 0.95,
) -> Measure:
    """Take ``of`` of the values, with its bootstrap interval of this confidence."""
    return Measure(
        name, of(values), bootstrap(values, of, dice, confidence=confidence), theory, say
    )


def side_by_side(measures: Iterable[Measure]) -> Table:
    """Set what was measured beside what theory says."""
    rows = []
    for one in measures:
        low, high = map(one.say, one.interval)
        theory = "-" if one.theory is None else one.say(one.theory)
        rows.append(
            (one.name, one.say(one.value), f"{low} to {high}", theory, say_agreement(one.agrees))
        )
    return Table(
        ["measure", "measured", "interval", "theory", "agrees"],
        rows,
        empty="Too few kills were healed to measure.",
    )


def say_agreement(agrees: bool | None) -> str:
    """Say whether theory and measurement agree.

    >>> say_agreement(True), say_agreement(False), say_agreement(None)
    ('yes', 'no', '-')
    """
    return "-" if agrees is None else "yes" if agrees else "no"


def say_share(share: float) -> str:
    """Say a share as a percentage.

    >>> say_share(0.98765)
    '98.8 %'
    """
    return f"{100 * share:.1f} %"


def p95(values: Sequence[float]) -> float:
    """Return the value below which 95 of 100 lie.

    >>> p95([0.0, 100.0])
    95.0
    """
    return quantile(values, 0.95)


class FigureResult(ABC):
    """A result: data that is also a table, a sentence and a figure."""

    @property
    @abstractmethod
    def title(self) -> str:
        """What stands above the picture."""

    @property
    @abstractmethod
    def words(self) -> str:
        """The picture, told in words."""

    @abstractmethod
    def table(self) -> Table:
        """Return the numbers as a table."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, ready for JSON."""

    @abstractmethod
    def figure(self) -> Figure:
        """Draw it; raises IkdemoError when there is nothing to draw, or nothing to draw with."""

    def svg(self) -> str:
        """Return the figure as SVG text with title and description."""
        return svg_text(self)

    def __repr__(self) -> str:
        return visible(self.words)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return faces(self)
