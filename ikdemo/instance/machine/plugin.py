"""The instance plugin ``machine``: an instance is a machine in namespaces of this host, alive as
long as its first process is.

Here are the contract's methods. Provision does not wait between looking and the moment from which
the new machine counts, so a slot is never filled twice.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping

from msgspec import UNSET, Raw
from msgspec.structs import replace

from ...spi.documents import GROUP_TAG, Description, InstanceSpec, slot_of
from ...spi.errors import IkdemoError, PluginFailure, SpecError
from ...spi.events import Emit
from .. import procfs
from ..common import LastingInstances, check_given, check_id, has_tags, occupant
from ..output import last_lines, tail
from ..state_files import StateFiles, check_size
from .machine import lacking
from .machine_record import MachineRecord, read_image, read_properties
from .machine_table import KeptMachine, MachineTable, group_of

HOSTNAME_TAG, ADDRESS_TAG, ENGINE_TAG = "hostname", "address", "engine"
"""Tags that hold a machine's host name, its address at the switch, and where its Docker engine is
reached from this host, as ``DOCKER_HOST`` has it.
"""


class MachineInstances(LastingInstances):
    """Instances that are machines; their state files and disks are in a directory that this plugin
    owns while it runs.
    """

    _table: MachineTable | None = None

    async def start(self, emit: Emit) -> None:
        """Take the directory and what is on of it; what went off meanwhile is told as lost.

        Raises IkdemoError where no machine can run, InUse, CorruptState, and PluginFailure, also
        when it cannot be told whether a machine is on: all stays as it is then.
        """
        if reason := lacking():
            raise IkdemoError(reason)
        state_files = StateFiles(self._path, MachineRecord)
        try:
            self._fence.open(state_files.fd)
            table = MachineTable(state_files, emit)
            await table.restore()
        except BaseException:
            state_files.close()
            raise
        self._table = table

    async def stop(self) -> None:
        """Let the machines go on, or end them if they are to be taken along."""
        if self._table is None:
            return
        table = self._table
        await self._fence.close()
        if self._takes_along:
            endings = [table.end(kept.record.id) for kept in table]
            await asyncio.gather(*endings, return_exceptions=True)
        await table.close()
        table.state_files.close()
        self._table = None

    async def validate(self, properties: Raw) -> None:
        """Accept properties that a machine can be made from; raises SpecError."""
        check_given(properties)
        read_properties(bytes(properties), "$.Properties", strict=True)

    async def claim(self, group: str, epoch: int) -> None:
        """Refuse older leaders from now on; raises also when the directory, which keeps the epochs,
        is not there. See ``Fencing``.
        """
        state_files = self._started().state_files
        state_files.check_held()
        await self._fence.claim(group, epoch, state_files.fd)

    async def provision(
        self, spec: InstanceSpec, slot: str | None = None, epoch: int | None = None
    ) -> str:
        """Boot one machine and return its ID when it runs its Init, or the ID of the machine in the
        slot of the spec's group.

        Raises SpecError, Fenced, and PluginFailure when the slot is taken, there is no room, or the
        system refuses.
        """
        group = (spec.tags or {}).get(GROUP_TAG, "")
        return await self._fence.act(group, epoch, lambda: self._provision(spec, slot))

    async def _provision(self, spec: InstanceSpec, slot: str | None) -> str:
        table = self._started()
        properties = read_properties(bytes(spec.properties), "$.Spec.Properties")
        image = await asyncio.to_thread(read_image, properties, "$.Spec.Properties")
        if "\0" in spec.init:
            raise SpecError("$.Spec.Init: no script can hold a NUL", path="$.Spec.Init")
        slot = slot_of(slot)
        if slot is not None and (there := _occupant(table, spec, slot)) is not None:
            instance = occupant(there.record.description, slot, spec, there.is_ending)
            await table.booted(instance)
            return instance
        if len(table) >= self._most:
            raise PluginFailure(
                f"no room: {len(table)} instances are alive, and no more than {self._most} may be"
            )
        table.state_files.check_held()
        instance = f"instance-{secrets.randbits(63)}"
        number = table.free_number()
        place = table.place(number, instance)
        tags = {
            **(spec.tags or {}),
            HOSTNAME_TAG: place.name,
            ADDRESS_TAG: place.address,
            ENGINE_TAG: f"unix://{place.socket}",
        }
        where = UNSET if slot is None else slot
        record = MachineRecord(
            instance,
            1,
            0,
            procfs.boot(),
            time.time(),
            spec.logical_id,
            tags,
            where,
            number=number,
        )
        check_size(record)
        await table.boot(record, spec.init, image)
        return instance

    async def destroy(self, instance: str, epoch: int | None = None) -> None:
        """End a machine as if its power were cut, and erase it; nothing of it is left on return.

        Goes on if the caller goes away. Raises SpecError for an empty ID, Fenced, PluginFailure
        when there is no such instance.
        """
        table = self._started()
        check_id(instance)
        if (kept := table.get(instance)) is None:
            raise PluginFailure(f"{instance} is no instance here")
        await self._fence.act(group_of(kept), epoch, lambda: table.end(instance))

    async def describe_instances(
        self, tags: Mapping[str, str], slots: bool = False
    ) -> list[Description]:
        """Return the machines that are on and carry all ``tags``, in the order of their IDs."""
        described = [
            kept.record.description
            for kept in self._started()
            if kept.running is not None and has_tags(kept.record.tags, tags)
        ]
        return described if slots else [replace(one, slot=UNSET) for one in described]

    async def logs(self, instance: str, lines: int = 0) -> list[str]:
        """Return the last lines that a machine's Init printed (all that is kept for 0), also
        shortly after its end.
        """
        table = self._started()
        kept = table.get(instance)
        text = tail(kept.place.log) if kept is not None else table.outputs.of(instance)
        return last_lines(instance, text, lines)

    def _started(self) -> MachineTable:
        if self._table is None:
            raise PluginFailure(f"the plugin of {self._path} is not running")
        return self._table


def _occupant(table: MachineTable, spec: InstanceSpec, slot: str) -> KeptMachine | None:
    group = (spec.tags or {}).get(GROUP_TAG, "")
    found = (kept for kept in table if kept.record.slot == slot and group_of(kept) == group)
    return next(found, None)
