"""The record of a rolling update: its numbers from hand-made events, its picture, and real updates
at every pace.
"""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from ikdemo.lab import Judge, Lab, collabnix, paces
from ikdemo.lab.show.rollout import Rollout
from ikdemo.spi.documents import SHA_TAG
from ikdemo.spi.errors import IkdemoError, NotConverged
from ikdemo.spi.events import Event


def told(kind: str, time: float, name: str = "", slot: str = "", sha: str = "old") -> Event:
    size = 2 if kind == "committed" else 0
    return Event(kind, 100.0 + time, "p", "web", name, slot, size=size, tags={SHA_TAG: sha})


def story() -> list[Event]:
    """Return the events of a group of two that is rolled with a gap of a second each."""
    first = [
        told("committed", 0),
        told("provisioned", 1, "a", "0"),
        told("provisioned", 1, "b", "1"),
        told("converged", 2),
    ]
    roll = [told("committed", 5, sha="new"), told("planned", 10)]
    roll += [told("destroyed", 11, "b", "1"), told("provisioned", 12, "c", "1", "new")]
    roll += [
        told("destroyed", 13, "a", "0"),
        told("provisioned", 14, "d", "0", "new"),
        told("converged", 15),
    ]
    return first + roll


def test_the_numbers_are_those_of_the_events() -> None:
    rollout = Rollout("web", story(), 200.0)
    assert (rollout.replaced, rollout.fewest, rollout.most, rollout.finished) == (2, 1, 2, True)
    assert [(count.time - 110, count.living, count.new) for count in rollout.counts] == [
        (0, 2, 0),
        (1, 1, 0),
        (2, 2, 1),
        (3, 1, 1),
        (4, 2, 2),
    ]
    assert rollout.measures().column("value") == ["5.00 s", "2", "1 of 2", "2 of 2"]


def test_the_picture_is_told_in_words_and_names_both_configurations() -> None:
    rollout = Rollout("web", story(), 200.0)
    assert rollout.words.endswith("It took 5.00 s.")
    said = " ".join(
        "".join(node.itertext()) for node in ElementTree.fromstring(rollout.svg()).iter()
    )
    for words in (
        "Group web rolls",
        "old: old",
        "new: new",
        "slot 1",
        "wanted",
        "Never fewer than 1",
    ):
        assert words in said, words
    assert '<img alt="Group web: 2 instances' in rollout._repr_mimebundle_()["text/html"]


def test_an_update_that_waited_begins_with_its_first_action() -> None:
    assert Rollout("web", story()[:5], 120.0).began == 105.0
    assert Rollout("web", story(), 120.0).began == 110.0


def test_an_update_that_has_not_ended_says_how_many_are_left() -> None:
    rollout = Rollout("web", story()[:-3], 120.0)
    assert "It has not ended: 1 of the old configuration still there." in rollout.words
    assert rollout.measures().column("value")[0] == "not yet"
    rollout.figure()


def test_a_group_that_was_never_changed_has_no_rollout() -> None:
    with pytest.raises(IkdemoError, match="not committed with another configuration"):
        Rollout("web", story()[:4], 120.0)


def changed(note: str, **pace: Any) -> dict[str, Any]:
    spec = collabnix()
    spec["Properties"]["Instance"]["Properties"]["Note"] = note
    return {**spec, "Properties": {**spec["Properties"], "Updating": pace}}


def test_real_updates_keep_to_their_pace() -> None:
    with Lab() as lab:
        lab.start()
        lab.commit(changed("first"))
        lab.wait("collabnix")
        measured = {}
        for name, pace in {"one": {}, "two": {"BatchSize": 2}, "surge": {"Surge": 1}}.items():
            lab.commit(changed(name, **pace))
            lab.wait("collabnix")
            measured[name] = lab.rollout("collabnix")
        table = paces(measured)
        assert table.column("fewest alive") == ["4", "3", "5"]
        assert table.column("most alive") == ["5", "5", "6"]
        assert [one.replaced for one in measured.values()] == [5, 5, 5]
        slots = [label.get_text() for label in measured["surge"].figure().axes[1].get_yticklabels()]
        assert slots == [f"slot {n}" for n in range(6)]


def test_a_version_that_the_judge_calls_bad_stops_and_is_rolled_back() -> None:
    with Lab() as lab:
        judge = Judge()
        lab.start("instance-file")
        lab.start_plugin("group", poll_interval="100ms")
        assert "a Judge of this notebook" in lab.serve(judge, "flavor-judge").column("program")
        spec = collabnix(size=3)
        spec["Properties"]["Flavor"] = {
            "Plugin": "flavor-judge",
            "Properties": {"Tags": {"version": "v1"}},
        }
        lab.commit(spec)
        lab.wait("collabnix")
        judge.bad.add("v2")
        spec["Properties"]["Flavor"]["Properties"]["Tags"]["version"] = "v2"
        lab.commit(spec)
        with pytest.raises(NotConverged, match="the update has stopped"):
            lab.wait("collabnix", timeout=1.0)
        assert [("version=v2" in tags) for tags in lab.describe("collabnix").column("tags")] == [
            False,
            False,
            True,
        ]
        spec["Properties"]["Flavor"]["Properties"]["Tags"]["version"] = "v1"
        lab.commit(spec)
        lab.wait("collabnix")
        assert all("version=v1" in tags for tags in lab.describe("collabnix").column("tags"))
