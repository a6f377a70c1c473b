"""Observes a group; decides when to observe, when to ask for health, and when the cache will do.

It observes at the start, at every poll (unless the plugin confirms by a digest what is cached),
when a pass asks for it, and whenever events are not enough (``reconcile.observed_cache``). How one
observation is made is in ``observation``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from msgspec import structs

from ..reconcile.members import Members
from ..reconcile.model import Expected, Observation
from ..reconcile.observed_cache import ObservedCache
from ..spi.contracts import Digesting, Lookup
from ..spi.documents import GroupProperties
from ..spi.errors import IkdemoError
from ..spi.events import Event
from ..spi.plans import Action, ObservedInstance, Outcome, digest
from .clock import Clock
from .observation import View, observe_group, view_of_cache


class Observer:
    """Observes one group; ``poll`` is in seconds, ``known`` what another process knew of its
    instances.
    """

    def __init__(
        self,
        group: str,
        lookup: Lookup,
        poll: float,
        clock: Clock,
        known: Mapping[str, ObservedInstance],
    ) -> None:
        self._group, self._lookup, self._poll, self._clock = group, lookup, poll, clock
        self.members = Members(group, known)
        self._cache = ObservedCache()
        self._can_fail = True
        self._health_error = ""
        self._poll_due = self._health_due = 0.0
        self._digested: tuple[Observation | None, str] = None, ""

    def on_event(self, event: Event) -> bool:
        """Take in an event that may concern the group; return whether a pass should be made for
        it.
        """
        if event.kind == "health":
            self.check_health_soon()
            return True
        return self._cache.on_event(event)

    def invalidate(self) -> None:
        """Observe in the next pass, and ask for health, too: events may have been missed, or
        something else is desired.
        """
        self._cache.invalidate()
        self.check_health_soon()

    def check_health_soon(self) -> None:
        """Ask for health in the next pass."""
        self._health_due = 0.0

    def seconds_to_poll(self) -> float:
        """Return the seconds until the next observation is due."""
        return max(0.0, self._poll_due - self._clock.now())

    def health_is_due(self) -> bool:
        """Say whether to ask for health in this pass: at every poll, and at once after something
        new was made or desired.
        """
        now = self._clock.now()
        due = now >= self._health_due
        if due:
            self._health_due = now + self._poll
        return due

    async def observe(
        self, properties: GroupProperties, expected: Mapping[str, Expected], *, ask_health: bool
    ) -> View:
        """Observe now and remember nothing."""
        observing = observe_group(
            self._group,
            properties,
            self._lookup,
            ask_health=ask_health,
            members=self.members,
            expected=expected,
        )
        return await observing

    async def current_view(
        self,
        properties: GroupProperties,
        expected: Mapping[str, Expected],
        *,
        ask_health: bool,
        fresh: bool,
    ) -> View:
        """Return what there is: observed now if it has to be ``fresh`` or the cache will not do,
        otherwise from the cache.
        """
        known = None if fresh else self._cache.current()
        if known is not None and not self.seconds_to_poll():
            known = await self._confirmed(known, properties)
        if known is not None:
            cached = await view_of_cache(
                known, properties, self._lookup, ask_health=ask_health, can_fail=self._can_fail
            )
            if cached is not None:
                return self._with_health(cached, asked=ask_health)
        self._cache.begin_refresh()
        self._poll_due = self._clock.now() + self._poll
        view = await self.observe(properties, expected, ask_health=ask_health)
        await asyncio.sleep(0)  # thousands may have been read: others have their turn
        self.members.record_observation(view.observed)
        if view.emits_events:
            self._cache.end_refresh(view.observed)
        self._can_fail = view.can_fail
        if view.observed.error:
            self.check_health_soon()  # no flavor was asked
            return view
        return self._with_health(view, asked=ask_health)

    def _with_health(self, view: View, *, asked: bool) -> View:
        """Keep what kept health from being known, until it is asked for again."""
        if asked or not view.health_checked:
            self._health_error = view.observed.health_error
        elif self._health_error and not view.observed.health_error:
            return view._replace(
                observed=structs.replace(view.observed, health_error=self._health_error)
            )
        return view

    async def _confirmed(
        self, known: Observation, properties: GroupProperties
    ) -> Observation | None:
        """At a poll, return what is known by now if the plugin has just said that it holds the
        same; None if the group has to be observed.

        So a poll over thousands of instances of which none has changed costs one line.
        """
        due = self._clock.now() + self._poll
        try:
            found = await self._lookup.instance(properties.instance.plugin)
            if "Digest" not in found.offers or not isinstance(found.plugin, Digesting):
                return None
            said = await found.plugin.digest_instances(self._group)
        except IkdemoError:
            return None
        if self._digested[0] is not known:
            self._digested = known, digest(known.instances)
        if said != self._digested[1]:
            return None
        self._poll_due = due
        return self._cache.current()

    def begin_acting(self, actions: Iterable[Action]) -> None:
        """Expect the events of actions that are about to be carried out."""
        self._cache.begin_acting(actions)

    def end_acting(self, outcomes: tuple[Outcome, ...], sha: str) -> None:
        """Enter what came of actions on instances of this configuration."""
        self._cache.end_acting(outcomes, sha)
        self.members.record_outcomes(outcomes, sha)
        if any(outcome.action.verb == "provision" for outcome in outcomes):
            self.check_health_soon()
