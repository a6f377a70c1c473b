"""Decides when a wait for a group's convergence cannot succeed any more: after a free, a destroy or
a pause.

A caller hands ``ConvergenceWait`` the reasons that each question showed and the events of the
group; without that a wait that was overtaken would last its whole time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..spi.errors import IkdemoError, NotConverged, UnknownGroup
from ..spi.plans import Reason
from .plan import sentences

DESTROYING = Reason(
    "surplus",
    "the group is being destroyed",
    awaits="its last instance to be gone, or to be freed by force",
)
_ENDS = {"freed": "was freed", "destroying": "was destroyed", "gone": "was destroyed"}


def being_destroyed(reasons: Iterable[Reason]) -> bool:
    """Say whether a group is being destroyed: the whole group is surplus then, not a slot or an
    instance of it.

    >>> (
    ...     being_destroyed([DESTROYING]),
    ...     being_destroyed([Reason("surplus", "slot 5 is not wanted", slot="5")]),
    ... )
    (True, False)
    """
    return any(
        reason.code == "surplus" and not reason.slot and not reason.instance for reason in reasons
    )


def is_storm(reason: Reason) -> bool:
    """Say whether a reason is that instances end from outside again and again, so that they are
    provisioned more slowly.
    """
    return reason.code == "backing-off" and "ended from outside" in reason.text


class ConvergenceWait:
    """One wait for ``group``, from its first question on."""

    def __init__(self, group: str) -> None:
        self.group = group
        self._known = False
        self._paused_before: bool | None = None
        self._end = "was freed or destroyed"

    def on_events(self, kinds: Iterable[str]) -> None:
        """Take in the kinds of the group's events since the wait began: they tell a free from a
        destroy.
        """
        for kind in kinds:
            self._end = _ENDS.get(kind, self._end)

    def on_reasons(self, reasons: Sequence[Reason]) -> None:
        """Take in why the group is not as wanted; raises NotConverged when it will not be, whatever
        the time.

        >>> waiting = ConvergenceWait("web")
        >>> missing = Reason("missing", "no instance in this slot", slot="3")
        >>> waiting.on_reasons([missing])
        >>> waiting.on_reasons([missing, Reason("paused", "the group is paused")])
        Traceback (most recent call last):
        ikdemo.spi.errors.NotConverged: web was paused while it was waited for: slot 3: \
no instance in this slot (missing); the group is paused (paused)
        """
        self._known = True
        if being_destroyed(reasons):
            self._end = "was destroyed"
            raise NotConverged(
                f"{self.group} is being destroyed, so it will not be as it was committed",
                sentences(reasons),
            )
        paused = any(reason.code == "paused" for reason in reasons)
        if self._paused_before is None:
            self._paused_before = paused
        if paused and not self._paused_before and len(reasons) > 1:
            raise NotConverged(
                f"{self.group} was paused while it was waited for", sentences(reasons)
            )

    def on_error(self, error: IkdemoError) -> IkdemoError:
        """Return what to raise when the question failed: that the group ended meanwhile, or the
        error as it is.
        """
        if self._known and UnknownGroup.is_said_by(error):
            return NotConverged(
                f"{self.group} {self._end} while it was waited for: nothing keeps it any more"
            )
        return error
