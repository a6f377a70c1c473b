"""What is there: the instances of one group, described by their plugin and judged by their flavor.

An answer that did not come is an observation with an error, never an empty one. Asked by ``Sight``
and, of what a freed group leaves, by ``Groups``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from msgspec import structs

from ..reconcile.members import Members, Reading
from ..reconcile.model import SICK_AFTER, Expected, Observation
from ..spi.contracts import FlavorPlugin, Found, Lookup
from ..spi.documents import GROUP_TAG, Description, GroupProperties, Health
from ..spi.errors import IkdemoError
from ..spi.plans import Seen

PARALLEL_CHECKS = 32
"""Health questions in flight at a time."""


class View(NamedTuple):
    """One look at a group: the observation, the descriptions it was made from, and what the plugins' extensions promise.

    ``idempotent``: slots keep provisioning so. ``tells``: what happens to an instance is told, too. ``sick_after``: as many
    unhealthy answers in a row make an instance sick. ``can_fail``: instances can end or fall ill by themselves. ``judged``:
    the flavor has to be asked for their health. ``looked``: false for what was only recalled.
    """

    observed: Observation
    described: Sequence[Description]
    idempotent: bool
    tells: bool = False
    sick_after: int = SICK_AFTER
    can_fail: bool = True
    judged: bool = False
    looked: bool = True


async def observe(
    group: str,
    properties: GroupProperties,
    lookup: Lookup,
    *,
    ask_health: bool,
    members: Members,
    expected: Mapping[str, Expected],
) -> View:
    """Describe the group by its tag and, if it is time, ask for the health of every member.

    What is known of ``members`` is not changed. A flavor whose health is constant is not asked. The observation has an ``error``
    when the instances could not be described; a flavor that cannot be reached leaves health unknown.
    """
    try:
        instance = await lookup.instance(properties.instance.plugin)
        slots = "Slots" in instance.offers
        found = await instance.plugin.describe_instances({GROUP_TAG: group}, slots=slots)
    except IkdemoError as error:
        return View(Observation(error=str(error)), [], True)
    reading = Reading(properties.instance.plugin, slots, "FiltersByTag" in instance.offers)
    observed, described = members.read(found, reading, expected)
    flavor, unasked = await _find(properties, lookup)
    if ask_health and flavor is not None:
        said = [Health.HEALTHY] * len(described)
        if "ConstantHealth" not in flavor.offers:
            said, unasked = await _judge(flavor.plugin, properties, described)
        seen = [Seen(s.id, s.logical_id, s.slot, s.sha, health) for s, health in zip(observed.instances, said, strict=True)]
        observed = structs.replace(observed, instances=tuple(seen))
    if unasked and described:
        observed = structs.replace(observed, unasked=unasked)
    tells = slots and "Events" in instance.offers
    constant = flavor is not None and "ConstantHealth" in flavor.offers
    lasts = "ConstantLife" in instance.offers and constant
    return View(observed, described, slots, tells, _sick_after(flavor), not lasts, judged=flavor is not None and not constant)


async def recall(
    known: Observation, properties: GroupProperties, lookup: Lookup, *, ask_health: bool, can_fail: bool
) -> View | None:
    """Make a view of what is known already; None when the flavor has to be asked, for which there are no descriptions."""
    flavor, unasked = await _find(properties, lookup)
    if known.instances and known.unasked != unasked:
        known = structs.replace(known, unasked=unasked)
    if ask_health and flavor is not None:
        if "ConstantHealth" not in flavor.offers:
            return None
        seen = [Seen(s.id, s.logical_id, s.slot, s.sha, Health.HEALTHY) for s in known.instances]
        known = structs.replace(known, instances=tuple(seen))
    judged = flavor is not None and "ConstantHealth" not in flavor.offers
    return View(known, [], True, True, _sick_after(flavor), can_fail, judged, looked=False)


async def _find(properties: GroupProperties, lookup: Lookup) -> tuple[Found[FlavorPlugin] | None, str]:
    """Find the flavor, or say why it cannot be asked."""
    try:
        return await lookup.flavor(properties.flavor.plugin), ""
    except IkdemoError as error:
        return None, str(error)


def _sick_after(flavor: Found[FlavorPlugin] | None) -> int:
    """Return how many unhealthy answers in a row count, also of those that were given before, when nobody asks now.

    A flavor that tells changes of health has looked more than once before it tells one, so its word is enough.
    """
    return 1 if flavor is not None and "HealthEvents" in flavor.offers else SICK_AFTER


async def _judge(flavor: FlavorPlugin, properties: GroupProperties, described: Sequence[Description]) -> tuple[list[Health], str]:
    """Ask for the health of each instance, in order; no answer is no evidence, and the first reason for one is returned."""
    gate = asyncio.Semaphore(PARALLEL_CHECKS)
    failures: list[str] = []

    async def ask(description: Description) -> Health:
        async with gate:
            try:
                return await flavor.healthy(properties.flavor.properties, description)
            except IkdemoError as error:
                failures.append(str(error))
                return Health.UNKNOWN

    health = list(await asyncio.gather(*(ask(d) for d in described)))
    return health, failures[0] if failures else ""
