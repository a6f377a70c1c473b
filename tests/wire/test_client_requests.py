"""What our clients send: the same as InfraKit's own, as recorded from them by fake plugins.

Compared are the methods and, as text, the parameters; who asks how often for descriptions and
health is free. Each scenario of the recording is either played here or left out by name.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from desk import Desk
from recorder import (
    Answer,
    Fake,
    FakeFlavor,
    FakeInstances,
    Recorder,
    Request,
    ask,
    implements,
    request,
)

SCENARIOS: dict[str, tuple[dict[str, Any], list[Request]]] = {}
for _text in Path(__file__).with_name("client-requests.jsonl").read_text().splitlines():
    _line = json.loads(_text)
    if _line["kind"] == "trigger":
        SCENARIOS[_line["scenario"]] = _line, []
    elif _line["kind"] == "request":
        SCENARIOS[_line["scenario"]][1].append(request(_line["plugin"], _line["body"]))

LEFT_OUT = {"manager": "there is no infrakit-manager here"}
"""Clients of which there is no program of ours."""
FREE = ("Plugin.Implements", "Instance.DescribeInstances", "Flavor.Healthy", "Events.Watch")
COMMAND_LINE = [name for name, (trigger, _) in SCENARIOS.items() if trigger["client"] == "cli"]


class Table:
    """Fake instance and flavor plugins, and our group plugin between them and the test."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        desk.plugins.mkdir()
        self.recorder = Recorder()
        self.instances, self.flavor = FakeInstances(), FakeFlavor()
        self.fakes = [
            Fake(self.recorder, desk.plugins / "fake-instance", self.instances),
            Fake(self.recorder, desk.plugins / "fake-flavor", self.flavor),
        ]
        desk.start("infrakit-group-default", "group", "--poll-interval", "150ms")
        self.begin()

    def begin(self) -> None:
        """Compare what is asked from here on."""
        self._mark = len(self.recorder.requests)

    def asked(self) -> list[Request]:
        return self.recorder.requests[self._mark :]

    def commit(self, group: str, note: str = "v1", **allocation: Any) -> dict[str, Any]:
        instance = {"Plugin": "fake-instance", "Properties": {"Note": note}}
        flavor = {"Plugin": "fake-flavor", "Properties": {"Init": ["echo hi"]}}
        properties: dict[str, Any] = {
            "Allocation": allocation,
            "Instance": instance,
            "Flavor": flavor,
        }
        # an update as InfraKit's, whose next batch leaves at the first poll that finds the last one
        # healthy
        if note != "v1":
            properties["Updating"] = {"Duration": "0"}
        return self.ask("CommitGroup", Spec={"ID": group, "Properties": properties})

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        return ask(self.desk.plugins / "group", f"Group.{method}", **params)

    def matches(
        self, scenario: str, reply: dict[str, Any] | None = None, *, retried: bool = False
    ) -> None:
        """Wait until what is recorded was asked, and on for two polls, and compare; and the reply
        with the observed one.

        ``retried``: how often was a matter of time, so each request is compared once.
        """
        trigger, recorded = SCENARIOS[scenario]
        wanted = (
            len({one.text for one in compared(recorded)}) if retried else len(compared(recorded))
        )
        self.recorder.until(lambda: len(compared(self.asked())) >= wanted)
        if self.ask("InspectGroups")["result"]["Groups"]:
            self.recorder.polls()
        ours = self.asked()
        assert out_of_order(ours) == []
        if retried:
            recorded, ours = (
                list({one.text: one for one in some}.values()) for some in (recorded, ours)
            )
        assert differences(recorded, ours) == [], scenario
        assert reply is None or reply == trigger["observed"], scenario

        self.begin()


@pytest.fixture
def table(desk: Desk) -> Iterator[Table]:
    made = Table(desk)
    yield made
    desk.close()
    for fake in made.fakes:
        fake.stop()


def compared(requests: list[Request]) -> list[Request]:
    return [one for one in requests if one.method not in FREE]


def differences(recorded: list[Request], ours: list[Request]) -> list[str]:
    """Compare two lists of requests as far as order and number are not free."""
    want, have = (
        Counter(f"{one.plugin} {one.text}" for one in compared(some)) for some in (recorded, ours)
    )
    found = [f"not sent: {text}" for text in (want - have).elements()]
    found += [f"not recorded: {text}" for text in (have - want).elements()]
    told = {one.text for one in ours}
    return found + [
        f"not asked: {one.text}" for one in recorded if one.method in FREE and one.text not in told
    ]


def out_of_order(requests: list[Request]) -> list[str]:
    """Say what was provisioned before it was prepared or destroyed before it was drained."""
    found, prepared, drained = [], Counter[str](), set[str]()
    for one in requests:
        if one.method == "Flavor.Prepare":
            prepared[json.dumps(one.params["Spec"])] += 1
        if one.method == "Flavor.Drain":
            drained.add(one.params["Instance"]["ID"])
        if one.method == "Instance.Provision":
            prepared[json.dumps(one.params["Spec"])] -= 1
        if min(prepared.values(), default=0) < 0 or (
            one.method == "Instance.Destroy" and one.params["Instance"] not in drained
        ):
            found.append(f"too early: {one.text}")
    return found


def test_a_group_of_cattle_and_then_of_pets(table: Table) -> None:
    table.matches("group-first-commit-size-3", table.commit("c", Size=3))
    table.matches("group-idle-polls")
    table.matches("group-commit-noop", table.commit("c", Size=3))
    table.matches("group-describe", table.ask("DescribeGroup", ID="c"))
    table.matches("group-inspect", table.ask("InspectGroups"))
    table.matches("group-scale-up-3-to-5", table.commit("c", Size=5))
    table.matches("group-scale-down-5-to-4", table.commit("c", Size=4))
    reply = table.commit("c", "v2", Size=4)
    in_turn = [one.text for one in compared(SCENARIOS["group-rolling-update-4"][1])]
    table.recorder.until(lambda: len(compared(table.asked())) >= len(in_turn))
    # one leaves at a time, the lowest ID first
    assert [one.text for one in compared(table.asked())] == in_turn
    table.matches("group-rolling-update-4", reply)
    table.instances.living.popitem()
    table.matches("group-heal-one-missing")
    assert table.ask("FreeGroup", ID="c")["result"] == {"OK": True}
    table.begin()
    table.matches("group-recommit-after-free", table.commit("c", "v2", Size=4))
    assert table.ask("DestroyGroup", ID="c")["result"] == {"OK": True}
    assert [one.method for one in compared(table.asked())].count("Instance.Destroy") == 4
    assert out_of_order(table.asked()) == []
    two_pets(table)
    table.matches("group-quorum-rolling", table.commit("q", "v2", LogicalIDs=["a", "b"]))


def two_pets(table: Table) -> None:
    """Make the two that the recording begins with: parallel provisions gave b the lower ID."""
    table.instances.made = 10
    table.instances.numbers = {"b": 11, "a": 12}
    table.commit("q", LogicalIDs=["a", "b"])
    table.recorder.until(lambda: len(table.instances.living) == 2)
    table.recorder.polls()
    table.begin()


def test_plugins_that_refuse_and_an_update_that_cannot_go_on(table: Table) -> None:
    table.instances.failing = {"Instance.Validate": "instance says no"}
    table.matches("group-instance-validate-error", table.commit("f", Size=1))
    table.instances.failing, table.flavor.failing = {}, {"Flavor.Prepare": "no"}
    for scenario in ("group-prepare-error", "group-provision-error", "group-list-error"):
        reply = table.commit("f", Size=1)
        table.matches(scenario, reply, retried=True)
        table.ask("FreeGroup", ID="f")
        table.flavor.failing = {}
        table.instances.failing = (
            {"Instance.Provision": "no"}
            if "prepare" in scenario
            else {"Instance.DescribeInstances": "no"}
        )
        table.begin()
    table.instances.failing = {}
    table.commit("f", Size=2)
    table.recorder.until(lambda: len(table.instances.living) == 2)
    table.recorder.polls()
    table.flavor.health = 0
    table.begin()
    reply = table.commit("f", "v2", Size=2)
    table.matches("group-rolling-health-unknown-waits", None)
    observed = SCENARIOS["group-rolling-health-unknown-waits"][0]["observed"]
    described = table.ask("DescribeGroup", ID="f")["result"]["Description"]
    assert {"commit": reply, "Converged": described["Converged"]} == observed
    table.flavor.health = 2
    table.begin()
    table.matches("group-rolling-health-unhealthy-stops")
    described = table.ask("DescribeGroup", ID="f")["result"]["Description"]
    # v0.1.0 calls a group converged whose update has failed; ours says what is true
    assert described == {
        **SCENARIOS["group-rolling-health-unhealthy-stops"][0]["observed"],
        "Converged": False,
    }


def test_healing_goes_on_after_the_plugins_were_restarted(table: Table) -> None:
    table.commit("r", Size=1)
    table.recorder.until(lambda: len(table.instances.living) == 1)
    table.recorder.polls()
    for fake in table.fakes:
        fake.stop()
    table.instances.living.clear()
    table.begin()
    for fake in table.fakes:
        fake.start()
    table.matches("group-heals-after-plugin-restart")
    # here InfraKit's clients go on without another handshake; ours make sure of who is there now
    assert table.recorder.methods("fake-instance").count("Plugin.Implements") >= 2


def test_a_handshake_comes_first_and_extensions_stay_with_those_who_have_them(table: Table) -> None:
    table.commit("c", Size=1)
    table.recorder.polls(4)
    known = {
        "Plugin.Implements",
        "Instance.Validate",
        "Instance.DescribeInstances",
        "Instance.Provision",
    }
    assert set(table.recorder.methods("fake-instance")) == known
    assert (
        set(table.recorder.methods("fake-flavor"))
        <= {f"Flavor.{verb}" for verb in ("Validate", "Prepare", "Healthy")} | known
    )
    for plugin in ("fake-instance", "fake-flavor"):
        assert table.recorder.methods(plugin)[0] == "Plugin.Implements"


def test_extensions_reach_those_who_offer_them(table: Table) -> None:
    table.instances.extensions, table.flavor.extensions = ("Slots", "Events"), ("ConstantHealth",)
    table.commit("c", Size=2)
    table.recorder.until(lambda: len(table.instances.living) == 2)
    table.recorder.until(lambda: table.recorder.count("Events.Watch") > 1)
    table.recorder.polls()
    assert sorted(one["Slot"] for one in table.instances.living.values()) == ["0", "1"]
    described = [
        one.params for one in table.recorder.requests if one.method == "Instance.DescribeInstances"
    ]
    assert all(params["Slots"] is True for params in described)
    assert table.recorder.count("Flavor.Healthy") == 0


def test_a_combo_asks_each_of_its_flavors(desk: Desk) -> None:
    desk.plugins.mkdir()
    recorder = Recorder()
    flavors = {name: FakeFlavor() for name in ("fa", "fb")}
    fakes = [Fake(recorder, desk.plugins / name, flavor) for name, flavor in flavors.items()]
    desk.start("infrakit-flavor-combo", "flavor-combo")
    listed = [
        {"Plugin": "fa", "Properties": {"x": 1}},
        {"Plugin": "fb"},
        {"Plugin": "fa", "Properties": {"x": 2}},
    ]

    def called(scenario: str, method: str, **params: Any) -> tuple[list[str], list[str]]:
        """Call the combo, compare its reply, and return what was asked and what is recorded,
        handshakes aside.
        """
        mark = len(recorder.requests)
        reply = ask(
            desk.plugins / "flavor-combo",
            f"Flavor.{method}",
            Properties={"Flavors": listed},
            **params,
        )
        assert reply == SCENARIOS[scenario][0]["observed"], scenario
        requests = recorder.requests[mark:], SCENARIOS[scenario][1]
        ours, recorded = (
            [one.text for one in some if one.method != "Plugin.Implements"] for some in requests
        )
        return ours, recorded

    ours, recorded = called("combo-validate", "Validate")
    # with an allocation, ours has each flavor validate its part; v0.1.0 never does
    assert ours == recorded == []
    ours, recorded = called("combo-healthy", "Healthy", Instance={"ID": "i-1"})
    assert sorted(ours) == sorted(recorded)  # ours asks them side by side
    ours, recorded = called("combo-drain", "Drain", Instance={"ID": "i-1", "Tags": {"a": "b"}})
    assert ours == recorded
    flavors["fb"].health = 0
    ours, recorded = called("combo-healthy-short-circuits", "Healthy", Instance={"ID": "i-1"})
    assert set(ours) >= set(recorded)
    assert [recorder.methods(name)[0] for name in flavors] == ["Plugin.Implements"] * 2
    desk.close()
    for fake in fakes:
        fake.stop()


FILES = {
    "i.json": r'{"Properties": {"b": 1, "a": "<x>"}, "Tags": {"t": "v"}, "Init": "hi\n", '
    r'"LogicalID": "l1", '
    '"Attachments": [{"ID": "a", "Type": "b"}]}',
    "i2.json": "{}",
    "fl.json": '{"Init": ["a"], "Tags": {"x": "y"}}',
    "g.json": '{"ID": "g1", "Properties": {"Allocation": {"Size": 2}, "Instance": {"Plugin": '
    '"instance-file", "Properties": '
    '{"Note": "v1"}}, "Flavor": {"Plugin": "flavor-vanilla", "Properties": {"Init": ["echo '
    'hi"]}}}}',
}
"""What the recorded commands read."""
PREPARED = {
    "Properties": {"k": "v"},
    "Tags": {"a": "b"},
    "Init": "<init>",
    "LogicalID": None,
    "Attachments": [],
}
DESCRIBED = [
    {"ID": "i-2", "LogicalID": "l", "Tags": {"b": "2", "a": "1"}},
    {"ID": "i-1", "LogicalID": None, "Tags": None},
]
GROUPS = [
    {"ID": "g2", "Properties": {"x": 1}},
    {"ID": "g1", "Properties": {"b": 2, "a": {"c": []}}},
]
RESULTS: dict[str, dict[str, Any]] = {
    "Instance.Provision": {"ID": "i-1"},
    "Instance.DescribeInstances": {"Descriptions": DESCRIBED},
    "Group.CommitGroup": {"Details": "some details"},
    "Group.DescribeGroup": {
        "Description": {
            "Instances": [{"ID": "i-1", "LogicalID": None, "Tags": {"z": "1"}}],
            "Converged": False,
        }
    },
    "Group.InspectGroups": {"Groups": GROUPS},
    "Flavor.Prepare": {"Spec": PREPARED},
    "Flavor.Healthy": {"Health": 2},
}
"""What the recorded plugins answered; everything else with OK."""
INTERFACES = {
    "fi": "Instance",
    "fx": "Instance",
    "fake-instance": "Instance",
    "ff": "Flavor",
    "group": "Group",
    "other": "Group",
}
GOS_OWN = ("json: ", "EOF", "invalid character")


@pytest.fixture
def commands(desk: Desk) -> Iterator[Callable[..., tuple[Recorder, tuple[int, str, str]]]]:
    """Run a command against a fake plugin whose answers can be replaced one by one."""
    desk.plugins.mkdir()
    for name, text in FILES.items():
        (desk.cwd / name).write_text(text)
    fakes = []

    def run(
        line: str, plugin: str, *extensions: str, **replies: Answer
    ) -> tuple[Recorder, tuple[int, str, str]]:
        def answers(method: str, params: dict[str, Any]) -> Answer:
            verb = method.partition(".")[2]
            if verb in replies:
                return replies[verb]
            if verb == "Implements":
                return implements(INTERFACES[plugin], *extensions)
            return {"result": RESULTS.get(method, {"OK": True})}

        recorder = Recorder()
        fakes.append(Fake(recorder, desk.plugins / plugin, answers))
        ran = desk.run(line)
        return recorder, (ran.returncode, ran.stdout, ran.stderr)

    yield run
    for fake in fakes:
        fake.stop()


@pytest.mark.parametrize("scenario", COMMAND_LINE)
def test_a_command_sends_what_infrakits_sends_and_takes_what_it_takes(
    commands: Any, scenario: str
) -> None:
    trigger, recorded = SCENARIOS[scenario]
    observed = trigger["observed"]
    replies = {"Provision": observed["reply"]} if "reply" in observed else {}
    if "reply_to_Plugin_Implements" in observed:
        replies = {
            "Implements": observed["reply_to_Plugin_Implements"],
            "DescribeInstances": {"result": {"Descriptions": []}},
        }
    recorder, (status, stdout, stderr) = commands(
        " ".join(trigger["trigger"]), recorded[0].plugin, **replies
    )
    assert [one.text for one in recorder.requests] == [one.text for one in recorded]
    assert (status, stdout) == (observed["exit"], observed["stdout"])
    wanted, message = message_of(observed["stderr"]), message_of(stderr)
    assert message == wanted or (wanted.startswith(GOS_OWN) and message)


def message_of(stderr: str) -> str:
    """Return the text of a fatal line in Go's form."""
    _, _, text = stderr.partition(" level=fatal msg=")
    text = text.removesuffix(" \n")
    return json.loads(text) if text.startswith('"') else text


GOOD = '{"jsonrpc":"2.0","result":{"ID":"i-1"},"id":1}'


@pytest.mark.parametrize(
    "reply",
    [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: "
        f"chunked\r\n\r\n5\r\n{GOOD[:5]}\r\n{len(GOOD) - 5:x}\r\n{GOOD[5:]}\r\n0\r\n\r\n",
        f"HTTP/1.0 200 OK\r\nContent-Length: {len(GOOD)}\r\n\r\n{GOOD}",
        f"HTTP/1.0 200 OK\r\n\r\n{GOOD}",
        f"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{GOOD}\n",
        f"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: {len(GOOD)}\r\n\r\n{GOOD}",
        f"HTTP/1.1 404 Not Found\r\nContent-Length: {len(GOOD)}\r\n\r\n{GOOD}",
        '{"jsonrpc":"1.0","result":{"ID":"i-1"},"id":"another"}',
        '{"result":{"id":"i-1","More":{}}}',
    ],
    ids=[
        "chunked",
        "http 1.0",
        "1.0 to the end",
        "to the end",
        "content type",
        "status",
        "envelope",
        "bare",
    ],
)
def test_an_answer_in_any_form_is_taken(commands: Any, reply: str) -> None:
    _, (status, stdout, stderr) = commands(
        "infrakit instance --name fx provision i2.json", "fx", Provision=reply
    )
    assert (status, stdout, stderr) == (0, "i-1\n", "")


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ({"error": "no"}, '"no"'),
        ({"error": ["no", 1]}, '["no", 1]'),
        ({"error": {"code": 7}}, ""),
        ('{"jsonrpc":"2.0","id":1}', "result is null"),
        (None, "it may have happened"),
    ],
)
def test_an_answer_that_is_a_refusal_is_one_line(commands: Any, reply: Answer, words: str) -> None:
    _, (status, stdout, stderr) = commands(
        "infrakit instance --name fx provision i2.json", "fx", Provision=reply
    )
    assert (status, stdout, stderr.count("\n")) == (1, "", 1)
    assert words in message_of(stderr)


def test_the_loop_is_steered_only_where_that_is_offered(commands: Any) -> None:
    plain, (status, _, stderr) = commands("infrakit group scale g1 3", "group")
    assert (status, plain.methods("group")) == (1, ["Plugin.Implements"]), stderr
    offered, (status, stdout, _) = commands(
        "infrakit group --name other scale g1 3",
        "other",
        "Reconcile",
        Scale={"result": {"Details": "so"}},
    )
    assert (status, stdout) == (0, "Scaled g1 to 3: so\n")
    assert [one.text for one in offered.requests][1:] == [
        '{"jsonrpc":"2.0","method":"Reconcile.Scale","params":{"ID":"g1","Size":3}'
    ]


def test_every_scenario_is_played_or_left_out_by_name() -> None:
    played = {
        *COMMAND_LINE,
        *(name for name in SCENARIOS if f'"{name}"' in Path(__file__).read_text()),
    }
    assert {name for name in SCENARIOS if name.partition("-")[0] not in LEFT_OUT} == played
