"""How slots are filled and emptied: by updates that name the version of the service that was read,
so of all who read it one succeeds, and the others look again.

An answer that is lost needs no second thought: if the update was made the slot shows it, and if it
is made later it is refused, once another one was made.
"""

from __future__ import annotations

import asyncio
import secrets

from ...engine import Row
from ...spi.documents import InstanceSpec
from ...spi.errors import IkdemoError, OutcomeUnknown, PluginFailure, VersionConflict
from ..common import occupant
from ..container_labels import Labels
from ..single_flight import SingleFlight
from .slot_claims import ATTEMPTS, SlotClaims
from .slot_service import (
    EPOCH,
    SlotService,
    emptied,
    slot_spec,
    touched,
)
from .task_config import TaskProperties, ports_of, task_of
from .task_watch import TaskWatch
from .tasks import ENDED, LiveInstance, is_wanted, newest_of

START_WAIT = 3.0
"""Seconds that a provision waits for its task to run; one that a node has taken goes on alone."""
PLACE_WAIT = 10.0
"""Seconds that it waits for Swarm to place the task, or to say that it cannot."""
END_WAIT = 20.0
"""Seconds, besides the grace time, until the task of an emptied slot has to be gone."""


class SlotUpdates:
    """The slots of one namespace. ``most``: how many instances may live; ``grace``: seconds between
    asking one to end and killing it.
    """

    def __init__(self, watch: TaskWatch, claims: SlotClaims, most: int, grace: float) -> None:
        self._watch, self._services, self._namespace = watch, watch.services, watch.namespace
        self._claims = claims
        self._most, self._grace = most, grace
        self._provisions = SingleFlight[str, str]()
        self._ends = SingleFlight[tuple[str, int | None], None]()

    async def finish(self) -> None:
        """Finish what was begun."""
        await self._provisions.finish()
        await self._ends.finish()

    async def provision(
        self, properties: TaskProperties, spec: InstanceSpec, slot: str | None, epoch: int | None
    ) -> str:
        """Fill a slot and return the ID of its instance, when it runs or a node has it; one that
        lives there already is returned instead. Goes on if the caller goes away.

        Raises PluginFailure when another configuration is there, nothing can run it, or there is no
        room; Fenced; OutcomeUnknown when it cannot be told.
        """
        labels = Labels(
            f"instance-{secrets.randbits(63)}",
            slot,
            spec.logical_id,
            dict(spec.tags or {}),
            properties.port,
        )
        task = task_of(properties, spec, labels, self._namespace, self._grace)
        wanted = slot_spec(self._namespace, labels, epoch or 0, task, ports_of(properties))
        return await self._provisions.do(
            labels.instance,
            lambda: self._provision(labels, spec, wanted, epoch),
            name=f"provision of {labels.instance}",
        )

    async def _provision(
        self, labels: Labels, spec: InstanceSpec, wanted: Row, epoch: int | None
    ) -> str:
        with self._watch.awaiting(labels.instance):
            there = await self._fill(labels, spec, wanted, epoch)
            if there is not None:
                return there
            self._watch.wake()
            await self._until_started(labels, epoch)
        return labels.instance

    async def _fill(
        self, labels: Labels, spec: InstanceSpec, wanted: Row, epoch: int | None
    ) -> str | None:
        """Fill a slot, or return the instance that lives there."""
        group = labels.group
        until = asyncio.get_running_loop().time() + START_WAIT + self._grace
        for _ in range(ATTEMPTS):
            now = await self._claims.read(group, labels.slot, labels.instance)
            now.check(epoch)
            try:
                if now.held is None:
                    self._check_room(labels.instance)
                    await self._services.create(emptied(wanted))
                    continue  # and read it together with the record
                if now.held.is_leaving:
                    await self._services.remove(now.held.service)
                    continue
                there = await self._occupant(now.held, spec, until)
                if there is not None:
                    return there
                self._check_room(labels.instance)
                await self._services.update(now.held.service, _at_least(wanted, now.held.epoch))
            except VersionConflict:
                continue
            return None
        raise PluginFailure(
            f"slot {labels.slot} of group {group} is changed by others all the time"
        )

    def _check_room(self, instance: str) -> None:
        taken = len((self._watch.living.keys() | self._watch.awaited) - {instance})
        if taken >= self._most:
            raise PluginFailure(
                f"no room: {taken} instances are alive, and no more than {self._most} may be"
            )

    async def _occupant(self, held: SlotService, spec: InstanceSpec, until: float) -> str | None:
        """Return the instance that lives in a slot, None when it may be filled; raises
        PluginFailure when another configuration is there, or one that has not ended in time.
        """
        clock, name = asyncio.get_running_loop().time, str(held.slot)
        while True:
            tasks = await self._services.tasks_of(held.service.id)
            if held.occupant is not None:
                task = newest_of(held.occupant.instance, tasks)
                if task is None or is_wanted(task, self._watch.ended):
                    return occupant(held.occupant.description, name, spec)
            ending = [task for task in tasks if await self._is_ending(task)]
            if not ending:
                return None
            if clock() > until:
                raise PluginFailure(
                    f"slot {name} of group {held.group} is occupied by a task that has not ended "
                    f"yet: {ending[0]['ID']}"
                )
            await self._watch.next_look()

    async def _is_ending(self, task: Row) -> bool:
        """Say whether a task that is to end has not ended yet, at a node that can be told so."""
        if task["Status"]["State"] in ENDED or task["ID"] in self._watch.ended:
            return False
        if not (place := task.get("NodeID")):
            return False
        node = (await self._services.nodes()).get(place) or {}
        return (node.get("Status") or {}).get("State") == "ready"

    async def _until_started(self, labels: Labels, epoch: int | None) -> None:
        """Wait until the task of a filled slot runs, or is on its way at a node.

        A slot whose task ended at once, or that no node can run, is emptied: raises PluginFailure.
        """
        watch, clock = self._watch, asyncio.get_running_loop().time
        began, filled_at = clock(), watch.begun
        while True:
            await watch.next_look()
            one, waited = watch.living.get(labels.instance), clock() - began
            if labels.instance in watch.over:
                raise PluginFailure(f"{labels.instance} {watch.over[labels.instance].text}")
            if one is None and watch.succeeded > filled_at:
                raise OutcomeUnknown(f"{labels.instance} was ended as soon as it was made")
            if one is not None:
                placed = one.task is not None and one.state not in ("new", "pending")
                if one.state == "running" or (placed and waited > START_WAIT):
                    return watch.made(one)
                if one.unplaced and waited > START_WAIT:
                    await self._give_up(labels, epoch)
                    raise PluginFailure(f"no node can run {labels.instance}: {one.unplaced}")
            if waited > PLACE_WAIT:
                raise OutcomeUnknown(
                    f"the swarm has not placed {labels.instance} within {PLACE_WAIT:g} s"
                )

    async def _give_up(self, labels: Labels, epoch: int | None) -> None:
        """Empty a slot whose task has no node, unless another one acted on it."""
        try:
            now = await self._claims.read(labels.group, labels.slot, labels.instance)
            now.check(epoch)
            if now.held is not None and now.held.occupant == labels:
                await self._services.update(now.held.service, emptied(now.held.service.spec))
        except IkdemoError:
            return  # it stays, is described, and can be destroyed

    async def destroy(self, instance: str, epoch: int | None) -> None:
        """Empty the slot of an instance, and wait until no task is left that its node can end; goes
        on if the caller goes away, and a second one of the same epoch joins.

        Raises PluginFailure when there is no such instance, or it does not end in time; Fenced.
        """
        await self._ends.do(
            (instance, epoch), lambda: self._end(instance, epoch), name=f"end of {instance}"
        )

    async def _end(self, instance: str, epoch: int | None) -> None:
        one = self._watch.living.get(instance) or (await self._watch.look()).get(instance)
        if one is None:
            raise PluginFailure(f"{instance} is no instance here")
        with self._watch.awaiting(instance):
            held = await self._empty(one, epoch)
            self._watch.wake()
            await self._until_gone(held, instance)
            self._watch.destroyed(one)
            if held.is_one_off:
                await self._services.remove(held.service)

    async def _empty(self, one: LiveInstance, epoch: int | None) -> SlotService:
        labels = one.labels
        for _ in range(ATTEMPTS):
            now = await self._claims.read(labels.group, labels.slot, labels.instance)
            now.check(epoch)
            held = now.held
            if held is None or held.occupant is None or held.occupant.instance != labels.instance:
                raise PluginFailure(f"{labels.instance} is no instance here")
            wanted = _at_least(emptied(held.service.spec), epoch or 0)
            try:
                await self._services.update(held.service, wanted)
            except VersionConflict:
                continue
            return held
        raise PluginFailure(f"the slot of {labels.instance} is changed by others all the time")

    async def _until_gone(self, held: SlotService, instance: str) -> None:
        clock = asyncio.get_running_loop().time
        until = clock() + self._grace + END_WAIT
        while True:
            tasks = await self._services.tasks_of(held.service.id)
            if not any([await self._is_ending(task) for task in tasks]):
                return
            if clock() > until:
                raise PluginFailure(f"{instance} was told to end, and is not gone yet")
            await self._watch.next_look()


def _at_least(spec: Row, epoch: int) -> Row:
    """Return a spec whose epoch is no smaller than this one."""
    own = int((spec.get("Labels") or {}).get(EPOCH, "0"))
    return touched(spec, epoch) if epoch > own else spec
