"""What the planner works on and what it says, as documents: observed instances, actions with their
cause, reasons for what is not as wanted, outcomes.

They live here because they travel (Reconcile extension, events, the lab); only ``reconcile`` makes
them. Those of which there are thousands are not tracked by the garbage collector: nothing in one
can lead back to it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Literal

from .decode import encode_lines
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
    "fenced",
    "no-leader",
]
"""Why something is not as wanted; machine-readable, stable."""


class ObservedInstance(Document, frozen=True, gc=False):
    """One instance of the group as observed: its tags reduced to what a decision needs."""

    id: Name
    logical_id: Name | None = None
    slot: SlotName | None = None
    sha: str | None = None
    health: Health = Health.UNKNOWN


def digest(instances: Iterable[ObservedInstance]) -> str:
    """Return what instances are, in one line, in whatever order they come; their health takes no
    part.

    Two programs that hold the same digest need not send each other ten thousand descriptions (the
    extension Digest).

    It is the SHA-256, in hexadecimal, of one line for each: a JSON list of ID, logical ID, slot and
    configuration hash, null for what there is not; the lines are sorted by their bytes, with a
    newline between them.

    >>> digest([]) == hashlib.sha256(b"").hexdigest()
    True
    >>> one, other = (
    ...     ObservedInstance("i-1", slot="0", sha="x"),
    ...     ObservedInstance("i-2", "a", "a#0", "x"),
    ... )
    >>> digest([one, other]) == hashlib.sha256(
    ...     b'["i-1",null,"0","x"]\\n["i-2","a","a#0","x"]'
    ... ).hexdigest()
    True
    >>> digest([other, one]) == digest([one, other]) != digest([one])
    True
    """
    lines = encode_lines([(seen.id, seen.logical_id, seen.slot, seen.sha) for seen in instances])
    return hashlib.sha256(b"\n".join(sorted(lines))).hexdigest()


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
    ``unreachable``: a plugin could not be asked at all, which is no fault of this group.
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
    """What freeing a group leaves: the IDs of its living instances, None when that is not known,
    and the same in words.
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
