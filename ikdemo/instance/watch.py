"""What the kernel noticed in a directory since it was last asked.

The only place that knows inotify. Called by ``directory``, which looks at the files themselves: a notice says where to look.
"""

from __future__ import annotations

from typing import NamedTuple

from inotify_simple import INotify, flags

_CLOSED = int(flags.CLOSE_WRITE)
_ARRIVED = int(flags.MOVED_TO)
_STALE = int(flags.CLOSE_WRITE | flags.MOVED_FROM | flags.DELETE)
_MASK = _STALE | int(flags.CREATE | flags.MOVED_TO | flags.DELETE_SELF | flags.MOVE_SELF | flags.ONLYDIR)
_OVERFLOW = int(flags.Q_OVERFLOW)


class Notice(NamedTuple):
    """What happened to one name. ``stale``: what was read of it before is worth nothing; ``closed``: somebody wrote to it and
    is done; ``arrived``: it came by a rename, so it was written elsewhere."""

    stale: bool = False
    closed: bool = False
    arrived: bool = False


class Notices:
    """A watch on one open directory, from construction to ``close``; readable (``fileno``) when there is something to take."""

    def __init__(self, directory: int) -> None:
        """Watch an open directory; raises OSError when the system has no more watches to give, or none at all."""
        self._inotify = INotify(nonblocking=True)
        try:
            self._inotify.add_watch(f"/proc/self/fd/{directory}", _MASK)
        except OSError:
            self._inotify.close()
            raise

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return int(self._inotify.fileno())

    def take(self) -> dict[str, Notice] | None:
        """Return what was noticed, by file name, and forget it; None when there was more than the kernel kept."""
        noticed: dict[str, int] = {}
        for event in self._inotify.read(timeout=0):
            if event.mask & _OVERFLOW:
                return None
            if event.name:
                noticed[event.name] = noticed.get(event.name, 0) | event.mask
        return {name: Notice(bool(mask & _STALE), bool(mask & _CLOSED), bool(mask & _ARRIVED)) for name, mask in noticed.items()}

    def close(self) -> None:
        """Stop watching."""
        self._inotify.close()
