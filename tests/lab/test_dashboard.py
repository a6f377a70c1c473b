"""The dashboard over real plugin processes: buttons are pressed, and the world, the words and the
lamps follow.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from html import unescape
from itertools import pairwise

import pytest

from ikdemo.flavor.vanilla import Vanilla
from ikdemo.lab import Lab, collabnix
from ikdemo.lab.dashboard import group_history, slots, view, view_drawing, view_model
from ikdemo.lab.dashboard.dashboard import Dashboard
from ikdemo.lab.dashboard.view import LiveView
from ikdemo.reconcile.waiting import DESTROYING
from ikdemo.spi.plans import Reason


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab() as lab:
        lab.start()
        lab.commit(collabnix())
        lab.wait("collabnix")
        yield lab


def words_of(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def press(dashboard: Dashboard, name: str) -> None:
    (button,) = (button for button in dashboard.buttons.buttons if button.tooltip.startswith(name))
    assert not button.disabled
    button.click()


def until(true: Callable[[], bool]) -> None:
    """Wait for what a thread of the lab brings about; the test's time limit ends it."""
    tick = threading.Event()
    while not true():
        tick.wait(0.01)


def says(dashboard: Dashboard, expected: str) -> None:
    until(lambda: expected in words_of(dashboard.buttons.said.value))


def label(dashboard: Dashboard) -> str:
    """Return what the picture says to a learner who cannot see it."""
    return re.search(r'aria-label="([^"]*)"', dashboard.view.drawing.value)[1]  # type: ignore[index]


def test_one_is_killed_and_comes_back(lab: Lab) -> None:
    dashboard = lab.dashboard()
    before = set(lab.instances().column("instance"))
    press(dashboard, "kill one")
    says(dashboard, "done Killed 1: slot ")
    until(
        lambda: (
            len(set(lab.instances().column("instance")) & before) == 4 and len(lab.instances()) == 5
        )
    )
    until(
        lambda: (
            "as wanted. 5 of 5 slots filled." in label(dashboard)
            and "whole again" in label(dashboard)
        )
    )
    until(lambda: "FAULT: removed the file of" in dashboard.view.log.value)


def test_a_share_is_killed_while_paused_and_the_loop_is_walked_by_hand(lab: Lab) -> None:
    dashboard = lab.dashboard()
    press(dashboard, "pause")
    says(dashboard, "Paused collabnix.")
    until(lambda: "collabnix: paused." in label(dashboard))
    dashboard.share.value = 0.6
    press(dashboard, "kill a share")
    says(dashboard, "Killed 3: slots ")
    until(lambda: "2 of 5 slots filled" in label(dashboard))
    until(lambda: "Why: the group is paused" in words_of(dashboard.view.reason.value))
    press(dashboard, "observe")
    says(dashboard, "Observed: 2 instances. Nothing was changed.")
    assert "Observed" in dashboard.steps.shown.value
    press(dashboard, "plan")
    says(dashboard, "Planned from what was observed: 3 actions.")
    assert dashboard.steps.shown.value.count("missing: no instance in this slot") == 3
    assert len(lab.instances()) == 2
    press(dashboard, "act")
    says(dashboard, "The loop looked once more, planned, and acted: 3 actions.")
    assert "Done" in dashboard.steps.shown.value
    assert len(lab.instances()) == 5
    press(dashboard, "step")
    says(dashboard, "One pass was made: 0 actions.")
    assert "Nothing to do." in words_of(dashboard.steps.shown.value)
    press(dashboard, "resume")
    until(lambda: "collabnix: as wanted." in label(dashboard))
    until(lambda: words_of(dashboard.view.reason.value) == "")


def test_plugins_are_killed_stopped_and_started_as_they_were(lab: Lab) -> None:
    lab.start_plugin("group", "slow", poll_interval="7s")
    dashboard = lab.dashboard()
    press(dashboard, "kill -9 slow")
    says(dashboard, "slow was killed. Its socket is still there")
    until(lambda: "killed" in dashboard.plugins.lamp("slow"))
    press(dashboard, "start slow")
    says(dashboard, "slow is started, as it was before, and answers.")
    assert tuple(lab._plugins.processes["slow"].command[-3:-1]) == ("--poll-interval", "7s")
    press(dashboard, "stop slow")
    says(dashboard, "Its socket is gone.")
    assert not lab.socket("slow").exists()
    until(lambda: "stopped" in dashboard.plugins.lamp("slow"))
    press(dashboard, "kill -9 slow")
    says(dashboard, "not done slow does not run, so it cannot be ended. Start it first.")
    press(dashboard, "start group")
    says(dashboard, "not done 'group' is already running")


def test_while_the_group_plugin_is_away_the_dashboard_says_so_and_heals_after(lab: Lab) -> None:
    dashboard = lab.dashboard()
    press(dashboard, "kill -9 group")
    until(lambda: "nobody answers" in label(dashboard))
    assert "Why: plugin group cannot be reached" in words_of(dashboard.view.reason.value)
    press(dashboard, "kill one")
    until(lambda: "4 of 5 slots filled" in label(dashboard))
    press(dashboard, "start group")
    until(lambda: "as wanted. 5 of 5" in label(dashboard))


def test_what_goes_wrong_is_a_sentence_and_nothing_is_lost(lab: Lab) -> None:
    dashboard = lab.dashboard("nobody")
    until(lambda: "nothing wanted" in label(dashboard))
    assert "Group 'nobody' is not being watched" in words_of(dashboard.view.reason.value)
    press(dashboard, "kill one")
    says(dashboard, "not done Group nobody has no instance that could be killed")
    press(dashboard, "pause")
    says(dashboard, "not done Group")
    broken = dashboard.buttons.button("break", "break everything", lambda: str(1 // 0))
    broken.click()
    says(dashboard, "not done ZeroDivisionError: ")


def test_a_second_click_waits_for_nobody(lab: Lab) -> None:
    dashboard, gate = lab.dashboard(), threading.Event()
    slow = dashboard.buttons.button("slow", "something slow", lambda: str(gate.wait(100)))
    slow.click()
    slow.click()
    says(dashboard, "busy something slow: that is being done already.")
    press(dashboard, "kill one")
    says(dashboard, "Killed 1")
    gate.set()
    says(dashboard, "done True")


def test_plugins_that_come_later_get_their_row_and_those_of_this_python_no_button(lab: Lab) -> None:
    dashboard = lab.dashboard()
    lab.serve(Vanilla(), "flavor-mine")
    lab.start("flavor-combo")
    # below the title; lamps are lit before they have a row
    until(lambda: len(dashboard.plugins.box.children) == 1 + 5)
    assert "running" in dashboard.plugins.lamp("flavor-combo")
    assert "flavor-mine" in dashboard.plugins.lamp("flavor-mine")
    assert not any("flavor-mine" in button.tooltip for button in dashboard.buttons.buttons)


@pytest.mark.parametrize(("end", "how"), [(Lab.close, "lab closed"), (Lab.reset, "lab was reset")])
def test_with_the_lab_the_dashboard_ends(end: Callable[[Lab], object], how: str) -> None:
    with Lab() as lab:
        lab.start()
        lab.commit(collabnix(size=2))
        lab.wait("collabnix")
        dashboard = lab.dashboard()
        end(lab)
        assert label(dashboard).startswith(f"Group collabnix: {how}.")
        assert all(button.disabled for button in [*dashboard.buttons.buttons, dashboard.share])
        assert all(
            "stopped" in dashboard.plugins.lamp(name)
            for name in ("group", "flavor-vanilla", "instance-file")
        )
        assert words_of(dashboard.buttons.said.value) == f"ended This dashboard has ended: {how}."
        assert not [thread.name for thread in threading.enumerate() if "live view" in thread.name]


def test_a_newer_view_of_a_group_ends_the_older(lab: Lab) -> None:
    older = lab.dashboard()
    newer = lab.watch("collabnix")
    until(lambda: "newer view open" in label(older))
    assert sum("live view" in thread.name for thread in threading.enumerate()) == 1
    assert repr(newer) == "Live view of group collabnix"


def test_a_file_shows_a_picture_and_a_kernel_the_widget(lab: Lab) -> None:
    shown = lab.dashboard()._repr_mimebundle_()
    assert shown["text/plain"] == "Dashboard of group collabnix"
    assert re.search(
        r'<img alt="Group collabnix: as wanted\. 5 of 5[^"]+" src="data:image/svg\+xml;base64,',
        shown["text/html"],
    )
    assert "application/vnd.jupyter.widget-view+json" in shown
    # the stage takes the newer one
    assert shown[view.STAGE]["since"] < lab.dashboard()._repr_mimebundle_()[view.STAGE]["since"]


def test_the_lamp_of_a_plugin_of_this_python_goes_out_with_the_lab() -> None:
    with Lab() as lab:
        lab.start()
        lab.mute("instance-file", under="quiet-files")
        dashboard = lab.dashboard()
        assert "running" in dashboard.plugins.lamp("quiet-files")
    assert "stopped" in dashboard.plugins.lamp("quiet-files")


def test_what_a_pass_showed_is_taken_away_when_it_is_no_longer_true(lab: Lab) -> None:
    dashboard = lab.dashboard()
    press(dashboard, "pause")
    says(dashboard, "Paused collabnix.")
    press(dashboard, "kill one")
    says(dashboard, "Killed 1: slot ")
    until(lambda: "4 of 5 slots filled" in label(dashboard))
    press(dashboard, "act")
    says(dashboard, "acted: 1 action.")
    until(lambda: "5 of 5 slots filled" in label(dashboard))
    looked = list[float]()
    dashboard.view._also = lambda seen, _: (dashboard._look(seen, ""), looked.append(seen.now))
    until(lambda: len(looked) > 2)
    assert "Done" in dashboard.steps.shown.value  # what it did itself does not take it away
    press(dashboard, "observe")
    says(dashboard, "Observed: 5 instances.")
    press(dashboard, "kill one")
    until(lambda: "The group has changed since." in dashboard.steps.shown.value)
    assert "<table" not in dashboard.steps.shown.value
    press(dashboard, "plan")  # looks anew, and not at what was observed before
    says(dashboard, "1 action. Nothing was changed.")


def test_every_control_has_a_name_and_a_purpose(lab: Lab) -> None:
    dashboard = lab.dashboard()
    purposes = [button.tooltip for button in dashboard.buttons.buttons]
    assert len(purposes) == len(set(purposes)) == 8 + 3 * 3
    assert all(button.description for button in dashboard.buttons.buttons)
    assert (dashboard.share.description, bool(dashboard.share.tooltip)) == ("share", True)


def test_a_click_that_waits_ends_with_the_lab_and_says_so() -> None:
    with Lab() as lab:
        lab.start()
        dashboard, begun = lab.dashboard(), threading.Event()

        async def for_ever() -> str:
            begun.set()
            await asyncio.Event().wait()
            return "never"

        dashboard.buttons.button(
            "wait", "wait for ever", lambda: lab.session.call(for_ever())
        ).click()
        assert begun.wait(100)
    until(lambda: "not done The lab was closed meanwhile" in words_of(dashboard.buttons.said.value))


def test_a_view_that_breaks_down_says_so_instead_of_standing_still(lab: Lab) -> None:
    async def broken() -> list[Reason]:
        raise ValueError("nonsense")

    view = LiveView("collabnix", lab.session, broken).start()
    until(lambda: "This view has broken down: ValueError: nonsense" in words_of(view.reason.value))


def test_nothing_is_sent_while_nothing_happens_and_what_happens_is_sent_at_once(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    # so that what happened has soon left the picture
    for module in (view_drawing, view_model, slots, group_history, view):
        monkeypatch.setattr(module, "WINDOW", 0.5)
    shown, frames, sent = lab.watch("collabnix"), list[float](), list[str]()
    shown._also = lambda seen, _: frames.append(seen.now)
    shown.drawing.observe(lambda change: sent.append(change["new"]), "value")
    until(
        lambda: (
            bool(frames)
            and "as wanted." in shown.drawing.value
            and frames[-1] > shown._history.latest + 1.0
        )
    )
    sent.clear()
    frames.clear()
    until(lambda: len(frames) > 2)  # it looks, but seldom, and has nothing to send
    assert all(later - before >= view.IDLE for before, later in pairwise(frames))
    assert sent == []
    lab.kill("collabnix")
    until(lambda: bool(sent))


def test_a_storm_and_a_group_that_is_destroyed_have_a_sign_and_a_reason(lab: Lab) -> None:
    said: list[Reason] = []

    async def why() -> list[Reason]:
        return said

    storm = Reason(
        "backing-off",
        "42 instances ended from outside in the last 10 s",
        slot="3",
        awaits="the next attempt",
    )
    others = [Reason("missing", "no instance in this slot", slot=str(slot)) for slot in range(3)]
    said[:] = [*others, storm]
    shown = LiveView("collabnix", lab.session, why).start()
    until(lambda: "Group collabnix: storm." in shown.drawing.value)
    assert "Why: slot 3: 42 instances ended from outside in the last 10 s" in words_of(
        shown.reason.value
    )
    said[:] = [*others, DESTROYING]
    shown.wake()
    until(lambda: "Group collabnix: being destroyed." in shown.drawing.value)
    until(lambda: "Why: the group is being destroyed" in words_of(shown.reason.value))
    assert words_of(shown.reason.value).endswith(
        "To let it go at once: lab.free('collabnix', force=True)"
    )
