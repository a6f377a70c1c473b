"""Documents decoded: InfraKit's leniency, our sentences, and text that must survive."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from ikdemo.spi.decode import decode, encode
from ikdemo.spi.documents import (
    Allocation,
    Attachment,
    Description,
    GroupProperties,
    GroupSpec,
    InstanceSpec,
)
from ikdemo.spi.errors import SpecError
from ikdemo.spi.text import compact, indent, quote


def test_member_names_match_in_any_letter_case_and_unknown_members_are_ignored() -> None:
    text = (
        b'{"allocation":{"LOGICALids":["a",null]},"Foo":1,'
        b'"instance":{"plugin":"p","properties":{ "Z" : 1.0 }},"flavor":null}'
    )
    properties = decode(text, GroupProperties)
    assert properties.allocation == Allocation(0, ["a", ""])
    assert properties.instance.plugin == "p"
    assert bytes(properties.instance.properties) == b'{ "Z" : 1.0 }'
    assert properties.flavor.plugin == ""


def test_null_leaves_the_zero_value() -> None:
    text = (
        b'{"Properties":null,"Tags":{"a":null},"Init":null,"LogicalID":null,'
        b'"Attachments":[{"ID":null,"Type":"ebs"}]}'
    )
    assert decode(text, InstanceSpec) == InstanceSpec(
        tags={"a": ""}, attachments=[Attachment("", "ebs")]
    )


def test_absent_and_empty_differ() -> None:
    assert encode(decode(b"{}", Description)) == b'{"ID":"","LogicalID":null,"Tags":null}'
    assert (
        encode(decode(b'{"tags":{},"LogicalID":""}', Description))
        == b'{"ID":"","LogicalID":"","Tags":{}}'
    )


def test_lone_surrogates_become_the_replacement_character() -> None:
    assert (
        decode(rb'{"ID":"a\ud800b\\ud800\ud83d\ude00"}', GroupSpec).id
        == "a\ufffdb\\ud800\U0001f600"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "unexpected end of JSON input"),
        (b'{"ID":5}', "$.ID: expected a string, got a whole number"),
        (b"[]", "$: expected an object, got a list"),
        (b'{"ID":"x"} more', "trailing characters at line 1"),
        (b'{\n  "ID": x}', "at line 2, column 9"),
        ('{\n “ID”: "x"}'.encode(), "line 2 holds curly quotes"),
        (b'{"ID":"\xff"}', "not JSON"),
        (b'{"Properties":' + b"[" * 90_000 + b"]" * 90_000 + b"}", "nested too deeply"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(text: bytes, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        decode(text, GroupSpec)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (b'{"Allocation":{"Size":-1}}', "$.Properties.Allocation.Size"),
        (b'{"Allocation":{"Size":2.5}}', "$.Properties.Allocation.Size"),
        (b'{"allocation":{"size":true}}', "$.Properties.Allocation.Size"),
        (b'{"Allocation":{"LogicalIDs":[1]}}', "$.Properties.Allocation.LogicalIDs[0]"),
        (b'{"Instance":"x"}', "$.Properties.Instance"),
    ],
)
def test_the_error_names_the_json_path(text: bytes, path: str) -> None:
    with pytest.raises(SpecError) as caught:
        decode(text, GroupProperties, path="$.Properties")
    assert caught.value.path == path
    assert str(caught.value).startswith(path)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(json_values, st.sampled_from([None, 0, 3]))
def test_compacting_and_indenting_change_only_the_layout(value: object, spaces: int | None) -> None:
    text = json.dumps(value, indent=spaces, ensure_ascii=False).encode("utf-8", "surrogatepass")
    small = compact(text)
    assert json.loads(small) == value
    assert compact(small) == small
    assert json.loads(indent(small, prefix="  ")) == value


@given(st.text())
def test_a_quoted_string_reads_back(text: str) -> None:
    assert json.loads(quote(text)) == text.encode("utf-16", "surrogatepass").decode(
        "utf-16", "replace"
    )


@given(st.text(), json_values)
def test_opaque_properties_survive_a_round_trip(name: str, value: object) -> None:
    raw = Raw(compact(json.dumps(value).encode()))
    again = decode(encode(GroupSpec(name, raw)), GroupSpec)
    assert again.id == name
    assert bytes(again.properties) == bytes(raw)
