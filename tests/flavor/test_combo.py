"""The combo flavor over flavors in this process: each part once, in order; the first bad answer;
errors; an end to all.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from ikdemo.flavor import combo as under_test
from ikdemo.flavor.combo import Combo
from ikdemo.flavor.vanilla import Vanilla
from ikdemo.flavor.zookeeper import Zookeeper
from ikdemo.spi.contracts import FlavorPlugin, Found, GroupPlugin, InstancePlugin
from ikdemo.spi.documents import Allocation, Attachment, Description, Health, InstanceSpec
from ikdemo.spi.errors import (
    IkdemoError,
    OutcomeUnknown,
    PluginFailure,
    PluginNotFound,
    RemoteFailure,
    SpecError,
)
from ikdemo.spi.events import EventBatch

ONE, NONE = Allocation(1), Allocation()
NOTHING = InstanceSpec()


class Here:
    """The flavors of this process, by name."""

    def __init__(self, plugins: Mapping[str, FlavorPlugin]) -> None:
        self._plugins = plugins

    async def flavor(self, name: str) -> Found[FlavorPlugin]:
        if name not in self._plugins:
            raise PluginNotFound(name)
        return Found(self._plugins[name], self._plugins[name].offers)

    async def instance(self, name: str) -> Found[InstancePlugin]:
        raise PluginNotFound(name)

    async def group(self, name: str) -> Found[GroupPlugin]:
        raise PluginNotFound(name)

    def events(self, name: str) -> AsyncIterator[EventBatch]:
        raise PluginNotFound(name)


class Odd(Vanilla):
    """A flavor that does as it was told when it was made."""

    def __init__(
        self,
        *,
        health: Health | IkdemoError | None = Health.HEALTHY,
        fails: IkdemoError | None = None,
    ) -> None:
        self._health, self._fails = health, fails
        self.drained: list[str] = []

    async def prepare(
        self, properties: Raw, spec: InstanceSpec, allocation: Allocation
    ) -> InstanceSpec:
        before = [Attachment("mine", "ebs"), *(spec.attachments or [])]
        return replace(
            spec, init="#!/bin/sh", attachments=before, properties=Raw(b"9"), logical_id="other"
        )

    async def healthy(self, properties: Raw, instance: Description) -> Health:
        if self._health is None:
            await asyncio.Event().wait()
        if isinstance(self._health, IkdemoError):
            raise self._health
        assert self._health is not None
        return self._health

    async def drain(self, properties: Raw, instance: Description) -> None:
        if self._fails:
            raise self._fails
        self.drained.append(instance.id)


def listed(*flavors: tuple[str, object]) -> Raw:
    return Raw(
        json.dumps(
            {"Flavors": [{"Plugin": name, "Properties": own} for name, own in flavors]}
        ).encode()
    )


def made(**plugins: FlavorPlugin) -> Combo:
    """Return a combo over some flavors, and over itself."""
    known: dict[str, FlavorPlugin] = {"vanilla": Vanilla(), "zk": Zookeeper(), **plugins}
    known["combo"] = combo = Combo(Here(known))
    return combo


def prepare(
    properties: Raw,
    spec: InstanceSpec = NOTHING,
    allocation: Allocation = ONE,
    **plugins: FlavorPlugin,
) -> InstanceSpec:
    return asyncio.run(made(**plugins).prepare(properties, spec, allocation))


def healthy(*flavors: str, **plugins: FlavorPlugin) -> Health:
    return asyncio.run(
        made(**plugins).healthy(listed(*((name, {}) for name in flavors)), Description("i"))
    )


def drain(*flavors: str, **plugins: FlavorPlugin) -> None:
    asyncio.run(made(**plugins).drain(listed(*((name, {}) for name in flavors)), Description("i")))


def test_nothing_that_came_in_is_repeated() -> None:
    spec = InstanceSpec(
        Raw(b'{"p":1}'), {"base": "b", "x": "base"}, "base init", "l1", [Attachment("a", "t")]
    )
    flavors = listed(
        ("vanilla", {"Init": ["one"], "Tags": {"t": "1", "x": "first"}}),
        ("vanilla", {"Init": ["two"], "Tags": {"u": "2", "x": "second"}}),
        ("vanilla", {}),
    )
    tags = {"base": "b", "t": "1", "u": "2", "x": "second"}
    assert prepare(flavors, spec) == InstanceSpec(
        spec.properties, tags, "base init\none\ntwo", "l1", [Attachment("a", "t")]
    )


def test_a_flavor_with_nothing_to_say_of_a_tag_does_not_undo_the_one_before() -> None:
    flavors = listed(("vanilla", {"Tags": {"x": "mine"}}), ("vanilla", {"Tags": {"y": "1"}}))
    assert prepare(flavors, InstanceSpec(tags={"x": "base"})).tags == {"x": "mine", "y": "1"}


@pytest.mark.parametrize(
    "flavors", [Raw(b"{}"), Raw(b'{"Flavors": null}'), listed(), listed(("vanilla", {}))]
)
def test_absent_tags_and_attachments_become_empty_as_in_infrakit(flavors: Raw) -> None:
    assert prepare(flavors) == InstanceSpec(tags={}, attachments=[])


def test_a_script_that_replaces_init_comes_after_what_was_there() -> None:
    spec = InstanceSpec(init="echo base", logical_id="10.0.0.2", attachments=[Attachment("a", "t")])
    ensemble = Allocation(logical_ids=["10.0.0.1", "10.0.0.2"])
    flavors = listed(
        ("vanilla", {"Init": ["echo one"]}),
        ("zk", {"Type": "member"}),
        ("vanilla", {"Init": ["echo two"]}),
    )
    init = prepare(flavors, spec, ensemble).init
    assert init.startswith("echo base\necho one\n#!/bin/sh\n# Member 2 ")
    assert init.endswith("\necho two")
    assert init.count("echo base") == 1


def test_attachments_that_came_in_are_known_wherever_they_stand_and_identity_stays() -> None:
    spec = InstanceSpec(Raw(b"1"), None, "", "l1", [Attachment("a", "t"), Attachment("a", "t")])
    prepared = prepare(listed(("odd", {}), ("odd", {})), spec, odd=Odd())
    assert prepared.attachments == [
        Attachment("a", "t"),
        Attachment("a", "t"),
        Attachment("mine", "ebs"),
        Attachment("mine", "ebs"),
    ]
    assert (prepared.properties, prepared.logical_id) == (Raw(b"1"), "l1")


LINES = st.lists(st.text("ab ", min_size=1, max_size=3), max_size=3)
TAGS = st.dictionaries(st.sampled_from("uvwxyz"), st.text("12", max_size=2), max_size=4)


@given(
    st.lists(st.tuples(LINES, TAGS), max_size=4),
    LINES,
    st.dictionaries(st.sampled_from("abcxyz"), st.just("base"), max_size=4),
)
def test_a_combo_of_vanillas_is_one_vanilla_that_says_it_all(
    parts: list[tuple[list[str], dict[str, str]]], lines: list[str], base: dict[str, str]
) -> None:
    spec = InstanceSpec(tags=base, init="\n".join(lines), attachments=[Attachment("a", "t")])
    all_lines = [line for own, _ in parts for line in own]
    all_tags = {key: value for _, tags in parts for key, value in tags.items()}
    whole = asyncio.run(
        Vanilla().prepare(
            Raw(json.dumps({"Init": all_lines, "Tags": all_tags}).encode()), spec, ONE
        )
    )
    assert (
        prepare(listed(*(("vanilla", {"Init": own, "Tags": tags}) for own, tags in parts)), spec)
        == whole
    )


def test_the_first_answer_in_the_list_that_is_not_healthy_counts() -> None:
    unhealthy, unknown = Odd(health=Health.UNHEALTHY), Odd(health=Health.UNKNOWN)
    assert healthy() is Health.HEALTHY
    assert healthy("vanilla", "zk") is Health.HEALTHY
    assert (
        healthy("vanilla", "unhealthy", "unknown", unhealthy=unhealthy, unknown=unknown)
        is Health.UNHEALTHY
    )
    assert healthy("unknown", "unhealthy", unhealthy=unhealthy, unknown=unknown) is Health.UNKNOWN
    assert healthy("unhealthy", "nope", unhealthy=unhealthy) is Health.UNHEALTHY
    with pytest.raises(PluginNotFound, match=r"^Plugin not found: nope$"):
        healthy("vanilla", "nope", "unhealthy", unhealthy=unhealthy)
    with pytest.raises(RemoteFailure, match=r"^its own words$"):
        healthy(
            "wordy",
            "unhealthy",
            wordy=Odd(health=RemoteFailure("its own words")),
            unhealthy=unhealthy,
        )


def test_a_flavor_that_never_answers_is_not_waited_for_when_the_verdict_is_known() -> None:
    assert (
        healthy(
            "unhealthy", "hangs", unhealthy=Odd(health=Health.UNHEALTHY), hangs=Odd(health=None)
        )
        is Health.UNHEALTHY
    )


def test_a_flavor_that_never_answers_is_named_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "ANSWER_SECONDS", 0.05)

    async def ask() -> set[asyncio.Task[Any]]:
        with pytest.raises(OutcomeUnknown, match=r"^no answer within 0\.05 s from hangs$"):
            await made(hangs=Odd(health=None)).healthy(
                listed(("vanilla", {}), ("hangs", {})), Description("i")
            )
        return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}

    assert asyncio.run(ask()) == set()


def test_every_flavor_drains_also_after_one_has_failed() -> None:
    first, last = Odd(), Odd()
    with pytest.raises(PluginFailure, match=r"^busy, Plugin not found: nope, on fire$"):
        failing = {
            "busy": Odd(fails=PluginFailure("busy")),
            "fire": Odd(fails=RemoteFailure("on fire")),
        }
        drain("first", "busy", "nope", "fire", "last", first=first, last=last, **failing)
    assert (first.drained, last.drained) == (["i"], ["i"])
    drain("first", "vanilla", first=first)
    drain()
    assert first.drained == ["i", "i"]


BAD = listed(("vanilla", {}), ("vanilla", {"Init": 5}))


def test_flavors_are_asked_to_validate_for_an_allocation() -> None:
    def validate(properties: Raw, allocation: Allocation) -> None:
        asyncio.run(made().validate(properties, allocation))

    validate(listed(("vanilla", {}), ("zk", {"Type": "member"})), Allocation(logical_ids=["a"]))
    with pytest.raises(SpecError, match=r"^IP addresses are required"):
        validate(listed(("vanilla", {}), ("zk", {"Type": "member"})), ONE)
    with pytest.raises(PluginNotFound, match=r"^Plugin not found: nope$"):
        validate(listed(("nope", {})), ONE)
    with pytest.raises(
        SpecError, match=r"^\$\.Properties\.Flavors\[1\]\.Properties\.Init: expected a list"
    ) as refused:
        validate(BAD, ONE)
    assert refused.value.path == "$.Properties.Flavors[1].Properties.Init"


@pytest.mark.parametrize(
    "properties", [BAD, listed(("nope", {})), Raw(b"{}"), Raw(b'{"flavors": null}')]
)
def test_without_an_allocation_only_the_list_is_looked_at_as_in_infrakit(properties: Raw) -> None:
    asyncio.run(made().validate(properties, NONE))
    asyncio.run(made().validate(properties, Allocation(logical_ids=[])))


@pytest.mark.parametrize(
    ("properties", "sentence"),
    [
        (b"null", "^Properties must be set$"),
        (b'{"Flavors": "x"}', r"^\$\.Properties\.Flavors: expected a list"),
        (b'{"Flavors": {}}', r"^\$\.Properties\.Flavors: expected a list"),
        (
            b'{"Flavors": [{"Plugin": 5}]}',
            r"^\$\.Properties\.Flavors\[0\]\.Plugin: expected a string",
        ),
        (b'{"Flavors": [{"Plugin": "vanilla"}]}', "^Properties must be set$"),
        (
            b'{"Flavors": [{"Plugin": "vanilla", "Properties": []}]}',
            r"^\$\.Properties\.Flavors\[0\]\.Properties: expected an object",
        ),
    ],
)
def test_wrong_properties_are_refused_with_their_place(properties: bytes, sentence: str) -> None:
    with pytest.raises(SpecError, match=sentence):
        prepare(Raw(properties))


def test_what_a_flavor_behind_a_socket_refuses_for_good_stays_refused_for_good() -> None:
    for final, kind in ((True, SpecError), (False, RemoteFailure)):
        said = RemoteFailure("$.Properties.Init: no", final=final)
        with pytest.raises(kind, match=r"^\$\.Properties\.Flavors\[0\]\.Properties\.Init: no$"):
            healthy("wordy", wordy=Odd(health=said))


def nested(depth: int) -> Raw:
    inside: dict[str, Any] = {"Flavors": [{"Plugin": "vanilla", "Properties": {"Init": ["core"]}}]}
    for _ in range(depth - 1):
        inside = {"Flavors": [{"Plugin": "combo", "Properties": inside}]}
    return Raw(json.dumps(inside).encode())


def test_combos_stand_in_each_other_up_to_a_depth_and_never_without_end() -> None:
    assert prepare(nested(under_test.NESTED), InstanceSpec(init="base")).init == "base\ncore"
    with pytest.raises(
        SpecError,
        match=r"^\$\.Properties\.Flavors: more than 4 lists of flavors inside each other$",
    ):
        prepare(nested(under_test.NESTED + 1))
    with pytest.raises(SpecError, match="more than 4"):
        prepare(nested(300))
    with pytest.raises(SpecError, match="Properties must be set"):
        prepare(Raw(b'{"Flavors": [{"Plugin": "combo"}]}'))


def test_a_combo_promises_no_constant_health() -> None:
    assert made().offers == frozenset({"Bury"})
