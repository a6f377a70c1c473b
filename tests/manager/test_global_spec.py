"""The global spec in its three forms, beside what InfraKit v0.1.0's manager wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ikdemo.manager.global_spec import (
    LARGEST,
    GlobalSpec,
    as_json,
    as_label,
    as_text,
    from_json,
    from_label,
)
from ikdemo.spi.errors import CorruptState

RECORDED = Path(__file__).parents[1] / "wire/manager-os-real.jsonl"
WRITTEN = sorted(
    {
        line["store"]
        for line in map(json.loads, RECORDED.read_text().splitlines())
        if (line["store"] or "").startswith("{\n")
    }
)


def test_what_the_real_manager_wrote_is_read_and_written_to_the_byte() -> None:
    assert len(WRITTEN) > 4
    for text in WRITTEN:
        spec = from_json(text.encode(), "it")
        assert as_text(spec).decode() == text
        assert from_label(as_label(spec), "it") == from_json(as_json(spec), "it") == spec


def test_properties_keep_their_text_in_every_form() -> None:
    properties = b'{"z":1.0,"a":[],"z":2}'
    odd = b'{"Groups":{"g":{"Plugin":"p","Properties":{"ID":"g","Properties":%b}}}}' % properties
    spec = from_json(odd, "it")
    assert as_json(spec) == odd
    assert as_json(from_json(as_text(spec), "it")) == odd
    assert as_json(from_label(as_label(spec), "it")) == odd


@pytest.mark.parametrize("empty", [b"{}", b'{"Groups": null}', b'{"groups":{}}', b" {} "])
def test_a_global_spec_without_groups_is_one(empty: bytes) -> None:
    assert from_json(empty, "it") == GlobalSpec()


@pytest.mark.parametrize(
    ("stored", "why"),
    [
        (b"", "unexpected end"),
        (b"not json", "not JSON"),
        (b"[]", "$: expected an object"),
        (b"null", "$: expected an object"),
        (b'{"Allocation": {"Size": 2}}', "expected an object with Groups"),
        (b'{"Groups": []}', "$.Groups: expected an object"),
        (b'{"Groups": {"g": 7}}', "$.Groups.g: expected an object"),
        (b'{"Groups": {"g": {"Plugin": 7}}}', "$.Groups.g.Plugin: expected a string"),
        (b'{"Groups": {"g": {"Plugin": "p", "Properties": {"ID": "h"}}}}', "Properties.ID"),
        (b'{"Groups": {}, "Version": 2}', "$.Version: a global spec of another version"),
        (b'{"Groups": {}' + b" " * LARGEST + b"}", "larger than 8 MiB"),
    ],
)
def test_what_is_no_global_spec_is_one_sentence(stored: bytes, why: str) -> None:
    with pytest.raises(CorruptState) as refused:
        from_json(stored, "the file /x")
    said = str(refused.value)
    assert said.startswith("the file /x cannot be used and is left as it is: ")
    assert why in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("label", "why"),
    [
        ("not base64!", "not base64"),
        ("aGVsbG8=", "not compressed with zlib"),
        (as_label(GlobalSpec())[:12], "ends too early"),
        ("eJwDAAAAAAE=", "unexpected end"),
    ],
)
def test_a_label_that_cannot_be_read_is_one_sentence(label: str, why: str) -> None:
    with pytest.raises(CorruptState, match=why):
        from_label(label, "the label infrakit")


def test_a_label_may_be_broken_into_lines() -> None:
    label = as_label(GlobalSpec())
    assert from_label(f"{label[:8]}\r\n{label[8:]}\n", "it") == GlobalSpec()
