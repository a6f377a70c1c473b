"""What a back end does for a manager: it says who leads, and keeps the global spec where every
manager can read it.

The contract of the files in ``stores``, and what travels over it. What a manager does with the
answers is in ``leadership`` and ``plugin``; no back end knows of groups or plugins.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from .global_spec import GlobalSpec


class Term(NamedTuple):
    """The time of one leader. ``epoch`` is greater than that of every leader before it. ``until``:
    seconds of CLOCK_BOOTTIME before which it may act; ``math.inf`` where leadership cannot end
    unseen.
    """

    epoch: int
    until: float


class Kept(NamedTuple):
    """The global spec as it is stored. ``version`` says which one it is, and means something only
    to its back end.
    """

    spec: GlobalSpec
    version: object


class Leader(NamedTuple):
    """Who leads. ``since`` and ``renewed`` (the last confirmed renewal) are seconds since the
    epoch, 0 where that is not known.
    """

    name: str
    epoch: int
    since: float = 0.0
    renewed: float = 0.0


class Backend(Protocol):
    """One back end of one manager.

    ``name`` is its sub command, such as ``os``; ``interval`` the seconds between two looks.
    ``resigns``: ``stop`` hands leadership over, so that another manager leads at once; where it
    does not, this manager's name goes on leading.

    All calls come from one event loop. ``look`` is never called twice at a time, nor is ``save``;
    the others may overlap. Each ends within a bounded time and may be cancelled at any moment.
    """

    name: str
    interval: float
    resigns: bool

    async def start(self) -> None:
        """Get ready. Raises IkdemoError, one sentence, for what can never work, such as flags and
        files.
        """

    async def look(self) -> Term | None:
        """Campaign or renew, once. None: this manager does not lead.

        ``until`` is counted from the moment at which the request was sent. The epoch stays while
        leadership is held without a break and is raised when it is gained. An error means that it
        cannot be known, which counts as not leading once the term is over.
        """

    async def changed(self) -> None:
        """Return when a look is worth it before the interval is over; never where there is no
        watch.
        """

    async def load(self) -> Kept:
        """Return what is stored; what was never stored is the empty global spec.

        Raises CorruptState for what cannot be read, which is left as it is, PluginUnavailable or
        OutcomeUnknown when the store does not answer.
        """

    async def save(self, spec: GlobalSpec, kept: Kept, term: Term) -> Kept:
        """Replace ``kept`` by ``spec``, durably, and return it with its version.

        One guarded step: it is stored only if ``term`` is not over and ``kept`` is what is stored
        now. Raises LeaseLost (Fenced) when a greater epoch has begun, VersionConflict when another
        version is stored, OutcomeUnknown when no answer came: it may be stored, even later, but
        only in the place of ``kept``. Any other error: it is not stored.
        """

    async def leader(self) -> Leader | None:
        """Say who leads, for people; None when nobody does. Raises as ``load`` does."""

    async def stop(self) -> None:
        """End, and hand leadership over where that is possible."""
