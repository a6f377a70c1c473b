"""Two leaders that want different things of one group, over real sockets and real plugins: after
the claim of the later one nothing that the older one asks for is done, whatever is stopped or
killed when.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from asking import Refused, until
from desk import Desk
from marked import marked
from two_leaders import TwoLeaders


@pytest.fixture(params=["file", "process"])
def leaders(desk: Desk, request: pytest.FixtureRequest) -> Iterator[TwoLeaders]:
    """Give two leaders over instances of each kind; at the end no process of theirs is left."""
    folder = str(desk.instances)
    if request.param == "file":
        yield TwoLeaders(desk, "infrakit-instance-file", ("--dir", folder), Note="x")
    else:
        desk.environment["PATH"] = f"{Path('/bin')}:{os.environ['PATH']}"
        flags = ("--dir", folder, "--grace", "1s")
        yield TwoLeaders(desk, "ikdemo-instance-process", flags, Command=["sleep", "1000"])
        for name in list(desk.processes):
            desk.stop(name, signal.SIGKILL)
        for pid in marked(desk.instances):
            os.kill(pid, signal.SIGKILL)


def test_leaders_that_want_different_sizes_do_not_fight(leaders: TwoLeaders) -> None:
    leaders.do_not_fight("1", "3")


def test_a_leader_stopped_between_its_check_and_what_it_would_do_does_nothing_when_it_wakes_up(
    leaders: TwoLeaders,
) -> None:
    leaders.commit("old", 60, 7)
    until(lambda: len(leaders.slots()) >= 3)
    leaders.signal("old", signal.SIGSTOP)
    leaders.commit("new", 4, 9)
    leaders.wakes_up(leaders.whole("new", 4), 7, 9)


def test_a_claim_outlives_the_instance_plugin_that_is_killed(leaders: TwoLeaders) -> None:
    leaders.commit("old", 6, 7)
    leaders.whole("old", 6)
    leaders.signal("old", signal.SIGSTOP)
    for size, epoch in ((4, 9), (3, 11)):
        leaders.commit("new", size, epoch)
        if epoch == 9:
            leaders.whole("new", size)
        leaders.kill()  # the second time whatever was made of the commit so far
        leaders.start()
        leaders.whole("new", size)
    before = leaders.slots()
    leaders.wakes_up(before, 7, 11)
    for asked in (
        {"method": "Instance.Destroy", "Instance": before["0"], "Epoch": 9},
        {"method": "Instance.Claim", "Group": "web", "Epoch": 10},
    ):
        with pytest.raises(Refused, match=r"^fenced: epoch (9|10) is over, 11 has begun$"):
            leaders.ask("instances", **asked)
    assert leaders.slots() == before
    assert leaders.done_since_mark() == set()
