"""The checker of histories must have teeth: what loses a change is refused, what any order explains
is not.
"""

from __future__ import annotations

import pytest
from simulation.history import History
from simulation.model import OK, REFUSED, UNKNOWN, Answer, Command

COMMIT = Command("commit", "a", "v1", 3)
LOOKS = Command("inspect", "a")
MANAGING: Answer = ("details", "Managing 3 instances")
NOOP: Answer = ("details", "Noop")


def follow(*lines: tuple[int, Command | Answer]) -> list[str]:
    """Follow a history: a number and its command, later the number and its answer; return what is
    wrong.
    """
    history, wrong = History(), []
    for number, said in lines:
        if isinstance(said, Command):
            history.called(number, said)
        elif complaint := history.answered(number, said):
            wrong.append(complaint)
    return wrong


IS: Answer = ("is", ("v1", 3))
THERE = [(0, COMMIT), (0, MANAGING)]
PAUSE, SCALE, FREE, DESTROY = (
    Command(verb, "a", "", 5) for verb in ("pause", "scale", "free", "destroy")
)
OTHER = Command("commit", "a", "v2", 3)
WHY = Command("look", "a")
UPDATING: Answer = ("details", "Performing a rolling update on 3 instances")
ADDING: Answer = ("details", "Adding 2 instances to increase the group size to 5")

EXPLAINED = {
    "one after the other": [*THERE, (1, LOOKS), (1, ("is", ("v1", 3)))],
    "a look beside a commit sees either": [
        (0, COMMIT),
        (1, LOOKS),
        (0, MANAGING),
        (1, ("is", None)),
    ],
    "two first commits are one and a replacement": [
        (0, COMMIT),
        (1, COMMIT),
        (0, NOOP),
        (1, MANAGING),
    ],
    "a failed commit may have happened": [
        (0, COMMIT),
        (0, ("failed", "")),
        (1, LOOKS),
        (1, ("is", ("v1", 3))),
    ],
    "a failed commit may not have happened": [
        (0, COMMIT),
        (0, ("failed", "")),
        (1, LOOKS),
        (1, ("is", None)),
    ],
    "a group that is destroyed goes by itself": [
        *THERE,
        (1, DESTROY),
        (1, ("marked",)),
        (2, SCALE),
        (2, UNKNOWN),
    ],
    "a group is committed again while its destruction is answered": [
        *THERE,
        (1, DESTROY),
        (2, COMMIT),
        (2, MANAGING),
        (1, OK),
        (3, LOOKS),
        (3, ("is", ("v1", 3))),
    ],
}
REFUSED_HISTORIES = {
    "a pause that undoes a commit": [
        *THERE,
        (1, OTHER),
        (2, PAUSE),
        (1, UPDATING),
        (2, OK),
        (3, LOOKS),
        (3, IS),
    ],
    "a commit that undoes a pause": [
        *THERE,
        (1, OTHER),
        (2, PAUSE),
        (2, OK),
        (1, UPDATING),
        (3, WHY),
        (3, ("seen", False, None)),
    ],
    "a scale that undoes a commit": [
        *THERE,
        (1, SCALE),
        (2, OTHER),
        (2, UPDATING),
        (1, ADDING),
        (3, LOOKS),
        (3, ("is", ("v1", 5))),
    ],
    "two first commits": [(0, COMMIT), (1, COMMIT), (0, MANAGING), (1, MANAGING)],
    "a freed group that comes back": [
        *THERE,
        (1, FREE),
        (2, PAUSE),
        (2, OK),
        (1, OK),
        (3, LOOKS),
        (3, IS),
    ],
    "a destroyed group that is still there": [
        *THERE,
        (1, DESTROY),
        (1, OK),
        (2, FREE),
        (2, REFUSED),
    ],
    "a look that is older than its question": [
        *THERE,
        (1, SCALE),
        (1, ADDING),
        (2, LOOKS),
        (2, ("is", ("v1", 3))),
    ],
    "a failed commit that is seen and then is not": [
        *THERE,
        (1, OTHER),
        (1, ("failed", "")),
        (2, LOOKS),
        (2, ("is", ("v2", 3))),
        (3, LOOKS),
        (3, ("is", ("v1", 3))),
    ],
    "details of another commit than the one before": [
        *THERE,
        (1, SCALE),
        (1, ADDING),
        (2, COMMIT),
        (2, NOOP),
    ],
}


@pytest.mark.parametrize("name", EXPLAINED)
def test_what_an_order_explains_is_accepted(name: str) -> None:
    assert follow(*EXPLAINED[name]) == []


@pytest.mark.parametrize("name", REFUSED_HISTORIES)
def test_what_no_order_explains_is_refused(name: str) -> None:
    assert len(follow(*REFUSED_HISTORIES[name])) == 1


def test_what_a_dead_process_did_not_answer_happens_no_more() -> None:
    history = History()
    history.called(0, COMMIT)
    history.answered(0, MANAGING)
    history.called(1, OTHER)
    history.ended()
    history.called(2, LOOKS)
    assert history.answered(2, ("is", ("v1", 3))) == ""
    history.called(3, LOOKS)
    assert history.answered(3, ("is", ("v2", 3))) != ""
