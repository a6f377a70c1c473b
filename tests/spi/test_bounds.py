"""Whatever is read is bounded where it is read: no document of a peer, however odd, gets further
than one sentence.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, get_args

import msgspec
import pytest
from msgspec import Struct

from ikdemo.rpc.batcher import Reply
from ikdemo.rpc.client import RemoteError
from ikdemo.rpc.dispatch import MethodCall
from ikdemo.rpc.methods import METHODS
from ikdemo.spi.config_sha import config_sha
from ikdemo.spi.decode import decode, encode
from ikdemo.spi.documents import Description
from ikdemo.spi.durations import format_duration, parse_duration
from ikdemo.spi.errors import SpecError
from ikdemo.spi.events import Cursor, Event, EventBatch
from ikdemo.spi.messages import Descriptions, Healthy, Provisioned
from ikdemo.spi.plans import Plan

ODD = {
    "30 digits": b"9" * 30,
    "-30 digits": b"-" + b"9" * 30,
    "5,000 digits": b"9" * 5000,
    "-5,000 digits": b"-" + b"9" * 5000,
    "5,000 decimals": b"0." + b"9" * 5000,
    "1e300": b"1e300",
    "1e999": b"1e999",
    "NaN": b"NaN",
    "-Infinity": b"-Infinity",
    "5,000 digits in quotes": b'"' + b"9" * 5000 + b'"',
    "5,000 digits in a list": b"[" + b"9" * 5000 + b"]",
    "5,000 digits in an object": b'{"ID":' + b"9" * 5000 + b',"a":' + b"9" * 5000 + b"}",
    "deep lists": b"[" * 10**5 + b"]" * 10**5,
    "deep objects": b'{"a":' * 10**5 + b"1" + b"}" * 10**5,
    "half a pair": b'"\\ud800"',
}


def structs(kind: Any) -> Iterator[type[Struct]]:
    """Find every document in a type, however deep."""
    if isinstance(kind, type) and issubclass(kind, Struct):
        yield kind
        for field in msgspec.structs.fields(kind):
            yield from structs(field.type)
    for part in get_args(kind):
        yield from structs(part)


DOCUMENTS = sorted(
    {
        kind
        for method in METHODS
        for outer in (method.params, method.result, MethodCall, Reply, RemoteError)
        for kind in structs(outer)
    },
    key=lambda kind: kind.__name__,
)


def numbers(value: Any) -> Iterator[int]:
    if isinstance(value, Struct):
        for name in value.__struct_fields__:
            yield from numbers(getattr(value, name))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from numbers(item)
    elif isinstance(value, int):
        yield value


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
@pytest.mark.parametrize("kind", DOCUMENTS, ids=lambda kind: kind.__name__)
def test_every_member_of_every_document_is_bounded(kind: type[Struct], odd: bytes) -> None:
    required = {
        f.encode_name: b'""' if f.type is str else b"[]"
        for f in msgspec.structs.fields(kind)
        if f.required
    }
    for field in msgspec.structs.fields(kind):
        members = required | {field.encode_name: odd}
        text = (
            b"{"
            + b",".join(b'"%b":%b' % (name.encode(), value) for name, value in members.items())
            + b"}"
        )
        try:
            value = decode(text, kind)
        except SpecError as error:
            assert len(str(error)) < 200
            assert "\n" not in str(error)
        else:
            assert decode(encode(value), kind) == value
            assert all(abs(number) < 2**64 for number in numbers(value)), field.name


@pytest.mark.parametrize(
    ("text", "kind", "sentence"),
    [
        (b'{"Health":' + b"9" * 5000 + b"}", Healthy, "$.Health: "),
        (b'{"Next":%d}' % 2**63, Cursor, "$.Next: expected a whole number <= 9223372036854775807"),
        (b'{"Next":-1}', Cursor, "$.Next: expected a whole number >= 0"),
        (
            b'{"Stream":"s","Next":1,"Events":[{"Kind":"lost","Size":%d}]}' % 10**30,
            EventBatch,
            "$.Events[0].Size: expected a whole",
        ),
        (b'{"ID":"%b"}' % (b"i" * 4097), Provisioned, "$.ID: expected a string of length <= 4096"),
        (
            b'{"Descriptions":[{},{"LogicalID":"%b"}]}' % (b"i" * 4097),
            Descriptions,
            "$.Descriptions[1].LogicalID: expected a string",
        ),
        (
            b'{"Descriptions":[{"Slot":"%b"}]}' % (b"9" * 4301),
            Descriptions,
            "$.Descriptions[0].Slot: expected a string of length",
        ),
    ],
)
def test_the_sentence_says_where_and_what_was_expected(
    text: bytes, kind: Any, sentence: str
) -> None:
    with pytest.raises(SpecError) as caught:
        decode(text, kind)
    assert str(caught.value).startswith(sentence)


def test_a_slot_that_may_be_read_is_a_number_that_can_be_counted_with() -> None:
    assert int(str(decode(b'{"Slot":"%b"}' % (b"9" * 4200), Description).slot)) > 10**4198


@pytest.fixture
def hung() -> Iterator[None]:
    """End what a regular expression goes on with for hours, also where no other thread has its
    turn.
    """
    signal.signal(signal.SIGALRM, lambda *_: pytest.fail("it takes for ever"))
    signal.alarm(30)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)


@pytest.mark.parametrize(
    "text", ["1" * 10**6, "1." * 10**6, "1" * 10**6 + "x", "1s" * 10**6 + "x", "9" * 5000 + "s"]
)
@pytest.mark.usefixtures("hung")
def test_a_duration_of_any_length_is_refused_at_once(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        parse_duration(text)


@pytest.mark.parametrize("sign", ["", "-", "+"])
def test_a_duration_is_one_that_go_can_hold(sign: str) -> None:
    assert abs(parse_duration(f"{sign}2562047h47m16s")) == 2562047 * 3600 + 47 * 60 + 16
    with pytest.raises(ValueError, match="expected a duration below 292 years"):
        parse_duration(f"{sign}2562047h47m17s")


@pytest.mark.parametrize(
    ("year", "kept"),
    [("-62135596800", True), ("253402300799", True), ("-62135596801", False), ("1e300", False)],
)
def test_a_moment_is_one_that_a_calendar_has(year: str, kept: bool) -> None:
    text = f'{{"Kind":"lost","Time":{year}}}'.encode()
    if kept:
        assert 1 <= datetime.fromtimestamp(decode(text, Event).time, UTC).year <= 9999
    else:
        with pytest.raises(
            SpecError, match=r"^\$\.Time: expected a number with a fraction or an exponent"
        ):
            decode(text, Event)


def test_a_value_that_is_quoted_is_not_quoted_in_full() -> None:
    with pytest.raises(SpecError, match=r"^\$\.Reasons\[0\]\.Code: invalid enum value") as caught:
        decode(b'{"Reasons":[{"Code":"' + b"x" * 10**5 + b'","Text":""}]}', Plan)
    assert len(str(caught.value)) < 300


def test_a_time_that_no_end_is_known_of_can_be_written() -> None:
    assert format_duration(float("inf")) == format_duration(2**63 / 1e9)


@pytest.mark.parametrize("depth", [64, 200, 480, 900, 5000, 10**5])
def test_a_hash_of_properties_of_any_depth_is_one_or_a_refusal(depth: int) -> None:
    text = '{"Instance":{"Properties":' + "[" * depth + "]" * depth + "}}"
    try:
        assert len(config_sha(text)) == 28
    except SpecError as error:
        assert "nested too deeply" in str(error)
        assert depth > 64


def test_a_number_that_is_too_large_is_not_said_in_full() -> None:
    with pytest.raises(SpecError, match="does not fit a 64-bit float") as caught:
        config_sha('{"Instance":{"Properties":' + "9" * 10**5 + "}}")
    assert len(str(caught.value)) < 200
