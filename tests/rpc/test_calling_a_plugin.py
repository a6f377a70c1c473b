"""The client against plugins that behave, misbehave, vanish and hang: every call ends, and says
truly what became of it.
"""

from __future__ import annotations

import asyncio
import json
import resource
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

from ikdemo.rpc import batcher
from ikdemo.rpc import client as client_module
from ikdemo.rpc.client import Client
from ikdemo.rpc.methods import DESCRIBE_INSTANCES
from ikdemo.spi.documents import GroupSpec, InstanceSpec
from ikdemo.spi.errors import OutcomeUnknown, PluginUnavailable, ProtocolError, RemoteFailure
from ikdemo.spi.messages import (
    DescribeInstances,
    Descriptions,
    Inspected,
    Nothing,
    Provision,
    Provisioned,
)

MADE = b'{"jsonrpc":"2.0","result":{"ID":"instance-1"},"id":1}'


def http(body: bytes = MADE, *headers: bytes, line: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"\r\n".join([line, *headers, b"Content-Length: %d" % len(body)]) + b"\r\n\r\n" + body


class Fake:
    """A plugin that reads requests and answers as it is told; None ends the connection instead."""

    def __init__(self, path: Path, *replies: bytes | None) -> None:
        self.path = path
        self.replies = list(replies)
        self.requests: list[bytes] = []
        self.connections = 0

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while self.replies:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                if (reply := self.replies.pop(0)) is None:
                    break
                writer.write(reply)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
def against(short_dir: Path) -> Any:
    """Run a fake plugin, and a client for it."""

    @asynccontextmanager
    async def running(
        *replies: bytes | None, limit: int = 64
    ) -> AsyncIterator[tuple[Client, Fake]]:
        fake = Fake(short_dir / "fake", *replies)
        server = await asyncio.start_unix_server(fake.converse, fake.path)
        client = Client(fake.path, limit)
        try:
            yield client, fake
        finally:
            client.close()
            server.close()
            await asyncio.sleep(0)

    return running


async def provision(client: Client, deadline: float = 5.0, *, batch: bool = False) -> str | None:
    return (
        await client.call(
            "Instance.Provision", Provision(InstanceSpec()), Provisioned, deadline, batch=batch
        )
    ).id


async def describe(client: Client, deadline: float = 5.0) -> Descriptions:
    method = DESCRIBE_INSTANCES
    return await client.call(
        method.wire, DescribeInstances({}), method.result, deadline, reads=True
    )


def test_a_request_looks_like_a_plain_json_clients(against: Any, bounded: Any) -> None:
    async def story() -> None:
        async with against(http()) as (client, fake):
            assert await provision(client) == "instance-1"
        number = json.loads(fake.requests[0].partition(b"\r\n\r\n")[2])["id"]
        spec = b'{"Properties":null,"Tags":null,"Init":"","LogicalID":null,"Attachments":null}'
        body = (
            b'{"jsonrpc":"2.0","method":"Instance.Provision","params":{"Spec":'
            + spec
            + b'},"id":%d}' % number
        )
        head = (
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: "
            b"%d\r\n\r\n" % len(body)
        )
        assert fake.requests == [head + body]

    bounded(story())


@pytest.mark.parametrize(
    "reply",
    [
        http(),
        http(MADE, b"Content-Type: text/plain; charset=utf-8"),
        http(line=b"HTTP/1.1 500 Internal Server Error"),
        http(MADE + b"\n"),
        http(b'{"RESULT":{"id":"instance-1","new":1},"id":"other"}'),
        http(b'{"result":{"ID":"instance-1"},"error":null}'),
        http(MADE, b"Connection: close"),
        http(line=b"HTTP/1.0 200 OK"),
        b"HTTP/1.1 100 Continue\r\n\r\n" + http(),
        http(MADE, b"Date: Sun Nov 29 00:57:16 2026\nServer: InfraKit"),
        http().replace(b"\r\n", b"\n"),
        http().replace(b"\r\n\r\n", b"\r\nDate: Sun Nov 29 00:57:16 2026\n\r\n"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n"
        % (MADE[:5], len(MADE) - 5, MADE[5:]),
    ],
)
def test_whatever_infrakits_clients_accept_is_accepted(
    against: Any, bounded: Any, reply: bytes
) -> None:
    async def story() -> None:
        async with against(reply, http()) as (client, _):
            assert await provision(client) == "instance-1"
            assert await provision(client) == "instance-1"

    bounded(story())


def test_an_answer_without_a_length_ends_with_the_connection(against: Any, bounded: Any) -> None:
    async def story() -> None:
        for line in (
            b"HTTP/1.0 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n",
        ):
            async with against(line + MADE) as (client, _):
                assert await provision(client) == "instance-1"

    bounded(story())


def test_opaque_text_is_compacted_as_it_comes_in(against: Any, bounded: Any) -> None:
    async def story() -> None:
        async with against(
            http(b'{"result": {"Groups": [{"ID": "g", "Properties": {"b": 1.0, "a": "<"}}]}}')
        ) as (client, _):
            found = await client.call("Group.InspectGroups", Nothing(), Inspected, 100.0)
            assert found.groups == [GroupSpec("g", Raw(b'{"b":1.0,"a":"\\u003c"}'))]

    bounded(story())


@pytest.mark.parametrize(
    ("error", "message", "code"),
    [
        (b'{"code":-32000,"message":"no \\"such\\" thing","data":null}', 'no "such" thing', -32000),
        (b'{"code":-32601,"message":"m"}', "m", -32601),
        (b'{"message":"m","more":[]}', "m", -32000),
        (b'"text"', '"text"', -32000),
        (b"false", "false", -32000),
        (b'{"message":5}', '{"message":5}', -32000),
    ],
)
def test_an_error_is_the_plugins_word(
    against: Any, bounded: Any, error: bytes, message: str, code: int
) -> None:
    async def story() -> None:
        async with against(http(b'{"jsonrpc":"2.0","error":' + error + b',"id":1}')) as (client, _):
            with pytest.raises(RemoteFailure) as caught:
                await provision(client)
            assert (str(caught.value), caught.value.remote_code) == (message, code)

    bounded(story())


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (http(b'{"jsonrpc":"2.0","result":null,"id":1}'), "^result is null$"),
        (http(b'{"jsonrpc":"2.0","id":1}'), "^result is null$"),
        (http(b""), "plugin fake: Instance.Provision: the answer is empty"),
        (http(b"hello"), "plugin fake: Instance.Provision: the answer is not JSON"),
        (
            http(b"rpc: no", line=b"HTTP/1.1 415 Unsupported Media Type"),
            "answered HTTP 415: rpc: no",
        ),
        (http(b'{"result":{"ID":5}}'), r"the result is not what it should be: \$\.ID"),
        (http(b'{"result":[]}'), "the result is not what it should be"),
        (b"SSH-2.0-OpenSSH\r\n", "the answer is not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "the answer is not HTTP"),
    ],
)
def test_an_answer_that_is_none_is_a_protocol_error(
    against: Any, bounded: Any, reply: bytes, sentence: str
) -> None:
    async def story() -> None:
        async with against(reply) as (client, _):
            with pytest.raises(ProtocolError, match=sentence):
                await provision(client)

    bounded(story())


def test_an_answer_that_never_ends_is_cut_off(
    against: Any, bounded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ikdemo.rpc.client_connection.REPLY_LIMIT", 1 << 20)

    async def story() -> None:
        async with against(b"HTTP/1.1 200 OK\r\n\r\n" + b" " * (3 << 20)) as (client, _):
            with pytest.raises(ProtocolError, match="the answer is larger than 1 MiB"):
                await provision(client)

    bounded(story())


@pytest.mark.parametrize("endless", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 100 Continue\r\n"])
def test_a_head_that_never_ends_is_cut_off(against: Any, bounded: Any, endless: bytes) -> None:
    async def story() -> None:
        async with against(endless + b"X: y\r\n" * (1 << 18)) as (client, _):
            with pytest.raises(ProtocolError, match="the answer's head is larger than 1 MiB"):
                await provision(client)

    bounded(story())


def test_a_plugin_that_is_not_there_was_not_sent_anything(short_dir: Path, bounded: Any) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(short_dir / "stale"))

    async def story() -> None:
        with pytest.raises(
            PluginUnavailable,
            match=r"plugin stale cannot be reached at .*: connection refused; its process is gone",
        ):
            await provision(Client(short_dir / "stale"))
        with pytest.raises(
            PluginUnavailable,
            match=r"plugin none cannot be reached at .*: no such file or directory; it is "
            r"not running",
        ):
            await provision(Client(short_dir / "none"))
        with pytest.raises(PluginUnavailable, match="may have 107"):
            await provision(Client(short_dir / ("x" * 120)))

    bounded(story())


def test_a_process_out_of_files_has_not_sent_anything(short_dir: Path, bounded: Any) -> None:
    async def story() -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            with pytest.raises(PluginUnavailable, match="too many open files"):
                await provision(Client(short_dir / "fake"))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    bounded(story())


def test_a_plugin_whose_queue_is_full_was_not_sent_anything(short_dir: Path, bounded: Any) -> None:
    async def story() -> None:
        with socket.socket(socket.AF_UNIX) as full, socket.socket(socket.AF_UNIX) as first:
            full.bind(str(short_dir / "full"))
            full.listen(0)
            first.connect(str(short_dir / "full"))
            with pytest.raises(PluginUnavailable, match=r"could not be sent within 0.1 s"):
                await provision(Client(short_dir / "full"), deadline=0.1)

    bounded(story())


@pytest.mark.parametrize(
    "reply",
    [None, b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{"],
)
def test_no_whole_answer_is_an_unknown_outcome(
    against: Any, bounded: Any, reply: bytes | None
) -> None:
    async def story() -> None:
        async with against(reply) as (client, fake):
            with pytest.raises(
                OutcomeUnknown,
                match=r"plugin fake: Instance.Provision: the connection broke; it may have "
                r"happened",
            ):
                await provision(client)
            assert len(fake.requests) == 1

    bounded(story())


def test_no_answer_in_time_is_an_unknown_outcome(against: Any, bounded: Any) -> None:
    async def story() -> None:
        async with against(b"", http()) as (client, fake):
            with pytest.raises(
                OutcomeUnknown, match=r"no answer within 0.1 s; it may have happened"
            ):
                await provision(client, deadline=0.1)
            assert await provision(client) == "instance-1"
            assert fake.connections == 2

    bounded(story())


def test_a_provision_is_never_sent_twice(against: Any, bounded: Any) -> None:
    async def story() -> None:
        async with against(http(), None, http()) as (client, fake):
            await provision(client, batch=True)
            with pytest.raises(OutcomeUnknown):
                await provision(client, batch=True)
            assert (len(fake.requests), fake.connections) == (2, 1)

    bounded(story())


def test_requests_are_numbered_from_anywhere_and_upwards(against: Any, bounded: Any) -> None:
    """There are plugins that name what they make after the request's ID: no two processes may begin
    alike.
    """

    async def story() -> None:
        begun = set()
        for _ in range(3):
            async with against(*[http()] * 3) as (client, fake):
                for _ in range(3):
                    await provision(client)
            first, *further = (
                json.loads(request.partition(b"\r\n\r\n")[2])["id"] for request in fake.requests
            )
            assert further == [first + 1, first + 2]
            assert further[-1] < 2**53  # JavaScript's plugins read no more
            begun.add(first)
        assert len(begun) == 3

    bounded(story())


def test_what_changes_something_goes_on_a_new_connection_to_a_plugin_without_extensions(
    against: Any, bounded: Any
) -> None:
    async def story() -> None:
        looked = http(b'{"result":{"Descriptions":null}}')
        async with against(looked, looked, http(), http(), looked) as (client, fake):
            counted = []
            for call in (describe, describe, provision, provision, describe):
                await call(client)
                counted.append(fake.connections)
            assert counted == [1, 1, 2, 3, 4]

    bounded(story())


def test_a_plugin_that_serves_one_connection_after_the_other_answers_everything(
    short_dir: Path, bounded: Any
) -> None:
    """It says that it keeps connections, and hears nobody else until the one it has is closed."""

    def serve(listening: socket.socket) -> None:
        while True:
            try:
                accepted, _ = listening.accept()
            except OSError:
                return
            with accepted:
                while asked := accepted.recv(65536):
                    looks = b"DescribeInstances" in asked
                    accepted.sendall(http(b'{"result":{"Descriptions":null}}') if looks else http())

    async def story() -> None:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(short_dir / "serial"))
            listening.listen()
            serving = asyncio.create_task(asyncio.to_thread(serve, listening))
            client = Client(short_dir / "serial")
            await asyncio.gather(
                *(call(client) for _ in range(4) for call in (describe, provision))
            )
            client.close()
            await asyncio.sleep(0)
            listening.shutdown(socket.SHUT_RDWR)
            await serving

    bounded(story())


def test_a_look_is_repeated_on_a_new_connection_when_an_old_one_breaks(
    against: Any, bounded: Any
) -> None:
    async def story() -> None:
        async with against(http(), None, http(b'{"result":{"Descriptions":null}}')) as (
            client,
            fake,
        ):
            await provision(client, batch=True)
            assert (await describe(client)).descriptions is None
            assert (len(fake.requests), fake.connections, client.lost) == (3, 2, 1)

    bounded(story())


def test_a_look_on_a_new_connection_is_not_repeated(against: Any, bounded: Any) -> None:
    async def story() -> None:
        async with against(None, http()) as (client, fake):
            with pytest.raises(OutcomeUnknown):
                await describe(client)
            assert len(fake.requests) == 1

    bounded(story())


def test_a_connection_closed_while_idle_is_noticed_before_it_is_used(
    against: Any, bounded: Any
) -> None:
    async def story() -> None:
        async with against(http()) as (client, fake):
            assert await provision(client) == "instance-1"
            for _ in range(5):
                await asyncio.sleep(0)
            fake.replies.append(http())
            assert await provision(client) == "instance-1"
            assert fake.connections == 2

    bounded(story())


@pytest.mark.parametrize(
    "ends",
    [socket.socket.close, lambda one: one.shutdown(socket.SHUT_WR)],
    ids=["wholly", "its half"],
)
def test_the_kernel_is_asked_whether_an_idle_connection_lives(
    short_dir: Path,
    bounded: Any,
    monkeypatch: pytest.MonkeyPatch,
    ends: Callable[[socket.socket], None],
) -> None:
    """The other side ends the connection while this loop is busy: nothing has been told to it
    yet.
    """
    # each call goes alone, in the same turn of the loop
    monkeypatch.setattr(batcher, "PROMPT", 0.0)

    async def story() -> None:
        with socket.socket(socket.AF_UNIX) as listening, ExitStack() as stack:
            listening.bind(str(short_dir / "fake"))
            listening.listen()
            listening.settimeout(10)
            client = Client(short_dir / "fake")
            for name in ("instance-1", "instance-2"):
                asked = asyncio.create_task(provision(client, batch=True))
                await asyncio.sleep(0.01)
                accepted = stack.enter_context(listening.accept()[0])
                accepted.recv(65536)
                accepted.send(http(MADE.replace(b"instance-1", name.encode())))
                assert await asked == name
                ends(accepted)
            client.close()

    bounded(story())


def test_calls_beyond_the_limit_wait_their_turn_and_connections_are_reused(
    against: Any, bounded: Any
) -> None:
    async def story() -> None:
        async with against(*[http()] * 50, limit=4) as (client, fake):
            assert (
                await asyncio.gather(*(provision(client, batch=True) for _ in range(50)))
                == ["instance-1"] * 50
            )
            assert fake.connections == 4

    bounded(story())


def test_of_the_connections_of_many_calls_at_once_one_stays(
    against: Any, bounded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "SPARE", 0.05)

    async def story() -> None:
        async with against(*[http()] * 12, limit=8) as (client, fake):
            await asyncio.gather(*(provision(client, batch=True) for _ in range(5)))
            assert (fake.connections, len(client._open)) == (5, 5)
            while len(client._open) > 1:  # noqa: ASYNC110, no event tells
                await asyncio.sleep(0.01)
            for _ in range(2):
                assert await provision(client, batch=True) == "instance-1"
            assert (fake.connections, len(client._open), client.lost) == (5, 1, 0)

    bounded(story())


def test_a_cancelled_call_leaves_no_answer_for_the_next(against: Any, bounded: Any) -> None:
    async def story() -> None:
        async with against(b"", http()) as (client, fake):
            asked = asyncio.create_task(provision(client))
            while not fake.requests:  # noqa: ASYNC110
                await asyncio.sleep(0)
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
            assert await provision(client) == "instance-1"
            assert fake.connections == 2

    bounded(story())


def test_more_than_one_answer_spoils_the_connection(against: Any, bounded: Any) -> None:
    async def story() -> None:
        second = http(MADE.replace(b"instance-1", b"instance-2"))
        async with against(http() + http(b"stray"), second) as (client, fake):
            assert await provision(client, batch=True) == "instance-1"
            assert await provision(client, batch=True) == "instance-2"
            assert fake.connections == 2

    bounded(story())


def test_a_closed_client_sends_nothing(against: Any, bounded: Any) -> None:
    async def story() -> None:
        async with against(b"", http()) as (client, fake):
            asked = asyncio.create_task(provision(client))
            while not fake.requests:  # noqa: ASYNC110
                await asyncio.sleep(0)
            client.close()
            with pytest.raises(OutcomeUnknown):
                await asked
            with pytest.raises(PluginUnavailable, match="closed"):
                await provision(client)

    bounded(story())
