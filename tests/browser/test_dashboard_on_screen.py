"""The dashboard on the stage, under a learner's hands: clicked, driven by keys alone, and met again
after a restart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect
from screen import Screen
from served_lab import ServedLab

NOTEBOOK = "dashboard.ipynb"
CELLS = (
    "from ikdemo.lab import Lab, collabnix\nlab = "
    "Lab()\nlab.start()\nlab.commit(collabnix())\nlab.wait('collabnix')",
    "lab.dashboard('collabnix')",
)
PLUGINS = ("flavor-vanilla", "group", "instance-file")
CYCLE = (
    ("stop", "Enter", "was asked to end", "stopped"),
    ("start", "Space", "is started", "running"),
    ("kill -9", "Space", "was killed", "killed"),
    ("start", "Enter", "is started", "running"),
)
"""What is done to each plugin: the button, the key, the answer, the lamp."""
BUTTONS = "#ikdemo-stage .ik-toolbar button"
FOCUSED = "() => document.activeElement.title || document.activeElement.tagName"
MOST_TABS = 5
"""Presses of Tab, from the stage's entry, within which the row of every control is met."""
MOST_ARROWS = 12
"""Presses of an arrow key within which a row was walked through."""


@pytest.fixture
def dashboard(screen: Screen, served_lab: ServedLab) -> Iterator[Dashboard]:
    """Open a notebook that shows the dashboard of a group of five, and run it."""
    served_lab.write(NOTEBOOK, CELLS)
    screen.open(NOTEBOOK)
    screen.run_all(60)
    shown = Dashboard(screen)
    shown.tells("as wanted. 5 of 5 slots filled.")
    yield shown
    assert screen.problems() == []
    assert screen.outside == []


class Dashboard:
    """The controls of the one dashboard in the notebook, and what it says."""

    def __init__(self, screen: Screen) -> None:
        self.screen, self.page = screen, screen.page
        self._pressed: set[str] = set()

    def button(self, purpose: str) -> Locator:
        return self.page.locator(f'{BUTTONS}[title^="{purpose}"]')

    def tells(self, words: str) -> None:
        """Wait until the picture says so to a learner who cannot see it."""
        self.page.locator(f'#ikdemo-stage svg[role="img"][aria-label*="{words}"]').first.wait_for(
            state="attached"
        )

    def answers(self, words: str) -> None:
        """Wait until the line above the buttons says so."""
        expect(self.page.get_by_role("status").nth(1)).to_contain_text(words)

    def lamp(self, plugin: str, state: str) -> None:
        """Wait until a plugin's lamp shows a state."""
        row = self.page.locator(".widget-hbox", has=self.page.get_by_title(f"stop {plugin}"))
        expect(row).to_contain_text(state)

    def reach(self, purpose: str) -> None:
        """Go to the stage's entry, press Tab until the row of the control is reached, and walk
        along it with the arrow key.
        """
        self.page.locator("#ikdemo-stage").focus()
        for _ in range(MOST_TABS):
            self.page.keyboard.press("Tab")
            for _ in range(MOST_ARROWS):
                if self.page.evaluate(FOCUSED).startswith(purpose):
                    return
                self.page.keyboard.press("ArrowRight")
        raise AssertionError(
            f"{purpose!r} cannot be reached with {MOST_TABS} presses of Tab and the arrow keys"
        )

    def press(self, purpose: str, key: str) -> None:
        """Press a button with a key, as soon as it can be pressed."""
        expect(self.button(purpose)).to_be_enabled()
        self.reach(purpose)
        self._pressed.add(self.page.evaluate(FOCUSED))
        self.page.keyboard.press(key)

    def never_pressed(self) -> set[str]:
        """Return the buttons that no key has pressed."""
        titles = {one.get_attribute("title") or "" for one in self.page.locator(BUTTONS).all()}
        return titles - self._pressed


def test_one_is_killed_by_a_click_and_comes_back(dashboard: Dashboard) -> None:
    dashboard.page.get_by_role("button", name="kill one").click()
    dashboard.answers("Killed 1: slot")
    dashboard.tells("whole again")
    dashboard.tells("as wanted. 5 of 5 slots filled.")
    expect(dashboard.page.get_by_role("table", name="The last events")).to_contain_text(
        "FAULT: removed the file of instance-"
    )
    for theme in ("Light", "Dark"):
        dashboard.screen.theme(theme)
        for width in (1400, 900):
            dashboard.screen.unroll(width)
            dashboard.screen.shoot(f"dashboard-{width}-{theme.lower()}")
            assert dashboard.screen.nameless() == []
            assert dashboard.screen.too_wide() == []


def test_every_control_is_worked_by_keys_alone(dashboard: Dashboard) -> None:
    dashboard.press("pause", "Enter")
    dashboard.answers("Paused collabnix.")
    dashboard.tells("collabnix: paused.")
    dashboard.reach("SELECT")
    dashboard.page.keyboard.press("6")  # 60 %
    dashboard.press("kill a share", "Space")
    dashboard.answers("Killed 3: slots")
    dashboard.tells("2 of 5 slots filled.")
    expect(dashboard.page.get_by_role("status").first).to_contain_text("Why: the group is paused")
    dashboard.press("observe", "Enter")
    dashboard.answers("Observed: 2 instances. Nothing was changed.")
    dashboard.press("plan", "Space")
    dashboard.answers("3 actions. Nothing was changed.")
    dashboard.press("act", "Enter")
    dashboard.answers("acted: 3 actions.")
    dashboard.tells("5 of 5 slots filled.")
    dashboard.press("step", "Space")
    dashboard.answers("One pass was made: 0 actions.")
    dashboard.press("resume", "Enter")
    dashboard.answers("Resumed collabnix.")
    for plugin in PLUGINS:
        for verb, key, said, state in CYCLE:
            dashboard.press(f"{verb} {plugin}", key)
            dashboard.answers(f"{plugin} {said}")
            dashboard.lamp(plugin, state)
    dashboard.press("kill one", "Space")
    dashboard.answers("Killed 1: slot")
    dashboard.tells("as wanted. 5 of 5 slots filled.")
    expect(dashboard.button("play the last fall again")).to_be_visible()
    dashboard.press("play the last fall again", "Enter")
    assert dashboard.never_pressed() == set()


def test_a_dashboard_lives_through_a_reload_and_leaves_its_picture_when_the_kernel_restarts(
    dashboard: Dashboard,
) -> None:
    page = dashboard.page
    save(page)
    page.reload()
    dashboard.screen.wait_for_kernel()
    page.get_by_role("button", name="kill one").click()
    dashboard.answers("Killed 1: slot")
    page.get_by_role("menuitem", name="Kernel").click()
    page.get_by_text("Restart Kernel…", exact=True).click()
    page.get_by_role("button", name="Confirm Kernel Restart").click()
    shows_only_its_picture(dashboard)
    save(page)  # without the widgets, of which the page knows nothing any more
    page.reload()
    dashboard.screen.wait_for_kernel()
    shows_only_its_picture(dashboard)
    assert dashboard.screen.problems() == []
    dashboard.screen.shoot("dashboard-after-restart")
    dashboard.screen.run_all(60)
    page.get_by_role("button", name="kill one").click()
    dashboard.answers("Killed 1: slot")


def save(page: Page) -> None:
    page.evaluate("window.jupyterapp.commands.execute('docmanager:save').then(() => 0)")


def shows_only_its_picture(dashboard: Dashboard) -> None:
    picture = dashboard.page.locator(".jp-OutputArea").get_by_role(
        "img", name="Group collabnix: as wanted."
    )
    expect(picture).to_have_attribute("alt", re.compile("Run the cell to see it move"))
    expect(dashboard.page.locator(BUTTONS).filter(visible=True)).to_have_count(0)
    expect(dashboard.page.locator(".jp-OutputArea button")).to_have_count(0)
