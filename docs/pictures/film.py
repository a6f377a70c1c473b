"""What the record of the moving picture says, and where in the picture it is."""

from __future__ import annotations

from typing import Any, NamedTuple

GROUP, SIZE, LOSSES = "collabnix", 5, 2
BEFORE, AFTER = 1.5, 2.0
"""Milliseconds shown before the fault and after the recovery."""
SLOWER = (100, 200, 500, 1000, 2000)
PLAY, REST, TIMES = 5.0, 4.0, 3
"""Seconds that one showing lasts at least, and rests; and how often it is shown."""
LEFT, PLOT = 84, 716
"""Pixels to the left of the lanes, and their width."""


class Bar(NamedTuple):
    """One instance in its lane, in milliseconds after the first fault; ``died`` is None for one
    that lives.
    """

    slot: int
    instance: str
    born: float
    died: float | None


class Film:
    """What a record says, and where it is in the picture."""

    def __init__(self, record: dict[str, Any]) -> None:
        self.date: str = record["date"]
        self.noticed: float = record["noticed"]
        self.whole: float = record["whole"]
        self.lowest: int = record["fewest"]
        self.bars = [Bar(**life) for life in record["lives"]]
        self.length: float = BEFORE + self.whole + AFTER
        self.slower: int = next(
            (times for times in SLOWER if self.length * times / 1000 >= PLAY), SLOWER[-1]
        )

    def x(self, ms: float) -> float:
        return round(LEFT + PLOT * (max(-BEFORE, ms) + BEFORE) / self.length, 1)

    def share(self, ms: float) -> float:
        """How much of one showing has passed at a moment, in per cent."""
        return round(100 * (ms + BEFORE) * self.slower / 1000 / self.whole_showing, 2)

    @property
    def whole_showing(self) -> float:
        return self.length * self.slower / 1000 + REST

    def filled(self, ms: float) -> int:
        return len(
            {
                bar.slot
                for bar in self.bars
                if bar.born <= ms and (bar.died is None or ms < bar.died)
            }
        )

    def changes(self) -> list[float]:
        """The moments in the picture at which a slot was emptied or filled."""
        moments = {
            moment for bar in self.bars for moment in (bar.born, bar.died) if moment is not None
        }
        return sorted(moment for moment in moments if -BEFORE < moment <= self.whole + AFTER)

    @property
    def words(self) -> str:
        """The picture, told in words."""
        return (
            f"A group of {SIZE} instances, in slow motion. At 0 ms {LOSSES} of its files are "
            f"deleted, and {self.lowest} of "
            f"{SIZE} slots are filled. After {self.noticed:.1f} ms the group plugin has noticed. "
            f"After {self.whole:.1f} ms all "
            f"{SIZE} are filled again, {LOSSES} of them by new instances in the same slots."
        )

    @property
    def caption(self) -> str:
        """What has to be said of a recording."""
        slowly = f"{self.slower:,} times slower than it was"
        return (
            f"A recording of a real run on {self.date}, {slowly}. It plays {TIMES} times, "
            "then rests."
        )
