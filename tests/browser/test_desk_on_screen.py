"""The first minutes of a learner: the address that ``make lab`` prints, one cell, and a group that
heals before their eyes, beside two terminals that see its plugins; the card that lays the desk
again, and the settings. All from one visit.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from asking import until
from playwright.sync_api import expect
from screen import HEALED, Screen
from served_lab import ServedLab
from window import Window

from ikdemo.cli.jupyter import DESK

SHOWN = """() => [...window.jupyterapp.shell.widgets('main')]
 .filter((one) => one.content?._term).map((one) => {
  const buffer = one.content._term.buffer.active;
  return [...Array(buffer.length).keys()]
    .map((row) => buffer.getLine(row).translateToString(true)).join('\\n');
})"""
"""What each terminal shows: its letters are drawn, and are not in the page."""


@pytest.fixture(scope="module")
def fresh_lab() -> Iterator[ServedLab]:
    """Start a JupyterLab that was not used before."""
    folder = Path(tempfile.mkdtemp(prefix="ik-", dir="/tmp"))
    with pytest.MonkeyPatch.context() as patch:
        # where labs are made: no other lab of this machine is there
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        lab = ServedLab(folder)
    yield lab
    lab.end_sessions()
    lab.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def desk_on_screen(window: Window, fresh_lab: ServedLab, shots: Path | None) -> Iterator[Screen]:
    """Open the address that ``make lab`` hands to the browser."""
    screen, began = Screen(window.new_tab(1400, 900), fresh_lab, shots), time.monotonic()
    screen.page.goto(fresh_lab.door)
    screen.wait_for_kernel()  # JupyterLab drops a cell that is run before
    print(f"page and kernel took {time.monotonic() - began:.1f} s")
    yield screen
    screen.page.context.close()


def test_one_cell_and_nothing_typed(desk_on_screen: Screen) -> None:
    page, began = desk_on_screen.page, time.monotonic()
    page.locator(".jp-Notebook .jp-CodeCell .jp-InputArea-editor").first.click()
    page.keyboard.press("Shift+Enter")
    page.wait_for_selector(HEALED, state="attached")
    print(f"first healing on screen {time.monotonic() - began:.1f} s after the click")
    assert desk_on_screen.problems() == []
    assert desk_on_screen.outside == []
    desk_on_screen.shoot("first-healing")


def test_a_terminal_sees_what_the_notebook_beside_it_started(desk_on_screen: Screen) -> None:
    page = desk_on_screen.page
    expect(page.locator(".jp-Terminal")).to_have_count(2)
    until(lambda: all("end with Ctrl-C" in shown for shown in page.evaluate(SHOWN)))
    desk_on_screen.shoot("desk")
    page.locator(".jp-Terminal .xterm-helper-textarea").first.focus()
    page.keyboard.type("here && infrakit plugin ls\n")
    until(
        lambda: any(
            "/plugins/instance-file" in "".join(shown.split()) for shown in page.evaluate(SHOWN)
        )
    )
    assert any(
        "the lab of 00-welcome.ipynb" in " ".join(shown.split()) for shown in page.evaluate(SHOWN)
    )
    desk_on_screen.shoot("desk-used")
    assert desk_on_screen.problems() == []
    assert desk_on_screen.outside == []


def test_the_card_lays_the_desk_again(desk_on_screen: Screen, fresh_lab: ServedLab) -> None:
    page = desk_on_screen.page
    page.evaluate("window.jupyterapp.commands.execute('docmanager:save-all').then(() => 0)")
    page.evaluate("window.jupyterapp.commands.execute('application:close-all').then(() => 0)")
    expect(page.locator(".jp-Terminal")).to_have_count(0)
    # a notebook opened again at once would be given the kernel that is just ending
    until(lambda: not fresh_lab.sessions())
    page.get_by_text("Walk-through").click()
    desk_on_screen.wait_for_kernel()
    expect(page.locator(".jp-Terminal")).to_have_count(2)
    expect(page.get_by_role("tab", name="00-welcome.ipynb")).to_be_visible()


def test_jupyterlab_has_our_settings(desk_on_screen: Screen) -> None:
    for plugin, wanted in json.loads((DESK / "overrides.json").read_text()).items():
        answer = desk_on_screen.page.request.get(
            desk_on_screen.page.url.partition("lab/")[0] + f"lab/api/settings/{plugin}"
        )
        defaults = {name: answer.json()["schema"]["properties"][name]["default"] for name in wanted}
        merged = {
            name: defaults[name] | value if isinstance(value, dict) else value
            for name, value in wanted.items()
        }
        assert defaults == merged, f"{plugin}: install the package again"
