"""A session of a lab with its plugins: the loop thread that talks to them and serves those of this
Python, the threads of views and buttons, and the record of all that plugins tell.

Only here do the calls of a beginner's cell, or of a button, meet the asynchronous clients. A lab
has one session from its opening to its close, or to a reset, which begins another. What looks at
the record, such as a live view, ends with the session that it was begun on.
"""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator
from concurrent.futures import CancelledError, Future
from pathlib import Path
from typing import Any, TypeVar

from ...rpc.peers import Peers
from ...spi.contracts import Plugin
from ...spi.errors import IkdemoError, OutcomeUnknown
from ..teaching.hints import name_the_step
from .child_processes import PluginProcess
from .event_collector import EventCollector
from .stubs import ServedPlugin
from .timeline import Timeline

T = TypeVar("T")
LONGEST_CALL = 120.0
"""Seconds after which a call is given up even if the client's own deadlines failed to end it."""
ANOTHER = "Open a fresh one: run the first code cell, or lab = Lab.fresh()"
MOST_LAST_CALLS = 200
"""Functions that are called at the end."""
PATIENCE = 2.0
"""Seconds that a closing session waits for threads that were begun on it."""


class Session:
    """Open from the moment it is made until ``close``; ``ended`` says then how it was.

    ``views`` has, for each group and each web page, what ends the view that shows it: a newer one
    takes its place.
    """

    def __init__(self, plugin_dir: Path) -> None:
        self.record = Timeline()
        self.open = True
        self.ended = ""
        self.views: dict[str, Callable[[], None]] = {}
        self._plugin_dir = plugin_dir
        self._served: dict[str, ServedPlugin] = {}
        self._threads: list[threading.Thread] = []
        self._last_calls: deque[Callable[[], object]] = deque(maxlen=MOST_LAST_CALLS)
        self._loop = LoopThread()
        self.peers, self._collector = self.call(self._begin())

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run ``work`` in the session's thread and return its result; raises IkdemoError when the
        session is closed.
        """
        try:
            self.must_be_open()
        except IkdemoError:
            work.close()
            raise
        try:
            return self._loop.call(work)
        except IkdemoError as error:
            name_the_step(error)
            raise

    def must_be_open(self) -> None:
        """Raise IkdemoError when the session is closed, or the directory with the sockets
        was removed.
        """
        if not self.open:
            raise IkdemoError(f"This lab is closed. {ANOTHER}")
        if not self.has_directory:
            raise IkdemoError(
                "The directory of this lab was removed, and all that was in it: "
                f"{self._plugin_dir.parent}. {ANOTHER}"
            )

    @property
    def has_directory(self) -> bool:
        """Whether the directory with the sockets is there; the end of a login may take it, or a
        person who tidies up.
        """
        return self._plugin_dir.is_dir()

    def descriptors(self) -> Iterator[int]:
        """Yield every descriptor by which plugins are reached."""
        return self._loop.descriptors()

    def disown(self) -> None:
        """Be closed, in a process that was forked; the threads that would be ended are not
        there.
        """
        self.open, self.ended = False, "another process has this lab"

    def follow(self, processes: Iterable[PluginProcess]) -> None:
        """Wait until these plugins answer, and record what they tell from now on."""
        self.call(self._collector.begin(processes))

    def wait_for(self, processes: Iterable[PluginProcess]) -> None:
        """Wait until these plugins answer; what they tell is not recorded."""
        self.call(self._collector.wait_for(processes))

    def serve(self, plugin: Plugin, name: str) -> None:
        """Serve a plugin object on a socket until the session is closed, in place of the object
        that had the name.
        """
        if name in self._served:
            self.call(self._served.pop(name).stop())
        served = ServedPlugin(plugin, self._plugin_dir / name)
        self.call(served.start())
        self._served[name] = served

    def serves(self, name: str) -> bool:
        """Say whether a plugin of this Python is served under this name."""
        return name in self._served

    def begin(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin ``work`` in the session's thread and return at once."""
        return self._loop.begin(work)

    def spawn(self, work: Callable[[], None], name: str) -> None:
        """Do blocking ``work`` in a thread of its own; it must end soon after ``open`` has become
        false.
        """
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        self._threads.append(threading.Thread(target=work, name=name, daemon=True))
        self._threads[-1].start()

    def at_end(self, last: Callable[[], object]) -> None:
        """Do this when the session has been closed; of a great many, only the last are kept."""
        self._last_calls.append(last)

    def end(self, how: str) -> None:
        """Say that it will be closed, and how it was: live views take a last look, before the
        plugins end.
        """
        self.ended = how
        self.record.add([])

    def close(self, ended: str) -> None:
        """Serve and follow nothing more, and end every thread; what waits for the record is
        woken.
        """
        self.open, self.ended = False, ended
        self.record.add([])
        deadline = time.monotonic() + PATIENCE
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._loop.call(self._end())
        self._loop.close()
        for last in self._last_calls:
            with contextlib.suppress(Exception):  # the notebook may have ended before
                last()

    async def _begin(self) -> tuple[Peers, EventCollector]:
        peers = Peers(self._plugin_dir)
        return peers, EventCollector(peers, self.record)

    async def _end(self) -> None:
        await self._collector.close()
        for served in self._served.values():
            await served.stop()
        await self.peers.close()


class LoopThread:
    """Runs coroutines for threads that cannot wait themselves: a cell that blocks freezes the
    kernel's own loop, this one goes on. The thread is a daemon: it never keeps Python alive.
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
