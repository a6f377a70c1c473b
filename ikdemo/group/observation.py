"""Makes one observation of a group: asks the instance plugin what there is, and the flavor about
its health.

What it shows is a ``View``. Nothing is remembered here; a failed answer is doubt, not an empty
group.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from msgspec import structs

from ..reconcile.desired import UNHEALTHY_AFTER, Desired
from ..reconcile.members import DescriptionSource, Members
from ..reconcile.model import Expected, Observation
from ..spi.contracts import FlavorPlugin, Found, Lookup
from ..spi.documents import GROUP_TAG, Description, GroupProperties, Health
from ..spi.errors import IkdemoError
from ..spi.plans import ObservedInstance

PARALLEL_CHECKS = 32
"""Health questions in flight at a time."""


class View(NamedTuple):
    """The observation, the descriptions it was made from, and what the plugins' extensions promise.

    ``idempotent``: the instance plugin provisions a slot at most once. ``emits_events``: it also
    emits what happens to instances. ``unhealthy_after``: consecutive unhealthy answers that make an
    instance unhealthy. ``can_fail``: instances can end or become unhealthy by themselves.
    ``health_checked``: the flavor has to be asked for their health. ``buries``: it buries what is
    lost; None where that cannot be told. ``is_fresh``: false for what
    came from the cache.
    """

    observed: Observation
    described: Sequence[Description]
    idempotent: bool
    emits_events: bool = False
    unhealthy_after: int = UNHEALTHY_AFTER
    can_fail: bool = True
    health_checked: bool = False
    is_fresh: bool = True
    buries: bool | None = None

    def applied_to(self, desired: Desired) -> Desired:
        """Return what is desired, with what the plugins promise taken into account."""
        return structs.replace(
            desired,
            idempotent=self.idempotent,
            unhealthy_after=self.unhealthy_after,
            pace=structs.replace(desired.pace, can_fail=self.can_fail),
            health_checked=self.health_checked,
        )


async def observe_group(
    group: str,
    properties: GroupProperties,
    lookup: Lookup,
    *,
    ask_health: bool,
    members: Members,
    expected: Mapping[str, Expected],
) -> View:
    """Describe the group by its tag and, if it is time, ask for the health of every member.

    What is known of ``members`` is not changed. A flavor whose health is constant is not asked. The
    observation has an ``error`` when the instances could not be described; a flavor that cannot be
    reached leaves health unknown.
    """
    try:
        instance = await lookup.instance(properties.instance.plugin)
        slots = "Slots" in instance.offers
        found = await instance.plugin.describe_instances({GROUP_TAG: group}, slots=slots)
    except IkdemoError as error:
        return View(Observation(error=str(error)), [], True)
    await asyncio.sleep(0)  # thousands may have been decoded: others have their turn
    source = DescriptionSource(properties.instance.plugin, slots, "FiltersByTag" in instance.offers)
    observed, described = members.read(found, source, expected)
    flavor, health_error = await _find(properties, lookup)
    if ask_health and flavor is not None:
        said = [Health.HEALTHY] * len(described)
        if "ConstantHealth" not in flavor.offers:
            said, health_error = await _check_health(flavor.plugin, properties, described)
        seen = [
            ObservedInstance(s.id, s.logical_id, s.slot, s.sha, health)
            for s, health in zip(observed.instances, said, strict=True)
        ]
        observed = structs.replace(observed, instances=tuple(seen))
    if health_error and described:
        observed = structs.replace(observed, health_error=health_error)
    emits_events = slots and "Events" in instance.offers
    constant = flavor is not None and "ConstantHealth" in flavor.offers
    lasts = "ConstantLife" in instance.offers and constant
    return View(
        observed,
        described,
        slots,
        emits_events,
        _unhealthy_after(flavor),
        not lasts,
        health_checked=flavor is not None and not constant,
        buries=None if flavor is None else "Bury" in flavor.offers,
    )


async def view_of_cache(
    known: Observation,
    properties: GroupProperties,
    lookup: Lookup,
    *,
    ask_health: bool,
    can_fail: bool,
) -> View | None:
    """Make a view of what is known already; None when the flavor has to be asked about health,
    which needs descriptions.
    """
    flavor, health_error = await _find(properties, lookup)
    if known.instances and known.health_error != health_error:
        known = structs.replace(known, health_error=health_error)
    if ask_health and flavor is not None:
        if "ConstantHealth" not in flavor.offers:
            return None
        seen = [
            ObservedInstance(s.id, s.logical_id, s.slot, s.sha, Health.HEALTHY)
            for s in known.instances
        ]
        known = structs.replace(known, instances=tuple(seen))
    health_checked = flavor is not None and "ConstantHealth" not in flavor.offers
    return View(
        known, [], True, True, _unhealthy_after(flavor), can_fail, health_checked, is_fresh=False
    )


async def _find(
    properties: GroupProperties, lookup: Lookup
) -> tuple[Found[FlavorPlugin] | None, str]:
    """Find the flavor, or say why it cannot be asked."""
    try:
        return await lookup.flavor(properties.flavor.plugin), ""
    except IkdemoError as error:
        return None, str(error)


def _unhealthy_after(flavor: Found[FlavorPlugin] | None) -> int:
    """Return how many unhealthy answers in a row count, also where this pass asks for none.

    A flavor that emits changes of health has checked more than once before it emits one, so one
    answer is enough.
    """
    return 1 if flavor is not None and "HealthEvents" in flavor.offers else UNHEALTHY_AFTER


async def _check_health(
    flavor: FlavorPlugin, properties: GroupProperties, described: Sequence[Description]
) -> tuple[list[Health], str]:
    """Ask for the health of each instance, in order; no answer is no evidence, and the first reason
    for one is returned.
    """
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
