"""kill -9 of each plugin at seeded moments while a group is made, updated and destroyed: the end is
that of no kill.

A moment is an amount of work: the kill comes when so many instances are made, replaced or gone. How
many kills fell into unfinished work is counted, and there must be some. With IKDEMO_SOAK set there
are a thousand moments.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import signal
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from asking import Refused, ask
from desk import Desk
from profiles import PATIENCE, SOAK

SIZE = 150
EARLY = 110
"""Kills come before so many instances are done: late enough to matter, early enough to hit on a
busy machine as well.
"""
LIVES = 112 if SOAK else 4
PROGRAMS = {
    "group": ("infrakit-group-default", "--poll-interval", "1h"),
    "instance-file": ("infrakit-instance-file", "--dir"),
    "flavor-vanilla": ("infrakit-flavor-vanilla",),
}
WITHIN = 100.0


def spec(note: str) -> dict[str, Any]:
    return {
        "ID": "collabnix",
        "Properties": {
            "Allocation": {"Size": SIZE},
            "Instance": {"Plugin": "instance-file", "Properties": {"Note": note}},
            "Flavor": {"Plugin": "flavor-vanilla", "Properties": {"Tags": {"tier": "web"}}},
            "Updating": {"BatchSize": 10},
        },
    }


class Life:
    """One group, and a target among its plugins that is killed and started again."""

    def __init__(self, desk: Desk, target: str, seed: str) -> None:
        self.desk, self.target, self.dice = desk, target, random.Random(seed)
        self.asking = ThreadPoolExecutor(1)
        self.hits = 0
        self.logs = ""

    def ask(self, method: str, **params: object) -> Any:
        return ask(self.desk.plugins / "group", method, params)

    def strike(self, method: str, params: dict[str, Any], work_left: Callable[[], int]) -> None:
        """Ask for something, kill the target after a seeded share of the work, and start it again.

        What was refused or lost with the plugin that was killed is asked for once more if nobody
        remembers it.
        """
        left_at_kill = SIZE - self.dice.randrange(EARLY)
        asked = self.asking.submit(self.ask, method, **params)
        until = time.monotonic() + WITHIN
        while work_left() > left_at_kill:
            assert time.monotonic() < until
        self.desk.stop(self.target, signal.SIGKILL)
        self.hits += work_left() > 0
        self.logs += self.desk.log(self.target)
        self.restart()
        if not came_through(asked) and not self.is_remembered(method, params):
            self.ask(method, **params)

    def restart(self) -> None:
        flags = list(PROGRAMS[self.target])
        self.desk.start(
            flags[0],
            self.target,
            *flags[1:],
            *([str(self.desk.instances)] if flags[-1] == "--dir" else []),
        )

    def is_remembered(self, method: str, params: dict[str, Any]) -> bool:
        """Say whether the group plugin has taken in what was asked for, although the answer was
        lost.
        """
        kept = [
            group["Properties"]["Instance"]
            for group in self.ask("Group.InspectGroups")["Groups"] or []
        ]
        return (
            not kept
            if method == "Group.DestroyGroup"
            else params["Spec"]["Properties"]["Instance"] in kept
        )

    def notes(self) -> dict[str, tuple[str, str]]:
        """Return slot and configuration of every instance file, by name."""
        found = {}
        for path in self.desk.instances.glob("instance-*"):
            try:
                content = json.loads(path.read_text())
            except FileNotFoundError:
                continue  # gone meanwhile
            found[path.name] = content["Slot"], content["Spec"]["Properties"]["Note"]
        return found

    def names(self) -> set[str]:
        """Return the names of the instance files, faster than a plugin makes a few."""
        with os.scandir(self.desk.instances) as entries:
            return {entry.name for entry in entries if not entry.name.startswith(".")}

    def whole(self, note: str) -> None:
        """Wait until the group is as wanted: every slot once, all of one configuration."""
        until = time.monotonic() + WITHIN
        while not self.converged():
            assert time.monotonic() < until, (
                self.desk.log("group"),
                self.ask("Reconcile.Why", ID="collabnix"),
            )
            time.sleep(0.01)
        assert sorted(self.notes().values()) == sorted((str(slot), note) for slot in range(SIZE))

    def converged(self) -> bool:
        try:
            return bool(self.ask("Group.DescribeGroup", ID="collabnix")["Description"]["Converged"])
        except Refused:
            return False

    def gone(self) -> None:
        """Wait until the group is forgotten; nothing of it is left, and nothing comes back."""
        until = time.monotonic() + WITHIN
        while self.known():
            assert time.monotonic() < until, self.desk.log("group")
            time.sleep(0.01)
        assert self.notes() == {}

    def known(self) -> bool:
        try:
            self.ask("Group.DescribeGroup", ID="collabnix")
        except Refused as refused:
            return "not being watched" not in str(refused)
        return True


def came_through(asked: Future[Any]) -> bool:
    try:
        asked.result(PATIENCE)
    except (Refused, OSError, http.client.HTTPException):
        return False
    return True


@pytest.mark.timeout(PATIENCE)
@pytest.mark.parametrize("target", PROGRAMS)
def test_a_kill_at_any_moment_ends_as_no_kill(desk: Desk, target: str) -> None:
    desk.start_three()
    life = Life(desk, target, seed=target)
    with life.asking:
        for number in range(LIVES):
            old, new = f"v{number}", f"v{number}-2"
            life.strike("Group.CommitGroup", {"Spec": spec(old)}, lambda: SIZE - len(life.names()))
            life.whole(old)
            before = life.names()
            life.strike(
                "Group.CommitGroup",
                {"Spec": spec(new)},
                lambda before=before: len(before & life.names()),
            )
            life.whole(new)
            assert not before & life.names()
            life.strike("Group.DestroyGroup", {"ID": "collabnix"}, lambda: len(life.names()))
            life.gone()
    for name in PROGRAMS:  # whatever was still under way is over when its plugin has ended
        assert desk.stop(name) == 0
    assert not life.names()
    print(f"{life.hits} of {3 * LIVES} kills of {target} fell into unfinished work")
    assert life.hits > LIVES
    logs = life.logs + "".join(desk.log(name) for name in PROGRAMS)
    assert "level=error" not in logs, re.findall(r"level=error.*", logs)
    assert "Traceback" not in logs
