"""The instance plugin ``process``: an instance is a process group, alive as long as its leader is.

Here are the contract's methods. Provision does not wait between looking and starting, so calls
never interleave.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Mapping

from msgspec import UNSET, Raw
from msgspec.structs import replace

from ...spi.documents import GROUP_TAG, Description, InstanceSpec, slot_of
from ...spi.errors import PluginFailure
from ...spi.events import Emit
from .. import procfs
from ..common import PID_TAG, LastingInstances, check_given, check_id, free_port, has_tags, occupant
from ..output import last_lines, tail
from ..state_files import StateFiles, check_size
from .descriptors import check_free
from .process_record import ProcessRecord
from .spawn import check_properties, command_of, environment_of, read_properties, spawn, undo
from .table import ProcessTable

PORT_TAG = "port"
"""Tag that holds the TCP port chosen for an instance."""
LONGEST_PID = 2**31 - 1


class ProcessInstances(LastingInstances):
    """Instances that are processes of this machine; their state files are in a directory that this
    plugin owns while it runs.
    """

    _table: ProcessTable | None = None

    async def start(self, emit: Emit) -> None:
        """Take the directory and what lives of it; what died meanwhile is told as lost.

        Raises InUse, CorruptState, and PluginFailure, also when it cannot be told whether an
        instance lives: all stays as it is then.
        """
        state_files = StateFiles(self._path, ProcessRecord)
        try:
            self._fence.open(state_files.fd)
            table = ProcessTable(state_files, emit)
            table.restore()
        except BaseException:
            state_files.close()
            raise
        self._table = table

    async def stop(self) -> None:
        """Let the instances go on, or end them if they are to be taken along."""
        if self._table is None:
            return
        table = self._table
        await self._fence.close()
        if self._takes_along:
            endings = [table.end(process.record.id, self._grace) for process in table]
            await asyncio.gather(*endings, return_exceptions=True)
        await table.close()
        table.state_files.close()
        self._table = None

    async def validate(self, properties: Raw) -> None:
        """Accept properties that a process can be started from; raises SpecError."""
        check_given(properties)
        check_properties(bytes(properties), "$.Properties")

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
        """Start one process and return its instance's ID, or the ID of the instance that lives in
        the slot of the spec's group.

        Killed half-way leaves an instance that is known, or a process that the next start ends.
        Raises SpecError, Fenced, and PluginFailure when the slot is taken, there is no room, or the
        system refuses.
        """
        group = (spec.tags or {}).get(GROUP_TAG, "")
        return await self._fence.act(group, epoch, lambda: self._provision(spec, slot))

    async def _provision(self, spec: InstanceSpec, slot: str | None) -> str:
        table = self._started()
        properties = read_properties(bytes(spec.properties), "$.Spec.Properties")
        command = command_of(properties, spec.init)
        slot = slot_of(slot)
        if slot is not None and (there := _occupant(table, spec, slot)) is not None:
            return there
        if len(table) >= self._most:
            raise PluginFailure(
                f"no room: {len(table)} instances are alive, and no more than {self._most} may be"
            )
        table.state_files.check_held()
        check_free("start a process")
        instance = f"instance-{secrets.randbits(63)}"
        port = free_port({process.record.port for process in table})
        tags = {PID_TAG: str(LONGEST_PID), **(spec.tags or {}), PORT_TAG: str(port)}
        place = UNSET if slot is None else slot
        record = ProcessRecord(
            instance, 1, 0, procfs.boot(), time.time(), spec.logical_id, tags, place, port=port
        )
        check_size(record)
        environment = environment_of(
            properties, spec, instance, slot, port, table.state_files.path, table.state_files.owner
        )
        pid = _spawn(table, instance, command, environment, properties.cwd)
        try:  # it cannot be another one's yet: the process is ours to reap
            tags = {**tags, PID_TAG: (spec.tags or {}).get(PID_TAG, str(pid))}
            await table.add(replace(record, pid=pid, start=procfs.start_of(pid), tags=tags))
        except BaseException:
            if instance not in table:
                undo(pid)
                table.state_files.remove(instance)
            raise
        return instance

    async def destroy(self, instance: str, epoch: int | None = None) -> None:
        """End an instance: SIGTERM to its whole group, SIGKILL after the grace time; nothing of it
        is left on return.

        Goes on if the caller goes away. Raises SpecError for an empty ID, Fenced, PluginFailure
        when there is no such instance.
        """
        table = self._started()
        check_id(instance)
        if instance not in table:
            raise PluginFailure(f"{instance} is no instance here")
        group = table.group_of(instance)
        await self._fence.act(group, epoch, lambda: table.end(instance, self._grace))

    async def describe_instances(
        self, tags: Mapping[str, str], slots: bool = False
    ) -> list[Description]:
        """Return the living instances that carry all ``tags``, in the order of their IDs."""
        described = [
            process.record.description
            for process in self._started()
            if has_tags(process.record.tags, tags)
        ]
        return described if slots else [replace(one, slot=UNSET) for one in described]

    async def logs(self, instance: str, lines: int = 0) -> list[str]:
        """Return the last lines that an instance printed (all that is kept for 0), also shortly
        after its death.
        """
        table = self._started()
        text = (
            tail(table.state_files.log(instance))
            if instance in table
            else table.outputs.of(instance)
        )
        return last_lines(instance, text, lines)

    def _started(self) -> ProcessTable:
        if self._table is None:
            raise PluginFailure(f"the plugin of {self._path} is not running")
        return self._table


def _spawn(
    table: ProcessTable, instance: str, command: list[str], environment: dict[str, str], cwd: str
) -> int:
    """Start a process that prints into the instance's file, and return its pid; what cannot be
    started leaves no file.
    """
    output = table.state_files.open_log(instance)
    try:
        return spawn(command, environment, cwd, output)
    except BaseException:
        table.state_files.remove(instance)
        raise
    finally:
        os.close(output)


def _occupant(table: ProcessTable, spec: InstanceSpec, slot: str) -> str | None:
    """Return the ID of the instance in a slot if it is as the spec wants it, None if there is none;
    raises PluginFailure.
    """
    group = (spec.tags or {}).get(GROUP_TAG, "")
    for process in table:
        one = process.record.description
        if one.slot == slot and (one.tags or {}).get(GROUP_TAG, "") == group:
            return occupant(one, slot, spec, process.is_ending)
    return None
