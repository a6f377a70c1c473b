"""The time limit of a test, rung in a way that always names the test: whatever swallows it,
wherever it rings, the run goes on.

``pytest-timeout`` rings once, and where the test happens to be. Between its phases that ends the
whole run; in a callback of an event loop, or in ``__del__``, it is swallowed and the test hangs for
ever. Registered by ``conftest``.
"""

from __future__ import annotations

import signal
from collections.abc import Generator
from typing import Any

import pytest

AGAIN = 5.0
"""Seconds after which it rings again in a test that goes on."""


class Limits:
    """Rings inside of setup, call or teardown only; a phase that follows one that was ended has the
    whole time again.
    """

    def __init__(self) -> None:
        self._seconds, self._inside, self._rang = 0.0, False, False

    def pytest_timeout_set_timer(self, item: pytest.Item, settings: Any) -> bool:
        """Begin to wait; pytest-timeout asks for it, and then does not ring itself."""
        self._seconds, self._rang = settings.timeout, False
        signal.signal(signal.SIGALRM, self._ring)
        signal.setitimer(signal.ITIMER_REAL, self._seconds, AGAIN)
        return True

    def pytest_timeout_cancel_timer(self, item: pytest.Item) -> bool:
        """Wait no longer."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._seconds = 0.0
        return True

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_setup(self) -> Generator[None, object, object]:
        return (yield from self._phase())

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        return (yield from self._phase())

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(self) -> Generator[None, object, object]:
        return (yield from self._phase())

    def _phase(self) -> Generator[None, object, object]:
        self._inside = True
        try:
            return (yield)
        finally:
            self._inside = False
            if self._rang and self._seconds:
                self._rang = False
                signal.setitimer(signal.ITIMER_REAL, self._seconds, AGAIN)

    def _ring(self, *_: object) -> None:
        if self._inside:
            self._rang = True
            pytest.fail(f"Timeout (>{self._seconds:g}s)")
