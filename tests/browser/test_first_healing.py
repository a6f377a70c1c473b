"""The first minute of a learner: the address that ``make lab`` prints, one cell, and a group that
heals before their eyes.
"""

from __future__ import annotations

import time

from screen import Screen
from served_lab import ServedLab

HEALED = 'svg[role="img"][aria-label*="whole again"]'


def test_one_cell_and_nothing_typed(screen: Screen, served_lab: ServedLab) -> None:
    began = time.monotonic()
    screen.page.goto(served_lab.door)
    screen.wait_for_kernel()  # JupyterLab drops a cell that is run before
    opened = time.monotonic()
    screen.page.locator(".jp-Notebook .jp-CodeCell .jp-InputArea-editor").first.click()
    screen.page.keyboard.press("Shift+Enter")
    screen.page.wait_for_selector(HEALED, state="attached", timeout=100_000)
    seconds = time.monotonic() - began
    print(
        f"first healing on screen {seconds:.1f} s after the address was opened; page and kernel "
        f"took {opened - began:.1f} s of it"
    )
    assert screen.problems() == []
    assert screen.outside == []
    screen.shoot("first-healing")
