"""The pictures of chaos: each is XML that tells its story in words, is the same every time, and is
true to its data.
"""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree

import pytest

from ikdemo.lab import Experiment, Simulated, availability, crash_loops, overcreation
from ikdemo.lab.chaos.results import FigureResult
from ikdemo.reconcile.backoff import GIVE_UP_AFTER

SVG = "{http://www.w3.org/2000/svg}"
CRASHES = crash_loops(slots=10)
STORMS = overcreation(runs=20)
PICTURES: dict[str, tuple[FigureResult, tuple[str, ...]]] = {
    "times": (
        Experiment(Simulated(), kills=60, rate=0.004).run(),
        ("theory: dashed", "measured: 60 kills", "share of kills healed"),
    ),
    "availability": (
        availability([2.0, 10.0], [0.01, 0.1], kills=40),
        ("look every 2 s", "look every 10 s", "hollow: simulated, filled: measured"),
    ),
    "over-creation": (
        STORMS,
        (
            "stale: an earlier answer",
            "counting: too many in",
            "slots: too many in",
            "0% of 20 runs",
        ),
    ),
    "crash loops": (CRASHES, ("no back-off: 601", "back-off, then giving up: 9", "theory: dashed")),
}


@pytest.mark.parametrize("name", PICTURES)
def test_the_picture_is_told_in_words_and_is_the_same_every_time(name: str) -> None:
    found, wanted = PICTURES[name]
    text = found.svg()
    root = ElementTree.fromstring(text)
    assert root.get("role") == "img"
    assert root.findtext(f"{SVG}title") == found.title
    assert root.findtext(f"{SVG}desc") == found.words
    said = " ".join("".join(node.itertext()) for node in root.iter(f"{SVG}text"))
    for words in wanted:
        assert words in said, words
    assert text == found.svg()


@pytest.mark.parametrize("name", PICTURES)
def test_the_notebook_face_has_an_alt_text_and_the_data_are_json(name: str) -> None:
    found, _ = PICTURES[name]
    assert re.search(
        r'<img alt="[^"]{40,}" src="data:image/png;base64,', found._repr_mimebundle_()["text/html"]
    )
    assert json.loads(json.dumps(found.to_dict()))
    assert len(found.table()) > 1


def test_slots_never_make_one_too_many_and_counting_does() -> None:
    runs = {(one.fault.partition(":")[0], one.planner): one for one in STORMS.runs}
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
    assert set(CRASHES.creations("no back-off")) == {601}
    assert all(
        abs(made - CRASHES.theory("back-off")) <= 2 for made in CRASHES.creations("back-off")
    )
    assert set(CRASHES.creations("back-off, then giving up")) == {GIVE_UP_AFTER}
    assert CRASHES.table().column("theory") == ["601", "15", "9"]


def test_what_lives_long_is_replaced_as_often_with_backoff_as_without() -> None:
    """Back-off is for deaths of the young: after ten minutes of life the next try is not made to
    wait.
    """
    calm = crash_loops(seconds=3600.0, life=600.0, slots=2)
    assert {made for way in calm.made for made in calm.creations(way)} == {7}
