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

GONE = ("lost", "destroyed")
MOST = 100_000
"""News between two passes; with more of them, looking is simpler."""


def is_safe(plan: Plan) -> bool:
    """Say whether a plan may be carried out although nobody looked: nothing is destroyed on
    hearsay.
    """
    return not any(action.verb == "destroy" for action in plan.actions)


class ObservedCache:
    """What is known between two looks. ``now`` is None when only a look can tell.

    What is told while a look is under way may be in its answer already, or not: it is applied to
    the answer, which changes nothing in the first case. An event that comes late, when its instance
    is long replaced, changes nothing either, because no ID is used twice.
    """

    def __init__(self) -> None:
        self._seen: dict[str, ObservedInstance] | None = None
        self._observed: Observation | None = None
        self._doubted = False
        self._gone: set[str] = set()
        self._arrived: set[str] = set()
        self._awaited: deque[set[tuple[str, str]]] = deque(maxlen=2)

    def invalidate(self) -> None:
        """Believe nothing until the next look."""
        self._doubted = True

    def on_event(self, event: Event) -> bool:
        """Take in what was told of an instance; return whether it is news, and not the echo of what
        was done here.
        """
        if self._is_echo(event):
            return False
        if event.kind in GONE:
            self._gone.add(event.instance)
        elif event.kind == "provisioned" and not (
            event.instance in self._arrived or event.instance in self._gone
        ):
            self._arrived.add(event.instance)  # perhaps an echo that is faster than its answer
        else:
            self.invalidate()
        if len(self._gone) + len(self._arrived) > MOST:
            self.begin_look()
        return True

    def begin_look(self) -> None:
        """Forget what was told: an answer that is asked for now is younger."""
        self._seen, self._observed, self._doubted = None, None, False
        self._gone.clear()
        self._arrived.clear()

    def end_look(self, observed: Observation) -> None:
        """Keep what was seen, if it can be kept: two instances of one ID cannot be told apart by
        what is told.
        """
        seen = {
            s.id: ObservedInstance(s.id, s.logical_id, s.slot, s.sha) for s in observed.instances
        }
        if not observed.error and len(seen) == len(observed.instances):
            self._seen = seen

    def begin_acting(self, actions: Iterable[Action]) -> None:
        """Await to be told of what is done now."""
        self._awaited.append(
            {("destroyed", action.instance) for action in actions if action.verb == "destroy"}
        )

    def end_acting(self, outcomes: Iterable[Outcome], sha: str) -> None:
        """Enter what came of it; what went wrong, nobody knows how far, has to be looked at."""
        made, ended = {}, set()
        for outcome in outcomes:
            action = outcome.action
            if outcome.error:
                self.invalidate()
            elif action.verb == "destroy":
                ended.add(action.instance)
            else:
                made[outcome.instance] = ObservedInstance(
                    outcome.instance, action.logical_id, action.slot, action.sha or sha
                )
        if self._seen is None:
            return
        new = made.keys() - self._seen.keys()  # of what was there already there is no echo
        self._awaited[-1] |= {("provisioned", instance) for instance in new - self._arrived}
        self._arrived -= new
        self._observed = None
        for instance in ended:
            self._seen.pop(instance, None)
        for instance, seen in made.items():
            self._seen.setdefault(instance, seen)

    def now(self) -> Observation | None:
        """Return the observation as it must be by now, every health unknown; None when somebody has
        to look.
        """
        if self._doubted or self._arrived or self._seen is None:
            return None
        if self._gone:
            self._observed = None
            for instance in self._gone:
                self._seen.pop(instance, None)
            self._gone.clear()
        if self._observed is None:
            self._observed = Observation(tuple(self._seen.values()))
        return self._observed

    def _is_echo(self, event: Event) -> bool:
        """Say whether this was done here. A second event like it is news (files can be copied), and
        so is one that comes back.
        """
        told = (event.kind, event.instance)
        for done in self._awaited:
            if told in done:
                done.discard(told)
                return event.kind in GONE or (
                    event.instance in (self._seen or ()) and event.instance not in self._gone
                )
        return False
