"""Carry out a plan: prepare and provision, drain and destroy, in parallel and bounded, one outcome
per action begun.

Every call of a round is answered (or past its deadline) before this returns, so the next
observation is not older than the actions.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence

import msgspec
from msgspec import UNSET

from ..reconcile.desired import Desired
from ..spi.contracts import Fencing, FlavorPlugin, Found, InstancePlugin, Lookup
from ..spi.documents import GROUP_TAG, SHA_TAG, Description, GroupProperties, InstanceSpec
from ..spi.errors import (
    Fenced,
    IkdemoError,
    OutcomeUnknown,
    PluginFailure,
    PluginUnavailable,
    RemoteFailure,
    SpecError,
)
from ..spi.plans import Action, Outcome
from .epoch_claim import EpochClaim

PARALLEL_ACTIONS = 128
"""Actions of one group in flight at a time: two full arrays, one worked on while the next is on its
way.
"""

log = logging.getLogger(__name__)


class Executor:
    """Does what a plan says for one group, with the plugins found at the beginning of the pass."""

    def __init__(
        self,
        desired: Desired,
        properties: GroupProperties,
        good: GroupProperties | None,
        claim: EpochClaim,
        described: Iterable[Description],
        report: Callable[[Outcome], None],
    ) -> None:
        """``drained``: the IDs of instances that their flavor has drained.

        ``good``: the properties whose hash is that of ``desired.good``, for slots that are
        filled as they were. ``claim``: on the group, for the leader for whom this acts.
        """
        self._desired, self._properties, self._report = desired, properties, report
        self._good = good or properties
        self._described = {d.id: d for d in described}
        self._prepared: dict[tuple[str, str | None], asyncio.Task[InstanceSpec]] = {}
        self._claim, self._epoch = claim, claim.epoch
        self._instance: Found[InstancePlugin]
        self._fencing: Fencing | None = None
        self._flavors: dict[str, Found[FlavorPlugin] | IkdemoError] = {}
        self.drained: set[str] = set()

    async def act(
        self, actions: Sequence[Action], lookup: Lookup, still_wanted: Callable[[], bool]
    ) -> tuple[Outcome, ...]:
        """Carry out ``actions``; those not begun when ``still_wanted`` turns false, or a later
        leader has begun, are left out.

        A flavor that cannot be found makes provisioning fail, not destruction.
        """
        try:
            self._instance = await lookup.instance(self._properties.instance.plugin)
            self._fencing = await self._claim.make(self._instance, self._epoch)
        except Fenced:
            return ()
        except IkdemoError as error:
            # nothing was begun, so there is nothing to report, and nothing to count as an attempt
            failed = (_failed(action, error) for action in actions)
            return tuple(msgspec.structs.replace(one, unreachable=True) for one in failed)
        for name in {self._properties.flavor.plugin, self._good.flavor.plugin}:
            try:
                self._flavors[name] = await lookup.flavor(name)
            except IkdemoError as error:
                self._flavors[name] = error
        self._still_wanted = still_wanted
        left, outcomes = iter(actions), list[Outcome]()

        async def work() -> None:
            for action in left:
                if not still_wanted() or self._claim.is_fenced:
                    return
                outcome = await self._outcome(action)
                if outcome is not None:
                    self._report(outcome)
                    outcomes.append(outcome)

        async with asyncio.TaskGroup() as workers:
            for _ in range(min(PARALLEL_ACTIONS, len(actions))):
                workers.create_task(work())
        return tuple(outcomes)

    async def _outcome(self, action: Action) -> Outcome | None:
        """Carry out one action; None when it was prepared, and something else is desired, or a
        later leader has begun, by then.
        """
        try:
            return await (
                self._provision(action) if action.verb == "provision" else self._destroy(action)
            )
        except Fenced as error:
            self._claim.on_refusal(error)
            return None
        except IkdemoError as error:
            return _failed(action, error)

    async def _provision(self, action: Action) -> Outcome | None:
        prepared = await self._prepared_for(action)
        if not self._still_wanted():
            return None
        slot = action.slot if "Slots" in self._instance.offers else None
        try:
            if self._fencing is None:
                instance = await self._instance.plugin.provision(prepared, slot) or ""
            else:
                instance = await self._fencing.provision(prepared, slot, self._epoch) or ""
        except Fenced:
            raise
        except IkdemoError as error:
            # not for good at the first word: a machine changes, as when a program is replaced
            failed = _failed(action, error)
            return msgspec.structs.replace(failed, terminal=False, unproductive=failed.terminal)
        return Outcome(action, instance, "" if instance else "the instance plugin gave no ID")

    async def _prepared_for(self, action: Action) -> InstanceSpec:
        """Have the flavor prepare a spec, or wait for the answer to the same question if that is
        always the same.
        """
        properties, sha = (
            (self._good, action.sha) if action.sha else (self._properties, self._desired.sha)
        )
        flavor = self._flavors[properties.flavor.plugin]
        if isinstance(flavor, IkdemoError):
            raise flavor
        if "ConstantPrepare" not in flavor.offers:
            return await self._prepare(flavor.plugin, properties, sha, action.logical_id)
        asked = sha, action.logical_id
        if asked not in self._prepared:
            self._prepared[asked] = asyncio.create_task(
                self._prepare(flavor.plugin, properties, sha, action.logical_id)
            )
        return await self._prepared[asked]

    async def _prepare(
        self, flavor: FlavorPlugin, properties: GroupProperties, sha: str, logical_id: str | None
    ) -> InstanceSpec:
        ours = {GROUP_TAG: self._desired.group, SHA_TAG: sha}
        spec = InstanceSpec(properties.instance.properties, ours, "", logical_id)
        try:
            prepared = await flavor.prepare(
                properties.flavor.properties, spec, self._properties.allocation
            )
        except OutcomeUnknown as error:
            # that of Prepare: no instance was asked for, so none need be waited for
            raise PluginFailure(str(error)) from None
        # A flavor's tags must not take an instance out of its group, or it would be made again and
        # again.
        return msgspec.structs.replace(prepared, tags={**(prepared.tags or {}), **ours})

    async def _destroy(self, action: Action) -> Outcome | None:
        await self._drain(action)
        if not self._still_wanted():
            return None
        if self._fencing is None:
            await self._instance.plugin.destroy(action.instance)
        else:
            await self._fencing.destroy(action.instance, self._epoch)
        return Outcome(action, action.instance)

    async def _drain(self, action: Action) -> None:
        """Drain as well as can be done: like InfraKit's, an instance is destroyed even if its
        flavor objects.
        """
        flavor = self._flavors[self._properties.flavor.plugin]
        if isinstance(flavor, IkdemoError):
            return
        try:
            described = msgspec.structs.replace(self._described[action.instance], slot=UNSET)
            await flavor.plugin.drain(self._properties.flavor.properties, described)
            self.drained.add(action.instance)
        except IkdemoError as error:
            log.warning("Draining %s failed: %s", action.instance, error)


def _failed(action: Action, error: IkdemoError) -> Outcome:
    return Outcome(
        action,
        action.instance,
        str(error),
        unknown=isinstance(error, OutcomeUnknown),
        terminal=isinstance(error, SpecError) or (isinstance(error, RemoteFailure) and error.final),
        unreachable=isinstance(error, PluginUnavailable),
    )
