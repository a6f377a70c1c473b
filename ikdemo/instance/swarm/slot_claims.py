"""Which leader may act on a group's slots: the swarm itself keeps the epochs, in a record of each
group and in each slot.

A slot and the record of its group are read in one answer, so both are of one moment. A claim writes
the record first, and then touches every slot that is older. So an older leader's update is refused:
it read its slot before it was touched, and the version is another one; or after, and the epoch
tells. A slot that did not exist when its group was claimed is made empty first, and read again with
the record, before it is filled.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from ...engine import Service, Services
from ...spi.errors import Fenced, PluginFailure, VersionConflict
from .slot_service import (
    GROUP,
    NAMESPACE,
    SlotService,
    record_epoch_of,
    record_name,
    record_spec,
    service_name,
    slot_service_of,
    touched,
)

ATTEMPTS = 20
"""How often one call looks again because another one was faster."""


class SlotState(NamedTuple):
    """A slot of a group and the group's ``record`` of its epoch, 0 for none, as one answer has
    them. ``held``: None for a slot without a service.
    """

    group: str
    held: SlotService | None
    record: int

    def check(self, epoch: int | None) -> None:
        """Accept an action for a leader, or for a client without an epoch; raises Fenced, and
        PluginFailure for an epoch that was not claimed.
        """
        if epoch is None:
            return
        known = max(self.record, 0 if self.held is None else self.held.epoch)
        if epoch < known:
            raise Fenced(epoch, known)
        if epoch > self.record:
            raise PluginFailure(f"epoch {epoch} has not been claimed for group {self.group}")


class SlotClaims:
    """The epochs of one namespace."""

    def __init__(self, services: Services, namespace: str) -> None:
        self._services, self._namespace = services, namespace

    async def claim(self, group: str, epoch: int) -> None:
        """Refuse every smaller epoch from now on: in the group's record, then in each slot.

        Raises Fenced when a greater one has begun, PluginFailure when others are faster all the
        time.
        """
        wanted = [f"{NAMESPACE}={self._namespace}", f"{GROUP}={group}"]
        for _ in range(ATTEMPTS):
            listed = await self._services.services(label=wanted)
            record, known = self._record_in(listed, group)
            slots = [
                held
                for one in listed
                if (held := slot_service_of(one, self._namespace)) is not None
                and held.group == group
            ]
            newest = max([known, *(held.epoch for held in slots)])
            if newest > epoch:
                raise Fenced(epoch, newest)
            try:
                if record is None:
                    await self._services.create(record_spec(self._namespace, group, epoch))
                    continue
                if known < epoch:
                    await self._services.update(record, touched(record.spec, epoch))
                    continue
            except VersionConflict:
                continue
            older = [held for held in slots if held.epoch < epoch and not held.is_leaving]
            if not older:
                return
            await asyncio.gather(*(self._touch(held, epoch) for held in older))
        raise PluginFailure(
            f"epoch {epoch} cannot act on group {group} yet: its slots are changed all the time; "
            "claim it again"
        )

    async def _touch(self, held: SlotService, epoch: int) -> None:
        try:
            await self._services.update(held.service, touched(held.service.spec, epoch))
        except VersionConflict:
            return  # it is looked at again

    async def read(self, group: str, slot: str | None, instance: str) -> SlotState:
        """Read a slot and the record of its group in one answer; raises PluginFailure when a
        service of somebody else has the name of one of them.
        """
        name, record = (
            service_name(self._namespace, group, slot, instance),
            record_name(self._namespace, group),
        )
        listed = await self._services.services(name=[name, record])
        held = None
        for one in listed:
            if one.name == name:
                held = slot_service_of(one, self._namespace)
                if held is None or held.group != group:
                    raise _foreign(name, f"slot {slot} of group {group}")
        _, epoch = self._record_in(listed, group)
        return SlotState(group, held, epoch)

    def _record_in(self, listed: list[Service], group: str) -> tuple[Service | None, int]:
        name = record_name(self._namespace, group)
        for one in listed:
            if one.name == name:
                kept = record_epoch_of(one, self._namespace)
                if kept is None or kept[0] != group:
                    raise _foreign(name, f"the epochs of group {group}")
                return one, kept[1]
        return None, 0


def _foreign(name: str, what: str) -> PluginFailure:
    return PluginFailure(
        f"a service called {name} is there that was not made for {what}: it is left alone; remove "
        "it, or choose another --namespace"
    )
