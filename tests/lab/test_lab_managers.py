"""Managers in a lab: groups follow the manager that leads, and instances stay where they are."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Timer

import pytest

from ikdemo.lab import Lab, collabnix
from ikdemo.spi.errors import IkdemoError


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab() as lab:
        lab.start("instance-file", "flavor-vanilla")
        yield lab


def test_a_group_goes_on_under_the_manager_that_is_elected(lab: Lab) -> None:
    lab.start_manager()
    assert lab.start_manager("group-2").column("plugin") == [
        *("flavor-vanilla", "group", "group-2", "group-2-stateless", "group-stateless"),
        "instance-file",
    ]
    assert lab.elect("group") == "group leads, epoch 1"
    lab.commit(collabnix())
    lab.wait("collabnix")
    before = lab.describe("collabnix").column("instance")
    assert lab.elect("group-2") == "group-2 leads, epoch 2"
    record = lab.session.record
    assert record.wait_for(lambda: "stepped-down" in {e.kind for e in record.events()}, 100)
    with pytest.raises(IkdemoError, match="not-a-leader"):
        lab.commit(collabnix(size=3))
    assert lab.leader().column("who leads") == ["group-2", "group-2"]
    lab.wait("collabnix")
    assert lab.commit(collabnix(), plugin="group-2") == "Committed collabnix: Noop"
    assert lab.describe("collabnix").column("instance") == before
    lab.kill("collabnix", 2, seed=1)
    lab.wait("collabnix")
    assert lab.recovery("collabnix").healed
    told = [(who, what) for _, who, what in lab.timeline()]
    leads = [(who, what) for who, what in told if what.startswith("leads")]
    assert sorted(leads) == [  # each looks at the leader file by itself
        ("group", "leads no longer: another manager leads"),
        ("group", "leads now: os: epoch 1"),
        ("group-2", "leads now: os: epoch 2"),
    ]
    assert {who for who, _ in told} == {"lab", "instance-file", "group", "group-2"}, "not twice"


def test_a_wait_bears_that_the_manager_does_not_keep_the_group_yet(lab: Lab) -> None:
    """As when it had stood still, stepped down, and leads again."""
    lab.start_manager()
    lab.elect("group")
    later = Timer(0.3, lambda: lab.commit(collabnix()))
    later.start()
    lab.wait("collabnix")
    later.join()
    lab.kill("collabnix", 1)
    lab.wait("collabnix")


def test_a_dashboard_says_which_manager_leads(lab: Lab) -> None:
    lab.start_manager()
    lab.start_manager("group-2")
    lab.elect("group")
    panel = lab.dashboard().plugins
    record = lab.session.record

    def shown(name: str, words: str) -> bool:
        panel.look()
        return words in panel.lamp(name)

    assert record.wait_for(lambda: shown("group", "leads now: os: epoch 1"), 100)
    assert not shown("group-2", "leads")
    lab.elect("group-2")
    assert record.wait_for(lambda: shown("group-2", "leads now: os: epoch 2"), 100)
    assert record.wait_for(lambda: shown("group", "leads no longer: another manager leads"), 100)
    lab.kill_plugin("group-2")
    assert not shown("group-2", "leads")


def test_a_manager_that_was_killed_is_replaced_by_another_one(lab: Lab) -> None:
    lab.start_manager()
    lab.start_manager("group-2")
    lab.elect("group")
    lab.commit(collabnix(size=2))
    lab.wait("collabnix")
    lab.kill_plugin("group")
    lab.kill_plugin("group-stateless")
    lab.elect("group-2")
    assert lab.wait("collabnix") == "collabnix is as wanted: 2 instances"
    assert (
        lab.scale("collabnix", 3)
        == "Committed collabnix: Adding 1 instances to increase the group size to 3"
    )
    assert lab.wait("collabnix") == "collabnix is as wanted: 3 instances"
    said = dict(zip(lab.leader().column("manager"), lab.leader().column("who leads"), strict=True))
    assert said == {"group": "", "group-2": "group-2"}


def test_slips_are_answered_in_a_sentence(lab: Lab) -> None:
    with pytest.raises(IkdemoError, match=r"no manager 'group' that runs; there are: none"):
        lab.elect("group")
    with pytest.raises(IkdemoError, match=r"start it by lab\.start_manager"):
        lab.start("manager")
    assert "No manager was started yet" in str(lab.leader())
    lab.start_manager()
    with pytest.raises(IkdemoError, match=r"there are: group$"):
        lab.elect("group-7")
    assert "already running" in lab.start_manager().column("state")
