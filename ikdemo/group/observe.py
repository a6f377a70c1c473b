"""What is there: the instances of one group, described by their plugin and judged by their flavor.

An answer that did not come is an observation with an error, never an empty one. Called by the supervisor and by Describe.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from ..reconcile.world import SICK_AFTER, Observation
from ..spi.contracts import FlavorPlugin, Lookup
from ..spi.documents import GROUP_TAG, SHA_TAG, Description, GroupProperties, Health
from ..spi.errors import IkdemoError
from ..spi.plans import Seen

PARALLEL_CHECKS = 32
"""Health questions in flight at a time."""


class View(NamedTuple):
    """One look at a group: the observation, the descriptions it was made from, and what the plugins' extensions promise.

    ``idempotent``: slots keep provisioning so. ``sick_after``: as many unhealthy answers in a row make an instance sick.
    """

    observed: Observation
    described: Sequence[Description]
    idempotent: bool
    sick_after: int = SICK_AFTER


async def observe(group: str, properties: GroupProperties, lookup: Lookup, *, ask_health: bool) -> View:
    """Describe the group by its tag and, if it is time, ask for the health of every member.

    A flavor whose health is constant is not asked. The observation has an ``error`` when the instances could not be
    described; a flavor that cannot be reached leaves health unknown.
    """
    try:
        instance = await lookup.instance(properties.instance.plugin)
        slots = "Slots" in instance.offers
        found = await instance.plugin.describe_instances({GROUP_TAG: group}, slots=slots)
    except IkdemoError as error:
        return View(Observation(error=str(error)), [], True)
    # a plugin that does not filter must not get another group's instances destroyed
    described = [d for d in found if (d.tags or {}).get(GROUP_TAG, group) == group]
    health, sick_after = await _health(properties, lookup, described, ask_health)
    seen = (
        Seen(d.id, d.logical_id, d.slot or None, (d.tags or {}).get(SHA_TAG), h) for d, h in zip(described, health, strict=True)
    )
    return View(Observation(tuple(seen)), described, slots, sick_after)


async def _health(
    properties: GroupProperties, lookup: Lookup, described: Sequence[Description], ask: bool
) -> tuple[list[Health], int]:
    """Return the health of each instance, in order, and how many unhealthy answers in a row count.

    A flavor that tells changes of health has looked more than once before it tells one, so its word is enough.
    """
    unknown = [Health.UNKNOWN] * len(described)
    if not described:
        return unknown, SICK_AFTER
    try:
        flavor = await lookup.flavor(properties.flavor.plugin)
    except IkdemoError:
        return unknown, SICK_AFTER
    sick_after = 1 if "HealthEvents" in flavor.offers else SICK_AFTER  # also for what was said before, when nobody asks now
    if not ask:
        return unknown, sick_after
    if "ConstantHealth" in flavor.offers:
        return [Health.HEALTHY] * len(described), sick_after
    return await _judge(flavor.plugin, properties, described), sick_after


async def _judge(flavor: FlavorPlugin, properties: GroupProperties, described: Sequence[Description]) -> list[Health]:
    """Ask for the health of each instance, in order; no answer is no evidence."""
    gate = asyncio.Semaphore(PARALLEL_CHECKS)

    async def ask(description: Description) -> Health:
        async with gate:
            try:
                return await flavor.healthy(properties.flavor.properties, description)
            except IkdemoError:
                return Health.UNKNOWN

    return list(await asyncio.gather(*(ask(d) for d in described)))
