"""The exercise of notebook 09: the right way is accepted, and typical slips get a sentence that
helps.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import pytest

from ikdemo.lab import Experiment, Simulated
from ikdemo.lab.chaos.exercise import immunology
from ikdemo.lab.chaos.findings import Findings


@cache
def tried(
    poll: float = 1.0, provision: float = 0.5, rate: float = 0.01, kills: int = 1000
) -> Findings:
    return Experiment(
        Simulated(poll=poll, provision=provision), kills=kills, rate=rate, seed=1
    ).run()


def test_the_solution_is_accepted() -> None:
    assert immunology(1, tried())
    assert immunology(1.02, tried(poll=1.02))


@pytest.mark.parametrize(
    ("poll", "found", "told"),
    [
        (..., ..., "write your answer into the cell above"),
        (2, ..., "The time to make an instance comes on top"),
        (0.5, ..., "looks twice as often as it must"),
        ("1", ..., "write it without quotes"),
        (7, ..., r"solve 1/\(1 \+ rate"),
        (1, ..., "put what run\\(\\) returns in place of the three dots"),
        (1, {"poll": 2.0}, "it had poll=2.0: use Simulated"),
        (1, {"rate": 0.02}, "it is 0.02: use"),
        (1, {"provision": 1.0}, "it took 1 s: use"),
        (1, {"kills": 20}, "there were 20: allow more kills"),
    ],
)
def test_a_slip_is_named(poll: object, found: Any, told: str) -> None:
    """``found``: what the experiment was tried with, if it was."""
    check = immunology(poll, tried(**found) if isinstance(found, dict) else found)
    assert not check
    assert any(not point.good and re.search(told, point.advice) for point in check.points), check
