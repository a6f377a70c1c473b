"""Taking and giving back a socket's path, with real processes that are killed, and ending in
order.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ikdemo.rpc import dispatch
from ikdemo.rpc import server as server_module
from ikdemo.rpc.client import Client
from ikdemo.rpc.client_connection import ClientConnection
from ikdemo.rpc.discovery import LONGEST_PATH, listing
from ikdemo.rpc.event_ring import EventRing
from ikdemo.rpc.methods import DESCRIBE_INSTANCES, PROVISION, WATCH
from ikdemo.rpc.server import Server
from ikdemo.rpc.server_connection import ServerConnection
from ikdemo.spi.documents import InstanceSpec
from ikdemo.spi.errors import InUse, SpecError
from ikdemo.spi.events import Cursor, EventBatch
from ikdemo.spi.messages import DescribeInstances, Descriptions, Provision, Provisioned, Watch

OTHER = """
import asyncio, sys
from pathlib import Path
from ikdemo.rpc.event_ring import EventRing
from ikdemo.rpc.server import Server

class Other:
    interface, offers = "Flavor", frozenset()

async def main():
    await Server(Other(), Path(sys.argv[1]), EventRing("other")).start()
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


FOLLOWER = """
import errno, socket, sys

refused = 0
for path in sys.argv[1:]:
    with socket.socket(socket.AF_UNIX) as client:
        while outcome := client.connect_ex(path):
            if outcome != errno.ENOENT:
                assert outcome == errno.ECONNREFUSED, outcome
                refused += 1
    print(refused, flush=True)
"""


def start_other(path: Path) -> subprocess.Popen[str]:
    """Serve a plugin from another process."""
    other = subprocess.Popen(
        [sys.executable, "-c", OTHER, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert other.stdout
    assert other.stdout.readline() == "ready\n"
    return other


def end(other: subprocess.Popen[str]) -> None:
    other.kill()
    other.wait()
    assert other.stdout
    other.stdout.close()
    if other.stderr:
        other.stderr.close()


async def until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110, nothing tells when the other side has got so far
        await asyncio.sleep(0)


async def describe(path: Path) -> Descriptions:
    client = Client(path)
    try:
        method = DESCRIBE_INSTANCES
        return await client.call(method.wire, DescribeInstances({}), method.result, 100.0)
    finally:
        client.close()
        await asyncio.sleep(0)


def test_the_socket_is_for_its_owner_alone_and_goes_at_the_end(
    serve: Any, plugins: Any, bounded: Any
) -> None:
    async def story() -> None:
        async with serve(plugins.instances()) as server:
            assert server.path.stat().st_mode & 0o777 == 0o600
            assert (await describe(server.path)).descriptions == []
        assert not server.path.exists()
        await server.stop()

    bounded(story())


def test_connections_that_are_lost_are_gone_without_the_collector(
    serve: Any, plugins: Any, bounded: Any
) -> None:
    """What waits for the collector is thousands of connections, and the process keeps the room for
    them.
    """

    def connections() -> dict[int, object]:
        found = (
            one for one in gc.get_objects() if isinstance(one, ServerConnection | ClientConnection)
        )
        return {id(one): one for one in found}

    async def story() -> None:
        async with serve(plugins.instances()) as server:
            gc.collect()
            before = connections()  # other tests may have left some
            gc.disable()
            try:
                for _ in range(5):
                    await describe(server.path)
                await until(lambda: connections().keys() <= before.keys())
            finally:
                gc.enable()

    bounded(story())


def test_the_directory_is_made(short_dir: Path, plugins: Any, bounded: Any) -> None:
    async def story() -> None:
        server = Server(plugins.instances(), short_dir / "new" / "plugin", EventRing("plugin"))
        await server.start()
        await server.stop()
        assert (short_dir / "new").stat().st_mode & 0o777 == 0o700

    bounded(story())


def test_a_stale_socket_is_replaced_and_a_live_one_never(
    serve: Any, short_dir: Path, plugins: Any, bounded: Any
) -> None:
    other = start_other(short_dir / "plugin")

    async def story() -> None:
        with pytest.raises(InUse, match="plugin is already served by a live plugin"):
            async with serve(plugins.instances()):
                pass
        assert (short_dir / "plugin").is_socket()
        os.kill(other.pid, signal.SIGSTOP)  # one that hangs still lives
        with pytest.raises(InUse):
            async with serve(plugins.instances()):
                pass
        end(other)
        assert (short_dir / "plugin").is_socket()
        async with serve(plugins.instances()) as server:
            assert (await describe(server.path)).descriptions == []

    try:
        bounded(story())
    finally:
        end(other)


def test_a_full_queue_is_a_sign_of_life(
    serve: Any, short_dir: Path, plugins: Any, bounded: Any
) -> None:
    async def story() -> None:
        with socket.socket(socket.AF_UNIX) as full, socket.socket(socket.AF_UNIX) as first:
            full.bind(str(short_dir / "plugin"))
            full.listen(0)
            first.connect(str(short_dir / "plugin"))
            with pytest.raises(InUse):
                async with serve(plugins.instances()):
                    pass

    bounded(story())


def test_a_socket_that_is_there_is_never_one_that_does_not_listen(
    short_dir: Path, plugins: Any, bounded: Any
) -> None:
    """A process asks for each of many plugins again and again, until it is there."""
    paths = [short_dir / f"plugin-{number}" for number in range(500)]
    follower = subprocess.Popen(
        [sys.executable, "-c", FOLLOWER, *map(str, paths)], stdout=subprocess.PIPE, text=True
    )

    async def story() -> None:
        assert follower.stdout
        refused = ""
        for path in paths:
            server = Server(plugins.instances(), path, EventRing(path.name))
            await server.start()
            refused = follower.stdout.readline()
            await server.stop()
        assert refused == "0\n"

    try:
        bounded(story())
    finally:
        end(follower)


def test_what_a_plugin_left_that_was_killed_before_it_listened_is_removed(
    serve: Any, short_dir: Path, plugins: Any, bounded: Any
) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(short_dir / "plugi~"))

    def there() -> list[Path]:
        return list(short_dir.iterdir())

    async def story() -> None:
        assert listing(short_dir) == []
        async with serve(plugins.instances()) as server:
            assert there() == [server.path]
        (short_dir / "plugi~").write_text("precious")
        with pytest.raises(SpecError, match="cannot be made"):
            async with serve(plugins.instances()):
                pass

    bounded(story())
    assert (short_dir / "plugi~").read_text() == "precious"


def test_a_path_of_107_bytes_is_served(short_dir: Path, plugins: Any, bounded: Any) -> None:
    path = short_dir / ("x" * (LONGEST_PATH - len(str(short_dir)) - 1))

    async def story() -> None:
        server = Server(plugins.instances(), path, EventRing("long"))
        await server.start()
        assert (await describe(path)).descriptions == []
        await server.stop()

    bounded(story())


def test_of_many_that_want_one_name_at_once_one_gets_it(short_dir: Path) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(short_dir / "plugin"))
    command = [sys.executable, "-c", OTHER, str(short_dir / "plugin")]
    rivals = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    losers = []
    for rival in rivals:
        assert rival.stdout
        if rival.stdout.readline() != "ready\n":
            assert rival.stderr
            losers.append(rival.stderr.read())
    for rival in rivals:
        end(rival)
    assert len(losers) == 3
    assert all("InUse: plugin is already served by a live plugin" in said for said in losers)


def test_something_else_in_the_way_is_left_alone(
    serve: Any, short_dir: Path, plugins: Any, bounded: Any
) -> None:
    (short_dir / "plugin").write_text("precious")

    async def story() -> None:
        with pytest.raises(SpecError, match="is not a socket"):
            async with serve(plugins.instances()):
                pass

    bounded(story())
    assert (short_dir / "plugin").read_text() == "precious"


def test_a_path_too_long_is_refused(serve: Any, plugins: Any, bounded: Any) -> None:
    async def story() -> None:
        with pytest.raises(SpecError, match="may have 107"):
            async with serve(plugins.instances(), name="x" * 120):
                pass

    bounded(story())


def test_a_directory_locked_by_somebody_else_is_not_waited_for_for_ever(
    serve: Any, short_dir: Path, plugins: Any, bounded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    monkeypatch.setattr("ikdemo.rpc.listener.LOCK_WAIT", 0.05)
    held = os.open(short_dir, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)

    async def story() -> None:
        with pytest.raises(InUse, match="locked by another process"):
            async with serve(plugins.instances()):
                pass

    try:
        bounded(story())
    finally:
        os.close(held)


def test_a_socket_that_has_a_new_owner_is_left_to_it(
    serve: Any, plugins: Any, bounded: Any
) -> None:
    async def story() -> None:
        async with serve(plugins.instances()) as server:
            server.path.unlink()
            with socket.socket(socket.AF_UNIX) as owner:
                owner.bind(str(server.path))
        assert server.path.is_socket()

    bounded(story())


def test_a_connection_that_cannot_be_served_is_closed_and_said_and_the_next_one_is_served(
    serve: Any,
    plugins: Any,
    bounded: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def no_room(*_: object) -> ServerConnection:
        raise OSError(errno.ENOSPC, "no room to watch one more")

    async def story() -> None:
        async with serve(plugins.instances()) as server:
            with monkeypatch.context() as patched:
                patched.setattr(server_module, "ServerConnection", no_room)
                reader, writer = await asyncio.open_unix_connection(server.path)
                assert await reader.read() == b""
                writer.close()
            assert (await describe(server.path)).descriptions == []

    bounded(story())
    assert "A connection cannot be served" in caplog.text


def test_what_is_at_work_is_answered_before_the_end(serve: Any, plugins: Any, bounded: Any) -> None:
    async def story() -> None:
        plugin = plugins.instances()
        plugin.gate.clear()
        async with serve(plugin) as server:
            client, idle = Client(server.path), Client(server.path)
            await idle.call(
                DESCRIBE_INSTANCES.wire, DescribeInstances({}), Descriptions, 100.0, reads=True
            )
            asked = asyncio.create_task(
                client.call(PROVISION.wire, Provision(InstanceSpec()), Provisioned, 100.0)
            )
            await plugin.entered.wait()
            stopping = asyncio.create_task(server.stop())
            await until(lambda: idle.lost > 0 and not server.path.exists())
            plugin.gate.set()
            assert (await asked).id == "instance-0"
            await asyncio.wait_for(stopping, 100)

    bounded(story())


def test_what_takes_too_long_is_cut_off_at_the_end(serve: Any, plugins: Any, bounded: Any) -> None:
    async def story() -> None:
        plugin = plugins.instances()
        plugin.gate.clear()
        async with serve(plugin) as server:
            client = Client(server.path)
            asked = asyncio.create_task(
                client.call(PROVISION.wire, Provision(InstanceSpec()), Provisioned, 100.0)
            )
            await plugin.entered.wait()
            await server.stop(grace=0.05)
            with pytest.raises(Exception, match="it may have happened"):
                await asked
        assert plugin.made == {}

    bounded(story())


def test_a_long_poll_does_not_delay_the_end(serve: Any, plugins: Any, bounded: Any) -> None:
    async def story() -> None:
        ring = EventRing("plugin")
        async with serve(plugins.instances(), ring=ring) as server:
            client = Client(server.path)
            first = await client.call(WATCH.wire, Watch(), EventBatch, 100.0)
            ask = Watch(Cursor(first.stream, first.next), 50.0)
            waiting = asyncio.create_task(client.call(WATCH.wire, ask, EventBatch, 60.0))
            await until(lambda: bool(ring._waiting))
            await asyncio.wait_for(server.stop(), 40)
            assert (await waiting).events == []

    bounded(story())


def test_a_thousand_connections_at_once_are_served(serve: Any, plugins: Any, bounded: Any) -> None:
    async def story() -> None:
        plugin = plugins.instances()
        plugin.gate.clear()
        async with serve(plugin) as server:
            client = Client(server.path, limit=1000)
            asks = [
                client.call(PROVISION.wire, Provision(InstanceSpec()), Provisioned, 15.0)
                for _ in range(1000)
            ]
            answered = asyncio.gather(*asks)
            await plugin.entered.wait()
            plugin.gate.set()
            assert len({reply.id for reply in await answered}) == 1000
            client.close()

    bounded(story())


def test_calls_at_work_are_bounded_and_long_polls_do_not_count(
    serve: Any, plugins: Any, bounded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "AT_WORK", 3)
    inside, most = 0, 0

    class Counting(plugins.instances):  # type: ignore[misc]
        async def provision(self, spec: InstanceSpec, slot: str | None = None) -> str | None:
            nonlocal inside, most
            inside += 1
            most = max(most, inside)
            made = await super().provision(spec, slot)
            inside -= 1
            return made

    async def story() -> None:
        plugin = Counting()
        plugin.gate.clear()
        async with serve(plugin) as server:
            client = Client(server.path, limit=20)
            asked = [
                client.call(PROVISION.wire, Provision(InstanceSpec()), Provisioned, 15.0)
                for _ in range(10)
            ]
            answered = asyncio.gather(*asked)
            await until(lambda: inside == 3)
            for _ in range(10):  # each is asked after what waits, and answered
                assert (
                    await client.call(WATCH.wire, Watch(timeout=0.0), EventBatch, 100.0)
                ).events == []
            assert inside == 3
            plugin.gate.set()
            assert len({reply.id for reply in await answered}) == 10
            client.close()
        assert most == 3

    bounded(story())
