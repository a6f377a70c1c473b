"""The theory that experiments are held against: its limits, and how often its intervals hold the
truth.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import islice, pairwise
from statistics import fmean, median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikdemo.reconcile.analysis.recovery import expected_availability, expected_recovery
from ikdemo.reconcile.analysis.theory import (
    arrivals,
    availability_under_load,
    bootstrap,
    creations_with_backoff,
    creations_without_backoff,
    quantile,
    recovered_within,
)

SECONDS = st.floats(0.01, 100.0)
Statistic = Callable[[Sequence[float]], float]
VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30)


@given(VALUES, st.floats(0, 1), st.floats(0, 1))
def test_a_quantile_is_within_the_values_and_never_falls(
    values: list[float], one: float, other: float
) -> None:
    low, high = (quantile(values, share) for share in sorted((one, other)))
    assert min(values) - 1e-6 <= low <= high + 1e-6 <= max(values) + 2e-6
    assert quantile(values, 0.5) == pytest.approx(median(values), abs=1e-6)


@given(SECONDS, SECONDS)
def test_the_marks_of_theory_lie_on_its_line(poll: float, provision: float) -> None:
    expected = expected_recovery(poll, provision)
    assert recovered_within(expected.mean, poll, provision) == pytest.approx(0.5)
    assert recovered_within(expected.p95, poll, provision) == pytest.approx(0.95)


@given(st.floats(1e-4, 100.0), SECONDS, st.floats(0.0, 10.0))
def test_under_load_less_is_up_and_never_less_than_if_each_kill_waited_a_whole_poll(
    rate: float, poll: float, provision: float
) -> None:
    exact = availability_under_load(rate, poll, provision)
    assert 1 / (1 + rate * (poll + provision)) <= exact * (1 + 1e-9)
    assert exact <= expected_availability(rate, poll, provision) * (1 + 1e-9)


def test_for_rare_kills_both_theories_are_one() -> None:
    assert availability_under_load(1e-5, 10.0, 1.0) == pytest.approx(
        expected_availability(1e-5, 10.0, 1.0), rel=1e-8
    )
    assert availability_under_load(0.5, 0.0, 1.0) == pytest.approx(
        expected_availability(0.5, 0.0, 1.0)
    )


def test_arrivals_come_at_their_rate_and_forget_what_was_before() -> None:
    moments = list(islice(arrivals(4.0, random.Random(1).random), 4000))
    gaps = [later - earlier for earlier, later in pairwise([0.0, *moments])]
    assert fmean(gaps) == pytest.approx(0.25, rel=0.05)
    # 1/e, as of an exponential
    assert fmean(gap > 0.25 for gap in gaps) == pytest.approx(0.3679, abs=0.03)
    after_long = [later for earlier, later in pairwise(gaps) if earlier > 0.5]
    assert fmean(after_long) == pytest.approx(0.25, rel=0.15)


@pytest.mark.parametrize("of", [fmean, median])
def test_intervals_hold_the_truth_about_as_often_as_they_say(of: Statistic) -> None:
    """Fifty times to recover with a poll of 10 s and L = 1 s: their mean and their median are 6
    s.
    """
    held = 0
    for seed in range(100):
        dice = random.Random(seed).random
        held += bootstrap([1.0 + 10.0 * dice() for _ in range(50)], of, dice).holds(6.0)
    assert 88 <= held <= 99  # one that always held would be too wide to say anything


def test_more_confidence_is_a_wider_interval() -> None:
    values = [random.Random(seed).random() for seed in range(60)]
    sure, surer = (
        bootstrap(values, fmean, random.Random(1).random, confidence=level) for level in (0.8, 0.99)
    )
    assert surer.low < sure.low < fmean(values) < sure.high < surer.high


def test_backoff_makes_few_and_none_makes_as_many_as_there_is_time_for() -> None:
    assert [creations_without_backoff(seconds, life=2.0) for seconds in (0.0, 1.9, 2.0, 100.0)] == [
        1,
        1,
        2,
        51,
    ]
    few = [creations_with_backoff(seconds, life=2.0) for seconds in (0.0, 2.0, 100.0, 3600.0)]
    assert few == sorted(few)
    assert few[:2] == [1, 2]  # the first death is answered at once
    assert few[3] < 50
