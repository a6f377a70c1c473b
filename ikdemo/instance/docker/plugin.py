"""The instance plugin ``docker``: an instance is a container, alive as long as the engine says so.

Here are the contract's methods, and the order in which the parts of the plugin begin and end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

from msgspec import UNSET, Raw
from msgspec.structs import replace

from ... import disk
from ...engine import Engine
from ...spi.decode import refuse_unknown
from ...spi.documents import GROUP_TAG, Description, InstanceSpec, slot_of
from ...spi.errors import IkdemoError, PluginFailure
from ...spi.events import Emit
from ..common import LastingInstances, check_given, check_id, has_tags
from ..container_labels import INSTANCE, TAG
from ..output import last_lines
from .config import DockerProperties, read_properties
from .containers import Containers
from .engine_watch import EngineWatch
from .orphans import leave_note
from .provisioning import Provisioner

FIRST_LOOK = 5.0
"""Seconds that a start waits for the engine; after that the plugin answers that there is none."""


class _Parts(NamedTuple):
    lease: disk.Lease
    containers: Containers
    provisioner: Provisioner
    engine_watch: EngineWatch


class DockerInstances(LastingInstances):
    """Instances that are containers. Whose they are is said by a label, which names the directory
    that this plugin owns.
    """

    _parts: _Parts | None = None

    async def start(self, emit: Emit) -> None:
        """Take the directory and what lives of it; what died meanwhile is told as lost. The engine
        may come later.

        Raises InUse, PluginFailure, CorruptState, and IkdemoError where it cannot be told which
        engine is meant.
        """
        engine = Engine()
        try:
            self._path.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise disk.refusal("create", self._path, error) from None
        lease = disk.Lease(self._path)
        try:
            owner_labels = leave_note(lease, self._path.resolve(), engine.host)
            self._fence.open(lease.fd)
        except IkdemoError:
            lease.release()
            raise
        containers = Containers(engine, owner_labels, emit)
        provisioner = Provisioner(containers, self._fence, self._most)
        self._parts = _Parts(
            lease, containers, provisioner, EngineWatch(containers, provisioner, emit)
        )
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_LOOK):
                await self._parts.engine_watch.first_sync.wait()

    async def stop(self) -> None:
        """Let the instances go on, or end them if they are to be taken along."""
        if self._parts is None:
            return
        parts, self._parts = self._parts, None
        await parts.provisioner.close()
        await self._fence.close()
        if self._takes_along:
            with suppress(IkdemoError):
                endings = [
                    parts.containers.end(one.labels.instance, self._grace)
                    for one in await parts.containers.list_alive()
                ]
                await asyncio.gather(*endings, return_exceptions=True)
        await parts.containers.close()
        await parts.engine_watch.stop()
        parts.containers.engine.disconnect()
        parts.lease.release()

    async def validate(self, properties: Raw) -> None:
        """Accept properties that a container can be made from, as far as can be told without the
        engine; raises SpecError.
        """
        check_given(properties)
        read_properties(bytes(properties), "$.Properties")
        refuse_unknown(properties, DockerProperties, path="$.Properties")

    async def claim(self, group: str, epoch: int) -> None:
        """Refuse older leaders from now on; raises also when the directory, which keeps the epochs,
        is not there. See ``Fencing``.
        """
        lease = self._started().lease
        lease.check_place()
        await self._fence.claim(group, epoch, lease.fd)

    async def provision(
        self, spec: InstanceSpec, slot: str | None = None, epoch: int | None = None
    ) -> str:
        """Start one container and return its instance's ID, or the ID of the instance that lives in
        the slot of the spec's group.

        Killed half-way leaves an instance that is known, or a container that the next start
        removes. Raises SpecError, Fenced, and PluginFailure when the slot is taken, there is no
        room, or the engine refuses.
        """
        parts = self._started()
        properties = read_properties(bytes(spec.properties), "$.Spec.Properties")
        return await parts.provisioner.provision(properties, spec, slot_of(slot), epoch)

    async def destroy(self, instance: str, epoch: int | None = None) -> None:
        """End an instance: SIGTERM to its first process, SIGKILL after the grace time, and its
        container is removed.

        Goes on if the caller goes away. Raises SpecError for an empty ID, Fenced, PluginFailure
        when there is no such instance.
        """
        containers = self._started().containers
        check_id(instance)
        group = "" if epoch is None else await containers.group_of(instance)
        await self._fence.act(group, epoch, lambda: containers.end(instance, self._grace))

    async def describe_instances(
        self, tags: Mapping[str, str], slots: bool = False
    ) -> list[Description]:
        """Return the living instances that carry all ``tags``, in the order of their IDs, as the
        engine lists them now.

        Raises PluginUnavailable or OutcomeUnknown when it does not answer.
        """
        containers = self._started().containers
        group = [f"{TAG}{GROUP_TAG}={tags[GROUP_TAG]}"] if tags.get(GROUP_TAG) else []
        list_alive = await containers.list_alive(
            *group, meant=lambda labels: labels.group == tags[GROUP_TAG] if group else True
        )
        list_alive.sort(key=lambda one: one.labels.instance)
        hosts = {
            one.lender: await containers.host_of(one.lender) for one in list_alive if one.lender
        }
        described = [one.description(hosts.get(one.lender, "")) for one in list_alive]
        matching = [one for one in described if has_tags(one.tags, tags)]
        return matching if slots else [replace(one, slot=UNSET) for one in matching]

    async def logs(self, instance: str, lines: int = 0) -> list[str]:
        """Return the last lines that an instance printed (all that is kept for 0), also shortly
        after its death.
        """
        containers = self._started().containers
        found = await containers.list_all(f"{INSTANCE}={instance}")
        text = (
            await containers.engine.logs(found[0].id, lines)
            if found
            else containers.reaper.outputs.of(instance)
        )
        return last_lines(instance, text, lines)

    def _started(self) -> _Parts:
        if self._parts is None:
            raise PluginFailure(f"the plugin of {self._path} is not running")
        return self._parts
