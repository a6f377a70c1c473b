"""The Chromium that browser tests share, and one tab in it: JupyterLab is loaded once for all of
them, which costs four times the CPU of opening a notebook in it.

Used by the fixtures of the browser tests.
"""

from __future__ import annotations

from chromium import Chromium
from playwright.sync_api import Page, Playwright, sync_playwright

PATIENCE = 100_000
"""Milliseconds to wait for whatever a page should show."""
WIDTH, HEIGHT = 1400, 1000
"""Pixels of a tab, unless a test says otherwise."""


class Window:
    """Starts what is asked for when it is asked for; ``close`` ends it, and all may begin again."""

    def __init__(self) -> None:
        self._playwright: Playwright | None = None
        self._chromium: Chromium | None = None
        self._tab: Page | None = None

    def playwright(self) -> Playwright:
        """Return Playwright; while it lives, its event loop counts as this thread's running one."""
        self._playwright = self._playwright or sync_playwright().start()
        return self._playwright

    def chromium(self) -> Chromium:
        """Return the Chromium that is shared."""
        self._chromium = self._chromium or Chromium(self.playwright())
        return self._chromium

    def new_tab(self, width: int = WIDTH, height: int = HEIGHT) -> Page:
        """Return a tab that has nothing in common with another; its context is to be closed."""
        context = self.chromium().new_context(viewport={"width": width, "height": height})
        context.set_default_timeout(PATIENCE)
        return context.new_page()

    def shared_tab(self) -> Page:
        """Return the tab that is shared, another one if it has crashed."""
        if self._tab is None or not self.chromium().is_connected() or self._tab.is_closed():
            self._tab = self.new_tab()
        self._tab.set_viewport_size({"width": WIDTH, "height": HEIGHT})
        return self._tab

    def close_tab(self) -> None:
        """Close the shared tab: the next one that is asked for is new."""
        tab, self._tab = self._tab, None
        if tab is not None and not tab.is_closed():
            tab.context.close()

    def close(self) -> None:
        """End Chromium and Playwright, if they were started."""
        chromium, playwright = self._chromium, self._playwright
        self._tab = self._chromium = self._playwright = None
        if chromium is not None:
            chromium.close()
        if playwright is not None:
            playwright.stop()
