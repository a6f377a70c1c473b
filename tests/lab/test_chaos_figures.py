"""The pictures of chaos: each is XML that tells its story in words, is the same every time, and is
true to its data.
"""

from __future__ import annotations

import json
import re
from functools import cache
from xml.etree import ElementTree

import pytest

from ikdemo.lab import Experiment, Simulated, availability, crash_loops, overcreation
from ikdemo.lab.chaos.crashes import CrashLoops
from ikdemo.lab.chaos.overcreation import Overcreation
from ikdemo.lab.chaos.results import FigureResult
from ikdemo.reconcile.backoff import GIVE_UP_AFTER

SVG = "{http://www.w3.org/2000/svg}"


@cache
def crashes() -> CrashLoops:
    return crash_loops(slots=10)


@cache
def storms() -> Overcreation:
    return overcreation(runs=20)


@cache
def found(name: str) -> FigureResult:
    """Return what is drawn, which takes a while."""
    match name:
        case "times":
            return Experiment(Simulated(), kills=60, rate=0.004).run()
        case "availability":
            return availability([2.0, 10.0], [0.01, 0.1], kills=40)
        case "over-creation":
            return storms()
    return crashes()


PICTURES = {
    "times": ("theory: dashed", "measured: 60 kills", "share of kills healed"),
    "availability": (
        "look every 2 s",
        "look every 10 s",
        "hollow: simulated, filled: measured",
    ),
    "over-creation": (
        "stale: an earlier answer",
        "counting: too many in",
        "slots: too many in",
        "0% of 20 runs",
    ),
    "crash loops": ("no back-off: 601", "back-off, then giving up: 9", "theory: dashed"),
}
"""What each picture says, among other words."""


@pytest.mark.parametrize("name", PICTURES)
def test_the_picture_is_told_in_words_and_is_the_same_every_time(name: str) -> None:
    drawn = found(name)
    text = drawn.svg()
    root = ElementTree.fromstring(text)
    assert root.get("role") == "img"
    assert root.findtext(f"{SVG}title") == drawn.title
    assert root.findtext(f"{SVG}desc") == drawn.words
    said = " ".join("".join(node.itertext()) for node in root.iter(f"{SVG}text"))
    for words in PICTURES[name]:
        assert words in said, words
    assert text == drawn.svg()


@pytest.mark.parametrize("name", PICTURES)
def test_the_notebook_face_has_an_alt_text_and_the_data_are_json(name: str) -> None:
    drawn = found(name)
    assert re.search(
        r'<img alt="[^"]{40,}" src="data:image/png;base64,', drawn._repr_mimebundle_()["text/html"]
    )
    assert json.loads(json.dumps(drawn.to_dict()))
    assert len(drawn.table()) > 1


def test_slots_never_make_one_too_many_and_counting_does() -> None:
    runs = {(one.fault.partition(":")[0], one.planner): one for one in storms().runs}
    for fault in ("stale", "partial", "lost"):
        slots, counting = runs[fault, "slots"], runs[fault, "counting"]
        assert (slots.exceeding, sum(slots.destroyed)) == (0.0, 0)
        assert counting.exceeding > 0.3
        assert sum(counting.destroyed) > 0  # what was too much had to go again
        # something was killed and seen late
        assert min(min(trace) for trace in slots.traces) < 5 or fault == "partial"
    assert runs["lost", "expectations"].exceeding == 0.0
    assert runs["stale", "expectations"].exceeding > 0.3


def test_the_storms_of_a_seed_are_the_same() -> None:
    assert overcreation(runs=3, seed=4) == overcreation(runs=3, seed=4)
    assert overcreation(runs=3, seed=4) != overcreation(runs=3, seed=5)


def test_backoff_makes_few_giving_up_makes_fewer_and_neither_makes_one_after_each_death() -> None:
    assert set(crashes().creations("no back-off")) == {601}
    assert all(
        abs(made - crashes().theory("back-off")) <= 2 for made in crashes().creations("back-off")
    )
    assert set(crashes().creations("back-off, then giving up")) == {GIVE_UP_AFTER}
    assert crashes().table().column("theory") == ["601", "15", "9"]


def test_what_lives_long_is_replaced_as_often_with_backoff_as_without() -> None:
    """Back-off is for deaths of the young: after ten minutes of life the next try is not made to
    wait.
    """
    calm = crash_loops(seconds=3600.0, life=600.0, slots=2)
    assert {made for way in calm.made for made in calm.creations(way)} == {7}
