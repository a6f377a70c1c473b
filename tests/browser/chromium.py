"""Finds and starts the Chromium of this machine, without a window, and starts it again when it has
crashed. Playwright's own browsers are not needed.
"""

from __future__ import annotations

import shutil
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Playwright

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


class Chromium:
    """The Chromium that is installed; one that has crashed is replaced when a tab is wanted."""

    def __init__(self, playwright: Playwright) -> None:
        self._playwright, self._browser = playwright, launch(playwright)

    def new_context(self, **options: Any) -> BrowserContext:
        """Return room for tabs that know nothing of each other's; options are Playwright's."""
        if not self._browser.is_connected():
            self._browser = launch(self._playwright)
        return self._browser.new_context(**options)

    def is_connected(self) -> bool:
        """Say whether it lives."""
        return self._browser.is_connected()

    def close(self) -> None:
        """End it, with every tab."""
        self._browser.close()
