"""The last observation of a group, kept up to date by what its instance plugin tells: what of that
is believed, and when to look.

Believed is only what can do no harm where slots keep provisioning idempotent: that an instance is
gone. Whatever else is told (an instance that nobody here made, one that was edited, something odd)
is a reason to look, and so is an action that failed. Pure bookkeeping, without a clock. Called by
``sight`` and the simulator.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from ..spi.events import Event
from ..spi.plans import Action, ObservedInstance, Outcome, Plan
from .model import Observation

REMOVALS = ("lost", "destroyed")
MOST_EVENTS = 100_000
"""News between two passes; with more of them, looking is simpler."""


def is_safe(plan: Plan) -> bool:
    """Say whether a plan may be carried out although nobody looked: nothing is destroyed on
    hearsay.
    """
    return not any(action.verb == "destroy" for action in plan.actions)


class ObservedCache:
    """What is known between two looks. ``current`` is None when only a look can tell.

    What is told while a look is under way may be in its answer already, or not: it is applied to
    the answer, which changes nothing in the first case. An event that comes late, when its instance
    is long replaced, changes nothing either, because no ID is used twice.
    """

    def __init__(self) -> None:
        self._instances: dict[str, ObservedInstance] | None = None
        self._observed: Observation | None = None
        self._invalid = False
        self._removed: set[str] = set()
        self._added: set[str] = set()
        self._own_events: deque[set[tuple[str, str]]] = deque(maxlen=2)

    def invalidate(self) -> None:
        """Believe nothing until the next look."""
        self._invalid = True

    def on_event(self, event: Event) -> bool:
        """Take in what was told of an instance; return whether it is news, and not the echo of what
        was done here.
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
        """Forget what was told: an answer that is asked for now is younger."""
        self._instances, self._observed, self._invalid = None, None, False
        self._removed.clear()
        self._added.clear()

    def end_refresh(self, observed: Observation) -> None:
        """Keep what was seen, if it can be kept: two instances of one ID cannot be told apart by
        what is told.
        """
        seen = {
            s.id: ObservedInstance(s.id, s.logical_id, s.slot, s.sha) for s in observed.instances
        }
        if not observed.error and len(seen) == len(observed.instances):
            self._instances = seen

    def begin_acting(self, actions: Iterable[Action]) -> None:
        """Await to be told of what is done now."""
        self._own_events.append(
            {("destroyed", action.instance) for action in actions if action.verb == "destroy"}
        )

    def end_acting(self, outcomes: Iterable[Outcome], sha: str) -> None:
        """Enter what came of it; what went wrong, nobody knows how far, has to be looked at."""
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
        new = (
            provisioned.keys() - self._instances.keys()
        )  # of what was there already there is no echo
        self._own_events[-1] |= {("provisioned", instance) for instance in new - self._added}
        self._added -= new
        self._observed = None
        for instance in destroyed:
            self._instances.pop(instance, None)
        for instance, seen in provisioned.items():
            self._instances.setdefault(instance, seen)

    def current(self) -> Observation | None:
        """Return the observation as it must be by now, every health unknown; None when somebody has
        to look.
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
        """Say whether this was done here. A second event like it is news (files can be copied), and
        so is one that comes back.
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
