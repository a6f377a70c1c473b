"""The text of an instance file: byte for byte InfraKit's, and everything that goes in comes out."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from ikdemo.instance.file import format
from ikdemo.spi.decode import decode
from ikdemo.spi.documents import GROUP_TAG, SHA_TAG, Attachment, Description, InstanceSpec
from ikdemo.spi.errors import SpecError

DATA = Path(__file__).parent / "data"

RECORDED = {
    "1-full": InstanceSpec(
        Raw(b'{"z":1.0,"a":{"y":[1, 2],"x":null}}'),
        {"b": "2", "a": "1"},
        "#!/bin/sh\necho '<hi>' && exit\n",
        "10.0.0.1",
        [Attachment("vol1", "ebs")],
    ),
    "2-empty-spec": InstanceSpec(),
    "3-by-group": InstanceSpec(
        Raw(b'{"Note": "Instance properties version 1.0"}'),
        {
            "tier": "web",
            "project": "infrakit",
            GROUP_TAG: "cattle",
            SHA_TAG: "006438mMXW8gXeYtUxgf9Zbg94Y=",
        },
        "docker pull nginx:alpine\ndocker run -d -p 80:80 nginx-alpine",
    ),
    "4-by-group-quorum": InstanceSpec(
        Raw(b"{}"),
        {GROUP_TAG: "pets", SHA_TAG: "eZj4wR53SReGpDxC9v02eHh-C8I="},
        logical_id="10.0.0.7",
    ),
}
"""Instance files that InfraKit's own plugin wrote, and the specs they were made from."""


def instance_of(data: bytes) -> str:
    return str(json.loads(data)["ID"])


@pytest.mark.parametrize("name", RECORDED)
def test_a_file_is_infrakits_own_byte_for_byte(name: str) -> None:
    recorded = (DATA / name).read_bytes()
    assert format.write(instance_of(recorded), RECORDED[name]) == recorded


@pytest.mark.parametrize("name", RECORDED)
def test_a_slot_is_one_more_member_at_the_end(name: str) -> None:
    recorded = (DATA / name).read_bytes()
    expected = recorded.removesuffix(b"\n  }") + b',\n    "Slot": "db/\\u003c2\\u003e"\n  }'
    assert format.write(instance_of(recorded), RECORDED[name], "db/<2>") == expected


@pytest.mark.parametrize("name", RECORDED)
def test_infrakits_files_are_read(name: str) -> None:
    recorded, spec = (DATA / name).read_bytes(), RECORDED[name]
    assert format.read(recorded) == Description(instance_of(recorded), spec.logical_id, spec.tags)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
raws = st.builds(
    lambda value, spread: Raw(
        json.dumps(value, indent=1 if spread else None, ensure_ascii=spread).encode()
    ),
    st.dictionaries(texts, values, max_size=3),
    st.booleans(),
)
specs = st.builds(
    InstanceSpec,
    raws,
    st.none() | st.dictionaries(texts, texts, max_size=4),
    texts,
    st.none() | texts,
    st.none() | st.lists(st.builds(Attachment, texts, texts), max_size=3),
)


@given(spec=specs, slot=st.none() | texts)
def test_every_spec_and_slot_comes_back_from_its_file(spec: InstanceSpec, slot: str | None) -> None:
    data = format.write("instance-1", spec, slot)
    assert format.read(data) == Description("instance-1", spec.logical_id, spec.tags, slot or UNSET)
    kept = decode(data, format.Content).spec
    assert json.loads(bytes(kept.properties)) == json.loads(bytes(spec.properties))
    assert (kept.tags, kept.init, kept.logical_id, kept.attachments) == (
        spec.tags,
        spec.init,
        spec.logical_id,
        spec.attachments,
    )


@given(spec=specs, slot=st.none() | texts)
def test_the_layout_is_that_of_an_indented_document(spec: InstanceSpec, slot: str | None) -> None:
    text = format.write("instance-1", spec, slot).decode()
    expected = json.dumps(json.loads(text), indent=2, ensure_ascii=False).replace("\n", "\n  ")
    assert [len(row) - len(row.lstrip(" ")) for row in text.split("\n")] == [
        len(row) - len(row.lstrip(" ")) for row in expected.split("\n")
    ]


@pytest.mark.parametrize(
    "more",
    [
        b"",
        b', "unrelated": 1',
        b', "Tags": null, "LogicalID": null',
        b', "Slot": ""',
        b', "Slot": null',
    ],
)
def test_any_object_with_an_id_counts_and_lacks_what_it_does_not_say(more: bytes) -> None:
    assert format.read(b'{"ID": "i"' + more + b"}") == Description("i")


def test_members_are_found_in_any_letter_case() -> None:
    data = (
        b'{"id": "i", "LOGICALID": "l", "tags": {"Tier": "web"}, "slot": "3", "spec": '
        b'{"init": "x"}}'
    )
    assert format.read(data) == Description("i", "l", {"Tier": "web"}, "3")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "unexpected end of JSON input"),
        (b"hello", "not JSON: "),
        (b'{"ID": "instance-1", "Tags": {"a"', "not JSON: "),
        (b"null", "$: expected an object, got null"),
        (b"{}", "$.ID: expected 1 to 128 printable characters without a slash, got ''"),
        (b'{"ID": null}', "$.ID: expected 1 to 128 printable characters without a slash, got ''"),
        (b"[1]", "$: expected an object, got "),
        (b'{"ID": 5}', "$.ID: expected a string, got a whole number"),
        (b'{"ID": "i", "Slot": 5}', "$.Slot: expected a string, got a whole number"),
        (b"\xff\xfe", "not JSON: "),
    ],
)
def test_what_is_no_instance_file_is_refused_in_one_sentence(data: bytes, sentence: str) -> None:
    with pytest.raises(SpecError, match="^" + re.escape(sentence)) as caught:
        format.read(data)
    assert "\n" not in str(caught.value)


def test_a_file_too_large_to_be_read_again_is_not_made() -> None:
    largest = InstanceSpec(init="x" * (format.LIMIT - 400))
    assert len(format.write("instance-1", largest)) <= format.LIMIT
    for spec in (InstanceSpec(init="x" * format.LIMIT), InstanceSpec(Raw(b"[" * 2_000_000))):
        with pytest.raises(
            SpecError, match=r"^\$\.Spec: too large, an instance file holds at most 1048576 bytes$"
        ):
            format.write("instance-1", spec)
