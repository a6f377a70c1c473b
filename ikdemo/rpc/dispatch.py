"""Answers one request body with one reply body: the JSON-RPC 2.0 envelope, single or batch, over
the table of methods.

Decided only here: what an envelope may look like (UTF-8, at most 64 levels, no member twice), which
error code says what, and how many calls are at work at once. HTTP is not known.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from typing import Any

from msgspec import Raw, Struct

from ..spi.contracts import MOMENT, Plugin
from ..spi.decode import decode, encode, fold
from ..spi.documents import NULL
from ..spi.errors import IkdemoError, SpecError
from ..spi.text import compact, go_quote, quote
from .event_ring import EventRing
from .methods import FINAL, METHODS, PREPARE, PROVISION, Method, holds_text
from .task_pool import TaskPool

log = logging.getLogger(__name__)

BATCH = 64
"""Calls in one array."""
AT_WORK = 256
"""Calls inside the plugin at once; further ones wait. Long polls are counted by the ring
instead.
"""
PARSE, INVALID, PARAMS, INTERNAL, PLUGIN = -32700, -32600, -32602, -32603, -32000


class MethodCall(Struct, frozen=True, forbid_unknown_fields=True):
    """A request as it came; nothing is judged yet, so that the ID is known even when the rest is
    wrong.
    """

    jsonrpc: Raw = NULL
    method: Raw = NULL
    params: Raw = NULL
    id: Raw = NULL


class Dispatcher:
    """Answers requests with one plugin's methods."""

    def __init__(self, plugin: Plugin, ring: EventRing) -> None:
        self._plugin, self._ring = plugin, ring
        self._take_up(plugin.offers)
        self._at_work = asyncio.Semaphore(AT_WORK)

    def _take_up(self, offers: frozenset[str]) -> None:
        """Answer the methods of these extensions from now on."""
        self._offers = offers
        services = {self._plugin.interface, "Plugin", "Events", *offers}
        targets: dict[str, Any] = {"Events": self._ring}
        self._methods = {
            m.wire: (m, targets.get(m.service, self._plugin), holds_text(m.params))
            for m in METHODS
            if m.service in services and m.needs in services
        }
        self._services = {m.service for m, _, _ in self._methods.values()}

    async def answer(self, body: bytes) -> bytes:
        """Do what a body asks and return the reply, one line of JSON; empty when nothing wants
        one.
        """
        MOMENT.set(object())
        try:
            body.decode()  # opaque members are copied unseen, and a reply must be UTF-8
            check_nesting(body)
            if body.lstrip(b" \t\r\n")[:1] == b"[":
                return await self._batch(decode(body, list[Raw]))
            call = decode(body, MethodCall)
            check_once(body)
        except UnicodeDecodeError as error:
            return _error(PARSE, f"not JSON: not UTF-8 at byte {error.start}", NULL) + b"\n"
        except SpecError as error:
            return _refusal(error) + b"\n"
        reply = await self._one(call)
        return reply + b"\n" if reply else b""

    async def _batch(self, calls: list[Raw]) -> bytes:
        """Answer an array: its calls run side by side, the replies stand in their order."""
        if not 1 <= len(calls) <= BATCH:
            return (
                _error(INVALID, f"a batch holds 1 to {BATCH} calls, this one {len(calls)}", NULL)
                + b"\n"
            )
        replies = await TaskPool(self._element, list(enumerate(calls))).work()
        wanted = [reply for reply in replies if reply]
        return b"[" + b",".join(wanted) + b"]\n" if wanted else b""

    async def _element(self, numbered: tuple[int, Raw]) -> bytes:
        number, raw = numbered
        try:
            call = decode(raw, MethodCall, path=f"$[{number}]")
            check_once(bytes(raw))
        except SpecError as error:
            return _refusal(error)
        return await self._one(call)

    async def _one(self, call: MethodCall) -> bytes:
        """Answer one call; empty for a notification, which is carried out all the same."""
        if call.jsonrpc != _VERSION:
            return _error(INVALID, "jsonrpc must be 2.0", call.id)
        try:
            name = decode(call.method, str) if call.method != NULL else ""
        except SpecError:
            return _error(INVALID, "method must be a string", call.id)
        try:
            reply = b'{"jsonrpc":"2.0","result":%b,"id":%b}' % (
                await self._result(name, call.params),
                compact(bytes(call.id)),
            )
        except _Refused as refused:
            reply = _error(refused.code, str(refused), call.id, refused.data)
        return b"" if call.id == NULL else reply

    async def _result(self, name: str, params: Raw) -> bytes:
        method, target, opaque = self._find(name)
        try:
            ask = _params(params, method, opaque)
        except SpecError as error:
            raise _Refused(PARAMS, str(error)) from None
        try:
            if method.service == "Events":
                return encode(await method.call(target, ask))
            async with self._at_work:
                return encode(await method.call(target, ask))
        except IkdemoError as error:
            final = isinstance(error, SpecError) and method in (PREPARE, PROVISION)
            raise _Refused(PLUGIN, str(error), FINAL if final else NULL) from None
        except Exception as error:
            log.exception("%s failed", name)
            raise _Refused(
                INTERNAL,
                f"{name} failed inside the plugin ({type(error).__name__}); its log says where",
            ) from None

    def _find(self, name: str) -> tuple[Method[Any, Any], Any, bool]:
        if self._plugin.offers != self._offers:  # as of a manager, whose group plugin came later
            self._take_up(self._plugin.offers)
        if name in self._methods:
            return self._methods[name]
        service, *rest = name.split(".")
        if len(rest) != 1:
            raise _Refused(PLUGIN, f"rpc: service/method request ill-formed: {go_quote(name)}")
        missing = "method" if service in self._services else "service"
        raise _Refused(PLUGIN, f"rpc: can't find {missing} {go_quote(name)}")


class _Refused(Exception):
    """A call that ends in an error object."""

    def __init__(self, code: int, message: str, data: Raw = NULL) -> None:
        super().__init__(message)
        self.code, self.data = code, data


_VERSION = Raw(b'"2.0"')


def _params(params: Raw, method: Method[Any, Any], opaque: bool) -> Any:
    """Decode parameters, given by name or as the one element of an array; absent and null ones are
    all zero.
    """
    text = compact(bytes(params)) if opaque else bytes(params)
    if text[:1] == b"[":
        text = bytes(next(iter(decode(text, list[Raw])), NULL))
    return method.params() if text == b"null" else decode(text, method.params)


def _refusal(error: SpecError) -> bytes:
    """Say what is wrong with a request that could not be read."""
    return _error(PARSE if error.expected == "one JSON value" else INVALID, str(error), NULL)


def _error(code: int, message: str, id: Raw, data: Raw = NULL) -> bytes:
    return b'{"jsonrpc":"2.0","error":{"code":%d,"message":%b,"data":%b},"id":%b}' % (
        code,
        quote(message).encode(),
        bytes(data),
        compact(bytes(id)),
    )


NESTING = 64
"""Levels of arrays and objects in one body."""

_ESCAPE = re.compile(rb"\\.", re.DOTALL)
_STRING = re.compile(rb'"[^"]*"')
_BRACKETS = bytes.maketrans(b"[{]}", b"(())")
_OTHERS = bytes(sign for sign in range(256) if sign not in b'[]{}"')
_MEMBERS = ("jsonrpc", "method", "params", "id")
_QUOTED = tuple(f'"{name}"'.encode() for name in _MEMBERS)


def check_nesting(body: bytes) -> None:
    """Refuse a JSON text of more than 64 levels; raises SpecError. Text that is not JSON is
    refused by the decoder.

    >>> check_nesting(b"[" * 64 + b"]" * 64)
    >>> check_nesting(b"[" * 65 + b"]" * 65)
    Traceback (most recent call last):
    ikdemo.spi.errors.SpecError: nested too deeply: at most 64 levels
    """
    if body.count(b"[") + body.count(b"{") <= NESTING:
        return
    plain = _ESCAPE.sub(b"", body) if b"\\" in body else body
    # most strings hold no brackets
    skeleton = plain.translate(_BRACKETS, _OTHERS).replace(b'""', b"")
    if b'"' in skeleton:
        skeleton = _STRING.sub(b"", skeleton)
    for _ in range(NESTING):  # each round takes away the innermost level
        skeleton = skeleton.replace(b"()", b"")
    if skeleton.count(b"(") == skeleton.count(b")") > 0:
        raise SpecError(f"nested too deeply: at most {NESTING} levels", expected="one JSON value")


def check_once(body: bytes) -> None:
    """Refuse an envelope that has a member twice: which one counts is not defined. Raises
    SpecError.

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

    # a number of 5,000 digits has no need to become one
    json.loads(body, object_pairs_hook=note, parse_int=len)
    names = [fold(name) for name, _ in outermost]
    for name in names:
        if names.count(name) > 1 and name in _MEMBERS:
            raise SpecError(f"the member {name} stands twice in the request")
