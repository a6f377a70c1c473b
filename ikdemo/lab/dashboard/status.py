"""What the group plugin says of a group while a live view shows it: asked again when something
happened, never waited for.

Only here does a live view ask ``why``; the answer becomes a sign and a sentence.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from typing import Any

from ...reconcile.plan import sentences
from ...reconcile.waiting import being_destroyed, is_storm
from ...spi.errors import IkdemoError, OutcomeUnknown, PluginUnavailable
from ...spi.plans import Reason
from ..host.session import Session
from ..show.theme import AS_WANTED, AWAY, DESTROYING, DIFFERENT, NOTHING, PAUSED, STORM, Sign
from .view_model import ViewModel

APART, AGAIN = 0.5, 2.0
"""Seconds between two questions at least, and until the same question is asked again while nothing
happens.
"""
NAMED = 2
"""Reasons that are said; of more, only the number."""

Why = Callable[[], Coroutine[Any, Any, list[Reason]]]


class GroupStatus:
    """The reasons known last, and whether they may be old."""

    def __init__(self, group: str, session: Session, why: Why) -> None:
        self._group = group
        self._session, self._why = session, why
        self._asked: Future[list[Reason]] | None = None
        self._asked_at = float("-inf")
        self._due = True
        self._error: IkdemoError | None = None
        self.reasons: list[Reason] = []

    def again(self) -> None:
        """Ask again at the next look: something has happened that no event tells."""
        self._due = True

    def look(self, changed: bool) -> None:
        """Take in an answer that has come, and ask again if something changed or is still not as
        wanted.
        """
        self._due |= changed
        if self._asked is not None and self._asked.done():
            self._take(self._asked)
            self._asked = None
        if self._asked is None and time.monotonic() >= self._asked_at + self._pause():
            self._due, self._asked_at = False, time.monotonic()
            self._asked = self._session.begin(self._why())
            # wakes the view
            self._asked.add_done_callback(lambda _: self._session.record.add([]))

    def has_news(self) -> bool:
        """Say whether an answer has come that was not taken in yet, or a question is overdue."""
        return (
            self._asked.done()
            if self._asked
            else time.monotonic() >= self._asked_at + self._pause()
        )

    def _pause(self) -> float:
        """Return the seconds between the last question and the next."""
        if self._due:
            return APART
        return AGAIN if self._error or self.reasons else float("inf")

    def sign(self, model: ViewModel) -> Sign:
        """Say what the group is, by the answer and by what the record shows."""
        return sign_of(model, self.reasons, self._error)

    def sentence(self) -> str:
        """Say why the group is not as wanted, or nothing."""
        return sentence_of(self.reasons, self._error, f"lab.free({self._group!r}, force=True)")

    def _take(self, answer: Future[list[Reason]]) -> None:
        self._error = None
        try:
            self.reasons = answer.result()
        except IkdemoError as error:
            self._error, self.reasons = error, []


def sign_of(model: ViewModel, reasons: Sequence[Reason], error: IkdemoError | None) -> Sign:
    """Say what a group is, by what its plugin has answered (``error``: why it has not) and by what
    is seen of it.
    """
    if error is not None:
        away = isinstance(error, PluginUnavailable | OutcomeUnknown)
        return AWAY if away else DIFFERENT if model.size else NOTHING
    if being_destroyed(reasons):
        return DESTROYING
    if any(reason.code == "paused" for reason in reasons):
        return PAUSED
    if any(map(is_storm, reasons)):
        return STORM
    if reasons or model.quality < 1 or model.surplus:
        return DIFFERENT
    return AS_WANTED


def sentence_of(reasons: Sequence[Reason], error: IkdemoError | None, way_out: str) -> str:
    """Say why a group is not as wanted, or nothing; ``way_out``: what lets it go at once if it is
    being destroyed.
    """
    if error is not None:
        return f"{error}."
    first = sorted(reasons, key=lambda reason: not (is_storm(reason) or being_destroyed([reason])))
    said = "; ".join(sentences(first[:NAMED]))
    left = len(reasons) - NAMED
    more = f"; and {left} more {'reason' if left == 1 else 'reasons'}" if left > 0 else ""
    out = f" To let it go at once: {way_out}" if being_destroyed(reasons) else ""
    return f"{said}{more}.{out}" if said else ""
