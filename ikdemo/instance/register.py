"""The register of a process plugin: one file per living instance, from which a restarted plugin knows its own again.

The only place that knows these files. What is in one: who the instance is, and which process it is, by pid, start time and boot,
so that a pid given to somebody else is never taken for it. Called by ``living``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from msgspec import UNSET, UnsetType

from .. import disk
from ..spi.decode import decode, encode
from ..spi.documents import Description, Document
from ..spi.errors import CorruptState, PluginFailure, SpecError

LIMIT = 2**20
_SUFFIX = ".json"


class Record(Document, frozen=True):
    """One instance and its process. ``start`` is in clock ticks since ``boot``, ``began`` in seconds since the epoch."""

    id: str
    pid: int
    start: int
    boot: str
    began: float
    port: int
    logical_id: str | None = None
    tags: dict[str, str] | None = None
    slot: str | UnsetType = UNSET

    @property
    def description(self) -> Description:
        """What the plugin says of it, its slot included."""
        return Description(self.id, self.logical_id, self.tags, self.slot)


class Found(NamedTuple):
    """What a register held when it was opened: records, and sentences about files that are none."""

    records: list[Record]
    complaints: list[str]


class Register:
    """A directory of records, which this process owns from construction to ``close``."""

    def __init__(self, path: Path) -> None:
        """Create the directory if it is missing (mode 0700) and take it; raises InUse or PluginFailure."""
        try:
            path.mkdir(mode=0o700, exist_ok=True)
        except FileNotFoundError:
            raise PluginFailure(f"create {path}: its parent folder does not exist") from None
        except OSError as error:
            raise disk.refusal("create", path, error) from None
        self.path = path.resolve()
        self._lease = disk.Lease(self.path)
        try:
            disk.clear_leftovers(self._lease.fd)
            disk.check_writable(self._lease.fd)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the directory back; its files stay."""
        self._lease.release()

    def log(self, instance: str) -> Path:
        """Return the file of an instance's output."""
        return self.path / f"{instance}.log"

    def read(self) -> Found:
        """Read every record; a file that is none is left alone and complained about. Raises PluginFailure."""
        records, complaints = [], []
        try:
            with os.scandir(self._lease.fd) as entries:
                names = sorted(entry.name for entry in entries)
        except OSError as error:
            raise disk.refusal("open", self.path, error) from None
        for name in names:
            if name.startswith(".") or not name.endswith(_SUFFIX):
                continue
            try:
                record = decode(disk.read_regular(self._lease.fd, name, LIMIT)[0], Record)
                if name != record.id + _SUFFIX:
                    raise CorruptState(f"is the record of {record.id!a}")
                records.append(record)
            except (OSError, CorruptState, SpecError) as error:
                complaints.append(f"{name!r} is no instance's record and is left alone: {error}")
        return Found(records, complaints)

    def write(self, record: Record) -> None:
        """Write a record, whole or not at all; raises PluginFailure."""
        disk.write_atomic(self._lease.fd, record.id + _SUFFIX, encode(record), mode=0o600)

    def remove(self, instance: str) -> None:
        """Remove an instance's record and its output; what is gone already is no error, nor is what cannot be removed."""
        for path in (self.path / (instance + _SUFFIX), self.log(instance)):
            try:
                path.unlink(missing_ok=True)
            except OSError:
                pass  # found dead at the next start, and removed then

    def orphaned_logs(self, living: set[str]) -> list[str]:
        """Return the IDs of instances of which only the output is left."""
        return [path.stem for path in self.path.glob("*.log") if path.stem not in living]
