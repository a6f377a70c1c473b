"""The old leader stands still between its check and its action: what it has sent arrives after the
next leader's claim, is refused, and nothing is done for it, then or when it wakes up.

No program is told when to stop: a gate keeps back what it sends next.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from asking import Refused, until
from desk import Desk
from marked import marked
from two_leaders import refusal
from two_managers import TwoManagers


@pytest.fixture(params=["file", "process"])
def managers(desk: Desk, request: pytest.FixtureRequest) -> Iterator[TwoManagers]:
    """Give two managers over instances of each kind; at the end no process of theirs is left."""
    folder = str(desk.instances)
    if request.param == "file":
        made = TwoManagers(desk, "infrakit-instance-file", ("--dir", folder), Note="x")
    else:
        desk.environment["PATH"] = f"{Path('/bin')}:{os.environ['PATH']}"
        flags = ("--dir", folder, "--grace", "1s")
        made = TwoManagers(desk, "ikdemo-instance-process", flags, Command=["sleep", "1000"])
    with contextlib.closing(made):
        yield made
    desk.stop("instances", signal.SIGKILL)
    for pid in marked(desk.instances):
        os.kill(pid, signal.SIGKILL)


def old_wakes_up(managers: TwoManagers, before: dict[str, str]) -> None:
    """Continue what was stopped of the old leader, and see that nothing is done for it."""
    managers.signal("old-group", signal.SIGCONT)
    managers.until_fenced("old-group", 1, 2)
    assert managers.slots() == before
    assert managers.done_since_mark() == set()
    managers.signal("old", signal.SIGCONT)
    until(lambda: managers.freed("old-group"))
    with pytest.raises(Refused, match=r"^not-a-leader$"):
        managers.ask("old", "Reconcile.Scale", ID="web", Size=9)
    assert managers.whole("new", len(before)) == before
    assert managers.done_since_mark() == set()


def test_a_group_stopped_before_it_makes_an_instance_is_refused(managers: TwoManagers) -> None:
    managers.commit_led("old", 3)
    lost = managers.whole("old", 3)["1"]
    managers.actions.hold(lambda call: call["method"] == "Instance.Provision")
    managers.ask("instances", "Instance.Destroy", Instance=lost)
    until(lambda: managers.actions.held)
    for name in ("old-group", "old"):
        managers.signal(name, signal.SIGSTOP)
    before = managers.take_over(5)
    managers.mark()
    managers.actions.open()
    until(lambda: managers.actions.said)
    assert set(managers.actions.said) == {refusal(1, 2)}
    old_wakes_up(managers, before)


def test_a_group_stopped_before_it_destroys_instances_is_refused(managers: TwoManagers) -> None:
    managers.commit_led("old", 5)
    managers.whole("old", 5)
    managers.actions.hold(lambda call: call["method"] == "Instance.Destroy")
    managers.commit_led("old", 2)
    until(lambda: managers.actions.held)
    for name in ("old-group", "old"):
        managers.signal(name, signal.SIGSTOP)
    managers.edit_stored_size(2, 5)  # or the next leader would destroy them itself at first
    before = managers.take_over(5)
    asked = [call["params"]["Instance"] for call in managers.actions.held]
    assert set(asked) <= set(before.values())
    managers.mark()
    managers.actions.open()
    until(lambda: len(managers.actions.said) == len(asked))
    assert set(managers.actions.said) == {refusal(1, 2)}
    old_wakes_up(managers, before)


def test_a_manager_stopped_before_it_commits_what_it_stored_changes_nothing(
    managers: TwoManagers,
) -> None:
    """Its group plugin is told of the older spec after the next leader's claim."""
    managers.commit_led("old", 3)
    managers.whole("old", 3)
    managers.commits.hold(
        lambda call: call["method"] == "Group.CommitGroup" and not call["params"]["Pretend"]
    )
    with ThreadPoolExecutor(1) as pool:
        said = pool.submit(managers.commit, "old", 6, 1)
        until(lambda: managers.commits.held)
        managers.signal("old", signal.SIGSTOP)
        before = managers.take_over(4)
        managers.mark()
        managers.commits.open()
        until(lambda: managers.commits.said)
        old_wakes_up(managers, before)
        assert isinstance(said.exception(100), Refused)


def test_a_manager_stopped_for_long_leaves_a_group_plugin_that_does_not_fight(
    managers: TwoManagers,
) -> None:
    """The old group plugin goes on, and wants more than the new one, whatever is lost."""
    managers.commit_led("old", 6)
    managers.whole("old", 6)
    managers.signal("old", signal.SIGSTOP)
    managers.take_over(4)
    managers.mark()
    for slot in ("0", "2", "3"):
        lost = managers.slots()[slot]
        managers.ask("instances", "Instance.Destroy", Instance=lost)
        until(lambda slot=slot, lost=lost: managers.slots().get(slot, lost) != lost)
    before = managers.whole("new", 4)
    done = managers.done_since_mark()
    assert len(done) == 6
    assert not done & managers.done_by("old-group")
    managers.mark()
    old_wakes_up(managers, before)
