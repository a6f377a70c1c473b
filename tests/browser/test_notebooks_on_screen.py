"""Notebooks as a learner meets them: opened in a browser and run wholly, with nothing wrong,
nothing cut off, nothing unsaid; clean when they open, and run up to the exercise.
"""

from __future__ import annotations

import re
import subprocess

import pytest
from screen import OUTPUTS, PICTURES, RAN, Screen, state
from served_lab import ROOT, ServedLab
from window import HEIGHT, WIDTH

NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
WITH_PICTURES = ("00-welcome", "03-self-healing")
"""Those that are looked at in every width and theme when they were run."""
WITHIN = 200.0
"""Seconds for all cells of one notebook on a slow, busy machine."""
TOLD = """() => window.jupyterapp.shell.currentWidget.context
  .sessionContext.session.kernel.info.then(() => true)"""
SEEN = """() => {
  const { content } = window.jupyterapp.shell.currentWidget;
  const cell = content.activeCell.node.getBoundingClientRect();
  const page = content.node.getBoundingClientRect();
  return [content.activeCell.model.sharedModel.getSource(),
    cell.top >= page.top - 1 && cell.top < page.bottom];
}"""
ENDED = """() => window.jupyterapp.shell.currentWidget.content.widgets.filter(
  (cell) => cell.model.type === 'code' &&
    JSON.stringify(cell.model.outputs.toJSON()).includes('Run All ends here')).length"""


def git_status() -> str:
    """Say what git finds changed in the repository."""
    return subprocess.run(
        ["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_clean_when_it_opens_and_runs_up_to_its_exercise(
    name: str, screen: Screen, served_lab: ServedLab
) -> None:
    page, path = screen.page, served_lab.desk / "notebooks" / f"{name}.ipynb"
    delivered, repository = path.read_bytes(), git_status()
    screen.look_at(f"notebooks/{name}.ipynb")
    screen.unroll(900)
    assert_well(screen)
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    screen.wait_for_kernel()
    assert page.evaluate(TOLD)  # this is what JupyterLab writes into a notebook
    assert state(page) == (f"notebooks/{name}.ipynb", False)
    assert path.read_bytes() == delivered
    screen.run_all(WITHIN)
    assert screen.problems() == []
    # of cells that are out of sight, JupyterLab keeps no output on the page
    page.wait_for_function(f"({ENDED})() === 1")
    source, seen = page.evaluate(SEEN)
    assert re.match(r"(exercises\.|immunology\()", source)
    assert seen
    ran = page.evaluate(RAN)
    place = [cell for cell, _ in ran].index(source)
    assert [done for _, done in ran] == [True] * (place + 1) + [False] * (len(ran) - place - 1)
    page.evaluate("window.jupyterapp.commands.execute('docmanager:save').then(() => 0)")
    assert '"output_type"' in path.read_text()
    assert git_status() == repository
    if name in WITH_PICTURES:
        look_everywhere(screen, name)
    assert screen.outside == []


def look_everywhere(screen: Screen, name: str) -> None:
    """Judge what was run in each theme and width."""
    screen.close_stage()
    for theme in ("Light", "Dark"):
        screen.theme(theme)
        for width in (1400, 900):
            screen.unroll(width)
            screen.shoot(f"{name}-{width}-{theme.lower()}")
            assert_well(screen)
    assert screen.page.locator(PICTURES).count() >= 2


def assert_well(screen: Screen) -> None:
    """See nothing wrong, nothing unsaid, nothing cut off."""
    assert screen.problems() == []
    assert screen.nameless() == []
    assert screen.too_wide() == []


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_what_a_notebook_has_recorded_keeps_nobody_out(screen: Screen, name: str) -> None:
    screen.look_at(f"recorded/{name}-recorded.ipynb")
    screen.unroll(1200)
    for theme in ("Light", "Dark"):
        screen.theme(theme)
        assert screen.barriers(OUTPUTS) == [], theme
