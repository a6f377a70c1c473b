"""The state files of a plugin whose instances are processes: one per living instance, from which a
restarted plugin knows its own again.

The only place that knows these files. What is in one: who the instance is, and which process it is,
by pid, start time and boot, so that a pid given to another process is never taken for it. The
directory has a mark, a random text kept with it, which is in the environment of each of its
instances: where a directory is says nothing about whose processes they are, for directories are
moved and mounted over.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Generic, NamedTuple, TypeVar

from msgspec import UNSET, Meta, UnsetType

from .. import disk
from ..spi.decode import decode, encode
from ..spi.documents import Description, Document
from ..spi.errors import CorruptState, PluginFailure, SpecError
from .ownership import begin_owner, read_owner

LIMIT = 2**24
"""Bytes of a record, whether it is written or read."""
_SUFFIX = ".json"
_LOG = re.compile(r"(instance-\d+)\.log")


class InstanceRecord(Document, frozen=True):
    """One instance and its first process. ``start`` is in clock ticks since ``boot``, ``began`` in
    seconds since the epoch.
    """

    id: str
    pid: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    start: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    boot: str
    began: float
    logical_id: str | None = None
    tags: dict[str, str] | None = None
    slot: str | UnsetType = UNSET

    @property
    def description(self) -> Description:
        """What the plugin says of it, its slot included."""
        return Description(self.id, self.logical_id, self.tags, self.slot)


R = TypeVar("R", bound=InstanceRecord)


class FoundRecords(NamedTuple, Generic[R]):
    """What the directory held when it was opened: records, sentences about files that are none, and
    whose these may be.
    """

    records: list[R]
    complaints: list[str]
    doubtful: set[str]


class StateFiles(Generic[R]):
    """A directory of records of a type, which this process owns from construction to ``close``."""

    def __init__(self, path: Path, record_type: type[R]) -> None:
        """Create the directory if it is missing (mode 0700) and take it; raises InUse or
        PluginFailure.
        """
        try:
            path.mkdir(mode=0o700, exist_ok=True)
        except FileNotFoundError:
            raise PluginFailure(f"create {path}: its parent folder does not exist") from None
        except OSError as error:
            raise disk.refusal("create", path, error) from None
        self.path, self._record_type = path.resolve(), record_type
        self._lease = disk.Lease(self.path)
        try:
            disk.clear_leftovers(self._lease.fd)
            disk.check_writable(self._lease.fd)
            self.owner = read_owner(self._lease.fd) or begin_owner(self._lease.fd)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the directory back; its files stay."""
        self._lease.release()

    @property
    def fd(self) -> int:
        """The directory itself, wherever it is by now."""
        return self._lease.fd

    def check_held(self) -> None:
        """Raise PluginFailure when the path leads to another directory than the one that was taken,
        or to none.
        """
        if not self._lease.holds():
            raise PluginFailure(
                f"{self.path} is not the directory that this plugin took (moved, removed or "
                "mounted over): "
                "nothing is started until it is back, or the plugin is started again"
            )

    def log(self, instance: str) -> Path:
        """Return the file of an instance's output, in the directory itself, also when that was
        moved.
        """
        return Path(f"/proc/self/fd/{self._lease.fd}/{instance}.log")

    def open_log(self, instance: str) -> int:
        """Make the file of an instance's output and open it for adding to its end; raises
        PluginFailure.
        """
        name = f"{instance}.log"
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            return os.open(name, flags, 0o600, dir_fd=self._lease.fd)
        except OSError as error:
            raise disk.refusal("open", self.path / name, error) from None

    def read(self) -> FoundRecords[R]:
        """Read every record; a file that is none is left alone and complained about.

        Raises PluginFailure when a file cannot be read for now: what is in it is not known, so
        nothing is.
        """
        found = FoundRecords[R]([], [], set())
        for name in sorted(self._names()):
            if name.startswith(".") or not name.endswith(_SUFFIX):
                continue
            try:
                record = decode(
                    disk.read_regular(self._lease.fd, name, LIMIT)[0], self._record_type
                )
                if name != record.id + _SUFFIX:
                    raise CorruptState(f"is the record of {record.id!a}")
                found.records.append(record)
            except FileNotFoundError:
                continue  # removed since
            except OSError as error:
                raise disk.refusal("read", self.path / name, error) from None
            except (CorruptState, SpecError) as error:
                found.doubtful.add(name.removesuffix(_SUFFIX))
                found.complaints.append(
                    f"{name!a} is no instance's record and is left alone, as are processes of "
                    f"that name: {error}"
                )
        return found

    def write(self, record: InstanceRecord) -> None:
        """Write a record, whole or not at all; raises PluginFailure."""
        disk.write_atomic(self._lease.fd, record.id + _SUFFIX, encode(record), mode=0o600)

    def remove(self, instance: str) -> None:
        """Remove an instance's record and its output; what is gone already is no error, nor is what
        cannot be removed.
        """
        for name in (instance + _SUFFIX, f"{instance}.log"):
            try:
                os.unlink(name, dir_fd=self._lease.fd)
            except OSError:
                pass  # found dead at the next start, and removed then

    def orphaned_logs(self, known: set[str]) -> list[str]:
        """Return the IDs of instances of which only the output is left; raises PluginFailure."""
        logs = map(_LOG.fullmatch, self._names())
        return [log[1] for log in logs if log is not None and log[1] not in known]

    def _names(self) -> list[str]:
        try:
            with os.scandir(self._lease.fd) as entries:
                return [entry.name for entry in entries]
        except OSError as error:
            raise disk.refusal("open", self.path, error) from None


def check_size(record: InstanceRecord) -> None:
    """Refuse a record that could not be read again; raises SpecError."""
    if (size := len(encode(record))) > LIMIT:
        raise SpecError(
            f"$.Spec: tags and names take {size} bytes when they are written down, and no more "
            f"than {LIMIT} are read again",
            path="$.Spec",
            expected=f"at most {LIMIT} bytes",
        )
