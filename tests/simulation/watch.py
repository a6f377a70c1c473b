"""What no schedule may show, looked at with every call of a group's loop: two loops, too many
instances, a foreign one gone.

A call is one to prepare, provision, drain or destroy: only a loop makes them. Which loop, its
``ORIGIN`` tells.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ikdemo.spi.documents import GROUP_TAG, SHA_TAG

from .history import History
from .loop import ORIGIN, PROCESS, Process, SimulatedLoop
from .plugins import Instance

SURGE = {"v1": 0, "v2": 0, "v3": 1}
"""Configuration to the instances that its updates may make beyond Size."""
ACTIONS = ("provision", "destroy")
LONGEST = 60.0
"""Seconds within which a call has had its effect, if it ever has."""


@dataclass
class Call:
    """One call of a loop; ``most``: how many instances the group may have by what was wanted since
    it was made.
    """

    kind: str
    group: str
    instance: str
    origin: int
    process: Process | None
    most: int
    at: float
    over: bool = False


@dataclass
class Busy:
    """The calls of one group under way, and the most instances it may have had since it was idle
    last.

    ``absent``: when it may have been not there; ``destroyed``: when a destroy was done, unless it
    was freed since.
    """

    calls: list[Call] = field(default_factory=list)
    most: int = 0
    idle_since: float = -1.0
    absent: list[float] = field(default_factory=list)
    made: list[Instance] = field(default_factory=list)
    destroyed: float = -1.0


class Watch:
    """Counts, and writes down what is wrong."""

    def __init__(self, loop: SimulatedLoop, histories: dict[str, History]) -> None:
        self._loop, self._histories = loop, histories
        self._busy = {group: Busy() for group in histories}
        self._asked: list[Call] = []
        self.loops: dict[tuple[int, str], list[asyncio.Task[Any]]] = {}
        self.wrong: list[str] = []
        self.actions = 0
        self.ended = False
        self.living: Mapping[str, Instance] = {}
        self.notes: Mapping[str, str] = {}
        self.trace: list[str] = []

    def say(self, text: str) -> None:
        """Write a line into the story of the schedule."""
        self.trace.append(f"{self._loop.time():10.3f}  {text}")

    def blame(self, text: str) -> None:
        """Write down that a promise is broken."""
        if not self.ended:
            self.wrong.append(f"at {self._loop.time():.3f} s: {text}")
            self.say(f"WRONG: {text}")

    def begun(self, task: asyncio.Task[Any], process: Process | None) -> None:
        """Look at a task that was just begun: a group has one living loop at most."""
        name = task.get_name()
        if not name.startswith("supervisor of ") or process is None:
            return
        loops = self.loops.setdefault((process.number, name), [])
        if any(not other.done() for other in loops):
            self.blame(f"a second loop is begun: {name}")
        loops.append(task)

    def stopped(self, process: Process) -> None:
        """A process has stopped in order: no loop of it may be left."""
        for (number, name), loops in self.loops.items():
            if number == process.number and any(not loop.done() for loop in loops):
                self.blame(f"the process has stopped and left its {name} running")

    def changed(self, group: str) -> None:
        """Something else may be wanted now."""
        busy, most = self._busy[group], self._most(group)
        if None in self._histories[group].states():
            busy.absent.append(self._loop.time())
        busy.most = max(busy.most, most) if busy.calls else most
        for call in self._asked:
            if call.group == group:
                call.most = max(call.most, most)

    def answered(self, group: str, verb: str) -> None:
        """A command was carried out: remember what ended the group."""
        if verb in ("destroy", "free", "force"):
            self._busy[group].destroyed = self._loop.time() if verb == "destroy" else -1.0

    def begins(self, kind: str, group: str, instance: str) -> Call:
        origin, process, now = ORIGIN.get(), PROCESS.get(), self._loop.time()
        if group not in self._busy:
            return Call(kind, group, instance, origin, process, 10**9, now)
        busy, history = self._busy[group], self._histories[group]
        # not those of a process that is dead
        busy.calls = [call for call in busy.calls if call.process is process]
        if not busy.calls:
            busy.most = max(self._most(group), busy.most if busy.idle_since == now else 0)
        for other in busy.calls:
            if other.origin != origin:
                self.blame(
                    f"two loops act on {group} at once: {kind} of loop {origin} while "
                    f"{other.kind} of loop {other.origin}"
                )
                break
        fresh = not busy.calls and busy.idle_since < now
        if fresh and not history.may_be(lambda record: True):
            self.blame(f"{kind} for {group}, which is not there")
        elif (
            fresh
            and not history.open("step")
            and not history.may_be(lambda record: record.destroying or not record.paused)
        ):
            self.blame(f"{kind} for {group}, which is paused")
        if kind == "drain":
            self._check_target(group, instance, history)
        call = Call(kind, group, instance, origin, process, busy.most, now)
        busy.calls.append(call)
        if kind == "provision":
            self._asked = [asked for asked in self._asked if now - asked.at < LONGEST] + [call]
        self.actions += kind in ACTIONS
        self.say(f"    loop {origin}: {kind} {group} {instance}")
        return call

    def ends(self, call: Call) -> None:
        call.over = True
        if call.group in self._busy:
            busy = self._busy[call.group]
            if call in busy.calls:
                busy.calls = [other for other in busy.calls if other is not call]
                busy.idle_since = self._loop.time()

    def made(self, call: Call, instance: Instance) -> None:
        """An instance is there; were more asked for than may be?

        One that was asked for, and not to be seen, before the group was let go and committed again
        may be one more, and be taken for one that was asked for later: nothing is left to know it
        by. Nor is one awaited that was asked for in a slot of its own, of which no answer came.
        """
        group, instance.begun = instance.group, call.at
        members = [one for one in self.living.values() if one.group == group]
        self.say(
            f"    made {instance.id} of {group} in slot {instance.slot}, {len(members)} are there"
        )
        if group not in self._busy:
            return
        busy = self._busy[group]
        busy.made.append(instance)
        instance.late = call.over and instance.slot is not None
        unknown = sum(
            one.late or any(one.begun < moment <= one.shown for moment in busy.absent)
            for one in busy.made
        )
        most = max(call.most, self._most(group), busy.most)
        if len(members) > most + unknown:
            self.blame(
                f"{len(members)} instances of {group} where {most} are wanted at most, and "
                f"{unknown} were not to be known of"
            )
        if (
            instance.slot is None
            and call.at < busy.destroyed
            and not self._histories[group].may_be(lambda record: True)
        ):
            self.blame(
                f"{instance.id} comes when {group} is destroyed already, though it was expected"
            )

    def destroyed(self, call: Call, instance: Instance | None, name: str) -> None:
        self.say(f"    destroyed {name}{'' if instance else ', which was not there'}")
        if instance is not None and instance.tags.get(GROUP_TAG) not in self._busy:
            self.blame(f"{name}, which is not of any group here, was destroyed")

    def _check_target(self, group: str, name: str, history: History) -> None:
        """Blame a loop that ends what is not its own, or what is well and wanted in a slot of its
        own.
        """
        one = self.living.get(name)
        if one is None:
            return
        if one.group != group:
            self.blame(f"{name} of {one.group!r} is ended by the loop of {group}")
        elif one.slot is not None and not one.ever_ill and not history.lost:
            slot, note, states = int(one.slot), self.notes[one.tags[SHA_TAG]], history.states()
            if all(
                s is not None and not s.destroying and slot < s.size and note == s.note
                for s in states
            ):
                self.blame(
                    f"{name} in slot {slot} is ended, which is well and wanted: "
                    f"{sorted(map(str, states))}"
                )

    def _most(self, group: str) -> int:
        history = self._histories[group]
        if history.lost:
            return 10**9
        return max(
            (record.size + SURGE[record.note] for record in history.states() if record is not None),
            default=0,
        )
