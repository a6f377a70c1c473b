"""JSON text as InfraKit writes it: compacted, escaped and indented the way Go does, without
touching what it says.

Opaque Properties must survive every hop as text (key order, duplicate keys, number spelling), so
these functions work on text and never parse.

What people read goes through ``visible`` or ``visible_json``: a tag, an error, the output of an
instance may hold anything, and must not move the cursor, turn the line around or become markup.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_STRING_OR_SPACE = re.compile(rb"(%b)|[ \t\r\n]+" % _STRING, re.DOTALL)
_COMPACT = re.compile(rb'(?:[^" \t\r\n]*+%b)*+[^" \t\r\n]*+' % _STRING, re.DOTALL)
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
_HTML = (
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    (b"&", b"\\u0026"),
    (b"\xe2\x80\xa8", b"\\u2028"),
    (b"\xe2\x80\xa9", b"\\u2029"),
)
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_ESCAPES |= {chr(c): f"\\u{c:04x}" for c in range(0x20) if chr(c) not in _ESCAPES}
_ESCAPES |= {c: f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}
_SPACES = "\u00a0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u202f\u205f\u3000"
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_GO_SHORT = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\v": "\\v", "\\": "\\\\", '"': '\\"', **_SHORT}
_NEEDS_ESCAPE = re.compile(r'["\\\x00-\x1f<>&\u2028\u2029\ud800-\udfff]')


def escape_html(text: bytes) -> bytes:
    r"""Escape what Go's encoder escapes inside strings; elsewhere in JSON these characters cannot
    occur.

    >>> escape_html(b'{"a":"<b>"}')
    b'{"a":"\\u003cb\\u003e"}'
    """
    if b"<" in text or b">" in text or b"&" in text or b"\xe2" in text:  # as good as never
        for plain, escaped in _HTML:
            text = text.replace(plain, escaped)
    return text


def compact(text: bytes) -> bytes:
    """Remove white space between tokens and escape as Go does, leaving every token's spelling
    alone.

    >>> compact(b'{ "b": 1.0, "a": [1, 2] }')
    b'{"b":1.0,"a":[1,2]}'
    """
    if not (text.isdigit() or _COMPACT.fullmatch(text)):
        text = _STRING_OR_SPACE.sub(lambda m: m[1] or b"", text)
    return escape_html(text)


def quote(text: str) -> str:
    r"""Return a JSON string literal as Go writes it; lone surrogates become U+FFFD.

    >>> quote('say "<hi>"\b')
    '"say \\"\\u003chi\\u003e\\"\\u0008"'
    """
    return '"' + _NEEDS_ESCAPE.sub(lambda m: _ESCAPES.get(m[0], "\ufffd"), text) + '"'


def go_quote(text: str) -> str:
    r"""Quote a text as Go's ``%q`` does.

    >>> print(go_quote('no "x"\n'), go_quote("caf\u00e9 \x01 \x7f \u2028 \U000e0001"))
    "no \"x\"\n" "café \x01 \x7f \u2028 \U000e0001"
    """
    return (
        '"' + "".join(_GO_SHORT.get(c) or (c if c.isprintable() else _code(c)) for c in text) + '"'
    )


def _code(char: str, short_below: int = 0x80) -> str:
    code = ord(char)
    if code < short_below:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def indent(text: bytes, prefix: str = "", step: str = "  ") -> str:
    r"""Lay JSON text out over lines as Go's ``Indent`` does: no prefix on the first line, empty
    containers on one.

    >>> indent(b'{"a":[1,{}]}', prefix="  ")
    '{\n    "a": [\n      1,\n      {}\n    ]\n  }'
    """
    out: list[str] = []
    depth, opened = 0, False
    for match in _TOKEN.finditer(text.decode("utf-8", "replace")):
        token = match[0]
        if token in "]}":
            depth -= 1
            if not opened:
                out.append(f"\n{prefix}{step * depth}")
        elif opened:
            out.append(f"\n{prefix}{step * depth}")
        opened = False
        out.append(token)
        if token in "[{":
            depth, opened = depth + 1, True
        elif token == ",":
            out.append(f"\n{prefix}{step * depth}")
        elif token == ":":
            out.append(" ")
    return "".join(out)


def visible(text: str, keep: str = "") -> str:
    r"""Spell out what would not be seen as itself: control characters, line breaks, format and
    bidirectional marks, surrogates.

    Characters in ``keep`` stay, such as the line breaks of a longer text. Escaping what is escaped
    changes nothing.

    >>> print(visible("\x1b]0;owned\x07 caf\u00e9\n\u202egnp"))
    \x1b]0;owned\x07 café\n\u202egnp
    >>> visible("two\nlines", keep="\n")
    'two\nlines'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep or c in _SPACES else _spelled(c) for c in text)


def _spelled(char: str) -> str:
    return _SHORT.get(char) or _code(char, 0x100)


def visible_json(text: str) -> str:
    r"""Return JSON text of the same meaning in which what would not be seen as itself is escaped;
    its line breaks stay.

    >>> print(visible_json('{"a":"\u202egnp \U000e0001"}'))
    {"a":"\u202egnp \udb40\udc01"}
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in "\n\t" or c in _SPACES else _in_json(c) for c in text
    )


def _in_json(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def aligned(rows: Sequence[Sequence[str]], right: Container[int] = ()) -> list[str]:
    """Lay rows of cells out in lines, every column as wide as it needs and two blanks between;
    those in ``right`` end flush.

    >>> aligned([("name", "size"), ("web", "5")]), aligned([("web", "5"), ("db", "12")], right={1})
    (['name  size', 'web   5'], ['web   5', 'db   12'])
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
