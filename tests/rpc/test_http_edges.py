"""HTTP as it comes over a real socket: every shape of request, and the ends that bad and slow ones
find.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ikdemo.rpc import http
from ikdemo.rpc.server_connection import ServerConnection
from ikdemo.spi.documents import InstanceSpec

BODY = b'{"jsonrpc":"2.0","method":"Instance.DescribeInstances","params":{},"id":1}'
REPLY = b'{"jsonrpc":"2.0","result":{"Descriptions":[]},"id":1}\n'
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CLOSING = OK + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(REPLY) + REPLY
STAYING = OK + b"Content-Length: %d\r\n\r\n" % len(REPLY) + REPLY


def post(
    body: bytes = BODY, *headers: bytes, line: bytes = b"POST / HTTP/1.1", close: bool = True
) -> bytes:
    lines = [
        line,
        b"Host: a",
        *headers,
        b"Content-Length: %d" % len(body),
        *([b"Connection: close"] if close else []),
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


@pytest.fixture
def talk(serve: Any, plugins: Any, exchange: Any, bounded: Any) -> Callable[..., bytes]:
    """Send bytes to a freshly served plugin and return everything it says."""

    def talk(*parts: bytes, end: bool = False) -> bytes:
        said: list[bytes] = []

        async def story() -> None:
            async with serve(plugins.instances()) as server:
                said.append(await exchange(server.path, *parts, end=end))

        bounded(story())
        return said[0]

    return talk


@pytest.mark.parametrize(
    "request_bytes",
    [
        post(),
        post(line=b"POST /any/path?query=1 HTTP/1.1"),
        post(BODY, b"Content-Type: application/json"),
        post(BODY, b"content-type: Application/JSON; charset=utf-8"),
        post(BODY, b"Content-Type: application/json ;x"),
        post(BODY, b"Content-Type:"),
        post(BODY, b"Upgrade: h2c", b"HTTP2-Settings: x"),
        b"POST / HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY,
        b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\n%b\r\n%x;x=y\r\n%b\r\n0\r\nT: t\r\n\r\n" % (BODY[:5], len(BODY) - 5, BODY[5:]),
    ],
)
def test_every_well_formed_request_is_answered(
    talk: Callable[..., bytes], request_bytes: bytes
) -> None:
    assert talk(request_bytes) == CLOSING


def test_an_upgrade_is_not_made(talk: Callable[..., bytes]) -> None:
    asked = post(
        BODY,
        b"Connection: Upgrade, HTTP2-Settings",
        b"Upgrade: h2c",
        b"HTTP2-Settings: x",
        close=False,
    )
    assert talk(asked) == CLOSING


def test_a_request_may_come_byte_by_byte(talk: Callable[..., bytes]) -> None:
    assert talk(*(bytes([byte]) for byte in post())) == CLOSING


def test_a_connection_carries_many_requests_also_unasked_ones_in_order(
    talk: Callable[..., bytes],
) -> None:
    assert (
        talk(post(close=False), post(close=False) + post(close=False) + post())
        == STAYING * 3 + CLOSING
    )


def test_http_1_0_may_ask_to_stay(talk: Callable[..., bytes]) -> None:
    old = (
        b"POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: %d\r\n\r\n" % len(BODY)
        + BODY
    )
    kept = OK + b"Connection: keep-alive\r\nContent-Length: %d\r\n\r\n" % len(REPLY) + REPLY
    assert talk(old, post()) == kept + CLOSING


def test_a_client_that_has_ended_its_half_is_answered(talk: Callable[..., bytes]) -> None:
    assert talk(post(close=False), end=True).endswith(REPLY)


def test_a_notification_is_answered_with_an_empty_body(talk: Callable[..., bytes]) -> None:
    asked = post(b'{"jsonrpc":"2.0","method":"Instance.Provision"}')
    assert talk(asked) == b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


def test_a_client_that_waits_for_permission_gets_it(talk: Callable[..., bytes]) -> None:
    asked = post(BODY, b"Expect: 100-continue")
    head, body = asked[: -len(BODY)], asked[-len(BODY) :]
    assert talk(head, body) == b"HTTP/1.1 100 Continue\r\n\r\n" + CLOSING


@pytest.mark.parametrize(
    ("request_bytes", "status", "sentence"),
    [
        (
            b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
            400,
            b"400 Bad Request: missing required Host header",
        ),
        (b"garbage\r\n\r\n", 400, b"400 Bad Request"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, b"400 Bad Request"),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: "
            b"chunked\r\n\r\n0\r\n\r\n",
            400,
            b"400 Bad Request",
        ),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400, b"400 Bad Request"),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n12",
            400,
            b"400 Bad Request",
        ),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            400,
            b"400 Bad Request",
        ),
        (post(line=b"GET / HTTP/1.1"), 405, b"rpc: POST method required, received GET"),
        (post(line=b"post / HTTP/1.1"), 405, b"rpc: POST method required, received post"),
        (post(line=b"FROB / HTTP/1.1"), 405, b"rpc: POST method required, received FROB"),
        (post(line=b"CONNECT a:1 HTTP/1.1"), 405, b"rpc: POST method required, received CONNECT"),
        (
            post(BODY, b"Content-Type: text/plain"),
            415,
            b"rpc: unrecognized Content-Type: text/plain",
        ),
        (
            post(BODY, b"Content-Type: text/json ; x"),
            415,
            b"rpc: unrecognized Content-Type: text/json",
        ),
        (post(BODY, b"Origin: http://evil.example"), 403, b"requests from web pages are refused"),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8388609\r\n\r\n",
            413,
            b"a request body may have 8 MiB",
        ),
    ],
)
def test_a_refusal_is_a_plain_sentence(
    talk: Callable[..., bytes], request_bytes: bytes, status: int, sentence: bytes
) -> None:
    head, _, body = talk(request_bytes).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"Connection: close" in head
    assert body == sentence


def test_head_is_refused_without_a_body(talk: Callable[..., bytes]) -> None:
    head, _, body = talk(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 405 ")
    assert body == b""


def test_what_came_before_a_refusal_is_answered_first(talk: Callable[..., bytes]) -> None:
    said = talk(
        post(close=False) + post(close=False) + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" + post()
    )
    assert said.startswith(STAYING * 2 + b"HTTP/1.1 405 ")
    assert said.endswith(b"received GET")


def test_a_body_that_grows_too_large_is_refused_while_it_comes(talk: Callable[..., bytes]) -> None:
    chunk = b"%x\r\n" % (1 << 20) + b" " * (1 << 20) + b"\r\n"
    said = talk(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", chunk * 9)
    assert said.startswith(b"HTTP/1.1 413 ")


def test_a_body_of_just_the_limit_is_read(talk: Callable[..., bytes]) -> None:
    assert talk(post(BODY + b" " * (http.BODY_LIMIT - len(BODY)))) == CLOSING


def test_a_head_that_grows_too_large_is_refused(talk: Callable[..., bytes]) -> None:
    said = talk(b"POST / HTTP/1.1\r\nHost: a\r\n", *([b"X: " + b"x" * 1000 + b"\r\n"] * 70))
    assert said.startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    ("limit", "parts", "said"),
    [
        ("HEAD", (b"POST / HT",), b"HTTP/1.1 408 "),
        ("STALL", (post()[:-5],), b"HTTP/1.1 408 "),
        ("BODY", (post()[:-5],), b"HTTP/1.1 408 "),
        ("IDLE", (), b""),
    ],
)
def test_slow_senders_are_cut_off(
    talk: Callable[..., bytes],
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
    parts: tuple[bytes, ...],
    said: bytes,
) -> None:
    monkeypatch.setattr(http, limit, 0.1)
    heard = talk(*parts)
    assert heard.startswith(said)
    assert bool(heard) == bool(said)


def test_one_connection_that_cannot_be_ended_keeps_no_other_from_its_end(
    serve: Any,
    plugins: Any,
    bounded: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(http, "IDLE", 0.1)
    end = ServerConnection.overdue
    broken: list[ServerConnection] = []

    def overdue(self: ServerConnection) -> None:
        if not broken or self in broken:
            broken[:] = [self]
            raise RuntimeError("a slip")
        end(self)

    monkeypatch.setattr(ServerConnection, "overdue", overdue)

    async def story() -> None:
        async with serve(plugins.groups()) as server:
            talks = [await asyncio.open_unix_connection(server.path) for _ in range(3)]
            readers = {asyncio.create_task(reader.read()) for reader, _ in talks}
            while len(readers) > 1:
                _, readers = await asyncio.wait(readers, return_when=asyncio.FIRST_COMPLETED)
            assert broken
            for _, writer in talks:
                writer.close()
            await asyncio.wait(readers)

    bounded(story())
    assert "cannot be ended" in caplog.text


def test_a_client_that_never_reads_is_cut_off(
    serve: Any, plugins: Any, bounded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "BODY", 0.1)

    async def story() -> None:
        async with serve(plugins.groups()) as server:
            _, writer = await asyncio.open_unix_connection(server.path)
            spec = {"ID": "g", "Properties": "x" * 7_000_000}
            ask = [
                {"jsonrpc": "2.0", "method": "Group.CommitGroup", "params": {"Spec": spec}, "id": 1}
            ]
            ask += [{"jsonrpc": "2.0", "method": "Group.InspectGroups", "id": 1}]
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            writer.write(post(json.dumps(ask).encode(), close=False))
            with pytest.raises(ConnectionError):
                while True:
                    writer.write(b" ")
                    await writer.drain()
                    await asyncio.sleep(0.02)
            writer.close()

    bounded(story())


CURL = ("curl", "-s", "-S", "--max-time", "10", "--unix-socket")


@pytest.mark.parametrize(
    "more",
    [
        (),
        ("--http1.0",),
        ("--http2",),
        ("-H", "Transfer-Encoding: chunked"),
        ("-H", "Expect: 100-continue"),
    ],
)
def test_curl_is_answered(serve: Any, plugins: Any, bounded: Any, more: tuple[str, ...]) -> None:
    async def story() -> None:
        async with serve(plugins.instances()) as server:
            args = (
                *CURL,
                str(server.path),
                *more,
                "-H",
                "Content-Type: application/json",
                "-d",
                BODY.decode(),
                "http://a/",
            )
            curl = await asyncio.create_subprocess_exec(*args, stdout=subprocess.PIPE)
            said, _ = await curl.communicate()
            assert (curl.returncode, said) == (0, REPLY)

    bounded(story())


def test_curl_reads_the_refusal_of_a_body_that_is_too_large(
    serve: Any, plugins: Any, bounded: Any, tmp_path: Path
) -> None:
    large = tmp_path / "large"
    large.write_bytes(b" " * 20_000_000)

    async def story() -> None:
        async with serve(plugins.instances()) as server:
            for more in ((), ("-H", "Expect:")):
                args = (
                    *CURL,
                    str(server.path),
                    "-w",
                    "%{http_code}",
                    "-d",
                    f"@{large}",
                    "-H",
                    "Content-Type: application/json",
                    *more,
                )
                curl = await asyncio.create_subprocess_exec(
                    *args, "http://a/", stdout=subprocess.PIPE, stderr=sys.stderr
                )
                said, _ = await curl.communicate()
                assert said == b"a request body may have 8 MiB413"

    bounded(story())


def test_a_client_that_ends_while_a_large_answer_is_on_its_way_gets_all_of_it(
    serve: Any, plugins: Any, bounded: Any
) -> None:
    async def story() -> None:
        instances = plugins.instances()
        instances.made = {
            f"instance-{n}": (InstanceSpec(tags={"note": "x" * 1000}), None) for n in range(2000)
        }
        async with serve(instances) as server:
            reader, writer = await asyncio.open_unix_connection(str(server.path))
            writer.write(post(close=False))
            # the answer has begun, and more of it waits than the kernel takes
            await reader.readexactly(1)
            writer.write_eof()
            said = await asyncio.wait_for(reader.read(-1), 100)
            assert len(said) > 2_000_000
            writer.close()
            await writer.wait_closed()

    bounded(story())
