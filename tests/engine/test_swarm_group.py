"""Groups of real processes over a swarm of one node: what is killed is made anew, what no node can
run has a reason, and of two leaders only the later one acts.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from asking import until
from desk import Desk
from engine.private import IMAGE
from engine.swarm_world import SwarmWorld, one_node  # noqa: F401  a fixture
from two_leaders import TwoLeaders

PROGRAM = "ikdemo-instance-swarm"


@pytest.fixture
def leaders(desk: Desk, one_node: SwarmWorld) -> Iterator[TwoLeaders]:  # noqa: F811
    """Give two leaders over a swarm; at the end the later one destroys what there is."""
    desk.environment["DOCKER_HOST"] = one_node.host
    made = TwoLeaders(desk, PROGRAM, (), Image=IMAGE, Command=["sleep", "1000"])
    yield made
    made.ask("new", "Group.DestroyGroup", ID="web")
    one_node.clear()


def test_a_group_heals_and_shrinks(leaders: TwoLeaders, one_node: SwarmWorld) -> None:  # noqa: F811
    leaders.commit("new", 3, 1)
    before = leaders.whole("new", 3)
    one_node.kill(before["1"])
    until(lambda: leaders.slots().get("1", before["1"]) != before["1"])
    after = leaders.whole("new", 3)
    assert {slot: after[slot] for slot in "02"} == {slot: before[slot] for slot in "02"}
    leaders.ask("new", "Reconcile.Scale", ID="web", Size=1)
    assert leaders.whole("new", 1) == {"0": after["0"]}
    until(lambda: len(one_node.containers()) == 1)


def test_leaders_that_want_different_sizes_do_not_fight(leaders: TwoLeaders) -> None:
    leaders.commit("old", 4, 7)
    leaders.whole("old", 4)
    leaders.commit("new", 2, 9)
    leaders.whole("new", 2)
    leaders.mark()
    leaders.until_fenced("old", 7, 9)
    assert leaders.ask("old", "Reconcile.Step", ID="web")["Outcomes"] == []
    assert sorted(leaders.whole("new", 2)) == ["0", "1"]
    assert leaders.done_since_mark() == set()


def test_a_claim_outlives_the_plugin_that_is_killed(leaders: TwoLeaders) -> None:
    leaders.commit("old", 3, 7)
    until(lambda: len(leaders.slots()) >= 1)
    leaders.signal("old", signal.SIGSTOP)
    leaders.commit("new", 2, 9)
    leaders.whole("new", 2)
    leaders.kill()
    leaders.start()
    before = leaders.whole("new", 2)
    leaders.mark()
    leaders.signal("old", signal.SIGCONT)
    leaders.until_fenced("old", 7, 9)
    assert leaders.slots() == before
    assert leaders.done_since_mark() == set()


def test_a_reason_says_that_no_node_can_run_it_and_the_group_waits_ever_longer(
    leaders: TwoLeaders,
) -> None:
    leaders.properties["Constraints"] = ["node.labels.rack==3"]
    leaders.commit("new", 1, 1)

    def said() -> str:
        reasons = leaders.ask("new", "Reconcile.Why", ID="web")["Reasons"]
        return " ".join(f"{one['Text']} {one['Error']}" for one in reasons)

    until(lambda: "no suitable node" in said(), say=said)
    assert "backing-off" in leaders.codes("new")
    assert leaders.slots() == {}
