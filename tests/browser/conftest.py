"""One JupyterLab, one Chromium and one tab for all browser tests; all of it ends with the last of
them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from chromium import MISSING, Chromium, program
from playwright.sync_api import expect
from screen import Screen
from served_lab import ServedLab
from window import PATIENCE, Window

OPENED = pytest.StashKey[Window]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let a test run once more whose browser crashed under it; the summary lists it as ``R``."""
    for item in items:
        if "window" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.flaky(reruns=1, only_rerun=["TargetClosedError"]))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, None, None]:
    """Close the window after the last browser test: others may need an event loop of their own."""
    try:
        return (yield)
    finally:
        window = item.session.stash.get(OPENED, None)
        if window and (nextitem is None or nextitem.path.parent != item.path.parent):
            window.close()


@pytest.fixture(scope="session")
def served_lab() -> Iterator[ServedLab]:
    """Start JupyterLab in a folder of its own."""
    # kernels make sockets below it: short
    folder = Path(tempfile.mkdtemp(prefix="ik-", dir="/tmp"))
    lab = ServedLab(folder)
    yield lab
    lab.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def window(request: pytest.FixtureRequest) -> Iterator[Window]:
    """Give the window that is closed after the last browser test."""
    if program() is None:
        pytest.skip(MISSING)
    expect.set_options(timeout=PATIENCE)
    made = request.session.stash[OPENED] = Window()
    yield made
    made.close()  # where the run ends before that test


@pytest.fixture
def chromium(window: Window) -> Chromium:
    """Give the Chromium that is shared."""
    return window.chromium()


@pytest.fixture(scope="session")
def shots() -> Path | None:
    """Return the folder where pictures are kept, IKDEMO_SCREENSHOTS; None keeps those of tests that
    fail: to draw a page of many screens takes seconds.
    """
    folder = os.environ.get("IKDEMO_SCREENSHOTS")
    if not folder:
        return None
    Path(folder).mkdir(parents=True, exist_ok=True)
    return Path(folder)


@pytest.fixture
def screen(
    window: Window,
    served_lab: ServedLab,
    shots: Path | None,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> Iterator[Screen]:
    """Give the tab that is shared, with nothing open in it; afterwards neither kernel, nor setting,
    nor a notebook that was changed is left.
    """
    failed, is_clean = request.session.testsfailed, False
    screen = Screen(window.shared_tab(), served_lab, shots)
    yield screen
    try:
        if request.session.testsfailed != failed:
            screen.shots = shots or tmp_path
        screen.shoot(f"end-of-{request.node.name}")
        if request.session.testsfailed == failed:
            screen.close_all()
            is_clean = True
    finally:
        screen.stop_listening()
        leave_as_found(served_lab)
        if not is_clean:
            window.close_tab()


@pytest.fixture
def fresh_screen(
    window: Window,
    served_lab: ServedLab,
    shots: Path | None,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> Iterator[Screen]:
    """Give a tab in which nothing was loaded before, and leave as little."""
    failed, screen = request.session.testsfailed, Screen(window.new_tab(), served_lab, shots)
    yield screen
    try:
        if request.session.testsfailed != failed:
            screen.shots = shots or tmp_path
        screen.shoot(f"end-of-{request.node.name}")
        screen.page.context.close()
    finally:
        leave_as_found(served_lab)


def leave_as_found(served_lab: ServedLab) -> None:
    """End the kernels, and forget what was set and typed."""
    served_lab.end_sessions()
    served_lab.forget_settings()
    served_lab.deliver_again()
