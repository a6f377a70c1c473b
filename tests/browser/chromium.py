"""Finds and starts the Chromium of this machine, without a window. Playwright's own browsers are
not needed.
"""

from __future__ import annotations

import shutil

from playwright.sync_api import Browser, Playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
MISSING = (
    f"no Chromium is installed (looked for {', '.join(NAMES)}); on Debian: apt install chromium"
)
ARGUMENTS = [
    "--no-sandbox",  # a container's root has none
    "--disable-gpu",
    "--disable-dev-shm-usage",  # containers have 64 MB there
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def program() -> str | None:
    """Return the path of the Chromium that is installed."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def launch(playwright: Playwright) -> Browser:
    """Start the Chromium that is installed."""
    return playwright.chromium.launch(executable_path=program(), args=ARGUMENTS, timeout=100_000)
