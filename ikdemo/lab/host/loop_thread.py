"""A thread with an event loop of its own, so that a beginner's synchronous cell can use the
asynchronous clients.

A cell that blocks freezes the kernel's own loop; this one goes on, follows the event streams and
answers.
"""

from __future__ import annotations

import asyncio
import selectors
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

from ...spi.errors import IkdemoError, OutcomeUnknown

T = TypeVar("T")
LONGEST_CALL = 120.0
"""Seconds after which a call is given up even if the client's own deadlines failed to end it."""


class LoopThread:
    """Runs coroutines for threads that cannot wait themselves. The thread is a daemon: it never
    keeps Python alive.
    """

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._loop = asyncio.SelectorEventLoop(self._selector)
        self._ending = threading.Lock()  # nothing is begun that would never run
        self._ended = False
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="ikdemo-lab", daemon=True
        )
        self._thread.start()

    def begin(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin ``work`` and return at once; raises IkdemoError after ``close``."""
        with self._ending:
            if self._ended:
                work.close()
                raise IkdemoError("The lab was closed meanwhile")
            return asyncio.run_coroutine_threadsafe(work, self._loop)

    def call(self, work: Coroutine[Any, Any, T], timeout: float = LONGEST_CALL) -> T:
        """Run ``work`` to its end and return its result, or raise its error. An interrupted cell
        cancels it.
        """
        future = self.begin(work)
        try:
            return future.result(timeout)
        except CancelledError:
            raise IkdemoError("The lab was closed meanwhile") from None
        except TimeoutError:
            raise OutcomeUnknown(f"no answer within {timeout:.0f} s") from None
        finally:
            future.cancel()

    def descriptors(self) -> Iterator[int]:
        """Yield every descriptor that the loop waits for, and that of the loop."""
        if not self._loop.is_closed():
            yield from [key.fd for key in self._selector.get_map().values()]
            yield self._selector.fileno()

    def close(self) -> None:
        """Cancel what still runs, so that no call waits for it in vain, and end the thread."""
        with self._ending:
            last = asyncio.run_coroutine_threadsafe(_cancel_all(), self._loop)
            self._ended = True
        last.result(10.0)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10.0)
        self._loop.close()


async def _cancel_all() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
