"""What is counted and what runs, looked at many times a second while something happens to machines.

*Counted* are the tasks that the swarm's manager says run and are to run; *running* are the
containers that each machine's own engine lists, at a socket that no cable leads to. An engine that
does not answer says nothing; a machine that is off runs nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import Self

from ...reconcile.analysis.partition import Fact, PartitionRecord, Sample
from ...spi.errors import IkdemoError
from ...spi.text import visible
from ..host.session import Session
from ..show.partition_report import Partition
from ..show.tables import Table

EVERY = 0.05
"""Seconds between two looks at one engine."""
MACHINES_EVERY = 0.2
"""Seconds between two looks at which machines are on."""
MOST = 100_000
"""Samples and facts that are kept."""


class CountWatch:
    """A watch, from ``with`` to the end of its block, or of the session. ``open``: it is looking.

    ``tasks`` returns the IDs of what is counted, ``machines`` where the engine of each machine is,
    by name, and ``containers`` what runs at an engine; they block, and raise IkdemoError in doubt.
    """

    def __init__(
        self,
        session: Session,
        tasks: Callable[[], Collection[str]],
        machines: Callable[[], Mapping[str, str]],
        containers: Callable[[str], Collection[str]],
    ) -> None:
        self.open = False
        self._session = session
        self._tasks, self._machines, self._containers = tasks, machines, containers
        self._lock = threading.Lock()
        self._counted_first = 0
        self._samples: list[Sample] = []
        self._facts: list[Fact] = []
        self._running: dict[str, int] = {}
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        """Look for the first time, then begin to look from threads; raises IkdemoError when the
        manager, or the plugin, does not answer.
        """
        known = set(self._tasks())
        self._counted_first, self.open = len(known), True
        machines = self._machines()
        for name, host in machines.items():
            self._look(name, host)
            self._begin(self._follow, name, host)
        self._begin(self._follow_machines, set(machines))
        self._begin(self._follow_tasks, known)
        return self

    def __exit__(self, *_: object) -> None:
        """Look for the last time, and end the threads."""
        self.open = False
        for thread in self._threads:
            thread.join()
        now = time.monotonic()
        with self._lock:
            self._samples += [Sample(now, name, n) for name, n in sorted(self._running.items())]

    def note(self, fact: Fact) -> None:
        """Write down what was done to a machine."""
        with self._lock:
            if len(self._facts) < MOST:
                self._facts.append(fact)

    @property
    def record(self) -> PartitionRecord:
        """What was seen until now; times are those of ``time.monotonic``."""
        with self._lock:
            samples = sorted(self._samples, key=lambda one: one.time)
            facts = sorted(self._facts, key=lambda one: one.time)
        return PartitionRecord(self._counted_first, samples, facts)

    def partition(self) -> Partition:
        """Return the picture of what was counted against what ran."""
        return Partition(self.record)

    def samples(self) -> Table:
        """List every change of a machine's number of containers, in seconds since the first."""
        record = self.record
        rows = [
            (f"{sample.time - record.begins:.2f}", sample.machine, sample.running)
            for sample in record.samples
        ]
        return Table(["seconds", "machine", "running"], rows)

    def __repr__(self) -> str:
        return visible(self.partition().words)

    def _begin(self, work: Callable[..., None], *told: object) -> None:
        thread = threading.Thread(target=work, args=told, daemon=True, name="watch on machines")
        self._threads.append(thread)
        thread.start()

    @property
    def _looks(self) -> bool:
        return self.open and self._session.open

    def _follow(self, name: str, host: str) -> None:
        while self._looks and name in self._running:
            self._look(name, host)
            time.sleep(EVERY)

    def _look(self, name: str, host: str) -> None:
        try:
            self._say(name, len(self._containers(host)))
        except IkdemoError:
            self._running.setdefault(name, 0)  # whether it is off, the plugin knows

    def _say(self, name: str, running: int) -> None:
        with self._lock:
            if self._running.get(name) != running and len(self._samples) < MOST:
                self._samples.append(Sample(time.monotonic(), name, running))
            self._running[name] = running

    def _follow_machines(self, known: set[str]) -> None:
        """Take up machines that are new, and say of those that are off that nothing runs there."""
        while self._looks:
            try:
                machines = self._machines()
            except IkdemoError:
                machines = {}
            for name in machines.keys() - known:
                self._say(name, 0)
                self._begin(self._follow, name, machines[name])
            for name in known - machines.keys() if machines else ():
                self._say(name, 0)
            known |= machines.keys()
            time.sleep(MACHINES_EVERY)

    def _follow_tasks(self, known: set[str]) -> None:
        while self._looks:
            try:
                found = set(self._tasks())
            except IkdemoError:
                found = known
            now = time.monotonic()
            for task in sorted(known - found):
                self.note(Fact(now, "lost", task))
            for task in sorted(found - known):
                self.note(Fact(now, "provisioned", task))
            known = found
            time.sleep(EVERY)
