"""What a well-formed request may not do although it is JSON: nest too deeply, or say a member of the envelope twice.

Checked before anything is carried out, at the price of a few byte counts for an ordinary request. Called by ``dispatch``.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ..spi.decode import fold
from ..spi.errors import SpecError

NESTING = 64
"""Levels of arrays and objects in one body."""

_ESCAPE = re.compile(rb"\\.", re.DOTALL)
_STRING = re.compile(rb'"[^"]*"')
_BRACKETS = bytes.maketrans(b"[{]}", b"(())")
_OTHERS = bytes(sign for sign in range(256) if sign not in b'[]{}"')
_MEMBERS = ("jsonrpc", "method", "params", "id")
_QUOTED = tuple(f'"{name}"'.encode() for name in _MEMBERS)


def check_nesting(body: bytes) -> None:
    """Refuse a JSON text of more than 64 levels; raises SpecError. Text that is not JSON is somebody else's business.

    >>> check_nesting(b"[" * 64 + b"]" * 64)
    >>> check_nesting(b"[" * 65 + b"]" * 65)
    Traceback (most recent call last):
    ikdemo.spi.errors.SpecError: nested too deeply: at most 64 levels
    """
    if body.count(b"[") + body.count(b"{") <= NESTING:
        return
    plain = _ESCAPE.sub(b"", body) if b"\\" in body else body
    skeleton = plain.translate(_BRACKETS, _OTHERS).replace(b'""', b"")  # most strings hold no brackets
    if b'"' in skeleton:
        skeleton = _STRING.sub(b"", skeleton)
    for _ in range(NESTING):  # each round takes away the innermost level
        skeleton = skeleton.replace(b"()", b"")
    if skeleton.count(b"(") == skeleton.count(b")") > 0:
        raise SpecError(f"nested too deeply: at most {NESTING} levels", expected="one JSON value")


def check_once(body: bytes) -> None:
    """Refuse an envelope that has a member twice: which one counts would be anybody's guess. Raises SpecError.

    >>> check_once(b'{"id":1,"params":{"id":2}}')
    >>> check_once(b'{"id":1,"ID":2}')
    Traceback (most recent call last):
    ikdemo.spi.errors.SpecError: the member id stands twice in the request
    """
    lower = body.lower()
    if max(map(lower.count, _QUOTED)) < 2:
        return
    outermost: list[tuple[str, Any]] = []

    def note(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        outermost[:] = pairs  # the outermost object is the last to end
        return {}

    json.loads(body, object_pairs_hook=note, parse_int=len)  # a number of 5,000 digits has no need to become one
    names = [fold(name) for name, _ in outermost]
    for name in names:
        if names.count(name) > 1 and name in _MEMBERS:
            raise SpecError(f"the member {name} stands twice in the request")
