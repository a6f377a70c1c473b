"""A directory of instance files that this process owns, watches, loses and finds again.

``refresh`` brings the index up to date and comes before every look at it: it applies what the
kernel noticed, and now and then compares everything, for file systems that notice nothing. A
directory that cannot be looked at is never an empty one, nor is another directory at its path: the
one that was taken stays open, and is waited for, unless it was deleted.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from contextlib import suppress
from pathlib import Path

from ... import disk
from ...spi.errors import IkdemoError, PluginFailure
from ...spi.events import Emit
from ..fence import Fence
from ..notices import Notice, Notices
from .contents import Contents, stamp
from .index import Entry, Index

COMPARE = 10.0
"""Seconds after which everything is compared again, notices or not."""
COMPARE_SHARE = 500
"""But no sooner than after so many times as long as it took: comparing is not what a large
directory is for.
"""
PART = 500
"""Names that are compared at a time: a few milliseconds."""
LOOK_AGAIN = 1.0
"""Seconds between two looks for a directory that vanished."""
QUIET, LISTINGS = 2, 8
"""Listings in a row, with nothing renamed meanwhile, after which a missing file is gone; and how
many are made at most.
"""

_log = logging.getLogger(__name__)


class Directory:
    """One instance directory, from ``open`` to ``close``, across its disappearance and return."""

    def __init__(self, path: Path, emit: Emit, fence: Fence) -> None:
        self.path, self._fence = path, fence
        self._contents = Contents(path, emit)
        self._lease: disk.Lease | None = None
        self._notices: Notices | None = None
        self._compared = self._took = 0.0
        self._comparing: asyncio.Task[None] | None = None
        self._in_doubt = self._is_away = False
        self._warned = False
        self._look_again: asyncio.TimerHandle | None = None

    @property
    def index(self) -> Index:
        """The instances, as of the last ``refresh``."""
        return self._contents.index

    @property
    def fd(self) -> int:
        """The directory itself, after a ``refresh`` that found it."""
        assert self._lease is not None, "refresh comes first"
        return self._lease.fd

    def open(self) -> None:
        """Create the directory if it is missing (mode 0700), take it and read it; raises InUse,
        PluginFailure or CorruptState.
        """
        try:
            self.path.mkdir(mode=0o700)
        except FileExistsError:
            pass
        except FileNotFoundError:
            raise PluginFailure(f"create {self.path}: its parent folder does not exist") from None
        except OSError as error:
            raise disk.refusal("create", self.path, error) from None
        self._take()
        self._contents.report_news()

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

    def refresh(self) -> None:
        """Make the index equal to the directory as it is now; raises PluginFailure or InUse when
        that cannot be done.
        """
        try:
            self._find()
            self._catch_up(self.fd)
        except IkdemoError:
            self._in_doubt = True  # what was half applied is compared as a whole next time
            self._look_later()
            raise
        finally:
            self._contents.report_news()
        for doubt in self._contents.doubts.values():
            self._look_later()
            raise doubt

    def add(self, name: str, data: bytes) -> None:
        """Write an instance file; killed half-way leaves none. Raises PluginFailure, and SpecError
        for what is no such file.
        """
        description = self._contents.read(data)
        written = disk.write_atomic(self.fd, name, data)
        self._contents.add(Entry(name, stamp(written), description))

    def remove(self, entry: Entry) -> None:
        """Delete an instance file; raises PluginFailure when the system refuses."""
        try:
            os.unlink(entry.name, dir_fd=self.fd)
        except OSError as error:
            raise disk.refusal("remove", self.path / entry.name, error) from None
        self._contents.remove(entry)

    def _find(self) -> None:
        """Make sure that the path leads to the directory that was taken, or take the successor of a
        deleted one.

        Raises PluginFailure or InUse; what is in the directory is unknown then, so nothing in the
        index is forgotten.
        """
        try:
            if self._lease is not None:
                self._lease.check_place()
        except IkdemoError as error:
            self._leave(str(error))
            if self._lease is None or not self._lease.is_removed():
                raise
            self.close()
        if self._lease is None:
            try:
                self._take()
            except IkdemoError as error:
                self._leave(str(error))
                raise
        if self._is_away:
            self._is_away = False
            self._listen()
            self._contents.tell(f"{disk.shown(self.path)} is back")

    def _take(self) -> None:
        """Own, watch and read the directory, in this order, so that nothing happens unseen in
        between.
        """
        self._lease = disk.Lease(self.path)
        try:
            disk.clear_leftovers(self._lease.fd)
            disk.check_writable(self._lease.fd)
            self._fence.open(self._lease.fd)
            self._watch(self._lease.fd)
            self._compare(self._lease.fd, {})
        except BaseException:
            self.close()
            raise

    def _leave(self, reason: str) -> None:
        """The directory is not where it was: say so once, and look for it now and then."""
        self._in_doubt = True
        if self._notices is not None:
            # what is noticed meanwhile is taken later
            asyncio.get_running_loop().remove_reader(self._notices.fileno())
        if not self._is_away:
            self._contents.tell(
                f"{disk.shown(self.path)} is gone: its instances are unknown until it is back "
                f"({reason})"
            )
        self._is_away = True

    def _catch_up(self, directory: int) -> None:
        """Look where the kernel noticed something, or everywhere, if it notices nothing or lost
        notices.
        """
        noticed = self._notices.take() if self._notices is not None else None
        if noticed is None or self._in_doubt:
            self._compare(directory, noticed or {})
            return
        for name, notice in noticed.items():
            self._contents.look(directory, name, notice)
        for name in [*self._contents.unfinished, *self._contents.doubts]:
            if name not in noticed:
                self._contents.look(directory, name, None)
        self._settle(directory)
        self._contents.tell_changes()
        idle = self._comparing is None or self._comparing.done()
        if idle and time.monotonic() - self._compared > max(COMPARE, COMPARE_SHARE * self._took):
            self._comparing = asyncio.create_task(
                self._compare_by_parts(directory), name=f"comparison of {self.path}"
            )

    def _compare(self, directory: int, noticed: dict[str, Notice]) -> None:
        """Look everywhere, before anything else is done."""
        self._contents.compare(directory, noticed)
        self._settle(directory)
        self._contents.tell_changes()
        self._compared, self._in_doubt = time.monotonic(), False

    def _settle(self, directory: int) -> None:
        """Find files that were renamed, so that no instance is lost by that; raises PluginFailure
        if there is no end to it.
        """
        quiet = listings = 0
        while self._contents.is_unsure() and quiet < QUIET:
            if listings == LISTINGS:
                raise PluginFailure(
                    f"{disk.shown(self.path)}: its files are being renamed faster than they can "
                    "be listed"
                )
            noticed = self._notices.take() if self._notices is not None else {}
            if noticed is None:
                self._contents.compare(directory, {})
            for name, notice in (noticed or {}).items():
                self._contents.look(directory, name, notice)
            renamed = self._contents.find_renamed(directory)
            quiet, listings = quiet + 1 if noticed == {} and not renamed else 0, listings + 1
        if self._contents.unfinished:
            self._look_later()

    async def _compare_by_parts(self, directory: int) -> None:
        """Look everywhere, at some names at a time, so that no call has to wait until all are
        done.
        """
        try:
            began, took = time.monotonic(), 0.0
            names = self._contents.names(directory)
            while names:
                for _ in range(min(PART, len(names))):
                    self._contents.look(directory, names.pop(), None)
                self._settle(directory)
                self._contents.tell_changes()
                took += time.monotonic() - began
                await asyncio.sleep(0)
                began = time.monotonic()
            self._compared, self._took = began, took
        except IkdemoError:
            self._in_doubt = True
            self._look_later()
        finally:
            self._contents.report_news()

    def _watch(self, directory: int) -> None:
        try:
            self._notices = Notices(directory)
        except OSError as error:
            if not self._warned:
                reason = (error.strerror or str(error)).lower()
                _log.warning(
                    "%s cannot be watched (%s): it is read at every call, deletions are "
                    "noticed late",
                    self.path,
                    reason,
                )
            self._warned = True
        self._listen()

    def _listen(self) -> None:
        """Look by itself when the kernel noticed something."""
        if self._notices is not None:
            asyncio.get_running_loop().add_reader(self._notices.fileno(), self._noticed)

    def _noticed(self) -> None:
        """Look without being asked: the kernel has news, or what was in doubt may be clear by
        now.
        """
        with suppress(IkdemoError):
            self.refresh()

    def _look_later(self) -> None:
        if self._look_again is not None:
            self._look_again.cancel()
        self._look_again = asyncio.get_running_loop().call_later(LOOK_AGAIN, self._noticed)
