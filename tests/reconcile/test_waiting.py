"""A wait ends when nothing that it waits for can come any more, and says by what it was
overtaken.
"""

from __future__ import annotations

import pytest

from ikdemo.lab.teaching.check import remedy
from ikdemo.reconcile.waiting import DESTROYING, ConvergenceWait, being_destroyed
from ikdemo.spi.errors import NotConverged, PluginFailure, RemoteFailure, UnknownGroup
from ikdemo.spi.plans import Reason

MISSING = Reason("missing", "no instance in this slot", slot="3")
PAUSED = Reason("paused", "the group is paused")


def test_a_pause_that_came_meanwhile_ends_it_and_one_that_was_there_before_does_not() -> None:
    before = ConvergenceWait("web")
    before.on_reasons([PAUSED, MISSING])
    before.on_reasons([PAUSED, MISSING])
    meanwhile = ConvergenceWait("web")
    meanwhile.on_reasons([MISSING])
    meanwhile.on_reasons([PAUSED])  # and nothing is missing any more: it is as wanted
    with pytest.raises(NotConverged, match="web was paused while it was waited for"):
        meanwhile.on_reasons([PAUSED, MISSING])


def test_a_group_that_is_being_destroyed_is_not_waited_for() -> None:
    assert not being_destroyed(
        [Reason("surplus", "instance i-7: not wanted", instance="i-7"), MISSING]
    )
    with pytest.raises(NotConverged, match="web is being destroyed"):
        ConvergenceWait("web").on_reasons([MISSING, DESTROYING])
    storm = Reason(
        "backing-off",
        "42 instances ended from outside in the last 10 s; they are made again more slowly",
    )
    assert remedy("web", [storm, MISSING]).endswith(
        "Find what ends the instances, then: lab.resume('web')"
    )
    assert remedy("web", [DESTROYING]).endswith("lab.free('web', force=True)")


@pytest.mark.parametrize(
    "error", [UnknownGroup("web"), RemoteFailure("Group 'web' is not being watched")]
)
@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        ((), "was freed or destroyed"),
        (("planned", "freed"), "was freed"),
        (("destroying",), "was destroyed"),
        (("destroying", "gone"), "was destroyed"),
    ],
)
def test_a_group_that_went_meanwhile_is_said_to_have_gone(
    error: PluginFailure, kinds: tuple[str, ...], said: str
) -> None:
    waiting = ConvergenceWait("web")
    assert waiting.on_error(error) is error  # it never was there: that is what to say
    waiting.on_reasons([MISSING])
    waiting.on_events(kinds)
    assert (
        str(waiting.on_error(error))
        == f"web {said} while it was waited for: nothing keeps it any more"
    )
    other = RemoteFailure("the disk is full")
    assert waiting.on_error(other) is other
