"""A browser that crashes takes one test with it, not all that follow."""

from __future__ import annotations

import pytest
from chromium import Chromium
from playwright.sync_api import Error
from window import Window


def test_a_crashed_browser_is_started_again(window: Window) -> None:
    chromium = Chromium(window.playwright())  # not the one that other tests use
    browser = chromium.new_context().browser
    assert browser is not None
    with pytest.raises(Error, match="closed"):
        browser.new_browser_cdp_session().send("Browser.crash")
    page = chromium.new_context().new_page()
    page.set_content("<p>here again</p>")
    assert page.inner_text("p") == "here again"
    chromium.close()
