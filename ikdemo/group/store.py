"""Stores what a group plugin must not forget: one file per group with its spec and its marks,
durable before a command is answered.

Files are written atomically and read once, at the start. One process owns the directory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType, structs

from .. import disk
from ..reconcile.desired import Desired, desired_state
from ..reconcile.model import BackoffState, Expected
from ..spi.config_sha import sha_of
from ..spi.decode import decode, encode
from ..spi.documents import Description, Epoch, GroupProperties
from ..spi.errors import CorruptState, LeaseLost, SpecError
from ..spi.plans import ObservedInstance

FORMAT = 1
"""Version of the files; a newer one is refused rather than misread."""


class Record(Struct, frozen=True, rename={"backoffs": "troubled"}):
    """A committed group. ``rolls``: outdated instances are replaced (not after a first commit,
    which adopts). ``updating``: the configuration whose rolling update is under way, its last batch
    not ready yet.

    ``destroying``, ``freed`` and ``paused`` are marks that outlive the process. So do ``backoffs``,
    by slot. ``expected``: what was asked of an instance plugin without slots and has not been
    described yet, and ``members``: what is known of the instances of such a plugin, by their ID.
    ``boot``: the boot of the machine in whose seconds the times are; written by ``Store``.
    ``epoch``: that of the leader who committed the group, if one did. ``good`` is what was
    committed when the group was converged last, before ``properties``; None when it never was.
    ``described``: where the flavor buries what is lost, each instance that was described and is
    neither drained nor buried yet, by its ID.
    """

    id: str
    properties: GroupProperties
    rolls: bool = False
    updating: str = ""
    destroying: bool = False
    freed: bool = False
    paused: bool = False
    good: GroupProperties | None = None
    backoffs: Mapping[str, BackoffState] = {}
    expected: Mapping[str, Expected] = {}
    members: Mapping[str, ObservedInstance] = {}
    boot: str = ""
    epoch: Epoch | UnsetType = UNSET
    described: Mapping[str, Description] | UnsetType = UNSET
    format: Annotated[int, Meta(ge=1)] = FORMAT

    @property
    def last_good(self) -> GroupProperties | None:
        """What the group was when it was converged last, if the same plugin still makes it."""
        same = self.good and self.good.instance.plugin == self.properties.instance.plugin
        return self.good if same else None

    @property
    def to_bury(self) -> Mapping[str, Description]:
        """What is to be buried as soon as it is lost."""
        return {} if self.described is UNSET else self.described

    def desired(self, poll: float) -> Desired:
        """Return what the planner is told to make of this group, which is observed every ``poll``
        seconds.
        """
        properties, good = self.properties, self.last_good
        return structs.replace(
            desired_state(self.id, properties, sha_of(properties), rolls=self.rolls),
            destroying=self.destroying,
            poll=poll,
            good=sha_of(good) if good else "",
        )


class Store:
    """The records of one group plugin, in memory and, with a directory, on disk; ``boot`` names
    this boot of the machine.
    """

    def __init__(self, directory: Path | None, boot: str = "") -> None:
        self._directory, self._boot = directory, boot
        self._lease: disk.Lease | None = None

    def open(self) -> list[Record]:
        """Take the directory (created if missing) and return what it holds.

        Raises InUse when another process has it, CorruptState for a file that cannot be read;
        nothing is changed then.
        """
        if self._directory is None:
            return []
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lease = disk.Lease(self._directory)
        try:
            disk.clear_leftovers(self._directory)
            return [self._read(path) for path in sorted(self._directory.glob("*.json"))]
        except BaseException:
            # a directory that cannot be used is not kept from the person who mends it
            self.close()
            raise

    def save(self, record: Record) -> None:
        """Write a record; on return it survives a power cut, and a kill half-way leaves the one
        before.

        The one before is kept beside it, for a person to go back to. Raises PluginFailure when the
        system refuses, LeaseLost when the directory is not the one that was taken; the record
        before is what counts then.
        """
        if self._directory is not None:
            self._check_owned()
            disk.keep_last(self._directory, _file_name(record.id), _file_name(record.id) + ".last")
            written = encode(structs.replace(record, boot=self._boot))
            disk.write_atomic(
                self._directory, _file_name(record.id), written, durable=True, mode=0o600
            )

    def remove(self, group: str) -> None:
        """Forget a group, durably; forgetting an unknown one is no error. Raises as ``save``
        does.
        """
        if self._directory is None:
            return
        self._check_owned()
        name = _file_name(group)
        try:
            for path in (self._directory / name, self._directory / f"{name}.last"):
                path.unlink(missing_ok=True)
            disk.sync_directory(self._directory)
        except OSError as error:
            raise disk.refusal("remove", self._directory / name, error) from None

    def close(self) -> None:
        """Give the directory back."""
        if self._lease is not None:
            self._lease.release()
            self._lease = None

    def _check_owned(self) -> None:
        """Store nothing where another process may be the owner, or where it would be lost."""
        if self._lease is None or not self._lease.holds():
            raise LeaseLost(
                f"{self._directory} is gone or is another folder than it was; nothing can be "
                "stored until it is back"
            )

    def _read(self, path: Path) -> Record:
        last = path.with_name(path.name + ".last")
        back = f", or put {last} in its place" if last.exists() else ""
        advice = (
            f"the stored group {path} cannot be used; look at it, or move it away to go on "
            f"without that group{back}"
        )
        try:
            record = decode(path.read_bytes(), Record)
        except SpecError as error:
            raise CorruptState(f"{advice} ({error})") from None
        if record.format > FORMAT:
            raise CorruptState(f"{advice} (it was written by a newer version)")
        if path.name != _file_name(record.id):
            raise CorruptState(
                f"{advice} (it holds the group {record.id!r}, which belongs to another file)"
            )
        return record if record.boot == self._boot else _waited_out(record)


def _waited_out(record: Record) -> Record:
    """Return a record of another boot: its attempts count, its waits are over, as their seconds
    mean nothing in this one.
    """
    backoffs = {key: structs.replace(t, not_before=0.0) for key, t in record.backoffs.items()}
    return structs.replace(record, backoffs=backoffs, expected={})


def _file_name(group: str) -> str:
    """Return the file of a group; its ID is any text, so the name is derived."""
    return hashlib.sha256(group.encode("utf-8", "surrogatepass")).hexdigest()[:32] + ".json"
