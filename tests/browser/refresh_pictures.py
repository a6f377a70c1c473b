"""Take the pictures of the README from a real run, and store them small: ``python
tests/browser/refresh_pictures.py``.

A dashboard of a group that healed, the desk after one cell, the recovery figure of notebook 03.
Look at them before you commit them, and keep the words beside them in the README true.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, expect, sync_playwright

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests" / "browser"), str(ROOT / "tests")]

from chromium import launch  # noqa: E402
from screen import HEALED, Screen  # noqa: E402
from served_lab import ServedLab  # noqa: E402

PICTURES = ROOT / "docs" / "pictures"
COLOURS = 128
"""Colours of a stored picture: flat areas and text need no more."""
DASHBOARD = (
    "from ikdemo.lab import Lab, collabnix\nlab = "
    "Lab()\nlab.start()\nlab.commit(collabnix())\nlab.wait('collabnix')",
    "lab.dashboard('collabnix')",
)


def store(name: str, picture: bytes) -> None:
    """Write a picture with few colours."""
    PICTURES.mkdir(exist_ok=True)
    path = PICTURES / f"{name}.png"
    Image.open(io.BytesIO(picture)).convert("RGB").quantize(COLOURS).save(path, optimize=True)
    sys.stdout.write(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB\n")


@contextmanager
def window(
    browser: Browser, lab: ServedLab, folder: Path, width: int, height: int, scale: float
) -> Iterator[Screen]:
    """Open a window of this size, with so many dots for each pixel."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, device_scale_factor=scale
    )
    yield Screen(context.new_page(), lab, folder)
    context.close()
    lab.end_sessions()


def dashboard(screen: Screen, lab: ServedLab) -> None:
    """Kill a share of a paused group, let it heal after some seconds, and take the dashboard."""
    lab.write("dashboard.ipynb", DASHBOARD)
    screen.open("dashboard.ipynb")
    screen.run_all(60)
    page = screen.page
    status = page.get_by_role("status").nth(1)  # the first one is JupyterLab's own
    page.wait_for_timeout(6_000)  # these waits are what the picture shows as time
    for name, answer, pause in (
        ("kill one", "Killed 1", 4_000),
        ("pause", "Paused", 0),
        ("kill a share", "Killed 2", 4_000),
    ):
        page.get_by_role("button", name=name).click()
        expect(status).to_contain_text(answer)
        page.wait_for_timeout(pause)
    page.get_by_role("button", name="resume").click()
    expect(status).to_contain_text("Resumed")
    page.wait_for_selector(HEALED, state="attached")
    page.wait_for_timeout(3_000)
    page.mouse.move(0, 0)
    store("dashboard", page.locator("#ikdemo-stage").screenshot())


def desk(screen: Screen, lab: ServedLab) -> None:
    """Run the first cell at the desk, ask its plugins in the terminal, and take the whole
    window.
    """
    page = screen.page
    page.goto(lab.door)
    screen.wait_for_kernel()
    page.locator(".jp-Notebook .jp-CodeCell .jp-InputArea-editor").first.click()
    page.keyboard.press("Shift+Enter")
    page.wait_for_selector(HEALED, state="attached", timeout=100_000)
    page.locator(".jp-Terminal .xterm-helper-textarea").first.focus()
    page.keyboard.type("clear; here && infrakit plugin ls\n")
    page.wait_for_timeout(4_000)  # the cell ends, and the terminal answers
    page.locator(".jp-Notebook .jp-CodeCell").first.evaluate("cell => cell.scrollIntoView()")
    store("desk", page.screenshot())


def recovery(screen: Screen) -> None:
    """Run notebook 03 and take its first figure."""
    screen.open("notebooks/03-self-healing.ipynb")
    screen.run_all(100)
    screen.unroll(1400)
    store("recovery", screen.page.locator(".jp-OutputArea-output figure img").first.screenshot())


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="ik-", dir="/tmp"))
    lab = ServedLab(folder)
    try:
        with sync_playwright() as playwright:
            browser = launch(playwright)
            with window(browser, lab, folder, 1500, 860, 1.5) as screen:
                dashboard(screen, lab)
            with window(browser, lab, folder, 1400, 880, 1) as screen:
                desk(screen, lab)
            with window(browser, lab, folder, 1400, 1000, 2) as screen:
                recovery(screen)
            browser.close()
    finally:
        lab.close()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
