"""What the planner is told beside what is desired: the observation, and what it remembers between
passes.

Everything here is immutable: ``settle`` returns a new memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from msgspec import Struct

from ..spi.plans import ObservedInstance

EXPECTED_FOR = 30.0
"""Seconds for which an instance asked of a plugin without slots is awaited before it is asked for
again.
"""


def reason_key(code: str, slot: str, instance: str) -> str:
    """Return what a reason is about, as the key under which it is remembered since when.

    >>> (
    ...     reason_key("missing", "3", ""),
    ...     reason_key("surplus", "", "instance-7"),
    ...     reason_key("plugin-unreachable", "", ""),
    ... )
    ('slot 3', 'instance-7', 'plugin-unreachable')
    """
    return f"slot {slot}" if slot else instance or code


class ReportedExit(NamedTuple):
    """An instance that ended by itself, as its plugin reported; a deletion from outside is none.

    ``at``: when the report came (seconds). ``own_doing``: surely so; otherwise it may have been
    killed just after it began.
    """

    slot: str
    instance: str
    cause: str
    at: float
    own_doing: bool = False


class Creation(NamedTuple):
    """Which instance was provisioned in a slot, and when (seconds). ``lost``: it has been found
    missing, and was counted as a loss.
    """

    instance: str
    at: float
    lost: bool = False


class Anomaly(NamedTuple):
    """Something odd about an instance (empty: about the descriptions as a whole) that changes no
    decision; people should know of it.
    """

    instance: str
    text: str


class Observation(Struct, frozen=True):
    """What was observed in one pass; with an ``error`` it is doubt, not emptiness, and permits no
    conclusion.

    ``new``: IDs that were not known before. ``fulfilled``: slots whose expected instance is among
    the instances. ``health_error``: why no health could be asked for; empty if it could.
    """

    instances: tuple[ObservedInstance, ...] = ()
    error: str = ""
    anomalies: tuple[Anomaly, ...] = ()
    new: frozenset[str] = frozenset()
    fulfilled: frozenset[str] = frozenset()
    health_error: str = ""


class Expected(Struct, frozen=True):
    """An instance that a plugin without slots was asked for and that has not been described yet,
    expected ``until`` (seconds).

    ``instance``: the ID that the plugin answered, empty before its answer. ``sha``: the
    configuration asked for.
    """

    until: float
    instance: str = ""
    logical_id: str | None = None
    sha: str = ""


class Update(Struct, frozen=True):
    """A rolling update that is under way: its configuration, and the slots that it has taken by
    now.
    """

    sha: str
    taken: frozenset[str] = frozenset()


class Destroyed(Struct, frozen=True):
    """An instance that was destroyed: how many ``times``, ``at`` when last, and ``not_before`` when
    to do it again (seconds).

    ``error``: what the last time failed with, where the instance had been destroyed before.
    """

    times: int
    at: float
    not_before: float
    error: str = ""


class Readiness(Struct, frozen=True):
    """How long a new instance has been healthy: ``answers`` in a row, the first at ``since``, the
    last that counts at ``latest`` (seconds).
    """

    answers: int
    since: float
    latest: float | None = None


class BackoffState(Struct, frozen=True, rename={"unproductive": "futile"}):
    """The back-off of one slot, or of an instance that cannot be destroyed: failed attempts, until
    when to wait (seconds), the last error.

    ``terminal``: only another spec helps. ``unreachable``: a plugin could not be asked; attempts
    are not counted then. ``unproductive``: how many attempts in a row came to nothing because of
    the spec itself. ``storm``: how many instances of the slot ended from outside, beyond its
    allowance (see ``backoff``). ``refused``: a plugin did not provision, perhaps for lack of room;
    later it may.
    """

    attempts: int
    not_before: float
    error: str
    terminal: bool = False
    unreachable: bool = False
    unproductive: int = 0
    storm: int = 0
    refused: bool = False


class Memory(Struct, frozen=True):
    """What must be remembered between passes.

    ``backoffs``: slot name or instance ID to its back-off. ``created``: slot name to the creation
    of its instance, as long as that is young. ``unhealthy``: instance ID to consecutive unhealthy
    answers. ``counted_at``: instance ID to when the last of those was counted. ``readiness``: while
    an update is under way, instance ID to how long it has been healthy. ``expected``: with plugins
    that are not idempotent, slot name to what was asked for there and has not been described yet.
    ``allowances``: slot name to when its allowance of losses is whole again. ``update``: the
    rolling update that is under way, until its last batch is ready. ``unchecked``: IDs of instances
    whose flavor has not said yet whether they are healthy. ``destroyed``: ID to when it was
    destroyed, as long as it may still be described. ``losses``: whole second to how many instances
    were found missing in it, of late. ``since``: slot or instance (for the group itself: the code)
    to when it was first not as wanted, whatever the reason is by now. ``forced``: a person wants
    the unhealthy replaced, however many they are (``health.force_replacement``).
    """

    backoffs: Mapping[str, BackoffState] = {}
    created: Mapping[str, Creation] = {}
    unhealthy: Mapping[str, int] = {}
    readiness: Mapping[str, Readiness] = {}
    expected: Mapping[str, Expected] = {}
    allowances: Mapping[str, float] = {}
    losses: Mapping[int, int] = {}
    counted_at: Mapping[str, float] = {}
    forced: bool = False
    update: Update | None = None
    unchecked: frozenset[str] = frozenset()
    destroyed: Mapping[str, Destroyed] = {}
    since: Mapping[str, float] = {}
