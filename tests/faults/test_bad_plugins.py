"""Plugins that answer nonsense, break off, or are not what they were: one sentence why, no crash,
not one instance too many.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from asking import until
from desk import Desk
from recorder import Answer, Fake, FakeFlavor, FakeInstances, Recorder, ask, failure, implements


class Cloud(FakeInstances):
    """Instances in memory; ``says`` replaces what a method answers, after it was carried out.
    ``full``: none is made.
    """

    def __init__(self) -> None:
        super().__init__()
        self.says: dict[str, Answer] = {}
        self.full = False

    def __call__(self, method: str, params: dict[str, Any]) -> Answer:
        answer = (
            None
            if self.full and method == "Instance.Provision"
            else super().__call__(method, params)
        )
        return self.says.get(method, answer)


class Moody(FakeFlavor):
    """A flavor; ``says`` replaces what a method answers."""

    def __init__(self) -> None:
        super().__init__()
        self.says: dict[str, Answer] = {}

    def __call__(self, method: str, params: dict[str, Any]) -> Answer:
        return self.says.get(method, super().__call__(method, params))


class Group:
    """A group plugin at a quick pace, with a fake instance plugin and a fake flavor."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        desk.plugins.mkdir()
        self.recorder, self.cloud, self.flavor = Recorder(), Cloud(), Moody()
        self.fakes = [
            Fake(self.recorder, desk.plugins / "cloud", self.cloud),
            Fake(self.recorder, desk.plugins / "plain", self.flavor),
        ]
        desk.start("infrakit-group-default", "group", "--poll-interval", "30ms")

    def commit(
        self, size: int = 3, group: str = "web", instance: str = "cloud", flavor: str = "plain"
    ) -> dict[str, Any]:
        sections = {
            "Instance": {"Plugin": instance, "Properties": {}},
            "Flavor": {"Plugin": flavor, "Properties": {}},
        }
        properties = {"Allocation": {"Size": size}, **sections}
        return ask(
            self.desk.plugins / "group",
            "Group.CommitGroup",
            Spec={"ID": group, "Properties": properties},
        )

    def why(self) -> str:
        done = self.desk.run("ikdemo group why web")
        assert done.returncode == 0, done.stderr
        return done.stdout

    def until_made(self, size: int) -> None:
        self.recorder.until(lambda: len(self.cloud.living) == size)
        self.recorder.polls(3)

    def close(self) -> None:
        assert self.desk.stop("group") == 0
        assert "Traceback" not in self.desk.log("group")
        for fake in self.fakes:
            fake.stop()


@pytest.fixture
def group(desk: Desk) -> Iterator[Group]:
    made = Group(desk)
    yield made
    made.close()


def words(value: object) -> str | None:
    return value if isinstance(value, str) and len(value) < 100 else ""


def all_of(value: str) -> str:
    """Return an answer in which each member that a result may have is this value."""
    names = ("ID", "Spec", "Descriptions", "OK", "Health")
    return (
        '{"jsonrpc":"2.0","result":{'
        + ",".join(f'"{name}":{value}' for name in names)
        + '},"id":1}'
    )


NONSENSE: list[tuple[Answer, str]] = [
    ("<html>", "not JSON"),
    ("", "the answer is empty"),
    (None, "the connection broke"),
    ({"result": None}, "result is null"),
    ({"result": []}, "expected an object"),
    ("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "not HTTP"),
    ({"error": "not today"}, "not today"),
    (all_of("9" * 5000), "the result is not what it should be: $."),
    (all_of("-1e400"), "the result is not what it should be: $."),
    (all_of("[" * 5000 + "]" * 5000), "nested too deeply"),
    (all_of("NaN"), "not JSON"),
    ({"error": {"code": 10**4000, "message": "x" * 10**6}}, "xxx... (1"),
]
"""What a plugin may answer to anything, and the words that tell a person so."""
NO_ID: list[tuple[Answer, str]] = [
    ({"result": {"ID": 5}}, "$.ID"),
    ({"result": {"ID": None}}, "gave no ID"),
]


@pytest.mark.parametrize(("answer", "words"), [*NONSENSE, *NO_ID], ids=words)
def test_instances_are_made_and_the_answer_is_nonsense(
    group: Group, answer: Answer, words: str
) -> None:
    """What is seen at the next look counts, whatever was answered."""
    group.cloud.says = {"Instance.Provision": answer}
    group.commit(3)
    group.until_made(3)
    assert group.cloud.made == 3
    assert "web is converged" in group.why()


@pytest.mark.parametrize(("answer", "words"), [*NONSENSE, *NO_ID], ids=words)
def test_no_instance_is_made_and_the_answer_is_nonsense(
    group: Group, answer: Answer, words: str
) -> None:
    group.cloud.full = True
    group.cloud.says = {"Instance.Provision": answer}
    group.commit(1)
    group.recorder.until(lambda: group.recorder.count("Instance.Provision") == 1)
    group.recorder.polls(5)
    assert group.recorder.count("Instance.Provision") <= 3
    # no answer at all: it may yet appear, and is waited for; otherwise the words are there while
    # the slot waits for the next try
    said = "has not been seen yet" if answer is None else words
    until(lambda: said in group.why(), say=group.why)


def test_a_description_that_is_nonsense_is_doubt(group: Group) -> None:
    group.commit(3)
    group.until_made(3)
    for answer, words in NONSENSE:
        group.cloud.says = {"Instance.DescribeInstances": answer}
        group.recorder.polls(2)
        assert words in group.why()
    group.cloud.says = {}
    group.until_made(3)
    assert group.cloud.made == 3
    assert "web is converged" in group.why()


@pytest.mark.parametrize(("answer", "words"), NONSENSE, ids=words)
def test_a_flavor_that_answers_nonsense_makes_nothing_and_stops_no_destruction(
    group: Group, answer: Answer, words: str
) -> None:
    group.flavor.says = {"Flavor.Prepare": answer}
    group.commit(1)
    group.recorder.until(lambda: group.recorder.count("Flavor.Prepare") > 0)
    group.recorder.polls(3)
    assert group.recorder.count("Instance.Provision") == 0
    until(lambda: words in group.why(), say=group.why)
    group.flavor.says = {"Flavor.Drain": answer, "Flavor.Healthy": answer}
    group.commit(1)
    group.until_made(1)
    assert ask(group.desk.plugins / "group", "Group.DestroyGroup", ID="web")["result"] == {
        "OK": True
    }
    assert group.cloud.living == {}


def test_instances_of_another_group_are_left_alone_even_if_the_plugin_does_not_filter(
    group: Group,
) -> None:
    foreign = {"ID": "i-900", "LogicalID": None, "Tags": {"infrakit.group": "other"}}
    group.commit(2)
    group.until_made(2)
    everything = [*group.cloud.living.values(), foreign]
    group.cloud.says = {"Instance.DescribeInstances": {"result": {"Descriptions": everything}}}
    group.recorder.polls(3)
    assert "web is converged" in group.why()
    group.commit(1)
    group.recorder.until(lambda: group.recorder.count("Instance.Destroy") == 1)
    destroyed = [
        one.params["Instance"]
        for one in group.recorder.requests
        if one.method == "Instance.Destroy"
    ]
    assert destroyed == ["i-001"]


WRONG = [
    (implements("Flavor"), "Plugin does not support interface {Instance 0.1.0}"),
    (
        implements("Instance", version="0.9.0"),
        "Plugin supports Instance interface version 0.9.0, client requires 0.1.0",
    ),
    (failure("go away"), "go away"),
    ({"result": {}}, "Plugin does not support interface {Instance 0.1.0}"),
]


@pytest.mark.parametrize(("answer", "words"), WRONG)
def test_a_plugin_that_is_not_what_was_asked_for_is_refused_at_the_commit(
    group: Group, answer: Answer, words: str
) -> None:
    group.cloud.says = {"Plugin.Implements": answer}
    assert group.commit(1)["error"]["message"] == words
    assert set(group.recorder.methods("cloud")) == {"Plugin.Implements"}
    assert ask(group.desk.plugins / "group", "Group.InspectGroups")["result"]["Groups"] is None


@pytest.mark.parametrize(("answer", "words"), WRONG)
def test_a_plugin_that_came_back_as_something_else_is_doubt(
    group: Group, answer: Answer, words: str
) -> None:
    group.commit(2)
    group.until_made(2)
    group.fakes[0].stop()
    group.cloud.says = {"Plugin.Implements": answer}
    group.fakes[0].start()
    mark = len(group.recorder.requests)
    group.recorder.until(lambda: group.recorder.methods("cloud").count("Plugin.Implements") > 6)
    asked = [one.method for one in group.recorder.requests[mark:] if one.plugin == "cloud"]
    # the first may have been on its way when the plugin came back
    assert set(asked[1:]) == {"Plugin.Implements"}
    assert words in group.why()
    group.cloud.says = {}
    group.until_made(2)
    assert group.cloud.made == 2


def test_a_plugin_that_is_nowhere_is_named(group: Group) -> None:
    assert group.commit(1, instance="nowhere")["error"]["message"] == (
        "Failed to find Instance plugin 'nowhere':Plugin not found: nowhere"
    )
    group.commit(2)
    group.until_made(2)
    group.fakes[0].stop()
    assert "Plugin not found: cloud" in group.why()
    group.cloud.living.clear()
    group.fakes[0].start()
    group.until_made(2)
    assert group.cloud.made == 4
