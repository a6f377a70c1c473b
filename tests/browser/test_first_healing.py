"""The first minute of a learner: the address that ``make lab`` prints, one cell, and a group that heals before their eyes."""

from __future__ import annotations

import time

import pytest
from screen import Screen
from served_lab import ServedLab

HEALED = 'svg[role="img"][aria-label*="whole again"]'
GENEROUS = 60.0
"""Seconds on a slow, busy machine, where a learner should wait for less than 10."""


@pytest.mark.timeout(150)
def test_one_cell_and_nothing_typed(screen: Screen, served_lab: ServedLab) -> None:
    began = time.monotonic()
    screen.page.goto(served_lab.door)
    first = screen.page.locator(".jp-Notebook .jp-CodeCell .jp-InputArea-editor").first
    first.click(timeout=60_000)
    opened = time.monotonic()
    screen.page.keyboard.press("Shift+Enter")  # asked for before the kernel is ready, as by anybody in a hurry
    screen.page.wait_for_selector(HEALED, state="attached", timeout=60_000)
    seconds = time.monotonic() - began
    print(f"first healing on screen {seconds:.1f} s after the address was opened, of which the page took {opened - began:.1f} s")
    assert seconds < GENEROUS
    assert screen.problems() == []
    assert screen.outside == []
    screen.shoot("first-healing")
