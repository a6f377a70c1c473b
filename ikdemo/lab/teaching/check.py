"""Checks a learner's work and says what is still to do, not only that something is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from typing import Any, NamedTuple, ParamSpec

from ...reconcile.plan import sentences
from ...reconcile.waiting import being_destroyed, is_storm
from ...spi.errors import IkdemoError
from ...spi.plans import Reason
from ...spi.text import visible
from ..show.tables import visible_html
from ..show.theme import DISC, GREEN, ORANGE, TRIANGLE, Sign

OK, NOT_YET = Sign("ok", GREEN, DISC), Sign("not yet", ORANGE, TRIANGLE)
UNANSWERED = "write your answer into the cell above, in place of the three dots"
NOT_DONE = "do first what the lines above ask, then look again at what you see"
P = ParamSpec("P")


class Point(NamedTuple):
    """One thing that should be true, whether it is, and what to do when it is not.

    ``answers``: it is an answer that was given to a question; what is to be done before is checked
    before.
    """

    good: bool
    fact: str
    advice: str
    answers: bool = False

    @property
    def sentence(self) -> str:
        """The fact, and the advice where it is not true."""
        return (
            self.fact if self.good else f"{self.fact}. {self.advice[:1].upper()}{self.advice[1:]}"
        )


class Check:
    """The points of one check, as text and as HTML: every line begins with "ok" or "not yet".

    ``exercise``: it is about an exercise, not about the work that leads to it.
    """

    def __init__(self, points: Sequence[Point], *, exercise: bool = False) -> None:
        self.points, self.exercise = points, exercise

    @property
    def good(self) -> bool:
        return all(point.good for point in self.points)

    def __bool__(self) -> bool:
        return self.good

    def __repr__(self) -> str:
        """Say every point.

        >>> Check([
        ...     Point(True, "two plugins run", ""),
        ...     Point(False, "5 instances", "there are 3: run lab.wait()"),
        ... ])
        ok       two plugins run
        not yet  5 instances. There are 3: run lab.wait()
        all good: False
        """
        lines = [
            f"{'ok' if point.good else 'not yet':7}  {visible(point.sentence)}"
            for point in self.points
        ]
        return "\n".join([*lines, f"all good: {self.good}"])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"{(OK if p.good else NOT_YET).pill()}<span>{visible_html(p.sentence)}</span>"
            for p in self.points
        )
        grid = "display:grid;grid-template-columns:max-content 1fr;gap:4px 10px;align-items:center"
        return f'<div style="{grid}">{rows}</div><p>all good: {self.good}</p>'


def refused(fact: str, error: IkdemoError) -> Point:
    """Return the point that fails because the lab could not be asked; the advice is what the error
    says, and its notes.
    """
    return Point(False, fact, ". ".join([str(error), *getattr(error, "__notes__", ())]))


def remedy(group: str, reasons: Sequence[Reason]) -> str:
    """Say why a group is not as wanted, and the call that helps.

    >>> remedy("web", [Reason("missing", "no instance in this slot", slot="3")])
    "slot 3: no instance in this slot (missing). Wait for it: lab.wait('web')"
    """
    codes = {reason.code for reason in reasons}
    if being_destroyed(reasons):
        cure = f"Let it go at once, with what is left of it: lab.free({group!r}, force=True)"
    elif "paused" in codes:
        cure = f"Let the loop act again: lab.resume({group!r})"
    elif any(map(is_storm, reasons)):
        cure = f"Find what ends the instances, then: lab.resume({group!r})"
    elif codes & {"halted", "spec-refused"}:
        cure = "Commit a version that works: lab.commit(...)"
    elif "fenced" in codes:
        cure = "Commit through the manager that leads: this group plugin does nothing any longer"
    elif "plugin-unreachable" in codes:
        cure = "Start what is not running: lab.plugins() lists it"
    else:
        cure = f"Wait for it: lab.wait({group!r})"
    return f"{'; '.join(sentences(reasons))}. {cure}"


def answered(
    question: str, given: object, right: Sequence[object], hints: Mapping[Any, str], otherwise: str
) -> Point:
    """Compare a learner's answer with the right ones; a typical wrong one has a hint, any other one
    gets ``otherwise``.

    >>> answered("2 + 2", 5, [4], {5: "that is one more"}, "count on your fingers").advice
    'your answer is 5: that is one more'
    >>> answered("2 + 2", "4", [4], {}, "count on your fingers").advice
    "your answer is the text '4': write it without quotes"
    >>> answered("2 - 2", False, [0], {}, "count on your fingers").advice
    'your answer is False: write a number'
    """
    if given is None or given is ...:
        return Point(False, question, UNANSWERED, answers=True)
    # which Python takes for 0 or 1
    if isinstance(given, bool) and isinstance(right[0], int | float):
        return Point(False, question, f"your answer is {given}: write a number", answers=True)
    if given in right:
        return Point(True, f"{question}: {given}", "", answers=True)
    if isinstance(given, str) and given in [str(one) for one in right]:
        return Point(
            False,
            question,
            f"your answer is the text {given!r}: write it without quotes",
            answers=True,
        )
    hint = next((hint for wrong, hint in hints.items() if wrong == given), otherwise)
    return Point(False, question, f"your answer is {given!r}: {hint}", answers=True)


def checked(points: Callable[P, Iterator[Point]]) -> Callable[P, Check]:
    """Make the check of an exercise of a function that yields its points; a lab that cannot be
    asked is the last point.

    An answer is judged when what it is about has been done. What is not in a spec as it should be
    is a point as well.
    """

    @wraps(points)
    def check(*args: P.args, **kwargs: P.kwargs) -> Check:
        found: list[Point] = []
        try:
            for point in points(*args, **kwargs):
                undone = any(not one.good and not one.answers for one in found)
                early = point.answers and undone and point.advice != UNANSWERED
                found.append(point._replace(good=False, advice=NOT_DONE) if early else point)
        except IkdemoError as error:
            found.append(refused("the lab can be asked", error))
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            lacks = (
                f"{error} is missing"
                if isinstance(error, KeyError)
                else "one of its parts is of another kind"
            )
            found.append(
                Point(
                    False,
                    "the spec has all its parts",
                    f"{lacks}: compare it with what collabnix() returns",
                )
            )
        return Check(found, exercise=True)

    return check
