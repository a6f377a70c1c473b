"""JSON in and out: typed, strict where a mistake would be silent, lenient where InfraKit's programs
are.

The fast path is msgspec with exact member names. What it does not know (members in other letter
case, unknown members, nulls, lone surrogates) is rewritten by ``_exact`` into exact names, members
of no meaning dropped, and decoded by the same decoder; so types are checked in one place.
``encode`` sends every document that it is given: a text that UTF-8 cannot hold, such as the name of
a file may be, goes with U+FFFD in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, TypeVar, get_args

import msgspec
from msgspec import Raw, Struct

from .errors import SpecError
from .sources import lookalike
from .text import escape_html, visible

T = TypeVar("T")

_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}
_encoder = msgspec.json.Encoder(order="deterministic")
_members = msgspec.json.Decoder(dict[str, Raw])
_items = msgspec.json.Decoder(list[Raw])
_WHERE = re.compile(r"^(.*?)(?: - at `(.*?)`)?$", re.DOTALL)
_LONE_SURROGATE = re.compile(
    # kept: a backslash, a pair
    rb"(\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
_LONGEST = 150
_CURLY = ("\u201c", "\u201d", "\u2018", "\u2019")
_KINDS = {
    "int": "a whole number",
    "str": "a string",
    "bool": "true or false",
    "object": "an object",
    "array": "a list",
    "float": "a number with a fraction or an exponent",
}


def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    if kind not in _decoders:
        _decoders[kind] = msgspec.json.Decoder(kind)
    return _decoders[kind]


def decode(raw: bytes | Raw, kind: type[T], *, path: str = "$") -> T:
    """Decode one JSON value as ``kind``.

    Raises SpecError with one sentence: where (a JSON path below ``path``), what was there, what was
    expected.
    """
    try:
        value: T = _decoder(kind).decode(raw)
        return value
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        value = _decoder(kind).decode(_exact(_replace_surrogates(bytes(raw)), kind))
        return value
    except msgspec.ValidationError as error:
        raise _wrong_type(str(error), path) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _not_json(bytes(raw), error, path) from None


def unknown_members(raw: bytes | Raw, kind: type[Struct]) -> list[str]:
    """Return the names of an object's members that a type has not, in their order.

    >>> from .documents import Updating
    >>> unknown_members(b'{"batchsize": 2, "BatchSzie": 3}', Updating)
    ['BatchSzie']
    """
    known = {fold(field.encode_name) for field in msgspec.structs.fields(kind)}
    return [name for name in _members.decode(raw) if fold(name) not in known]


def refuse_unknown(raw: bytes | Raw, *kinds: type[Struct], path: str = "$") -> None:
    """Refuse members that none of the types has, in an object that was decoded as each of them:
    they would be passed over.

    Raises SpecError that names the first one by its JSON path, and those that are known.
    """
    known = {
        fold(field.encode_name): field for kind in kinds for field in msgspec.structs.fields(kind)
    }
    for name, value in _members.decode(raw).items():
        field = known.get(fold(name))
        if field is None:
            expected = f"one of {', '.join(sorted(field.encode_name for field in known.values()))}"
            where = f"{path}.{visible(name[:40])}"
            raise SpecError(
                f"{where}: no such member is known, expected {expected}",
                path=where,
                expected=expected,
            )
        inside = _struct_in(field.type)
        if inside is not None and not _is_list(field.type) and bytes(value) != b"null":
            refuse_unknown(value, inside, path=f"{path}.{field.encode_name}")


def encode(value: object) -> bytes:
    """Return compact JSON as Go would write it: struct members in order, map keys sorted, ``<>&``
    escaped.

    ``Raw`` members are copied as they are: they were compacted where they came in
    (``text.compact``).
    """
    try:
        return escape_html(_encoder.encode(value))
    except UnicodeEncodeError:
        return escape_html(_encoder.encode(_sendable(value)))


def encode_lines(values: Iterable[object]) -> list[bytes]:
    r"""Return a line of compact JSON for each value, as ``encode`` does one by one.

    >>> encode_lines([("<", None), {"a": 1}])
    [b'["\\u003c",null]', b'{"a":1}']
    """
    values = list(values)
    try:
        lines = _encoder.encode_lines(values)
    except UnicodeEncodeError:
        lines = _encoder.encode_lines([_sendable(value) for value in values])
    return escape_html(lines).split(b"\n")[:-1]


def _sendable(value: Any) -> Any:
    r"""Return a document with U+FFFD in the place of every half of a surrogate pair, as Go sends
    it.

    >>> _sendable(("a\udce9", {"\ud800": ["b", None, 1]}))
    ['a\ufffd', {'\ufffd': ['b', None, 1]}]
    """
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_sendable(key): _sendable(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_sendable(item) for item in value]
    if isinstance(value, Struct):
        return type(value)(
            **{name: _sendable(getattr(value, name)) for name in value.__struct_fields__}
        )
    return value


def fold(name: str) -> str:
    """Fold a member name as Go compares them: ASCII letters, and the two signs that fold to s and
    k.

    >>> fold("LogicalID") == fold("logicalid") == fold("logical\u0131d".replace("\u0131", "i"))
    True
    """
    return name.replace("\u017f", "s").replace("\u212a", "k").lower()


def _exact(raw: bytes, kind: Any) -> bytes:
    """Rewrite JSON so that its members carry the exact names of ``kind``; unknown and null ones are
    dropped.
    """
    struct = _struct_in(kind)
    start = raw.lstrip(b" \t\r\n")[:1]
    if struct is None:
        return _zeroed(raw, start) if kind is not Raw else raw
    if start == b"[" and _is_list(kind):
        return b"[" + b",".join(_exact(bytes(item), struct) for item in _items.decode(raw)) + b"]"
    if start != b"{" or _is_list(kind):
        return raw
    known = {fold(f.encode_name): f for f in msgspec.structs.fields(struct)}
    out: dict[str, bytes] = {}
    for name, value in _members.decode(raw).items():
        field = known.get(fold(name))
        text = bytes(value)
        if field is not None and text != b"null":
            out[field.encode_name] = _exact(text, field.type)
    return b"{" + b",".join(b'"%s":%s' % (name.encode(), text) for name, text in out.items()) + b"}"


def _zeroed(raw: bytes, start: bytes) -> bytes:
    """Replace null elements of a list or map of strings by the zero value, as Go leaves them."""
    if b"null" not in raw or start not in (b"[", b"{"):
        return raw
    if start == b"[":
        return _encoder.encode(
            [Raw(b'""') if bytes(v) == b"null" else v for v in _items.decode(raw)]
        )
    return _encoder.encode(
        {k: Raw(b'""') if bytes(v) == b"null" else v for k, v in _members.decode(raw).items()}
    )


def _struct_in(kind: Any) -> type[Struct] | None:
    """Find the struct that a type such as ``Spec``, ``list[Spec]`` or ``list[Spec] | None`` is
    about.
    """
    if isinstance(kind, type) and issubclass(kind, Struct):
        return kind
    return next((found for arg in get_args(kind) if (found := _struct_in(arg))), None)


def _is_list(kind: Any) -> bool:
    return getattr(kind, "__origin__", None) in (list, tuple) or any(
        _is_list(arg) for arg in get_args(kind)
    )


def _replace_surrogates(raw: bytes) -> bytes:
    """Replace the escapes of lone surrogates, which no Unicode text can hold, by U+FFFD as Go
    does.
    """
    return _LONE_SURROGATE.sub(lambda m: m[1] or b"\\ufffd", raw)


def _wrong_type(text: str, path: str) -> SpecError:
    found = _WHERE.match(text)
    what, where = (found[1], found[2]) if found else (text, None)
    path += (where or "$")[1:]
    what = re.sub(
        r"`([^`]+)`",
        lambda m: " or ".join(_KINDS.get(kind, kind) for kind in m[1].split(" | ")),
        what,
    )
    what = what if len(what) <= _LONGEST else what[:_LONGEST] + "..."  # it may quote a value
    expected = what.removeprefix("Expected ").split(", got")[0]
    return SpecError(f"{path}: {what[0].lower()}{what[1:]}", path=path, expected=expected)


def _not_json(raw: bytes, error: Exception, path: str) -> SpecError:
    text = raw.decode("utf-8", "replace")
    if not text.strip():
        sentence = "unexpected end of JSON input"
    elif isinstance(error, RecursionError):
        sentence = f"{path}: nested too deeply"
    elif any(sign in text for sign in _CURLY):
        line = next(
            n for n, row in enumerate(text.splitlines(), 1) if any(sign in row for sign in _CURLY)
        )
        sentence = (
            f"not JSON: line {line} holds curly quotes, as text pasted from a web page "
            'does; type plain " instead'
        )
    elif known := lookalike(text):
        sentence = f"not JSON: {known}"
    else:
        sentence = f"not JSON: {_position(str(error), raw)}"
    return SpecError(sentence, path=path, expected="one JSON value")


def _position(message: str, raw: bytes) -> str:
    """Turn msgspec's byte offset into a line and column."""
    if not (found := re.search(r"^(?:JSON is malformed: )?(.*?) \(byte (\d+)\)$", message)):
        return message.removeprefix("JSON is malformed: ").lower()
    before = raw[: int(found[2])]
    line, column = before.count(b"\n") + 1, len(before) - (before.rfind(b"\n") + 1) + 1
    return f"{found[1]} at line {line}, column {column}"
