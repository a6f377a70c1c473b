"""The instance plugin ``process``: an instance is a process group, alive as long as its leader is.

How a process begins is in ``spawn``, how it ends in ``running``, how a restarted plugin knows its
own in ``register``, who is alive in ``living``; here are the plugin's methods. Made by the command
line and by whoever embeds a group. Provision does not wait between looking and starting, so calls
never interleave.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path

from msgspec import UNSET, Raw
from msgspec.structs import replace

from ...spi.contracts import Interface
from ...spi.documents import GROUP_TAG, NULL, Description, InstanceSpec, slot_of
from ...spi.errors import PluginFailure, SpecError
from ...spi.events import Emit
from ..common import PID_TAG, carries, free_port, occupant
from ..output import lines_of, tail
from . import procfs
from .descriptors import check_free
from .spawn import check_properties, command_of, environment_of, read_properties, spawn, undo
from .state_files import ProcessRecord, StateFiles, check_size
from .table import ProcessTable

PORT_TAG = "port"
"""Tag that holds the TCP port chosen for an instance."""
LONGEST_PID = 2**31 - 1


class ProcessInstances:
    """Instances that are processes of this machine; their register is in a directory that this
    plugin owns while it runs.

    They go on when the plugin ends, and are known again by the next one; unless ``takes_along``,
    then a plugin that ends (but not one that is killed) ends them first. ``grace``: seconds between
    asking and killing. ``most``: how many may live.
    """

    interface: Interface = "Instance"
    offers = frozenset({"Slots", "Logs"})

    def __init__(
        self,
        directory: Path | str,
        *,
        grace: float = 5.0,
        most: int = 100,
        takes_along: bool = False,
    ) -> None:
        self._path, self._grace, self._most, self._takes_along = (
            Path(directory),
            grace,
            most,
            takes_along,
        )
        self._living: ProcessTable | None = None

    async def start(self, emit: Emit) -> None:
        """Take the directory and what lives of it; what died meanwhile is told as lost.

        Raises InUse, and PluginFailure, also when it cannot be told whether an instance lives: all
        stays as it is then.
        """
        register = StateFiles(self._path)
        try:
            living = ProcessTable(register, emit)
            living.take_up()
        except BaseException:
            register.close()
            raise
        self._living = living

    async def stop(self) -> None:
        """Let the instances go on, or end them if they are to be taken along."""
        if self._living is None:
            return
        living = self._living
        if self._takes_along:
            endings = [living.end(running.record.id, self._grace) for running in living]
            await asyncio.gather(*endings, return_exceptions=True)
        await living.leave()
        living.register.close()
        self._living = None

    async def validate(self, properties: Raw) -> None:
        """Accept properties that a process can be started from; raises SpecError."""
        if properties == NULL:
            raise SpecError(
                "Request Properties must be set", path="$.Properties", expected="an object"
            )
        check_properties(bytes(properties), "$.Properties")

    async def provision(self, spec: InstanceSpec, slot: str | None = None) -> str:
        """Start one process and return its instance's ID, or the ID of the instance that lives in
        the slot of the spec's group.

        Killed half-way leaves an instance that is known, or a process that the next start ends.
        Raises SpecError, and PluginFailure when the slot is taken, there is no room, or the system
        refuses.
        """
        living = self._started()
        properties = read_properties(bytes(spec.properties), "$.Spec.Properties")
        command = command_of(properties, spec.init)
        slot = slot_of(slot)
        if slot is not None and (there := _occupant(living, spec, slot)) is not None:
            return there
        if len(living) >= self._most:
            raise PluginFailure(
                f"no room: {len(living)} instances are alive, and no more than {self._most} may be"
            )
        living.register.check_held()
        check_free("start a process")
        instance = f"instance-{secrets.randbits(63)}"
        port = free_port({running.record.port for running in living})
        tags = {PID_TAG: str(LONGEST_PID), **(spec.tags or {}), PORT_TAG: str(port)}
        place = UNSET if slot is None else slot
        record = ProcessRecord(
            instance, 1, 0, procfs.boot(), time.time(), port, spec.logical_id, tags, place
        )
        check_size(record)
        environment = environment_of(
            properties, spec, instance, slot, port, living.register.path, living.register.owner
        )
        pid = _spawn(living, instance, command, environment, properties.cwd)
        try:  # it cannot be another one's yet: the process is ours to reap
            tags = {**tags, PID_TAG: (spec.tags or {}).get(PID_TAG, str(pid))}
            await living.add(replace(record, pid=pid, start=procfs.start_of(pid), tags=tags))
        except BaseException:
            if instance not in living:
                undo(pid)
                living.register.remove(instance)
            raise
        return instance

    async def destroy(self, instance: str) -> None:
        """End an instance: SIGTERM to its whole group, SIGKILL after the grace time; nothing of it
        is left on return.

        Goes on if the caller goes away. Raises SpecError for an empty ID, PluginFailure when there
        is no such instance.
        """
        living = self._started()
        if not instance:
            raise SpecError(
                "the ID of an instance must not be empty",
                path="$.Instance",
                expected="an instance's ID",
            )
        if instance not in living:
            raise PluginFailure(f"{instance} is no instance here")
        await living.end(instance, self._grace)

    async def describe_instances(
        self, tags: Mapping[str, str], slots: bool = False
    ) -> list[Description]:
        """Return the living instances that carry all ``tags``, in the order of their IDs."""
        described = [
            running.record.description
            for running in self._started()
            if carries(running.record.tags, tags)
        ]
        return described if slots else [replace(one, slot=UNSET) for one in described]

    async def logs(self, instance: str, lines: int = 0) -> list[str]:
        """Return the last lines that an instance printed (all that is kept for 0), also shortly
        after its death.
        """
        living = self._started()
        text = (
            tail(living.register.log(instance))
            if instance in living
            else living.outputs.of(instance)
        )
        if text is None:
            raise PluginFailure(f"{instance} is no instance here, and none that ended lately")
        return lines_of(text, lines)

    def _started(self) -> ProcessTable:
        if self._living is None:
            raise PluginFailure(f"the plugin of {self._path} is not running")
        return self._living


def _spawn(
    living: ProcessTable, instance: str, command: list[str], environment: dict[str, str], cwd: str
) -> int:
    """Start a process that prints into the instance's file, and return its pid; what cannot be
    started leaves no file.
    """
    output = living.register.open_log(instance)
    try:
        return spawn(command, environment, cwd, output)
    except BaseException:
        living.register.remove(instance)
        raise
    finally:
        os.close(output)


def _occupant(living: ProcessTable, spec: InstanceSpec, slot: str) -> str | None:
    """Return the ID of the instance in a slot if it is as the spec wants it, None if there is none;
    raises PluginFailure.
    """
    group = (spec.tags or {}).get(GROUP_TAG, "")
    for running in living:
        one = running.record.description
        if one.slot == slot and (one.tags or {}).get(GROUP_TAG, "") == group:
            return occupant(one, slot, spec, running.is_ending)
    return None
