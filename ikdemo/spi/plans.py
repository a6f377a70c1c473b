"""What the planner says, as documents: actions with their cause, reasons for what is not as wanted.

They live here because they travel (Reconcile extension, events, the lab); they are made only in
``reconcile``. Those of which there are thousands are not tracked by the collector: nothing in one
can lead back to it.
"""

from __future__ import annotations

from typing import Literal

from .documents import Document, Health, Moment, Name, SlotName

Code = Literal[
    "missing",
    "surplus",
    "outdated",
    "adopted-outdated",
    "unhealthy",
    "health-unknown",
    "provisioning",
    "draining",
    "backing-off",
    "blocked",
    "too-many-sick",
    "halted",
    "paused",
    "plugin-unreachable",
    "spec-refused",
]
"""Why something is not as wanted; machine-readable, stable."""


class ObservedInstance(Document, frozen=True, gc=False):
    """One instance of the group as observed: its tags reduced to what a decision needs."""

    id: Name
    logical_id: Name | None = None
    slot: SlotName | None = None
    sha: str | None = None
    health: Health = Health.UNKNOWN


class Action(Document, frozen=True, gc=False):
    """One thing to do: ``provision`` a slot, or ``destroy`` an instance; ``code`` is the reason it
    is done.

    ``sha``: the configuration to provision, where it is not the wanted one but the last that is
    known to be good.
    """

    verb: Literal["provision", "destroy"]
    code: Code
    slot: SlotName = ""
    instance: Name = ""
    logical_id: Name | None = None
    sha: str = ""


class Reason(Document, frozen=True, gc=False):
    """Why a slot, an instance or the whole group is not as wanted, and what is awaited.

    ``since``: seconds since the epoch where it travels; inside ``reconcile`` seconds of the clock
    that ``plan`` is given.
    """

    code: Code
    text: str
    slot: SlotName = ""
    instance: Name = ""
    since: Moment = 0.0
    awaits: str = ""
    error: str = ""


class Plan(Document, frozen=True):
    """What would be done now and why; ``wake_after`` is in seconds, None when only an event can
    change the plan.
    """

    actions: tuple[Action, ...] = ()
    reasons: tuple[Reason, ...] = ()
    converged: bool = False
    wake_after: float | None = None


class Outcome(Document, frozen=True, gc=False):
    """What came of one action: ``instance`` is the ID made or destroyed, ``error`` empty when it
    went well.

    ``unknown``: the request was sent and no answer came. ``terminal``: the spec itself was refused.
    ``unreachable``: a plugin could not be asked at all, which is nobody's fault in this group.
    ``unproductive``: the instance plugin refused the spec, for which this machine lacks something,
    as it seems: tried again, but not for ever.
    """

    action: Action
    instance: Name = ""
    error: str = ""
    unknown: bool = False
    terminal: bool = False
    unreachable: bool = False
    unproductive: bool = False


class Freed(Document, frozen=True):
    """What freeing a group leaves: the IDs of its living instances, None when nobody can tell, and
    the same in words.
    """

    left: tuple[str, ...] | None = None
    text: str = ""


class Step(Document, frozen=True):
    """One pass of the loop, written down: what was observed, what was planned, what came of it.

    ``overtaken``: the command that came while the pass acted, so that it began nothing more; empty
    when there was none.
    """

    observed: tuple[ObservedInstance, ...] = ()
    plan: Plan = Plan()
    outcomes: tuple[Outcome, ...] = ()
    overtaken: str = ""
