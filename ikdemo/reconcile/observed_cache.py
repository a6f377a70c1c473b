"""The last observation of a group, kept current by the events of its instance plugin: which events
are trusted, and when the group has to be observed again.

Trusted are only events that can do no harm where provisioning is idempotent: that an instance is
gone. Every other event (an instance that was not provisioned here, one that was edited, an unknown
kind) invalidates the cache, and so does an action that failed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from ..spi.events import Event
from ..spi.plans import Action, ObservedInstance, Outcome, Plan
from .model import Observation

REMOVALS = ("lost", "destroyed")
MOST_EVENTS = 100_000
"""Events between two passes; with more of them, observing is simpler."""


def is_safe(plan: Plan) -> bool:
    """Say whether a plan that was made from the cache may be carried out: it must destroy
    nothing.
    """
    return not any(action.verb == "destroy" for action in plan.actions)


class ObservedCache:
    """What is known between two observations; ``current`` is None when the group has to be
    observed.

    An event that comes while an observation is under way may be in its answer already, or not: it
    is applied to the answer, which changes nothing in the first case. An event that comes late,
    when its instance is long replaced, changes nothing either, because no ID is used twice.
    """

    def __init__(self) -> None:
        self._instances: dict[str, ObservedInstance] | None = None
        self._observed: Observation | None = None
        self._invalid = False
        self._removed: set[str] = set()
        self._added: set[str] = set()
        self._own_events: deque[set[tuple[str, str]]] = deque(maxlen=2)

    def invalidate(self) -> None:
        """Trust nothing until the next observation."""
        self._invalid = True

    def on_event(self, event: Event) -> bool:
        """Take in an event about an instance; return whether it is news, and not the echo of an
        action of this group.
        """
        if self._is_echo(event):
            return False
        if event.kind in REMOVALS:
            self._removed.add(event.instance)
        elif event.kind == "provisioned" and not (
            event.instance in self._added or event.instance in self._removed
        ):
            self._added.add(event.instance)  # perhaps an echo that is faster than its answer
        else:
            self.invalidate()
        if len(self._removed) + len(self._added) > MOST_EVENTS:
            self.begin_refresh()
        return True

    def begin_refresh(self) -> None:
        """Forget all events: an answer that is asked for now is younger."""
        self._instances, self._observed, self._invalid = None, None, False
        self._removed.clear()
        self._added.clear()

    def end_refresh(self, observed: Observation) -> None:
        """Keep what was observed, unless two instances have one ID: events cannot tell them
        apart.
        """
        seen = {
            s.id: ObservedInstance(s.id, s.logical_id, s.slot, s.sha) for s in observed.instances
        }
        if not observed.error and len(seen) == len(observed.instances):
            self._instances = seen

    def begin_acting(self, actions: Iterable[Action]) -> None:
        """Expect the events of actions that are about to be carried out."""
        self._own_events.append(
            {("destroyed", action.instance) for action in actions if action.verb == "destroy"}
        )

    def end_acting(self, outcomes: Iterable[Outcome], sha: str) -> None:
        """Enter what came of the actions; what a failed one did has to be observed."""
        provisioned, destroyed = {}, set()
        for outcome in outcomes:
            action = outcome.action
            if outcome.error:
                self.invalidate()
            elif action.verb == "destroy":
                destroyed.add(action.instance)
            else:
                provisioned[outcome.instance] = ObservedInstance(
                    outcome.instance, action.logical_id, action.slot, action.sha or sha
                )
        if self._instances is None:
            return
        # of what was there already there is no echo
        new = provisioned.keys() - self._instances.keys()
        self._own_events[-1] |= {("provisioned", instance) for instance in new - self._added}
        self._added -= new
        self._observed = None
        for instance in destroyed:
            self._instances.pop(instance, None)
        for instance, seen in provisioned.items():
            self._instances.setdefault(instance, seen)

    def current(self) -> Observation | None:
        """Return the observation as it must be by now, every health unknown; None when the group
        has to be observed.
        """
        if self._invalid or self._added or self._instances is None:
            return None
        if self._removed:
            self._observed = None
            for instance in self._removed:
                self._instances.pop(instance, None)
            self._removed.clear()
        if self._observed is None:
            self._observed = Observation(tuple(self._instances.values()))
        return self._observed

    def _is_echo(self, event: Event) -> bool:
        """Say whether an event tells of an action of this group. A second event like it is news
        (files can be copied), and so is an instance that comes back.
        """
        key = (event.kind, event.instance)
        for done in self._own_events:
            if key in done:
                done.discard(key)
                return event.kind in REMOVALS or (
                    event.instance in (self._instances or ())
                    and event.instance not in self._removed
                )
        return False
