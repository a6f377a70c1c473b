"""A directory of instance files that this process owns, watches, loses and finds again.

``attend`` brings the index up to date and comes before every look at it: it applies what the kernel noticed, and now and then
compares everything, for file systems that notice nothing. A directory that cannot be looked at is never an empty one. Only
``file`` uses this.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from pathlib import Path

from .. import disk
from ..spi.errors import IkdemoError, PluginFailure
from ..spi.events import Emit
from .contents import Contents, stamp
from .index import Entry, Index
from .watch import Notice, Notices

COMPARE = 10.0
"""Seconds after which everything is compared again, notices or not."""
COMPARE_SHARE = 500
"""But no sooner than after so many times as long as it took: comparing is not what a large directory is for."""
PART = 500
"""Names that are compared at a time: a few milliseconds."""
LOOK_AGAIN = 1.0
"""Seconds between two looks for a directory that vanished."""

_log = logging.getLogger(__name__)


class Directory:
    """One instance directory, from ``open`` to ``close``, across its disappearance and return."""

    def __init__(self, path: Path, emit: Emit) -> None:
        self.path = path
        self._contents = Contents(path, emit)
        self._lease: disk.Lease | None = None
        self._notices: Notices | None = None
        self._compared = self._took = 0.0
        self._comparing: asyncio.Task[None] | None = None
        self._in_doubt = False
        self._warned = False
        self._look_again: asyncio.TimerHandle | None = None

    @property
    def index(self) -> Index:
        """The instances, as of the last ``attend``."""
        return self._contents.index

    def open(self) -> None:
        """Create the directory if it is missing (mode 0700), take it and read it; raises InUse or PluginFailure."""
        try:
            self.path.mkdir(mode=0o700)
        except FileExistsError:
            pass
        except FileNotFoundError:
            raise PluginFailure(f"create {self.path}: its parent folder does not exist") from None
        except OSError as error:
            raise disk.refusal("create", self.path, error) from None
        self._take(quietly=True)
        self._contents.tell_news()

    def close(self) -> None:
        """Give the directory back."""
        if self._look_again is not None:
            self._look_again.cancel()
            self._look_again = None
        if self._comparing is not None:
            self._comparing.cancel()
        if self._notices is not None:
            asyncio.get_running_loop().remove_reader(self._notices.fileno())
            self._notices.close()
            self._notices = None
        if self._lease is not None:
            self._lease.release()
            self._lease = None

    def attend(self) -> None:
        """Make the index equal to the directory as it is now; raises PluginFailure or InUse when that cannot be done."""
        try:
            if self._lease is not None and not self._lease.holds():
                self._let_go()
            if self._lease is None:
                self._take()
                self._contents.tell(f"{self.path} is back")
            else:
                self._catch_up(self._lease.fd)
        except IkdemoError:
            self._in_doubt = True  # what was half applied is compared as a whole next time
            raise
        finally:
            self._contents.tell_news()

    def add(self, name: str, data: bytes) -> None:
        """Write an instance file; killed half-way leaves none. Raises PluginFailure, and SpecError for what is no such file."""
        description = self._contents.read(data)
        written = disk.write_atomic(self._fd, name, data)
        self._contents.add(Entry(name, stamp(written), description))

    def remove(self, entry: Entry) -> None:
        """Delete an instance file; raises PluginFailure when the system refuses."""
        try:
            os.unlink(entry.name, dir_fd=self._fd)
        except OSError as error:
            raise disk.refusal("remove", self.path / entry.name, error) from None
        self._contents.remove(entry)

    @property
    def _fd(self) -> int:
        assert self._lease is not None, "attend comes first"
        return self._lease.fd

    def _take(self, quietly: bool = False) -> None:
        """Own, watch and read the directory, in this order, so that nothing happens unseen in between."""
        self._lease = disk.Lease(self.path)
        try:
            disk.clear_leftovers(self._lease.fd)
            disk.check_writable(self._lease.fd)
            self._watch(self._lease.fd)
            self._compare(self._lease.fd, {}, quietly)
        except BaseException:
            self.close()
            raise

    def _let_go(self) -> None:
        """The directory is not where it was: what was in it is unknown from now on, so nothing in the index is forgotten."""
        self.close()
        self._contents.tell(f"{self.path} is gone: its instances are unknown until it is back")
        self._look_later()

    def _catch_up(self, directory: int) -> None:
        """Look where the kernel noticed something, or everywhere, if it notices nothing or lost notices."""
        noticed = self._notices.take() if self._notices is not None else None
        if noticed is None or self._in_doubt:
            self._compare(directory, noticed or {})
            return
        for name, notice in noticed.items():
            self._contents.look(directory, name, notice)
        idle = self._comparing is None or self._comparing.done()
        if idle and time.monotonic() - self._compared > max(COMPARE, COMPARE_SHARE * self._took):
            self._comparing = asyncio.create_task(self._compare_by_parts(directory), name=f"comparison of {self.path}")

    def _compare(self, directory: int, noticed: dict[str, Notice], quietly: bool = False) -> None:
        """Look everywhere, before anything else is done."""
        self._contents.compare(directory, noticed, quietly)
        self._compared, self._in_doubt = time.monotonic(), False

    async def _compare_by_parts(self, directory: int) -> None:
        """Look everywhere, at some names at a time, so that nobody has to wait until all are done."""
        try:
            began, took = time.monotonic(), 0.0
            names = self._contents.names(directory)
            while names:
                for _ in range(min(PART, len(names))):
                    self._contents.look(directory, names.pop(), None)
                took += time.monotonic() - began
                await asyncio.sleep(0)
                began = time.monotonic()
            self._compared, self._took = began, took
        except IkdemoError:
            self._in_doubt = True
            self._look_later()
        finally:
            self._contents.tell_news()

    def _watch(self, directory: int) -> None:
        try:
            self._notices = Notices(directory)
        except OSError as error:
            if not self._warned:
                reason = (error.strerror or str(error)).lower()
                _log.warning("%s cannot be watched (%s): it is read at every call, deletions are noticed late", self.path, reason)
            self._warned = True
            return
        asyncio.get_running_loop().add_reader(self._notices.fileno(), self._noticed)

    def _noticed(self) -> None:
        """Look without being asked: the kernel has news, or a vanished directory may be back."""
        try:
            self.attend()
        except IkdemoError:
            self._look_later()

    def _look_later(self) -> None:
        if self._look_again is not None:
            self._look_again.cancel()
        self._look_again = asyncio.get_running_loop().call_later(LOOK_AGAIN, self._noticed)
