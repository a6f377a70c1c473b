"""Notebooks as a learner meets them: opened in a browser and run wholly, with nothing wrong,
nothing cut off, nothing unsaid.
"""

from __future__ import annotations

import pytest
from screen import OUTPUTS, PICTURES, Screen
from served_lab import ROOT

NOTEBOOKS = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
RUN = ("00-welcome", "03-self-healing")
WITHIN = 200.0
"""Seconds for all cells of one notebook on a slow, busy machine."""


@pytest.mark.parametrize("name", RUN)
def test_a_whole_notebook(screen: Screen, name: str) -> None:
    screen.open(f"notebooks/{name}.ipynb")
    screen.run_all(WITHIN)
    screen.close_stage()
    for theme in ("Light", "Dark"):
        screen.theme(theme)
        for width in (1400, 900):
            screen.unroll(width)
            screen.shoot(f"{name}-{width}-{theme.lower()}")
            assert screen.problems() == []
            assert screen.nameless() == []
            assert screen.too_wide() == []
    assert screen.page.locator(PICTURES).count() >= 2
    assert screen.outside == []


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_as_it_comes(screen: Screen, name: str) -> None:
    screen.look_at(f"notebooks/{name}")
    screen.unroll(900)
    assert screen.problems() == []
    assert screen.nameless() == []
    assert screen.too_wide() == []
    assert screen.outside == []


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_what_a_notebook_has_recorded_keeps_nobody_out(screen: Screen, name: str) -> None:
    screen.look_at(f"recorded/{name.removesuffix('.ipynb')}-recorded.ipynb")
    screen.unroll(1200)
    for theme in ("Light", "Dark"):
        screen.theme(theme)
        assert screen.barriers(OUTPUTS) == [], theme
