"""Recovery arithmetic over generated and hand-made stories: Q is bounded, surplus hides nothing,
stamps are in order.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ikdemo.reconcile.analysis.lives import lives
from ikdemo.reconcile.analysis.recovery import (
    curve,
    episodes,
    expected_availability,
    expected_recovery,
)
from ikdemo.spi.documents import SHA_TAG
from ikdemo.spi.events import Event

NEW, OLD = {SHA_TAG: "new"}, {SHA_TAG: "old"}
INSTANCES = st.sampled_from(["a", "b", "c", "d", "e", "f"])
KINDS = st.sampled_from(
    [
        "provisioned",
        "found",
        "lost",
        "destroyed",
        "fault",
        "mended",
        "drifted",
        "planned",
        "acted",
        "converged",
        "health",
        "committed",
        "freed",
    ]
)


@st.composite
def stories(draw: st.DrawFn) -> list[Event]:
    times = sorted(draw(st.lists(st.floats(0, 100), max_size=40)))
    return [
        Event(
            draw(KINDS),
            time,
            instance=draw(INSTANCES),
            slot=draw(st.sampled_from(["", "0", "1", "2", "7"])),
            code=draw(st.sampled_from(["", "unhealthy", "healthy", "silent", "asked"])),
            size=draw(st.integers(0, 4)),
            tags=draw(st.sampled_from([None, NEW, OLD])),
        )
        for time in times
    ]


def born(time: float, instance: str, slot: str, tags: dict[str, str] | None = None) -> Event:
    return Event("provisioned", time, instance=instance, slot=slot, tags=tags)


@given(stories())
def test_quality_is_a_share_and_surplus_is_never_negative(story: list[Event]) -> None:
    for level in curve(story):
        assert 0.0 <= level.quality <= 1.0
        assert level.surplus >= 0


@given(stories(), st.floats(0, 50), st.sampled_from([0.0, 0.25, 5.0]))
def test_stamps_are_in_order_and_loss_is_bounded(
    story: list[Event], more: float, hold: float
) -> None:
    until = (story[-1].time if story else 0.0) + more
    found = episodes(story, until, hold=hold)
    for fall in found:
        stamps = [
            t for t in (fall.began, fall.detected, fall.acted, fall.recovered) if t is not None
        ]
        assert stamps == sorted(stamps)
        end = until if fall.recovered is None else fall.recovered
        assert 0.0 <= fall.robustness < 1.0
        assert 0.0 <= fall.loss <= (1 - fall.robustness) * (end - fall.began) + 1e-9
    assert all(fall.recovered is not None for fall in found[:-1])


@given(stories())
def test_one_more_instance_in_a_held_or_unwanted_slot_hides_no_loss(story: list[Event]) -> None:
    """Whatever happens, an instance in a slot that nobody wants changes Q nowhere."""
    outsider = born(-1.0, "stranger", "99")
    before = [(level.time, level.quality) for level in curve([Event("freed", -1.0), *story])]
    after = [(level.time, level.quality) for level in curve([outsider, *story])]
    assert _steps(before) == _steps(after)


def _steps(points: list[tuple[float, float]]) -> list[float]:
    values = [q for _, q in points]
    return [q for i, q in enumerate(values) if i == 0 or values[i - 1] != q]


def test_a_doubled_slot_is_surplus_and_the_empty_one_is_still_missing() -> None:
    story = [Event("committed", 0.0, size=2), born(1.0, "a", "0"), born(2.0, "b", "0")]
    assert curve(story)[-1][1:3] == (0.5, 1)


def test_outdated_and_unhealthy_instances_do_not_count() -> None:
    story = [
        Event("committed", 0.0, size=2, tags=NEW),
        born(1.0, "a", "0", NEW),
        born(1.0, "b", "1", OLD),
    ]
    assert curve(story)[-1].quality == 0.5
    assert curve([*story, Event("health", 2.0, instance="a", code="unhealthy")])[-1].quality == 0.0


def test_a_short_return_belongs_to_the_same_episode() -> None:
    story = [
        Event("committed", 0.0, size=1),
        born(0.0, "a", "0"),
        Event("lost", 10.0, instance="a"),
        born(10.1, "b", "0"),
    ]
    story += [Event("lost", 10.2, instance="b"), born(11.0, "c", "0")]
    fall = episodes(story, until=20.0)[-1]
    assert (fall.began, fall.recovered) == (10.0, 11.0)
    assert len(episodes(story, until=20.0)) == 2  # the commit itself, then one fall
    assert len(episodes(story, until=20.0, hold=0.05)) == 3


def test_a_fault_of_its_own_ends_the_hold() -> None:
    story = [
        Event("committed", 0.0, size=1),
        born(1.0, "a", "0"),
        Event("fault", 1.05, instance="a"),
        Event("lost", 1.1, instance="a"),
    ]
    assert [(fall.cause, fall.began) for fall in episodes(story, until=2.0)] == [
        ("change", 0.0),
        ("fault", 1.05),
    ]


def test_what_serves_again_unknown_makes_up_for_nothing_that_is_unnoticed() -> None:
    story = [Event("committed", 0.0, size=2), born(0.0, "a", "0"), born(0.0, "b", "1")]
    story += [
        Event("fault", 4.0, instance="a", code="silent"),
        Event("health", 5.0, instance="a", code="unhealthy"),
    ]
    story += [
        Event("drifted", 5.0),
        Event("fault", 5.25, instance="b"),
        Event("lost", 5.5, instance="b"),
    ]
    story += [Event("mended", 6.0, instance="a", code="silent"), born(9.0, "c", "1")]
    fall = episodes(story, until=10.0)[-1]
    assert (fall.began, fall.recovered) == (4.0, 9.0)
    # from 6.0 on the loop thinks that both are lost, and one of them is there
    assert fall.unnoticed == 0.5 + 0.125


def test_the_first_rise_is_a_change_of_the_wish_and_not_a_fault() -> None:
    story = [Event("committed", 0.0, size=1), born(1.0, "a", "0"), Event("lost", 2.0, instance="a")]
    assert [fall.cause for fall in episodes(story, until=3.0)] == ["change", "report"]
    assert episodes(story, until=3.0)[-1].time_to_recover is None


def test_an_instance_lost_and_found_again_has_two_lives() -> None:
    story = [
        born(1.0, "a", "0"),
        Event("lost", 2.0, instance="a"),
        Event("found", 3.0, instance="a", slot="0"),
    ]
    assert [(life.born, life.died, life.ended) for life in lives(story)] == [
        (1.0, 2.0, "lost"),
        (3.0, None, ""),
    ]


def test_theory_of_polling() -> None:
    assert expected_recovery(poll=2.0, provision=0.0) == (1.0, 1.9)
    assert expected_availability(rate=0.0, poll=2.0, provision=1.0) == 1.0
