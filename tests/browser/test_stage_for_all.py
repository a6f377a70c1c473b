"""The stage for those who use no mouse, see no picture, or want no motion; and a replay that plays,
and again when asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect
from screen import OUTPUTS, Screen
from served_lab import ServedLab

NOTEBOOK = "replayed.ipynb"
CELLS = (
    "from ikdemo.lab import Lab, collabnix\nlab = "
    "Lab()\nlab.start()\nlab.commit(collabnix())\nlab.wait('collabnix')",
    "lab.dashboard('collabnix')",
)
OURS = ("#ikdemo-stage", OUTPUTS)
"""The parts of the page for which we answer: the stage, and what the cells show."""
MOVING = """() => [...document.querySelectorAll('#ikdemo-stage .ik-replay g')]
  .flatMap((curtain) => curtain.getAnimations())
  .map((one) => ({
    state: one.playState, at: one.currentTime, lasts: one.effect.getTiming().duration }))"""
CONTROLS = """() => [...document.querySelectorAll('#ikdemo-stage button, #ikdemo-stage select')]
  .filter((one) => one.offsetParent && !one.disabled).map((one) => one.title || one.tagName)"""
FOCUSED = """() => {
  const one = document.activeElement;
  const is_ours = one.closest('#ikdemo-stage') && one.matches('button, select');
  return is_ours ? one.title || one.tagName : '';
}"""


@pytest.mark.timeout(300)
def test_axe_finds_nothing_of_ours(screen: Screen) -> None:
    screen.open("notebooks/00-welcome.ipynb")
    screen.page.evaluate(
        """async () => {
          const notebook = window.jupyterapp.shell.currentWidget.content;
          const last = notebook.widgets.findIndex(
            (cell) => cell.model.sharedModel.source.includes('lab.close()'));
          notebook.activeCellIndex = last;
          await window.jupyterapp.commands.execute('notebook:run-all-above');
        }"""
    )
    expect(
        screen.page.locator("#ikdemo-stage svg[aria-label*='whole again']").first
    ).to_be_visible()
    for theme in ("Light", "Dark"):
        screen.theme(theme)
        for part in OURS:
            assert screen.barriers(part) == [], theme


def test_every_control_is_within_five_tabs_and_some_arrows(
    screen: Screen, served_lab: ServedLab
) -> None:
    page = _dashboard(screen, served_lab)
    page.get_by_role("button", name="kill one").click()
    expect(page.get_by_role("button", name="Again")).to_be_visible()
    page.get_by_role("button", name="Go to the stage").press("Enter")
    met = set[str]()
    for _ in range(5):
        page.keyboard.press("Tab")
        while page.evaluate(FOCUSED) and page.evaluate(FOCUSED) not in met:
            met.add(page.evaluate(FOCUSED))
            page.keyboard.press("ArrowRight")
    assert met == set(page.evaluate(CONTROLS))
    assert len(met) == 19
    bars = page.locator("#ikdemo-stage").get_by_role("toolbar")
    assert [bar.get_attribute("aria-label") for bar in bars.all()] == [
        "Break",
        "Loop",
        "By hand",
        "Plugins",
        "Replay",
    ]


@pytest.fixture
def calm(screen: Screen) -> Iterator[Screen]:
    """Give the tab to a person who wants no motion."""
    screen.page.set_viewport_size({"width": 1366, "height": 768})
    screen.page.emulate_media(reduced_motion="reduce")
    yield screen
    screen.page.emulate_media(reduced_motion="null")


def test_a_replay_plays_and_plays_again(screen: Screen, served_lab: ServedLab) -> None:
    page = _dashboard(screen, served_lab)
    page.get_by_role("button", name="kill one").click()
    replay = page.locator("#ikdemo-stage .ik-replay svg[role=img]")
    expect(replay).to_have_attribute("aria-label", re.compile("^Replay of the last quick fall, "))
    (first,) = page.evaluate(MOVING)
    assert 2_000 < first["lasts"] < 10_000
    page.wait_for_function(f"({MOVING})()[0].state === 'finished'")
    page.get_by_role("button", name="Again").click()
    page.wait_for_function(f"({MOVING})()[0].state === 'running'")
    screen.shoot("replay-again")


def test_a_replay_stands_still_for_those_who_want_no_motion(
    calm: Screen, served_lab: ServedLab
) -> None:
    page = _dashboard(calm, served_lab)
    page.get_by_role("button", name="kill one").click()
    curtain = page.locator("#ikdemo-stage .ik-replay g")
    expect(curtain).to_have_count(1)
    expect(curtain).to_be_hidden()
    assert page.evaluate(MOVING) == []
    expect(page.locator("#ikdemo-stage .ik-replay")).to_contain_text("times slower")


def _dashboard(screen: Screen, served_lab: ServedLab) -> Page:
    served_lab.write(NOTEBOOK, CELLS)
    screen.open(NOTEBOOK)
    screen.run_all(60)
    expect(screen.page.get_by_role("button", name="kill one")).to_be_visible()
    return screen.page
