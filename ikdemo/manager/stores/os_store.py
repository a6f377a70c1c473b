"""The back end ``os``: a file that names the leader, and a directory, which all managers can read.

As in InfraKit v0.1.0 a person (or a program of theirs) writes the leader's name into the leader
file, and ``global.config`` in the store directory holds the specs. Beyond it ``leader.epoch`` holds
the epoch, a number: the manager that the file names raises it when it takes over, and saves only
while it is the one that was raised, both with ``leader.lock`` locked. So a manager that was stopped
between the check and the write is refused afterwards, and of two managers of one name the latter
leads. The directory may be on another machine's file system if that locks files.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

from ... import disk
from ...boottime import since_boot
from ...spi.errors import CorruptState, Fenced, IkdemoError, PluginFailure, VersionConflict
from ..backend import Kept, Leader, Term
from ..global_spec import LARGEST, GlobalSpec, as_text, from_json

CONFIG, EPOCH, LOCK = "global.config", "leader.epoch", "leader.lock"
LOOKS = 2
"""Intervals that a term lasts after the look that confirmed it, but never less than ``LEAST``."""
LEAST = 2.0
"""Seconds: on a machine with much to do it takes a while until a file is read."""
LOCK_WAIT = 5.0
"""Seconds to wait for the lock; it is held while a file is written, unless its owner is stopped."""
LONGEST_NAME = 4096
"""Bytes of the leader file and of the file with the epoch."""
BLANKS = b" \t\n"
"""What v0.1.0 trims from the leader's name; a carriage return belongs to it."""

T = TypeVar("T")


class _Seen(NamedTuple):
    """The leader file: what it names, and what tells it from a later one."""

    name: bytes
    stamp: tuple[int, int, int]
    since: float


class OsBackend:
    """The back end of the manager called ``identity``."""

    name = "os"
    resigns = False

    def __init__(self, identity: str, leader_file: Path, store_dir: Path, interval: float) -> None:
        self.interval = interval
        self._identity = identity
        self._leader_file, self._store_dir = leader_file, store_dir
        self._epoch = 0
        self._displaced: tuple[int, int, int] | None = None

    async def start(self) -> None:
        """Make sure of both; in the words of v0.1.0, and what to do about it."""
        await self._in_thread(self._check)

    async def look(self) -> Term | None:
        """Read the leader file, and take over when it names this manager and did not before."""
        return await self._in_thread(self._campaign)

    async def changed(self) -> None:
        """Return never: the file is read once in an interval."""
        await asyncio.Event().wait()

    async def load(self) -> Kept:
        """Return what is in ``global.config``; its text is its version."""
        return await self._in_thread(self._load)

    async def save(self, spec: GlobalSpec, kept: Kept, term: Term) -> Kept:
        """Write ``global.config`` whole, if this manager's epoch is still the last one."""
        return await self._in_thread(lambda: self._save(spec, kept, term))

    async def leader(self) -> Leader | None:
        """Return what the files say."""
        return await self._in_thread(self._leader)

    async def stop(self) -> None:
        """Do nothing: the leader file goes on naming whom it names."""

    def _check(self) -> None:
        leader, store = disk.shown(self._leader_file), disk.shown(self._store_dir)
        try:
            if self._leader_file.is_dir():
                raise PluginFailure(f"file {leader} must be a file")
            self._leader_file.stat()
        except FileNotFoundError as error:
            raise PluginFailure(
                f"{disk.refusal('stat', leader, error)}; it names the manager that leads: "
                f"echo {self._identity} >{leader}"
            ) from None
        except OSError as error:
            raise disk.refusal("stat", leader, error) from None
        try:
            self._store_dir.stat()
        except OSError as error:
            raise disk.refusal("stat", store, error) from None
        if not self._store_dir.is_dir():
            raise PluginFailure(f"file {store} must be a directory")
        with disk.opened(self._store_dir) as directory:
            disk.check_writable(directory)
            _read_epoch(directory, store)

    def _campaign(self) -> Term | None:
        looked = since_boot()
        seen = self._read_leader()
        if seen.name != self._identity.encode():
            self._epoch, self._displaced = 0, None
            return None
        if self._displaced == seen.stamp:
            raise self._taken_over()
        with self._locked() as directory:
            epoch = _read_epoch(directory, disk.shown(self._store_dir))
            if self._epoch and epoch != self._epoch:
                self._epoch, self._displaced = 0, seen.stamp
                raise self._taken_over()
            if not self._epoch:
                disk.write_atomic(directory, EPOCH, b"%d\n" % (epoch + 1), durable=True)
                self._epoch, self._displaced = epoch + 1, None
        return Term(self._epoch, looked + max(LEAST, LOOKS * self.interval))

    def _taken_over(self) -> IkdemoError:
        return PluginFailure(
            f"another manager that is called {self._identity}, too, has taken over; give each its "
            "own --name, and write the one that is to lead into the leader file"
        )

    def _load(self) -> Kept:
        with disk.opened(self._store_dir) as directory:
            return self._read_config(directory)

    def _read_config(self, directory: int) -> Kept:
        where = f"the stored specs {disk.shown(self._store_dir / CONFIG)}"
        try:
            text, _ = disk.read_regular(directory, CONFIG, LARGEST)
        except FileNotFoundError:
            return Kept(GlobalSpec(), None)
        except CorruptState as error:
            raise CorruptState(f"{where} {error}; it is left as it is") from None
        return Kept(from_json(text, where), text)

    def _save(self, spec: GlobalSpec, kept: Kept, term: Term) -> Kept:
        with self._locked() as directory:
            epoch = _read_epoch(directory, disk.shown(self._store_dir))
            if epoch != term.epoch:
                raise Fenced(term.epoch, epoch)
            if self._read_config(directory).version != kept.version:
                raise VersionConflict(
                    f"{disk.shown(self._store_dir / CONFIG)} was changed by another program "
                    "meanwhile; try again"
                )
            text = as_text(spec)
            disk.write_atomic(directory, CONFIG, text, durable=True)
        return Kept(spec, text)

    def _leader(self) -> Leader | None:
        seen = self._read_leader()
        with disk.opened(self._store_dir) as directory:
            epoch = _read_epoch(directory, disk.shown(self._store_dir))
        name = seen.name.decode("utf-8", "replace")
        return Leader(name, epoch, seen.since) if name else None

    def _read_leader(self) -> _Seen:
        path = disk.shown(self._leader_file)
        try:
            # the file may be a link, which another program points to the name that is to lead
            file = self._leader_file.resolve()
            with disk.opened(file.parent) as directory:
                text, found = disk.read_regular(directory, file.name, LONGEST_NAME)
        except CorruptState as error:
            raise CorruptState(f"the leader file {path} {error}") from None
        except OSError as error:
            raise disk.refusal("open", self._leader_file, error) from None
        stamp = (found.st_ino, found.st_mtime_ns, found.st_ctime_ns)
        return _Seen(text.strip(BLANKS), stamp, found.st_mtime)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int]:
        """Hold the lock of the store directory, and the directory open."""
        with disk.opened(self._store_dir) as directory, disk.locked(directory, LOCK, LOCK_WAIT):
            yield directory

    async def _in_thread(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(work)
        except OSError as error:
            path = error.filename if isinstance(error.filename, str) else self._store_dir
            raise disk.refusal("open", path, error) from None


def _read_epoch(directory: int, where: str) -> int:
    """Return the last epoch, 0 where none has begun; raises CorruptState."""
    try:
        text, _ = disk.read_regular(directory, EPOCH, LONGEST_NAME)
    except FileNotFoundError:
        return 0
    except CorruptState as error:
        raise CorruptState(f"{where}/{EPOCH} {error}") from None
    number = text.strip(BLANKS)
    if not (number.isdigit() and len(number) < 19):
        raise CorruptState(
            f"{where}/{EPOCH} does not hold a number; no epoch can be told from another, so that "
            "this manager does not lead: write a greater number than any before into it"
        )
    return int(number)
