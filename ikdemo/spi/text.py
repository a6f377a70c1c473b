"""JSON text as InfraKit writes it: compacted, escaped and indented the way Go does, without touching what it says.

Opaque Properties must survive every hop as text (key order, duplicate keys, number spelling), so these functions work on
text and never parse. Called by ``decode``, ``config_sha``, the wire and the file format.
"""

from __future__ import annotations

import re

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_STRING_OR_SPACE = re.compile(rb"(%b)|[ \t\r\n]+" % _STRING, re.DOTALL)
_COMPACT = re.compile(rb'(?:[^" \t\r\n]*+%b)*+[^" \t\r\n]*+' % _STRING, re.DOTALL)
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
_HTML = ((b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026"), (b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"))
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_ESCAPES |= {chr(c): f"\\u{c:04x}" for c in range(0x20) if chr(c) not in _ESCAPES}
_ESCAPES |= {c: f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}
_NEEDS_ESCAPE = re.compile(r'["\\\x00-\x1f<>&\u2028\u2029\ud800-\udfff]')


def escape_html(text: bytes) -> bytes:
    r"""Escape what Go's encoder escapes inside strings; elsewhere in JSON these characters cannot occur.

    >>> escape_html(b'{"a":"<b>"}')
    b'{"a":"\\u003cb\\u003e"}'
    """
    if b"<" in text or b">" in text or b"&" in text or b"\xe2" in text:  # as good as never
        for plain, escaped in _HTML:
            text = text.replace(plain, escaped)
    return text


def compact(text: bytes) -> bytes:
    """Remove white space between tokens and escape as Go does, leaving every token's spelling alone.

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


def indent(text: bytes, prefix: str = "", step: str = "  ") -> str:
    r"""Lay JSON text out over lines as Go's ``Indent`` does: no prefix on the first line, empty containers on one.

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
