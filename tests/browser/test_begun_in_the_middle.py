"""A learner who opens a notebook and begins in the middle is told which step was skipped, goes back
to it, and all is well.
"""

from __future__ import annotations

from playwright.sync_api import expect
from screen import Screen


def test_the_skipped_cell_is_named(screen: Screen) -> None:
    screen.open("notebooks/01-plugins.ipynb")
    cells = screen.page.locator(".jp-Notebook .jp-CodeCell")
    for number, answer in (
        (1, "There is no `lab` yet: the first code cell makes it"),
        (0, "Lab with no plugin"),
        (1, "running"),
    ):
        cells.nth(number).locator(".jp-InputArea-editor").click()
        screen.page.keyboard.press("Shift+Enter")
        shown = cells.nth(number).locator(".jp-OutputArea-output")
        expect(shown.last).to_contain_text(answer, timeout=100_000)
        expect(shown.last).not_to_contain_text("Traceback")
        screen.shoot(f"skipped-step-{answer.split()[0].lower()}")
    assert screen.problems() == []
    assert screen.too_wide() == []
