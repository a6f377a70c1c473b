"""One JupyterLab for all browser tests, a Chromium for each file of them, a fresh tab for each
test; all of it ends.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import MISSING, Chromium, program
from playwright.sync_api import expect, sync_playwright
from screen import Screen
from served_lab import ServedLab

PATIENCE = 100_000
"""Milliseconds to wait for whatever a page should show."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let a test run once more whose browser crashed under it; the summary lists it as ``R``."""
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.flaky(reruns=1, only_rerun=["TargetClosedError"]))


@pytest.fixture(scope="session")
def served_lab() -> Iterator[ServedLab]:
    """Start JupyterLab in a folder of its own."""
    # kernels make sockets below it: short
    folder = Path(tempfile.mkdtemp(prefix="ik-", dir="/tmp"))
    lab = ServedLab(folder)
    yield lab
    lab.close()
    shutil.rmtree(folder, ignore_errors=True)


# not longer: while it lives, its event loop counts as this thread's running one
@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    """Start the Chromium of this machine without a window."""
    if program() is None:
        pytest.skip(MISSING)
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = Chromium(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder where screenshots are kept: IKDEMO_SCREENSHOTS, else one of pytest's
    own.
    """
    folder = Path(os.environ.get("IKDEMO_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def screen(
    chromium: Chromium, served_lab: ServedLab, shots: Path, request: pytest.FixtureRequest
) -> Iterator[Screen]:
    """Open a tab that was not used before; afterwards a picture of its end is left, and neither
    kernel nor setting.
    """
    context = chromium.new_context(viewport={"width": 1400, "height": 1000})
    context.set_default_timeout(PATIENCE)
    screen = Screen(context.new_page(), served_lab, shots)
    yield screen
    try:
        screen.shoot(f"end-of-{request.node.name}")
        context.close()
    finally:
        served_lab.end_sessions()
        served_lab.forget_settings()
