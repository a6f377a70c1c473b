"""The instance plugin ``swarm``: an instance is a task of a Docker swarm, on whichever node Swarm
places it.

Here are the contract's methods, and the order in which the parts of the plugin begin and end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from msgspec import UNSET, Raw
from msgspec.structs import replace

from ...engine import EngineAddress, Services
from ...spi.contracts import Interface
from ...spi.decode import refuse_unknown
from ...spi.documents import Description, InstanceSpec, slot_of
from ...spi.errors import IkdemoError, PluginFailure
from ...spi.events import Emit
from ..common import check_given, check_id, has_tags
from ..output import last_lines
from .slot_claims import SlotClaims
from .slot_sweep import SlotSweep
from .slot_updates import SlotUpdates
from .task_config import TaskProperties, read_task_properties
from .task_watch import TaskWatch

FIRST_LOOK = 5.0
"""Seconds that a start waits for the swarm; after that the plugin answers that there is none."""
NAMESPACE = "ikdemo"
"""The namespace of plugins that are given none: all that have it share their instances."""


class _Parts(NamedTuple):
    watch: TaskWatch
    claims: SlotClaims
    updates: SlotUpdates
    sweep: SlotSweep


class SwarmInstances:
    """Instances that Swarm places. Whose they are is said by their ``namespace``: several plugins,
    on several machines, may have the same, and then have the same instances.

    ``hosts``: the managing engines; none means the one that Docker's own command finds. ``grace``:
    seconds between asking and killing. ``most``: how many may live. One that ``takes_along`` ends
    its namespace's instances when it ends.
    """

    interface: Interface = "Instance"
    offers = frozenset({"Slots", "Logs", "Fence"})
    _parts: _Parts | None = None

    def __init__(
        self,
        namespace: str = NAMESPACE,
        hosts: Sequence[EngineAddress] = (),
        *,
        grace: float = 0.0,
        most: int = 100,
        takes_along: bool = False,
    ) -> None:
        self._namespace, self._hosts = namespace, hosts
        self._grace, self._most, self._takes_along = grace, most, takes_along

    async def start(self, emit: Emit) -> None:
        """Begin to look at the swarm, which may come later; raises IkdemoError where it cannot be
        told which engine is meant.
        """
        watch = TaskWatch(self._reach(), self._namespace, emit)
        claims, sweep = SlotClaims(watch.services, self._namespace), SlotSweep(watch)
        watch.after_look = sweep.sweep
        updates = SlotUpdates(watch, claims, self._most, self._grace)
        self._parts = _Parts(watch, claims, updates, sweep)
        watch.start()
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_LOOK):
                await watch.first_look.wait()

    def _reach(self) -> Services:
        return Services(self._hosts)

    async def stop(self) -> None:
        """Let the instances go on, or end them if they are to be taken along."""
        if self._parts is None:
            return
        watch, _, updates, sweep = self._parts
        await updates.finish()
        if self._takes_along:
            with suppress(IkdemoError):
                alive = list(await watch.look())
                endings = [updates.destroy(instance, None) for instance in alive]
                await asyncio.gather(*endings, return_exceptions=True)
                await sweep.remove_all()
        self._parts = None
        await watch.stop()
        watch.services.disconnect()

    async def validate(self, properties: Raw) -> None:
        """Accept properties that a task can be made from, as far as can be told without the swarm;
        raises SpecError.
        """
        check_given(properties)
        read_task_properties(bytes(properties), "$.Properties")
        refuse_unknown(properties, TaskProperties, path="$.Properties")

    async def claim(self, group: str, epoch: int) -> None:
        """Refuse older leaders from now on, at every plugin of this namespace: the swarm keeps the
        epochs. See ``Fencing``.
        """
        await self._started().claims.claim(group, epoch)

    async def provision(
        self, spec: InstanceSpec, slot: str | None = None, epoch: int | None = None
    ) -> str:
        """Fill a slot, or make an instance without one, and return its ID; see
        ``SlotUpdates.provision``.

        Killed half-way leaves an instance that is known. Raises SpecError, Fenced, PluginFailure,
        OutcomeUnknown.
        """
        updates = self._started().updates
        properties = read_task_properties(bytes(spec.properties), "$.Spec.Properties")
        return await updates.provision(properties, spec, slot_of(slot), epoch)

    async def destroy(self, instance: str, epoch: int | None = None) -> None:
        """End an instance; its slot stays, empty. Raises as ``SlotUpdates.destroy`` does, and
        SpecError for an empty ID.
        """
        updates = self._started().updates
        check_id(instance)
        await updates.destroy(instance, epoch)

    async def describe_instances(
        self, tags: Mapping[str, str], slots: bool = False
    ) -> list[Description]:
        """Return the living instances that carry all ``tags``, in the order of their IDs, as the
        swarm has them now.

        Raises PluginUnavailable or OutcomeUnknown when it does not say.
        """
        watch = self._started().watch
        alive = [one for _, one in sorted((await watch.look()).items())]
        published = any(one.publishes for one in alive)
        nodes = await watch.services.nodes() if published else {}
        described = [one.description(nodes) for one in alive]
        matching = [one for one in described if has_tags(one.tags, tags)]
        return matching if slots else [replace(one, slot=UNSET) for one in matching]

    async def logs(self, instance: str, lines: int = 0) -> list[str]:
        """Return the last lines that an instance printed (all that is kept for 0), also shortly
        after it ended by itself.
        """
        watch = self._started().watch
        one = watch.living.get(instance)
        text = watch.outputs.of(instance)
        if one is not None and one.task is not None:
            text = await watch.services.task_logs(str(one.task["ID"]), lines)
        return last_lines(instance, text, lines)

    def _started(self) -> _Parts:
        if self._parts is None:
            raise PluginFailure(f"the plugin of namespace {self._namespace} is not running")
        return self._parts
