"""How the stored global spec is changed: loaded, changed and saved as one step, or not at all.

What is saved is guarded by its version and by the leader's epoch. Where no answer came it is read
again: the change is there, or it is made once more in the place of the same version, so that of two
writes one counts.
"""

from __future__ import annotations

from collections.abc import Callable

from ..spi.errors import IkdemoError, LeaseLost, NotLeader, OutcomeUnknown, VersionConflict
from .backend import Backend
from .global_spec import GlobalSpec
from .leadership import Leadership

ATTEMPTS = 5
"""Times that a change is tried, should the store be changed by others, or not answer, each time."""


class StoredSpec:
    """The global spec of one back end, as the leader changes it."""

    def __init__(self, backend: Backend, leadership: Leadership) -> None:
        self._backend, self._leadership = backend, leadership

    async def load(self) -> GlobalSpec:
        """Return what is stored. Raises CorruptState, PluginUnavailable, OutcomeUnknown."""
        return (await self._backend.load()).spec

    async def change(self, update: Callable[[GlobalSpec], GlobalSpec], epoch: int) -> GlobalSpec:
        """Make ``update`` of the present global spec durable and return what is stored then.

        ``update`` may be called several times. Raises NotLeader when the term of ``epoch`` is
        over, OutcomeUnknown when it may be stored or not, and otherwise what the back end raises:
        nothing is stored then.
        """
        unknown: OutcomeUnknown | None = None
        for _ in range(ATTEMPTS):
            try:
                kept = await self._backend.load()
                wanted = update(kept.spec)
                if wanted == kept.spec:
                    return wanted
                term = await self._leadership.ensure(epoch)
            except IkdemoError as error:
                raise unknown or error from None
            try:
                return (await self._backend.save(wanted, kept, term)).spec
            except LeaseLost as error:
                self._leadership.lose(str(error))
                raise unknown or NotLeader() from None
            except OutcomeUnknown as error:
                unknown = error
            except VersionConflict:
                continue
        raise unknown or VersionConflict(
            "the stored specs are being changed by others at the same time; try again"
        )
