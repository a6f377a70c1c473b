"""A thread with an event loop of its own, so that a beginner's synchronous cell can use the asynchronous clients.

A cell that blocks freezes the kernel's own loop; this one goes on, follows the event streams and answers. Used by ``Line`` only.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from ..spi.errors import OutcomeUnknown

T = TypeVar("T")
LONGEST_CALL = 120.0
"""Seconds after which a call is given up even if the client's own deadlines failed to end it."""


class Background:
    """Runs coroutines for threads that cannot wait themselves. The thread is a daemon: it never keeps Python alive."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="ikdemo-lab", daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T], timeout: float = LONGEST_CALL) -> T:
        """Run ``work`` to its end and return its result, or raise its error. An interrupted cell cancels it."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(timeout)
        except TimeoutError:
            raise OutcomeUnknown(f"no answer within {timeout:.0f} s") from None
        finally:
            future.cancel()

    def close(self) -> None:
        """End the thread; whoever started tasks in it has ended them before."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10.0)
        self._loop.close()
