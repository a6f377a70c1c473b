"""The instance plugin ``file``: an instance is a file in a directory, alive as long as the file is
there.

Here are the contract's methods. None of them waits between looking and writing, so calls never
interleave.
"""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from pathlib import Path

from msgspec import UNSET, Raw
from msgspec.structs import replace

from ... import disk
from ...spi.contracts import MOMENT, Interface
from ...spi.decode import decode
from ...spi.documents import GROUP_TAG, Description, Document, InstanceSpec, slot_of
from ...spi.errors import PluginFailure
from ...spi.events import Emit
from ..common import check_given, check_id, has_tags, occupant
from ..fence import Fence
from . import format
from .directory import Directory


class FileProperties(Document, frozen=True):
    """Properties of a file instance: any object; no member of it has a meaning."""


class FileInstances:
    """Instances that are JSON files in one directory, which this plugin owns while it runs."""

    interface: Interface = "Instance"
    offers = frozenset({"ConstantLife", "Slots", "Digest", "Fence"})

    def __init__(self, directory: Path | str) -> None:
        self._path = Path(directory)
        self._directory: Directory | None = None
        self._fence = Fence()
        self._refreshed_at: object = None
        # seeded by the system, which would otherwise be asked for each ID
        self._random = random.Random()

    async def start(self, emit: Emit) -> None:
        """Take the directory, creating it if only it is missing; raises InUse, PluginFailure or
        CorruptState.
        """
        directory = Directory(self._path, emit, self._fence)
        directory.open()
        self._directory = directory

    async def stop(self) -> None:
        """Give the directory back; its files stay."""
        if self._directory is not None:
            await self._fence.close()
            self._directory.close()
            self._directory = None

    async def claim(self, group: str, epoch: int) -> None:
        """Refuse older leaders from now on; raises also when the directory, which keeps the epochs,
        is not there. See ``Fencing``.
        """
        await self._fence.claim(group, epoch, self._refreshed().fd)

    async def validate(self, properties: Raw) -> None:
        """Accept any JSON object; raises SpecError."""
        check_given(properties)
        _check_object(properties, "$.Properties")

    async def provision(
        self, spec: InstanceSpec, slot: str | None = None, epoch: int | None = None
    ) -> str:
        """Write one instance file and return its ID, or the ID of the living instance in the slot
        of the spec's group.

        Killed half-way leaves the whole file or none. Raises SpecError, Fenced, and PluginFailure
        when the slot is taken by another configuration or the file cannot be written.
        """
        slot = slot_of(slot)
        directory = self._refreshed()
        tags = spec.tags or {}
        self._fence.check(tags.get(GROUP_TAG, ""), epoch)
        if bytes(spec.properties) != b"null":
            _check_object(spec.properties, "$.Spec.Properties")
        if slot is not None and (there := directory.index.at(tags.get(GROUP_TAG, ""), slot)):
            return occupant(there.description, slot, spec)
        instance = f"instance-{self._random.getrandbits(63)}"
        directory.add(instance, format.write(instance, spec, slot))
        return instance

    async def destroy(self, instance: str, epoch: int | None = None) -> None:
        """Delete the file that describes this ID, and its copies, or else the instance file of this
        name.

        The file that stands for the instance goes last: killed half-way leaves the instance. A copy
        with another group's tag is that group's from then on. Raises SpecError for what cannot be
        an ID, Fenced, PluginFailure when there is no such instance.
        """
        directory = self._refreshed()
        check_id(instance)
        entry = directory.index.instance(instance) or directory.index.get(disk.check_name(instance))
        if entry is None:
            raise PluginFailure(
                f"remove {disk.shown(self._path / instance)}: {self._absence(instance)}"
            )
        self._fence.check(entry.group, epoch)
        for copy in directory.index.of_id(instance):
            if copy is not entry and copy.group == entry.group:
                directory.remove(copy)
        directory.remove(entry)

    async def describe_instances(
        self, tags: Mapping[str, str], slots: bool = False
    ) -> list[Description]:
        """Return the instances that carry all ``tags``, in the order of their file names."""
        index = self._refreshed().index
        among = index.of_group(tags[GROUP_TAG]) if GROUP_TAG in tags else iter(index)
        others = {key: value for key, value in tags.items() if key != GROUP_TAG}
        entries = (
            [entry for entry in among if has_tags(entry.description.tags, others)]
            if others
            else list(among)
        )
        if slots:
            return [entry.description for entry in entries]
        return [
            replace(entry.description, slot=UNSET) if entry.slot else entry.description
            for entry in entries
        ]

    async def digest_instances(self, group: str) -> str:
        """Return the digest of a group's instances, by its tag; it costs nothing while none of them
        changes.
        """
        return self._refreshed().index.digest(group)

    def _refreshed(self) -> Directory:
        """Return the directory, its index up to date as of the moment of the call."""
        if self._directory is None:
            raise PluginFailure(f"the plugin of {disk.shown(self._path)} is not running")
        moment = MOMENT.get(None)
        if moment is None or moment is not self._refreshed_at:
            self._directory.refresh()
            self._refreshed_at = moment
        return self._directory

    def _absence(self, name: str) -> str:
        return (
            "not an instance file"
            if os.path.lexists(self._path / name)
            else "no such file or directory"
        )


def _check_object(properties: Raw, path: str) -> None:
    if not bytes(properties).lstrip().startswith(b"{"):
        decode(properties, FileProperties, path=path)
