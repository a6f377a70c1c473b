"""What the record of a group stands for so far: the fewest of its events that lead to the same
state.

A record that forgets its older half carries these on in its place, as they were and with their own
times: what is wanted, what lives since when, and what is wrong with it. The cost of an event does
not grow with the group.
"""

from __future__ import annotations

from ...reconcile.analysis.service import APPEARED, OF_ONE, UNWANTED, VANISHED, ServiceState
from ...spi.events import Event


class Summary:
    """One group. ``began`` is the time of its first event, ``living`` the event of each living
    instance's appearance.
    """

    def __init__(self, began: float) -> None:
        self.began = began
        self.living: dict[str, Event] = {}
        self._service = ServiceState()
        self._wanted: list[Event] = []
        self._failures: dict[str, dict[str, Event]] = {}
        self._vacated: dict[str, list[Event]] = {}
        self._ended: dict[str, float] = {}

    def read(self, event: Event) -> None:
        """Take in the next event, in the order of arrival; one that is older than what it would
        undo changes nothing.
        """
        if event.kind == "committed" and isinstance(event.size, int):
            self._wanted = [event]
        elif event.kind in UNWANTED:
            self._wanted = [*self._wanted[:1], event]
        elif event.kind not in OF_ONE or self._is_late(event):
            return
        self._service.read(event)
        if event.kind in OF_ONE:
            self._learn(event)
        else:
            self._forget_unwanted()

    def events(self) -> list[Event]:
        """Return the events that lead here, so that what is still amiss begins when it began, and
        with its fault.

        Instances come first: what is wanted finds them all, and nothing falls by that.
        """
        self._ended.clear()  # what is told from now on is not older than this
        vacated = list(self._vacated.values())
        failures = [event for told in self._failures.values() for event in told.values()]
        ends = [event for _, *ending in vacated for event in ending]
        return [
            *sorted([*self.living.values(), *(birth for birth, *_ in vacated)], key=_time),
            *self._wanted,
            *sorted([*failures, *ends], key=_time),
        ]

    @property
    def is_whole(self) -> bool:
        """Whether every wanted slot serves, so that nothing is cut in two here."""
        return self._service.quality() == 1

    def _learn(self, event: Event) -> None:
        name = event.instance
        if event.kind in APPEARED:
            self._vacated.pop(self.living.setdefault(name, event).slot, None)
        elif event.kind in VANISHED:
            if (birth := self.living.pop(name, None)) is not None and birth.slot:
                self._vacated[birth.slot] = [birth, *self._failures.get(name, {}).values(), event]
            self._ended[name] = event.time
        if name not in self.living or not self._service.failure(name):
            self._failures.pop(name, None)
        elif event.kind not in APPEARED:
            self._failures.setdefault(name, {})[event.kind] = event

    def _forget_unwanted(self) -> None:
        """Let go of what left a slot that is not wanted any more."""
        size = self._service.size
        self._vacated = {
            slot: told
            for slot, told in self._vacated.items()
            if size and not (slot.isdecimal() and int(slot) >= size)
        }

    def _is_late(self, event: Event) -> bool:
        """Say whether an appearance is older than the end that is known, or an end older than the
        appearance.
        """
        if event.kind in APPEARED:
            return event.time < self._ended.get(event.instance, float("-inf"))
        born = self.living.get(event.instance)
        return event.kind in VANISHED and born is not None and event.time < born.time


def _time(event: Event) -> float:
    return event.time
