"""What an etcd is asked, in its own words, over the JSON gateway that every member has: a key, a
guarded transaction, a lease, a watch.

Keys and values are bytes. In JSON they travel as base64, 64-bit numbers as text, and what is absent
is zero. An answer of another shape is ProtocolError, so nothing is taken for etcd that is none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any, NamedTuple, TypeVar

import msgspec
from msgspec import Struct

from ..spi.errors import OutcomeUnknown, ProtocolError, SpecError
from .endpoints import NOT_FOUND, Endpoints, EtcdRefusal

S = TypeVar("S", bound=Struct)

LARGEST_VALUE = 1_572_864 - 4096
"""Bytes of a value: a member takes requests of 1.5 MiB, with what else is in them."""


class KeyValue(Struct, frozen=True):
    """One key as etcd holds it. ``create_revision``: when it was made, which is another one each
    time that it is made again; ``mod_revision``: when it was last written.
    """

    key: bytes = b""
    value: bytes = b""
    create_revision: int = 0
    mod_revision: int = 0
    lease: int = 0


class Looked(NamedTuple):
    """A key, or None where there is none, and the revision of the whole etcd at which that was
    so.
    """

    found: KeyValue | None
    revision: int


class Decided(NamedTuple):
    """What a transaction did: whether its comparisons held, and the keys that it then read, in the
    order of its ``get``; None for one that is not there.
    """

    succeeded: bool
    found: tuple[KeyValue | None, ...]
    revision: int


class _Header(Struct, frozen=True):
    revision: int = 0


class _Ranged(Struct):
    kvs: list[KeyValue] = []


class _Response(Struct):
    response_range: _Ranged | None = None


class _Decision(Struct):
    header: _Header
    succeeded: bool = False
    responses: list[_Response] = []


class _Looked(Struct):
    header: _Header
    kvs: list[KeyValue] = []


class _Granted(Struct):
    header: _Header
    id: int = msgspec.field(name="ID")
    ttl: int = msgspec.field(name="TTL")


class _Alive(Struct):
    ttl: int = msgspec.field(name="TTL", default=0)


class _Renewed(Struct):
    result: _Alive


class _Revoked(Struct):
    header: _Header


class _Watched(Struct):
    created: bool = False
    canceled: bool = False
    events: list[Any] = []


class _WatchLine(Struct):
    result: _Watched


def created_at(key: bytes, revision: int) -> dict[str, Any]:
    """Compare: the key was made at this revision; 0: it is not there."""
    return {"key": key, "target": "CREATE", "result": "EQUAL", "create_revision": revision}


def modified_at(key: bytes, revision: int) -> dict[str, Any]:
    """Compare: the key was last written at this revision; 0: it is not there."""
    return {"key": key, "target": "MOD", "result": "EQUAL", "mod_revision": revision}


def put(key: bytes, value: bytes, lease: int = 0) -> dict[str, Any]:
    """Write a key; with a lease it is gone when that is. Raises SpecError for a value too large."""
    if len(value) > LARGEST_VALUE:
        raise SpecError(
            f"what is to be stored has {len(value)} bytes, and etcd takes {LARGEST_VALUE}"
        )
    return {"request_put": {"key": key, "value": value, "lease": lease}}


def get(key: bytes, *, value: bool = True) -> dict[str, Any]:
    """Read a key, with or without its value."""
    return {"request_range": {"key": key, "keys_only": not value}}


class EtcdClient:
    """One etcd, asked through one of its members at a time. Every method raises what
    ``Endpoints.ask`` raises.
    """

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints
        self.close = endpoints.close

    async def look(self, key: bytes) -> Looked:
        """Read one key, as a majority of the members has it."""
        done = await self._ask("/v3/kv/range", {"key": key}, _Looked, again=True)
        return Looked(done.kvs[0] if done.kvs else None, done.header.revision)

    async def decide(
        self,
        compare: Sequence[dict[str, Any]],
        success: Sequence[dict[str, Any]],
        failure: Sequence[dict[str, Any]],
        *,
        again: bool = False,
    ) -> Decided:
        """Carry out a transaction: one of two lists, as a whole.

        ``again``: it does no harm if it happens twice.
        """
        question = {"compare": compare, "success": success, "failure": failure}
        done = await self._ask("/v3/kv/txn", question, _Decision, again=again)
        ranged = [one.response_range for one in done.responses if one.response_range]
        found = tuple(one.kvs[0] if one.kvs else None for one in ranged)
        return Decided(done.succeeded, found, done.header.revision)

    async def grant(self, seconds: int) -> tuple[int, int]:
        """Return the ID of a new lease, and the seconds that it lives without a renewal: as many
        as are asked for, or more.
        """
        done = await self._ask("/v3/lease/grant", {"TTL": seconds}, _Granted)
        return done.id, done.ttl

    async def renew(self, lease: int, within: float | None = None) -> int:
        """Return the seconds that a lease lives from now on; 0 when it is over."""
        question = {"ID": lease}
        done = await self._ask("/v3/lease/keepalive", question, _Renewed, within=within, again=True)
        return done.result.ttl

    async def revoke(self, lease: int) -> None:
        """End a lease and remove its keys; one that is over is no error."""
        try:
            await self._ask("/v3/lease/revoke", {"ID": lease}, _Revoked, again=True)
        except EtcdRefusal as refusal:
            if refusal.etcd_code != NOT_FOUND:
                raise

    async def changed(self, key: bytes, since: int, within: float) -> None:
        """Return when a key is written or removed at or after a revision, or when that cannot be
        told any longer. ``within``: seconds for the watch to begin.
        """
        question = {"create_request": {"key": key, "start_revision": since}}
        lines = self._endpoints.lines("/v3/watch", msgspec.json.encode(question))
        async with aclosing(lines):
            try:
                async with asyncio.timeout(within):
                    line = await anext(lines, None)
            except TimeoutError:
                raise OutcomeUnknown("etcd begins no watch") from None
            while line is not None:
                watched = _decoded(line, _WatchLine).result
                if watched.events or watched.canceled:
                    return
                line = await anext(lines, None)

    async def _ask(
        self,
        path: str,
        question: dict[str, Any],
        kind: type[S],
        *,
        within: float | None = None,
        again: bool = False,
    ) -> S:
        body = msgspec.json.encode(question)
        answer = await self._endpoints.ask(path, body, within=within, again=again)
        return _decoded(answer, kind)


def _decoded(answer: bytes, kind: type[S]) -> S:
    """Read an answer; its numbers may be text.

    >>> _decoded(b'{"result": {"ID": "7", "TTL": "5"}}', _Renewed).result.ttl
    5
    """
    try:
        return msgspec.json.decode(answer, type=kind, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(f"etcd's answer is not what it should be: {error}") from None
