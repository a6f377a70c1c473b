"""What a group's loop knows of its world: when it looks, when it asks for health, and when it goes by what it was told.

It looks at the start, at every poll (or has the plugin confirm what is known), when it is told to, and whenever what was told is
not enough (``reconcile.observed_cache``). Made by ``supervisor``, one per group.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import structs

from ..reconcile.members import Members
from ..reconcile.model import Expected, Observation
from ..reconcile.observed_cache import Hearsay
from ..spi.contracts import Digesting, Lookup
from ..spi.digest import digest
from ..spi.documents import GroupProperties
from ..spi.errors import IkdemoError
from ..spi.events import Event
from ..spi.plans import Action, Outcome, Seen
from .clock import Clock
from .observe import View, observe, recall


class Sight:
    """The eyes and ears of one group; ``poll`` is in seconds, ``known`` what another process knew of its instances."""

    def __init__(self, group: str, lookup: Lookup, poll: float, clock: Clock, known: Mapping[str, Seen]) -> None:
        self._group, self._lookup, self._poll, self._clock = group, lookup, poll, clock
        self.members = Members(group, known)
        self._hearsay = Hearsay()
        self._can_fail = True
        self._unasked = ""
        self._look_due = self._health_due = 0.0
        self._digested: tuple[Observation | None, str] = None, ""

    def hear(self, event: Event) -> bool:
        """Take in what a plugin told that may concern the group; return whether a pass should be made for it."""
        if event.kind == "health":
            self.ask_soon()
            return True
        return self._hearsay.hear(event)

    def doubt(self) -> None:
        """Look next time, and ask for health, too: events may have been missed, or something else is wanted."""
        self._hearsay.doubt()
        self.ask_soon()

    def ask_soon(self) -> None:
        """Ask for health in the next pass."""
        self._health_due = 0.0

    def look_in(self) -> float:
        """Return the seconds until the next look is due."""
        return max(0.0, self._look_due - self._clock.now())

    def health_is_due(self) -> bool:
        """Say whether to ask for health in this pass: at every poll, and at once after something new was made or wanted."""
        now = self._clock.now()
        due = now >= self._health_due
        if due:
            self._health_due = now + self._poll
        return due

    async def peek(self, properties: GroupProperties, expected: Mapping[str, Expected], *, ask_health: bool) -> View:
        """Look without remembering anything."""
        asked = observe(self._group, properties, self._lookup, ask_health=ask_health, members=self.members, expected=expected)
        return await asked

    async def see(self, properties: GroupProperties, expected: Mapping[str, Expected], *, ask_health: bool, look: bool) -> View:
        """Return what is there, by a look if one is asked for or nothing else will do, and otherwise by what was told."""
        known = None if look else self._hearsay.now()
        if known is not None and not self.look_in():
            known = await self._confirmed(known, properties)
        if known is not None:
            recalled = await recall(known, properties, self._lookup, ask_health=ask_health, can_fail=self._can_fail)
            if recalled is not None:
                return self._with_health(recalled, asked=ask_health)
        self._hearsay.begin_look()
        self._look_due = self._clock.now() + self._poll
        view = await self.peek(properties, expected, ask_health=ask_health)
        self.members.learn(view.observed)
        if view.tells:
            self._hearsay.end_look(view.observed)
        self._can_fail = view.can_fail
        if view.observed.error:
            self.ask_soon()  # nobody was asked
            return view
        return self._with_health(view, asked=ask_health)

    def _with_health(self, view: View, *, asked: bool) -> View:
        """Keep what kept health from being known, until it is asked for again."""
        if asked or not view.judged:
            self._unasked = view.observed.unasked
        elif self._unasked and not view.observed.unasked:
            return view._replace(observed=structs.replace(view.observed, unasked=self._unasked))
        return view

    async def _confirmed(self, known: Observation, properties: GroupProperties) -> Observation | None:
        """At a poll, return what is known by now if the plugin has just said that it holds the same; None if it has to be looked.

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
        self._look_due = due
        return self._hearsay.now()

    def begin_acting(self, actions: Iterable[Action]) -> None:
        """Something is about to be done."""
        self._hearsay.begin_acting(actions)

    def end_acting(self, outcomes: tuple[Outcome, ...], sha: str) -> None:
        """Something was done to instances of this configuration."""
        self._hearsay.end_acting(outcomes, sha)
        self.members.enter(outcomes, sha)
        if any(outcome.action.verb == "provision" for outcome in outcomes):
            self.ask_soon()
