"""The vanilla flavor: what it adds, what wins, and what it refuses."""

from __future__ import annotations

import asyncio

import pytest
from msgspec import Raw

from ikdemo.flavor.vanilla import Vanilla
from ikdemo.spi.documents import Allocation, Attachment, Description, Health, InstanceSpec
from ikdemo.spi.errors import SpecError

NOTHING = InstanceSpec()
COLLABNIX = (
    b'{"Init": ["docker pull hello", "docker run -d hello"], "Tags": {"tier": "web", '
    b'"project": "infrakit"}}'
)


def prepare(properties: bytes, spec: InstanceSpec = NOTHING) -> InstanceSpec:
    return asyncio.run(Vanilla().prepare(Raw(properties), spec, Allocation(1)))


def validate(properties: bytes) -> None:
    asyncio.run(Vanilla().validate(Raw(properties), Allocation(1)))


def test_init_lines_and_tags_are_added_and_everything_else_is_kept() -> None:
    spec = InstanceSpec(
        Raw(b'{"b":1, "a":[ 1.0, 2 ]}'), {"x": "y"}, "", "l1", [Attachment("v", "ebs")]
    )
    assert prepare(COLLABNIX, spec) == InstanceSpec(
        spec.properties,
        {"x": "y", "tier": "web", "project": "infrakit"},
        "docker pull hello\ndocker run -d hello",
        "l1",
        [Attachment("v", "ebs")],
    )


@pytest.mark.parametrize(
    ("lines", "before", "after"),
    [
        (b'["two", "", "three"]', "", "two\n\nthree"),
        (b'["two"]', "one", "one\ntwo"),
        (b"[]", "one", "one"),
        (b"null", "one", "one"),
        (b'[""]', "", ""),
        (b'["a", null]', "", "a\n"),
    ],
)
def test_lines_come_after_the_init_that_is_there(lines: bytes, before: str, after: str) -> None:
    assert prepare(b'{"Init": %s}' % lines, InstanceSpec(init=before)).init == after


def test_the_flavors_tag_wins_as_in_infrakit() -> None:
    assert prepare(
        b'{"Tags": {"a": "2", "c": "3"}}', InstanceSpec(tags={"a": "1", "b": "1"})
    ).tags == {
        "a": "2",
        "b": "1",
        "c": "3",
    }


@pytest.mark.parametrize("properties", [b"{}", b'{"Tags": null}', b'{"Tags": {}}'])
def test_absent_tags_stay_absent_and_empty_ones_empty(properties: bytes) -> None:
    assert prepare(properties).tags is None
    assert prepare(properties, InstanceSpec(tags={})).tags == {}


def test_the_spec_that_came_in_is_left_as_it_was() -> None:
    spec = InstanceSpec(tags={"a": "1"})
    prepare(COLLABNIX, spec)
    assert spec == InstanceSpec(tags={"a": "1"})


@pytest.mark.parametrize(
    "properties",
    [b"{}", COLLABNIX, b'{"init": ["a"], "TAGS": {"k": "v"}}', b'{"n": 1e400}', b'{"Init": null}'],
)
def test_properties_in_any_letter_case_and_with_more_members_are_accepted(
    properties: bytes,
) -> None:
    validate(properties)


@pytest.mark.parametrize(
    ("properties", "sentence"),
    [
        (b"null", r"^Properties must be set$"),
        (b"[]", r"^\$\.Properties: expected an object, got "),
        (b'"x"', r"^\$\.Properties: expected an object, got a string$"),
        (b'{"Init": "a"}', r"^\$\.Properties\.Init: expected a list or null, got a string$"),
        (
            b'{"Init": ["a", 1]}',
            r"^\$\.Properties\.Init\[1\]: expected a string, got a whole number$",
        ),
        (b'{"Tags": []}', r"^\$\.Properties\.Tags: expected an object or null, got "),
        (b'{"Tags": {"a": 1}}', r"^\$\.Properties\.Tags.*: expected a string, got a whole number$"),
    ],
)
def test_wrong_properties_are_refused_with_their_place(properties: bytes, sentence: str) -> None:
    for refused in (validate, prepare):
        with pytest.raises(SpecError, match=sentence):
            refused(properties)


def test_instances_are_always_healthy_and_drain_at_once() -> None:
    async def judge(properties: bytes) -> Health:
        flavor = Vanilla()
        await flavor.drain(Raw(properties), Description("i"))
        return await flavor.healthy(Raw(properties), Description("i"))

    assert asyncio.run(judge(b"{}")) is Health.HEALTHY
    assert asyncio.run(judge(b"5")) is Health.HEALTHY
    with pytest.raises(SpecError, match="Properties must be set"):
        asyncio.run(judge(b"null"))
