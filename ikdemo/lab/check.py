"""Checks a learner's work and says what is still to do, not only that something is. Called by ``Lab.check``."""

from __future__ import annotations

from typing import NamedTuple


class Point(NamedTuple):
    """One thing that should be true, whether it is, and what to do when it is not."""

    good: bool
    fact: str
    advice: str


class Check:
    """The points of one check as text: every line begins with "ok" or "not yet"."""

    def __init__(self, points: list[Point]) -> None:
        self.points = points

    @property
    def good(self) -> bool:
        return all(point.good for point in self.points)

    def __bool__(self) -> bool:
        return self.good

    def __repr__(self) -> str:
        """Say every point.

        >>> Check([Point(True, "two plugins run", ""), Point(False, "5 instances", "there are 3: run lab.wait()")])
        ok       two plugins run
        not yet  5 instances. There are 3: run lab.wait()
        all good: False
        """
        lines = [
            f"ok       {p.fact}" if p.good else f"not yet  {p.fact}. {p.advice[:1].upper()}{p.advice[1:]}" for p in self.points
        ]
        return "\n".join([*lines, f"all good: {self.good}"])
