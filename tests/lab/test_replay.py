"""The last fall once more, slowly: what is played again, how much slower, and that it never passes
for something live.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator

import pytest

from ikdemo.lab import Lab, collabnix
from ikdemo.lab.dashboard.replay import PLAYED, PastFall, draw_past, slower, words_of
from ikdemo.lab.dashboard.view import LiveView
from ikdemo.spi.events import Event


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab() as lab:
        lab.start()
        lab.commit(collabnix())
        lab.wait("collabnix")
        yield lab


def until(true: Callable[[], bool]) -> None:
    """Wait for what a thread of the lab brings about; the test's time limit ends it."""
    tick = threading.Event()
    while not true():
        tick.wait(0.01)


def label(view: LiveView) -> str:
    """Return what the replay says to a learner who cannot see it."""
    found = re.search(r'aria-label="([^"]*)"', view.replay.drawing.value)
    return found[1] if found else ""


def look_again(view: LiveView) -> None:
    """Wait until the view has looked once more, from beginning to end."""
    looked = list[bool]()
    view._also = lambda *_: looked.append(True)
    until(lambda: view.wake() or len(looked) > 1)  # type: ignore[func-returns-value]  # the first may have begun before


def story(*told: tuple[str, float, str, str]) -> tuple[Event, ...]:
    return tuple(
        Event(kind, time, "", "web", instance, slot) for kind, time, instance, slot in told
    )


FALL = PastFall(
    "web",
    100.0,
    100.004,
    story(
        ("fault", 100.0, "a", "3"),
        ("lost", 100.001, "a", "3"),
        ("drifted", 100.002, "", ""),
        ("provisioned", 100.004, "b", "3"),
    ),
)


def test_a_fall_is_told_with_its_moments_and_called_a_replay() -> None:
    assert words_of(FALL) == (
        "Replay of the last quick fall, 1,000 times slower: 4.00 ms take 4.0 s. "
        "Group web, slot 3: fault; noticed 2.00 ms; whole 4.00 ms."
    )
    drawn = draw_past(FALL, 1)
    # for those who see it, too
    assert "Replay of the last quick fall, 1,000 times slower" in re.sub(r"<svg[^>]*>", "", drawn)
    assert "prefers-reduced-motion:reduce){.ik .ik-past-1{display:none}}" in drawn
    assert draw_past(FALL, 2) != drawn  # a browser plays only what is new to it


def test_lanes_end_at_the_fault_and_go_on_at_the_replacement() -> None:
    bars = re.findall(
        r'<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)"[^>]*fill="(#\w+)"', draw_past(FALL, 1)
    )
    (old, new) = [(float(x), float(x) + float(wide)) for x, wide, _ in bars]
    assert old[1] == pytest.approx(FALL.at(100.0), abs=0.1)
    assert new[0] == pytest.approx(FALL.at(100.004), abs=0.1)
    assert bars[0][2] != bars[1][2]


@pytest.mark.parametrize("seconds", [1e-6, 0.0004, 0.002, 0.0999, 0.31, 0.999])
def test_a_replay_can_be_followed_and_is_not_too_long(seconds: float) -> None:
    assert PLAYED / 2.5 <= slower(seconds) * seconds <= PLAYED


def test_no_word_of_a_replay_lies_on_a_line() -> None:
    for noticed in (100.0, 100.0001, 100.002, 100.0039, 100.004):
        past = PastFall(
            "web",
            100.0,
            100.004,
            (*FALL.events[:2], Event("drifted", noticed, "", "web"), FALL.events[3]),
        )
        drawn = draw_past(past, 1)
        lines = [
            (float(x), float(end))
            for x, end in re.findall(r'stroke-dasharray="4 3" d="M([\d.]+) 30V([\d.]+)"', drawn)
        ]
        texts = [
            (float(x), float(y))
            for x, y in re.findall(
                r'<text x="([\d.]+)" y="([\d.]+)">(?:fault|noticed|whole)', drawn
            )
        ]
        assert len(lines) == len(texts) == 3
        for x, y in texts:
            assert not [line for line, end in lines if line > x and end > y - 10], noticed
            assert x + 110 < 620


def test_of_many_slots_a_few_are_drawn_and_the_others_counted() -> None:
    told = [
        (kind, 100.0 + at, f"{kind}-{slot}", str(slot))
        for at, kind in ((0.0, "lost"), (0.001, "provisioned"))
        for slot in range(40)
    ]
    drawn = draw_past(PastFall("web", 100.0, 100.001, story(*told)), 1)
    assert drawn.count("slot ") - drawn.count("aria-label") < 10
    assert "and 36 more slots" in drawn


def test_what_was_too_fast_is_played_and_again_when_asked(lab: Lab) -> None:
    view = lab.watch("collabnix")
    assert view.replay.box.layout.display == "none"
    lab.kill("collabnix", seed=1)
    until(lambda: "times slower" in label(view))
    assert view.replay.box.layout.display is None
    before = view.replay.drawing.value
    view.replay.button.click()
    assert view.replay.drawing.value != before
    assert label(view) in before


def test_a_second_fall_waits_until_the_first_was_played(lab: Lab) -> None:
    view = lab.watch("collabnix")
    lab.kill("collabnix", seed=1)
    until(lambda: "times slower" in label(view))
    first = label(view)
    lab.kill("collabnix", 2, seed=2)
    lab.wait("collabnix")
    look_again(view)
    assert label(view) == first
    view.replay._next = 0.0  # it was played to its end
    view.wake()
    until(lambda: label(view) != first)


def test_what_took_its_time_is_not_played(lab: Lab) -> None:
    view = lab.watch("collabnix")
    lab.pause("collabnix")
    lab.kill("collabnix", seed=1)
    until(lambda: "4 of 5" in view.drawing.value)
    threading.Event().wait(1.1)  # what is tried here is that this was slow
    lab.resume("collabnix")
    lab.wait("collabnix")
    until(lambda: "5 of 5" in view.drawing.value)
    look_again(view)
    assert label(view) == ""
