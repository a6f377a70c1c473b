"""Three contestants for one leadership, one beside each member of an etcd, and what etcd itself
says of them.

What was written when, and by whom, is read from etcd's revisions alone: clocks and logs of
processes that were stopped say little.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from engine.etcd3 import MEMBERS, PATIENCE, Etcd3, Written

GROUPS, LEADER = "infrakit/configs/groups.json", "infrakit/leader"
Start = Callable[[int], subprocess.Popen[Any]]


class Leading(NamedTuple):
    """Who leads: the contestant's number, and its epoch."""

    number: int
    epoch: int


class Contest:
    """Three processes, numbered as the members; ``start`` starts the one of a number, called
    ``c<number>``, in its member's namespace. ``writer``: the epoch that a write says its writer
    believed in.
    """

    def __init__(self, etcd: Etcd3, start: Start, writer: Callable[[Written], int]) -> None:
        self.etcd, self._start, self.writer = etcd, start, writer
        self.processes: dict[int, subprocess.Popen[Any]] = {}
        self._since = etcd.revision() + 1
        self._down = set[int]()
        for number in MEMBERS:
            self.start(number)

    def start(self, number: int) -> None:
        """Start a contestant."""
        with self.etcd.at(number):
            self.processes[number] = self._start(number)

    def kill(self, number: int) -> None:
        """Kill a contestant."""
        process = self.processes.pop(number)
        process.kill()
        process.wait()

    def signal(self, number: int, how: signal.Signals) -> None:
        """Send a signal to a contestant."""
        os.kill(self.processes[number].pid, how)

    def kill_machine(self, number: int) -> None:
        """Kill a contestant and the member beside it."""
        self.kill(number)
        self.etcd.kill(number)
        self._down.add(number)

    def repair(self) -> None:
        """Have everything as in the beginning: members, cables, contestants."""
        for number in MEMBERS:
            self.etcd.heal(number)
        self.etcd.start(*self._down) if self._down else None
        self._down.clear()
        for number in MEMBERS:
            if number in self.processes and self.processes[number].poll() is None:
                self.signal(number, signal.SIGCONT)
            else:
                self.start(number)

    def leading(self, after: int = 0) -> Leading:
        """Wait for a leader of an epoch after this one, by the leader key."""

        def look() -> Leading | None:
            key = self.etcd.read(LEADER)
            if key is None or key.value is None or key.created <= after:
                return None
            return Leading(int(json.loads(key.value)["Name"].removeprefix("c")), key.created)

        return self.wait(look, f"no leader after epoch {after}")

    def wrote(self, epoch: int, after: int = 0) -> Written:
        """Wait for a write of an epoch, after a revision."""

        def look() -> Written | None:
            found = self.etcd.read(GROUPS)
            if found is None or found.revision <= after or self.writer(found) < epoch:
                return None
            assert self.writer(found) == epoch, "another leader was elected meanwhile"
            return found

        return self.wait(look, f"epoch {epoch} writes nothing")

    def wait(self, look: Callable[[], Any], otherwise: str) -> Any:
        """Wait until ``look`` finds something, and return it."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if found := look():
                return found
            for number, process in self.processes.items():
                assert process.poll() is None, f"contestant {number} has ended"
            time.sleep(0.02)
        raise AssertionError(otherwise)

    def judge(self) -> list[Written]:
        """See that every accepted write was its leader's: in the order of revisions, each says the
        epoch of the leader key of its moment, which never goes back. Return the writes.
        """
        writes, leader, greatest = [], 0, 0
        for event in self.etcd.history(self._since):
            if event.key == LEADER:
                leader = 0 if event.value is None else event.created
                assert leader == 0 or leader >= greatest, f"epoch {leader} after {greatest}"
                greatest = max(leader, greatest)
            elif event.key == GROUPS and event.value is not None:
                writer = self.writer(event)
                assert writer == leader, f"epoch {writer} wrote while {leader} led"
                writes.append(event)
        return writes

    def close(self) -> None:
        """End all."""
        for process in self.processes.values():
            process.kill()
            process.wait()
        self.processes.clear()


def said(log: Path, by: str = "") -> list[dict[str, Any]]:
    """Return the facts that contestants wrote down, of all or of one."""
    lines = log.read_text().splitlines() if log.exists() else []
    facts = [json.loads(line) for line in lines if line.endswith("}")]
    return [fact for fact in facts if by in ("", fact["by"])]
