"""What the kernel noticed in a directory since it was last asked.

The only place that knows inotify. A notice says where to look, not what is there: its readers look
at the files themselves.
"""

from __future__ import annotations

import os
import struct
from typing import NamedTuple

from inotify_simple import INotify, flags

_CLOSED = int(flags.CLOSE_WRITE)
_ARRIVED = int(flags.MOVED_TO)
_DELETED = int(flags.DELETE)
_LEFT = int(flags.MOVED_FROM)
_STALE = int(flags.MODIFY | flags.CLOSE_WRITE | flags.MOVED_FROM | flags.DELETE)
_MASK = _STALE | int(
    flags.CREATE | flags.MOVED_TO | flags.DELETE_SELF | flags.MOVE_SELF | flags.ONLYDIR
)
MODIFIED = int(flags.MODIFY | flags.ONLYDIR)
"""What to watch for where only the growth of files counts."""
_OVERFLOW = int(flags.Q_OVERFLOW)
_EVENT = struct.Struct("iIII")
"""The head of an event, as inotify(7) has it: watch, mask, cookie, bytes of the name that
follows.
"""
_READ, _READS = 2**16, 256
"""Bytes of one read, and how many there are at most: together as much as any queue of the kernel's
holds.
"""
_LONGEST = _EVENT.size + 256
"""Bytes of an event with the longest name there is."""
_DOT = ord(".")


class Notice(NamedTuple):
    """What happened to one name. ``stale``: what was read of it before is worth nothing;
    ``closed``: a writer is done with it; ``arrived``: it came by a rename, so it was
    written elsewhere; ``deleted``: it was deleted, and never renamed."""

    stale: bool = False
    closed: bool = False
    arrived: bool = False
    deleted: bool = False

    @classmethod
    def of(cls, mask: int) -> Notice:
        """Return what a union of inotify's masks says."""
        deleted = bool(mask & _DELETED) and not mask & _LEFT
        return cls(bool(mask & _STALE), bool(mask & _CLOSED), bool(mask & _ARRIVED), deleted)


class Notices:
    """A watch on one open directory, from construction to ``close``; readable (``fileno``) when
    there is something to take.
    """

    def __init__(self, directory: int, mask: int = _MASK) -> None:
        """Watch an open directory for what a mask of inotify says; raises OSError when the system
        gives no watch, or has none.
        """
        self._inotify = INotify(nonblocking=True)
        try:
            self._inotify.add_watch(f"/proc/self/fd/{directory}", mask)
        except OSError:
            self._inotify.close()
            raise

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return int(self._inotify.fileno())

    def take(self) -> dict[str, Notice] | None:
        """Return what was noticed, by file name, and forget it; None when there was more than the
        kernel kept.

        Hidden names are left out: nothing of what has one is an instance, and each file is written
        under one first.
        """
        noticed: dict[str, int] = {}
        for _ in range(_READS):
            data, at = self._read(), 0
            while at < len(data):
                _, mask, _, length = _EVENT.unpack_from(data, at)
                name = at + _EVENT.size
                at = name + length
                if mask & _OVERFLOW:
                    return None
                if length and data[name] != _DOT:
                    text = os.fsdecode(data[name:at].rstrip(b"\0"))
                    noticed[text] = noticed.get(text, 0) | mask
            if len(data) <= _READ - _LONGEST:  # another one would have had room
                break
        return {name: Notice.of(mask) for name, mask in noticed.items()}

    def _read(self) -> bytes:
        try:
            return os.read(self._inotify.fileno(), _READ)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        """Stop watching."""
        self._inotify.close()
