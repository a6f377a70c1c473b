"""Experiments on simulated groups: theory within its intervals, limits kept, the same seed the same
experiment.
"""

from __future__ import annotations

import json

import pytest

from ikdemo.lab import Experiment, Simulated, availability
from ikdemo.spi.errors import IkdemoError


def rare(seed: int, kills: int = 200) -> Experiment:
    """Return an experiment whose kills are far apart: 0.04 a poll and instance."""
    return Experiment(Simulated(poll=10.0, provision=1.0), kills=kills, rate=0.004, seed=seed)


def test_theory_lies_within_the_intervals_of_most_experiments() -> None:
    found = [rare(seed).run() for seed in range(20)]
    assert sum(all(one.agrees for one in each.measures) for each in found) >= 16
    together = [time for each in found for time in each.times()]
    assert sum(together) / len(together) == pytest.approx(6.0, rel=0.02)


def test_every_kill_is_healed_and_told_and_nothing_is_left_undone() -> None:
    found = rare(3).run()
    assert (len(found.kills), found.spared, found.whole) == (200, 0, True)
    assert all(kill.filled is not None and 1.0 <= kill.filled <= 11.01 for kill in found.kills)
    assert found.provision == pytest.approx(1.0)
    assert found.check()
    assert found.strikes().column("seconds")[0] == f"{found.kills[0].at:.2f}"
    plain = json.loads(json.dumps(found.to_dict()))
    assert len(plain["kills"]) == 200
    assert [one["name"] for one in plain["measures"]] == ["mean", "median", "p95", "availability"]


def test_the_same_seed_is_the_same_experiment_and_another_is_not() -> None:
    assert rare(5).run() == rare(5).run()
    assert rare(5).run().kills != rare(6).run().kills


def test_showing_an_experiment_does_nothing() -> None:
    group = Simulated()
    chaos = Experiment(group, kills=7, rate=0.5)
    assert "7 kills" in repr(chaos)
    assert "Nothing has been done" in chaos._repr_html_()
    assert (group.now(), group.filled()) == (1.0, 5)
    assert group.recovery(0.0).falls == []


def test_never_are_fewer_left_than_agreed() -> None:
    """Kills that come much faster than the loop looks: most are held back."""
    found = Experiment(Simulated(size=6, poll=100.0), kills=30, rate=1.0, least=4).run()
    assert found.spared > len(found.kills)
    assert min(
        level.quality for level in found.recovery.levels[1:] if level.time > 1.0
    ) == pytest.approx(4 / 6)


def test_it_ends_in_time_when_nothing_can_be_killed_any_more() -> None:
    chaos = Experiment(Simulated(size=2, poll=1e6), kills=50, rate=1.0, least=1)
    found = chaos.run()
    assert found.seconds == pytest.approx(chaos.longest)
    assert (len(found.kills), len(found.times())) == (1, 1)
    assert repr(found).startswith(
        "Group simulated, 1 kills. 1 of them were healed, too few to measure."
    )
    assert found._repr_mimebundle_().keys() == {"text/plain"}
    assert "not yet  at least 50 instances were killed. There were 1: allow more kills" in repr(
        found.check()
    )


@pytest.mark.parametrize("wrong", [{"kills": 0}, {"rate": 0.0}, {"least": 5}, {"least": -1}])
def test_an_experiment_that_makes_no_sense_is_refused_in_a_sentence(wrong: dict[str, int]) -> None:
    with pytest.raises(IkdemoError, match=r"needs at least one kill|no kill or make no sense"):
        Experiment(Simulated(), **{"kills": 3, "rate": 1.0, **wrong})  # type: ignore[arg-type]


def test_a_group_that_makes_no_sense_is_refused_in_a_sentence() -> None:
    with pytest.raises(IkdemoError, match="at least one slot"):
        Simulated(size=0)


def test_availability_agrees_where_kills_are_rare_and_falls_short_where_they_are_not() -> None:
    sweep = availability([2.0, 10.0], [0.01, 1.0], provision=0.1, kills=300)
    agrees = {(point.poll, point.rate): (point.rare, point.agrees) for point in sweep.points}
    assert agrees == {
        (2.0, 0.01): (True, True),
        (2.0, 1.0): (False, False),
        (10.0, 0.01): (True, True),
        (10.0, 1.0): (False, False),
    }
    assert all(point.value < point.theory for point in sweep.points if not point.rare)
    assert sweep.table().column("kills are rare") == ["yes", "no, 2 a poll", "yes", "no, 10 a poll"]
    assert len(json.loads(json.dumps(sweep.to_dict()))["points"]) == 4


def test_a_measured_experiment_is_a_point_beside_the_simulated_ones() -> None:
    sweep = availability([10.0], [0.004], measured=[rare(1).run()])
    assert [value.endswith(", measured") for value in sweep.table().column("availability")] == [
        True,
        False,
    ]


def test_availability_needs_something_to_show() -> None:
    with pytest.raises(IkdemoError, match="nothing to show"):
        availability([], [])
