"""Several members under one deadline, and an honest word about what became of a request: members
that refuse, say nothing, break off, flood, or are something else.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from ikdemo.etcd.addresses import Address
from ikdemo.etcd.endpoints import Endpoints, EtcdRefusal
from ikdemo.spi.errors import IkdemoError, OutcomeUnknown, PluginUnavailable, ProtocolError

Member = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HOST = f"127.1.{os.getpid() // 250 % 250}.{os.getpid() % 250 + 1}"
"""An address of this process alone: on 127.0.0.1, other tests knock at ports that were theirs."""
LONG = 100.0
"""Seconds that never pass in a test that works."""


class Limits:
    """Stands for ``asyncio.timeout_at``: no limit is over before a member says so, and then it is
    the last one. ``given``: the moments that were asked for.
    """

    real = asyncio.timeout_at

    def __init__(self) -> None:
        self.given: list[float] = []
        self.begun: list[float] = []
        self._last: asyncio.Timeout | None = None

    def timeout_at(self, when: float) -> asyncio.Timeout:
        now = asyncio.get_running_loop().time()
        self.begun.append(now)
        self.given.append(when)
        self._last = Limits.real(now + LONG)
        return self._last

    def expire(self) -> None:
        assert self._last is not None
        self._last.reschedule(asyncio.get_running_loop().time())


@pytest.fixture(autouse=True)
def limits(monkeypatch: pytest.MonkeyPatch) -> Limits:
    made = Limits()
    monkeypatch.setattr(asyncio, "timeout_at", made.timeout_at)
    monkeypatch.setattr(Members, "limits", made, raising=False)
    return made


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read a request and say nothing; the time for it is over then."""
    await reader.readuntil(b"\r\n\r\n")
    Members.limits.expire()
    await reader.read()


async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read and say nothing."""
    await reader.read()


async def breaking(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")


def answering(body: bytes, status: bytes = b"200 OK", more: bytes = b"") -> Member:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = int(head.lower().partition(b"content-length:")[2].split()[0])
            await reader.readexactly(length)
            writer.write(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))
            writer.write(more)

    return answer


async def flooding(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
    while True:
        writer.write(bytes(2**16))
        await writer.drain()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class Members:
    """Servers that stand for members; ``asked``: how many connections each got."""

    limits: Limits

    def __init__(self) -> None:
        self.addresses: list[Address] = []
        self.asked: list[int] = []
        self.connected = asyncio.Event()
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def add(self, stack: AsyncExitStack, member: Member | None) -> None:
        """Add a member; None: nothing listens there."""
        number = len(self.asked)
        self.asked.append(0)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert member is not None and task is not None
            self._open[task] = writer
            self.asked[number] += 1
            self.connected.set()
            try:
                await member(reader, writer)
            except (OSError, EOFError):
                pass
            finally:
                writer.transport.abort()

        if member is None:
            self.addresses.append(Address(HOST, free_port(), False))
            return
        server = await asyncio.start_server(serve, HOST, 0)
        self.addresses.append(Address(HOST, server.sockets[0].getsockname()[1], False))
        stack.callback(server.close)

    async def end(self) -> None:
        for writer in self._open.values():
            writer.transport.abort()
        await asyncio.gather(*self._open)


@asynccontextmanager
async def serving(
    *members: Member | None,
) -> AsyncIterator[tuple[Endpoints, Members]]:
    async with AsyncExitStack() as stack:
        made = Members()
        stack.push_async_callback(made.end)
        for member in members:
            await made.add(stack, member)
        endpoints = Endpoints(made.addresses, None, LONG)
        stack.callback(endpoints.close)
        yield endpoints, made


async def outcome(endpoints: Endpoints, *, again: bool) -> IkdemoError | bytes:
    try:
        return await endpoints.ask("/v3/kv/txn", b"{}", again=again)
    except IkdemoError as error:
        return error


@pytest.mark.parametrize("again", [True, False])
def test_a_member_that_refuses_connections_is_passed_over(again: bool) -> None:
    async def go() -> None:
        async with serving(None, None, answering(b"{}")) as (endpoints, members):
            assert await outcome(endpoints, again=again) == b"{}"
            assert await outcome(endpoints, again=again) == b"{}"
            assert members.asked == [0, 0, 1], "a connection is used again"

    asyncio.run(go())


def test_where_no_member_is_reached_nothing_was_sent() -> None:
    async def go() -> None:
        async with serving(None, None) as (endpoints, members):
            for again in (True, False):
                error = await outcome(endpoints, again=again)
                assert type(error) is PluginUnavailable
                for address in members.addresses:
                    assert f"{address}: connection refused" in str(error)

    asyncio.run(go())


def test_what_must_not_be_sent_twice_is_sent_to_one_member_only() -> None:
    async def go() -> None:
        for first in (silent, breaking):
            async with serving(None, first, answering(b"{}")) as (endpoints, members):
                error = await outcome(endpoints, again=False)
                assert type(error) is OutcomeUnknown
                assert str(error).endswith("it may have happened")
                assert members.asked == [0, 1, 0]
                assert await outcome(endpoints, again=False) == b"{}", "the next one is used then"

    asyncio.run(go())


def test_what_may_be_sent_twice_goes_to_the_next_member_within_the_same_deadline() -> None:
    async def go() -> None:
        async with serving(breaking, answering(b"{}")) as (endpoints, members):
            assert await outcome(endpoints, again=True) == b"{}"
            assert members.asked == [1, 1]
        async with serving(silent, answering(b"{}")) as (endpoints, members):
            assert await outcome(endpoints, again=True) == b"{}"
            assert members.asked == [1, 1]

    asyncio.run(go())


def test_one_deadline_holds_for_all_members(limits: Limits) -> None:
    """Ten members that say nothing get shares of one deadline, not one each."""

    async def go() -> None:
        async with serving(*[silent] * 10) as (endpoints, members):
            error = await outcome(endpoints, again=True)
            assert type(error) is OutcomeUnknown
            assert members.asked == [1] * 10
            assert len(limits.given) == 10
            assert limits.given[0] <= limits.begun[0] + LONG / 10
            assert max(limits.given) <= limits.begun[0] + LONG

    asyncio.run(go())


NO_LEADER = (
    (b'{"error":"etcdserver: no leader","code":14}', b"503 Service Unavailable"),
    (
        b'{"error":{"grpc_code":14,"http_code":503,"message":"etcdserver: no leader"}}',
        b"200 OK",  # the answer of a stream
    ),
)


@pytest.mark.parametrize(("body", "status"), NO_LEADER)
def test_a_member_without_a_leader_is_left_for_another_one(body: bytes, status: bytes) -> None:
    async def go() -> None:
        lost = answering(body, status)
        async with serving(lost, answering(b"{}")) as (endpoints, members):
            assert await outcome(endpoints, again=True) == b"{}"
            assert members.asked == [1, 1]
        async with serving(lost, answering(b"{}")) as (endpoints, members):
            error = await outcome(endpoints, again=False)
            assert type(error) is OutcomeUnknown
            assert "etcdserver: no leader" in str(error)
            assert members.asked == [1, 0]

    asyncio.run(go())


def test_a_refusal_is_etcd_s_own_sentence_and_is_final() -> None:
    async def go() -> None:
        body = b'{"error":"etcdserver: request is too large","code":3}'
        async with serving(answering(body, b"400 Bad Request"), answering(b"{}")) as (asked, seen):
            error = await outcome(asked, again=True)
            assert type(error) is EtcdRefusal
            assert (str(error), error.etcd_code) == (
                "etcd refuses: etcdserver: request is too large",
                3,
            )
            assert seen.asked == [1, 0]

    asyncio.run(go())


def test_what_is_no_etcd_is_told_and_shown_safely() -> None:
    async def go() -> None:
        page = b"<html>\x1b[2J 404 page not found</html>" * 100
        async with serving(answering(page, b"404 Not Found")) as (endpoints, members):
            error = await outcome(endpoints, again=True)
            assert type(error) is ProtocolError
            said = str(error)
            assert f"{members.addresses[0]} is no etcd of 3.4 or newer: it answers 404" in said
            assert said.isprintable() and len(said) < 1000

        async def ssh(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
            await reader.read()

        async with serving(ssh) as (endpoints, _):
            assert "is not HTTP" in str(await outcome(endpoints, again=True))

    asyncio.run(go())


def test_an_answer_is_bounded() -> None:
    async def go() -> None:
        async with serving(flooding) as (endpoints, _):
            error = await outcome(endpoints, again=True)
            assert type(error) is ProtocolError
            assert "larger than 4 MiB" in str(error)

    asyncio.run(go())


def test_a_second_answer_to_one_request_is_not_taken_for_the_next_one() -> None:
    async def go() -> None:
        twice = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong"
        async with serving(answering(b"right", more=twice)) as (endpoints, members):
            for _ in range(3):
                assert await outcome(endpoints, again=True) == b"right"
            assert members.asked == [3]

    asyncio.run(go())


def test_a_watch_is_left_with_its_member() -> None:
    """What does not answer may tell no change either; no connection ends when a cable is cut."""
    first = True

    async def quiet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal first
        if not first:
            await silent(reader, writer)
        first = False
        await reader.read()

    async def go() -> None:
        async with serving(quiet, answering(b"{}")) as (endpoints, members):
            lines = endpoints.lines("/v3/watch", b"{}")
            waiting = asyncio.ensure_future(anext(lines))
            await members.connected.wait()
            assert await outcome(endpoints, again=True) == b"{}"
            with pytest.raises(OutcomeUnknown):
                await waiting

    asyncio.run(go())


def test_a_request_that_is_given_up_takes_its_connection_along() -> None:
    async def go() -> None:
        async with serving(deaf) as (endpoints, members):
            asking = asyncio.create_task(outcome(endpoints, again=True))
            await members.connected.wait()
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            await members.end()  # its handler reads to the end, which comes

    asyncio.run(go())
