"""Where there is no stage (Notebook 7, one panel at a time, no extension or widgets), views stay in
their cells and keep keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect
from screen import Screen
from served_lab import ServedLab

CELLS = (
    "from ikdemo.lab import Lab, collabnix\nlab = "
    "Lab()\nlab.start()\nlab.commit(collabnix())\nlab.wait('collabnix')",
    "lab.dashboard('collabnix')",
    "'a cell that nobody shall delete'",
)
NOTEBOOK = "elsewhere.ipynb"
OURS, WIDGETS = re.compile(r"extensions/ikdemo-stage/"), re.compile(r"extensions/@jupyter-widgets/")
KEYS = (
    "d",
    "d",
    "x",
    "a",
    "b",
    "m",
    "z",
    "ArrowDown",
    "ArrowUp",
    "Home",
    "Shift+ArrowDown",
    "Shift+m",
    "0",
    "0",
)
"""What a notebook takes for commands: delete, cut, insert, change, undo, move, mark, merge,
restart.
"""
STATE = """() => {
  const notebook = window.jupyterapp.shell.currentWidget.content;
  const cells = notebook.widgets.map(
    (cell) => `${cell.model.type}${notebook.isSelected(cell) ? ' selected' : ''}`);
  const dialogs = document.querySelectorAll('.jp-Dialog').length;
  return JSON.stringify([cells, notebook.activeCellIndex, dialogs]);
}"""

OF_NOTEBOOK_7 = ("reading 'schema'", "Command 'filebrowser:open-path' not registered")
"""What Notebook 7 complains of when it opens, also without our extension."""


@pytest.fixture
def notebook(screen: Screen, served_lab: ServedLab) -> Iterator[Screen]:
    """Write the notebook, and judge the page at the end."""
    served_lab.write(NOTEBOOK, CELLS)
    yield screen
    assert screen.problems() == []


@pytest.fixture
def elsewhere(fresh_screen: Screen, served_lab: ServedLab) -> Iterator[Screen]:
    """The same in a tab of its own, which does not load what others load."""
    served_lab.write(NOTEBOOK, CELLS)
    yield fresh_screen
    assert fresh_screen.problems() == []


def run_in_lab(screen: Screen) -> None:
    screen.open(NOTEBOOK)
    screen.run_all(60)


def run_in_notebook_7(screen: Screen, served_lab: ServedLab) -> None:
    screen.page.goto(f"{served_lab.url}notebooks/{NOTEBOOK}?token={served_lab.token}")
    screen.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=100_000)
    screen.wait_for_kernel()
    screen.run_all(60)


def kills_in_its_cell(page: Page) -> Locator:
    """See the dashboard in the cell at work, and the live picture change; return its buttons."""
    cell = page.locator(".jp-OutputArea")
    cell.get_by_role("button", name="kill one").click()
    expect(cell.get_by_role("status").nth(1)).to_contain_text("Killed 1: slot")
    expect(cell.locator("svg[role=img][aria-label*='whole again']")).to_have_count(1)
    expect(cell.locator("img")).to_have_count(0)
    return cell.locator(".ik-toolbar")


def types_in_vain(page: Page, bars: Locator) -> None:
    """Press every command of a notebook on a button and in a list: its cells stay as they are."""
    before = page.evaluate(STATE)
    for control in (bars.get_by_role("button", name="pause"), bars.get_by_role("combobox")):
        control.focus()
        for key in KEYS:
            page.keyboard.press(key)
        assert page.evaluate(STATE) == before
        expect(page.locator(".jp-Dialog")).to_have_count(0)
    bars.get_by_role("combobox").focus()
    page.keyboard.press("6")
    page.keyboard.press("ArrowDown")
    assert bars.get_by_role("combobox").evaluate("list => list.selectedOptions[0].text") == "80%"


def test_notebook_7_has_the_dashboard_in_the_cell_and_keeps_its_keys(
    elsewhere: Screen, served_lab: ServedLab
) -> None:
    run_in_notebook_7(elsewhere, served_lab)
    bars = kills_in_its_cell(elsewhere.page)
    types_in_vain(elsewhere.page, bars)
    elsewhere.shoot("notebook-7")
    expect(elsewhere.page.locator("#ikdemo-stage")).to_have_count(0)
    elsewhere.broken[:] = [
        error for error in elsewhere.broken if not any(one in error for one in OF_NOTEBOOK_7)
    ]


def test_one_panel_at_a_time_has_no_room_for_a_stage(notebook: Screen) -> None:
    run_in_lab(notebook)
    expect(notebook.page.locator("#ikdemo-stage .ik-picture")).to_be_visible()
    notebook.page.evaluate("window.jupyterapp.shell.mode = 'single-document'")
    bars = kills_in_its_cell(notebook.page)
    types_in_vain(notebook.page, bars)
    notebook.page.evaluate("window.jupyterapp.shell.mode = 'multiple-document'")
    expect(notebook.page.locator("#ikdemo-stage .ik-picture")).to_be_visible()
    expect(notebook.page.locator(".jp-OutputArea .ik-toolbar")).to_have_count(0)


def test_no_key_on_the_stage_reaches_the_notebook(notebook: Screen) -> None:
    run_in_lab(notebook)
    bars = notebook.page.locator("#ikdemo-stage .ik-toolbar")
    bars.get_by_role("button", name="kill one").click()
    types_in_vain(notebook.page, bars)
    notebook.page.get_by_role("button", name="Go to the stage").focus()
    before = notebook.page.evaluate(STATE)
    for key in KEYS:
        notebook.page.keyboard.press(key)
    assert notebook.page.evaluate(STATE) == before


def test_without_our_extension_the_widget_is_in_the_cell(elsewhere: Screen) -> None:
    elsewhere.page.route(OURS, lambda route: route.abort())
    run_in_lab(elsewhere)
    kills_in_its_cell(elsewhere.page)


@pytest.mark.parametrize("missing", [(WIDGETS,), (WIDGETS, OURS)], ids=["no-widgets", "neither"])
def test_without_widgets_the_picture_with_its_words_is_in_the_cell(
    elsewhere: Screen, missing: tuple[re.Pattern[str], ...]
) -> None:
    for extension in missing:
        elsewhere.page.route(extension, lambda route: route.abort())
    run_in_lab(elsewhere)
    picture = elsewhere.page.locator(".jp-OutputArea").get_by_role(
        "img", name="Group collabnix: as wanted. 5 of 5 slots filled"
    )
    expect(picture).to_be_visible()
    assert picture.evaluate("picture => picture.naturalWidth") > 0
    expect(elsewhere.page.locator(".ik-line")).to_have_count(0)
