"""The group plugin's store on a simulated disk: slow, full at times, and what is durable outlives
its process.
"""

from __future__ import annotations

import random

from ikdemo.group.store import Record
from ikdemo.spi.decode import decode, encode
from ikdemo.spi.errors import LeaseLost, PluginFailure

from .loop import SimulatedLoop
from .weather import CALM, Weather


class Disk:
    """What survives: group ID to its record as it was written."""

    def __init__(self, loop: SimulatedLoop, weather: Weather, dice: random.Random) -> None:
        self.loop, self.weather, self._dice = loop, weather, dice
        self.files: dict[str, bytes] = {}
        self.owner: SimulatedStore | None = None

    def thread_time(self) -> tuple[float, float]:
        """Draw the seconds before the effect of a call in a thread, and those from there to its
        answer.
        """
        return self.weather.seconds(self._dice), self.weather.seconds(self._dice)

    def check(self) -> None:
        """Refuse now and then."""
        if self.weather is not CALM and self._dice.random() < self.weather.failed:
            raise PluginFailure("write: no space left on device")


class SimulatedStore:
    """Has the methods of ``ikdemo.group.store.Store``."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def open(self) -> list[Record]:
        self._disk.owner = self
        return [decode(written, Record) for _, written in sorted(self._disk.files.items())]

    def save(self, record: Record) -> None:
        self._own()
        self._disk.files[record.id] = encode(record)

    def remove(self, group: str) -> None:
        self._own()
        self._disk.files.pop(group, None)

    def close(self) -> None:
        if self._disk.owner is self:
            self._disk.owner = None

    def _own(self) -> None:
        if self._disk.owner is not self or self._disk.loop.ended:
            raise LeaseLost("the state directory is not ours")
        self._disk.check()
