"""Where a document is read from, and what a text is that was to be JSON and is something else.

People give what they have at hand: an address, a template, YAML, JSON with comments. Each is
recognised, and the error says what to do. A reader of files calls ``file_of`` before and ``plain``
after; ``decode`` asks ``lookalike`` when it fails.
"""

from __future__ import annotations

import re

from .errors import SpecError

STANDARD_INPUT = "-"
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*+"')
_MARK = b"\xef\xbb\xbf"
_YAML = re.compile(r"---|%YAML|- |[\"']?[\w.-]+[\"']?\s*:(?:\s|$)")
_SIGNS = (
    (
        re.compile(r"//|/\*|^[ \t]*#", re.MULTILINE),
        "holds a comment, which JSON has not; take it out",
    ),
    (re.compile("'"), 'holds single quotes; JSON has only "'),
    (re.compile(r"\b(?:True|False|None)\b"), "is Python: in JSON it is true, false and null"),
)


def file_of(name: str) -> str:
    """Return the file that a name stands for: a path as it is, or what a ``file://`` URL says;
    raises SpecError for any other.

    >>> (
    ...     file_of("web.json"),
    ...     file_of("file:///srv/my%20web.json"),
    ...     file_of("file://localhost/web.json"),
    ... )
    ('web.json', '/srv/my web.json', '/web.json')
    """
    if not (found := _ADDRESS.fullmatch(name)):
        return name
    kind, rest = found[1].lower(), found[2]
    if kind == "file":
        host, slash, path = rest.partition("/")
        if host not in ("", "localhost"):
            raise SpecError(
                f"{name}: a file of another machine; copy it here first (this machine is file:///...)"
            )
        from urllib.parse import unquote  # slow to import, and hardly ever needed

        return unquote(slash + path)
    if kind in ("http", "https"):
        raise SpecError(
            f"{name}: nothing is fetched from an address. Fetch it yourself: curl -fsSL {name} "
            "-o spec.json"
        )
    raise SpecError(f"{name}: nothing is fetched from an address; give the name of a file")


def plain(raw: bytes) -> bytes:
    r"""Return the text of a file without a byte order mark; raises SpecError when it is not UTF-8.

    >>> plain(b"\xef\xbb\xbf{}")
    b'{}'
    """
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise SpecError("this is UTF-16 text, by its byte order mark; save it as UTF-8")
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise SpecError(
            f"not UTF-8 text: line {line} holds the byte 0x{raw[error.start]:02x}"
        ) from None
    return raw.removeprefix(_MARK)


def lookalike(text: str) -> str:
    r"""Say what a text is that is not JSON, and what to do about it; nothing when it is not known.

    >>> print(lookalike("ID: web\nProperties: {}"))
    this is YAML; convert it first, for example: yq -o json . web.yml
    >>> print(lookalike('{"Size": 3, // enough\n}'))
    line 1 holds a comment, which JSON has not; take it out
    >>> print(lookalike('{"ID": {{ .name }}}'))
    line 1 holds {{, so this is a template; fill it in first
    >>> lookalike('{"ID": web}')
    ''
    """
    bare = _STRING.sub(lambda match: " " * len(match[0]), text)
    if "{{" in bare or "{%" in bare:
        at = min(at for sign in ("{{", "{%") if (at := bare.find(sign)) >= 0)
        return (
            f"line {_line(bare, at)} holds {bare[at : at + 2]}, so this is a template; fill "
            "it in first"
        )
    rows = (row.strip() for row in text.splitlines())
    first = next((row for row in rows if row and not row.startswith("#")), "")
    if first.startswith("<"):
        return "this is HTML or XML"
    if not first.startswith(("{", "[")) and _YAML.match(first):
        return "this is YAML; convert it first, for example: yq -o json . web.yml"
    for sign, said in _SIGNS:
        if first[:1] in "{[/" and (found := sign.search(bare)):
            return f"line {_line(bare, found.start())} {said}"
    return ""


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
