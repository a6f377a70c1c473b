"""Peers by name: handshakes and their verdicts, extensions only where offered, event streams across
restarts.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest
from msgspec import Raw

from ikdemo.rpc import peers as peers_module
from ikdemo.rpc.event_ring import EventRing
from ikdemo.rpc.peers import Peers
from ikdemo.rpc.proxies import FlavorClient, GroupClient, InstanceClient
from ikdemo.spi.contracts import Fencing
from ikdemo.spi.documents import Allocation, Description, GroupSpec, Health, InstanceSpec
from ikdemo.spi.errors import (
    Fenced,
    PluginNotFound,
    PluginUnavailable,
    ProtocolError,
    RemoteFailure,
)
from ikdemo.spi.events import Event, EventBatch
from ikdemo.spi.plans import Freed

SPEC = InstanceSpec(properties=Raw(b'{"b":1.0}'), tags={"t": "v"})


@asynccontextmanager
async def peers_of(directory: Path) -> AsyncIterator[Peers]:
    peers = Peers(directory)
    try:
        yield peers
    finally:
        await peers.close()


@pytest.fixture
def foreign(short_dir: Path) -> Any:
    """Run a plugin of somebody else's: it answers each method with a document or the next one, and
    keeps what it is asked.
    """

    @asynccontextmanager
    async def running(
        results: dict[str, Any], name: str = "foreign"
    ) -> AsyncIterator[list[dict[str, Any]]]:
        asked: list[dict[str, Any]] = []

        async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while True:
                    head = await reader.readuntil(b"\r\n\r\n")
                    length = int(
                        head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                    )
                    asked.append(json.loads(await reader.readexactly(length)))
                    told = results[asked[-1]["method"]]
                    told = next(told) if isinstance(told, Iterator) else told
                    reply = (
                        told if isinstance(told, bytes) else json.dumps({"result": told}).encode()
                    )
                    writer.write(
                        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(reply), reply)
                    )
            except (asyncio.IncompleteReadError, ConnectionError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_unix_server(converse, short_dir / name)
        try:
            yield asked
        finally:
            server.close()
            (short_dir / name).unlink(missing_ok=True)

    return running


def apis(*pairs: tuple[str, str]) -> dict[str, Any]:
    return {
        "Plugin.Implements": {
            "APIs": [{"Name": name, "Version": version} for name, version in pairs]
        }
    }


def test_the_contracts_hold_across_a_socket(
    serve: Any, plugins: Any, short_dir: Path, bounded: Any
) -> None:
    async def story() -> None:
        async with (
            serve(plugins.instances(), "i"),
            serve(plugins.flavor(), "f"),
            serve(plugins.groups(), "g"),
            peers_of(short_dir) as peers,
        ):
            instance = await peers.instance("i")
            assert instance.offers == {"Slots", "Events", "Batch"} == instance.plugin.offers
            await instance.plugin.validate(Raw(b"{}"))
            with pytest.raises(RemoteFailure, match=r"^Request Properties must be set$"):
                await instance.plugin.validate(Raw(b"null"))
            assert await instance.plugin.provision(SPEC, "3") == "instance-0"
            assert await instance.plugin.describe_instances({"t": "v"}, slots=True) == [
                Description("instance-0", None, {"t": "v"}, "3")
            ]
            assert await instance.plugin.describe_instances({"t": "v"}) == [
                Description("instance-0", None, {"t": "v"})
            ]
            assert await instance.plugin.describe_instances({"t": "other"}) == []
            await instance.plugin.destroy("instance-0")

            flavor = await peers.flavor("f")
            assert flavor.offers == {"ConstantHealth", "Events", "Batch"}
            await flavor.plugin.validate(Raw(b"{}"), Allocation(size=1))
            assert await flavor.plugin.prepare(Raw(b"{}"), SPEC, Allocation(size=1)) == SPEC
            assert await flavor.plugin.healthy(Raw(b"{}"), Description("sick")) is Health.UNHEALTHY
            await flavor.plugin.drain(Raw(b"{}"), Description("sick"))

            group = await peers.group("g")
            assert await group.plugin.inspect_groups() == []
            await group.plugin.commit_group(GroupSpec("x", Raw(b'{"a":1e3}')))
            assert await group.plugin.inspect_groups() == [GroupSpec("x", Raw(b'{"a":1e3}'))]
            with pytest.raises(RemoteFailure, match=r"^Group 'y' is not being watched$"):
                await group.plugin.free_group("y")
            with pytest.raises(
                ProtocolError, match="plugin g does not offer the Reconcile extension"
            ):
                await group.plugin.why_group("x")

    bounded(story())


def test_epochs_cross_a_socket_and_what_is_fenced_is_known_again(
    serve: Any, plugins: Any, short_dir: Path, bounded: Any
) -> None:
    class Instances(plugins.instances):
        asked: ClassVar[list[Any]] = []

        async def provision(self, spec: Any, slot: Any = None, epoch: Any = None) -> str | None:
            self.asked.append(epoch)
            return await super().provision(spec, slot)

        async def destroy(self, instance: str, epoch: Any = None) -> None:
            self.asked.append(epoch)
            raise Fenced(7, 9)

        async def claim(self, group: str, epoch: int) -> None:
            self.asked.append((group, epoch))

    class Groups(plugins.groups):
        asked: ClassVar[list[Any]] = []

        async def commit_group(self, spec: Any, pretend: bool = False, epoch: Any = None) -> str:
            self.asked.append(epoch)
            return await super().commit_group(spec, pretend)

    async def story() -> None:
        fence = frozenset({"Slots", "Fence"})
        async with (
            serve(Instances(fence), "i"),
            serve(Instances(), "plain"),
            serve(Groups(), "g"),
            peers_of(short_dir) as peers,
        ):
            plugin = cast(Fencing, (await peers.instance("i")).plugin)
            await plugin.claim("web", 9)
            await plugin.provision(SPEC, "0", 9)
            with pytest.raises(Fenced, match=r"^fenced: epoch 7 is over, 9 has begun$") as caught:
                await plugin.destroy("instance-0", 7)
            assert (caught.value.epoch, caught.value.begun) == (7, 9)
            plain = cast(Fencing, (await peers.instance("plain")).plugin)
            with pytest.raises(ProtocolError, match="does not offer the Fence extension"):
                await plain.claim("web", 9)
            await plain.provision(SPEC, "0", 9)
            assert Instances.asked == [("web", 9), 9, 7, None]

            group = (await peers.group("g")).plugin
            await group.commit_group(GroupSpec("x"), False, 9)
            Groups.offers = frozenset({"Fence"})
        async with serve(Groups(), "g"), peers_of(short_dir) as peers:
            group = (await peers.group("g")).plugin
            await group.commit_group(GroupSpec("x"), False, 9)
            await group.commit_group(GroupSpec("x"))
            assert Groups.asked == [None, 9, None]

    bounded(story())


@pytest.mark.parametrize("left", [None, (), ("instance-1", "instance-2")])
def test_what_is_left_of_a_freed_group_is_told_across_a_socket(
    serve: Any, plugins: Any, short_dir: Path, bounded: Any, left: tuple[str, ...] | None
) -> None:
    class Steered(plugins.groups):
        offers = frozenset({"Reconcile"})

        async def force_free(self, group: str, force: bool = False) -> Freed:
            await self.free_group(group)
            return Freed(left, f"{group} {force}")

    async def story() -> None:
        async with serve(Steered(), "g"), peers_of(short_dir) as peers:
            group = (await peers.group("g")).plugin
            for force in (False, True):
                await group.commit_group(GroupSpec("x"))
                assert await group.force_free("x", force) == Freed(left, f"x {force}")
            with pytest.raises(RemoteFailure, match=r"^Group 'x' is not being watched$"):
                await group.force_free("x")

    bounded(story())


def test_any_plugin_is_known_by_what_it_says_it_is(
    serve: Any, plugins: Any, foreign: Any, short_dir: Path, bounded: Any
) -> None:
    async def story() -> None:
        async with (
            serve(plugins.instances(), "i"),
            serve(plugins.flavor(), "f"),
            serve(plugins.groups(), "g"),
            peers_of(short_dir) as peers,
        ):
            for name, kind in (("i", InstanceClient), ("f", FlavorClient), ("g", GroupClient)):
                assert isinstance(await peers.any(name), kind)
            async with foreign(apis(("Metadata", "0.1.0"))):
                with pytest.raises(ProtocolError, match="is no instance, flavor or group plugin"):
                    await peers.any("foreign")

    bounded(story())


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        (apis(), "Plugin does not support interface {Flavor 0.1.0}"),
        ({"Plugin.Implements": {"APIs": None}}, "Plugin does not support interface {Flavor 0.1.0}"),
        ({"Plugin.Implements": {}}, "Plugin does not support interface {Flavor 0.1.0}"),
        (apis(("Instance", "0.1.0")), "Plugin does not support interface {Flavor 0.1.0}"),
        (apis(("flavor", "0.1.0")), "Plugin does not support interface {Flavor 0.1.0}"),
        (
            apis(("Flavor", "0.2.0")),
            "Plugin supports Flavor interface version 0.2.0, client requires 0.1.0",
        ),
        (
            apis(("Flavor", "0.2.0"), ("Flavor", "0.3.0")),
            "Plugin supports Flavor interface version 0.3.0, client requires 0.1.0",
        ),
    ],
)
def test_verdicts_are_infrakits(
    foreign: Any, short_dir: Path, bounded: Any, said: dict[str, Any], verdict: str
) -> None:
    async def story() -> None:
        async with foreign(said), peers_of(short_dir) as peers:
            with pytest.raises(ProtocolError) as caught:
                await peers.flavor("foreign")
            assert str(caught.value) == verdict

    bounded(story())


def test_extensions_are_never_tried_on_a_plain_plugin(
    foreign: Any, short_dir: Path, bounded: Any
) -> None:
    results = apis(("Other", "9"), ("Slots", "0.2.0"), ("Instance", "0.1.0"))
    results |= {
        "Instance.Provision": {"ID": "instance-1"},
        "Instance.DescribeInstances": {"Descriptions": [{"ID": "instance-1", "Slot": "3"}]},
    }

    async def story() -> None:
        async with foreign(results) as asked, peers_of(short_dir) as peers:
            found = await peers.instance("foreign")
            assert found.offers == frozenset()
            assert await found.plugin.provision(SPEC, "3") == "instance-1"
            assert await found.plugin.describe_instances({}, slots=True) == [
                Description("instance-1")
            ]
        assert [list(one["params"]) for one in asked] == [[], ["Spec"], ["Tags"]]

    bounded(story())


def test_a_handshake_is_made_once_and_again_after_a_restart(
    foreign: Any, serve: Any, plugins: Any, short_dir: Path, bounded: Any
) -> None:
    plain = apis(("Instance", "0.1.0")) | {"Instance.Provision": {"ID": "instance-1"}}

    async def story() -> None:
        async with peers_of(short_dir) as peers:
            slotted = plugins.instances()
            async with serve(slotted, "foreign"):
                plugin = (await peers.instance("foreign")).plugin
                await plugin.provision(SPEC, "3")
                assert slotted.made["instance-0"][1] == "3"
            with pytest.raises(PluginUnavailable):
                await plugin.provision(SPEC, "3")
            async with foreign(plain) as asked:
                await plugin.provision(SPEC, "3")
                await plugin.provision(SPEC, "3")
                assert (await peers.instance("foreign")).offers == frozenset()
            assert [(one["method"], list(one["params"])) for one in asked] == [
                ("Plugin.Implements", []),
                ("Instance.Provision", ["Spec"]),
                ("Instance.Provision", ["Spec"]),
            ]

    bounded(story())


def test_a_plugin_is_looked_up_each_time(
    serve: Any, plugins: Any, short_dir: Path, bounded: Any
) -> None:
    async def story() -> None:
        async with peers_of(short_dir) as peers:
            with pytest.raises(PluginNotFound, match=r"^Plugin not found: i$"):
                await peers.instance("i")
            async with serve(plugins.instances(), "i"):
                assert (await peers.instance("i")).offers
            with pytest.raises(PluginNotFound):
                await peers.instance("i")

    bounded(story())


def test_a_thousand_provisions_at_once(
    serve: Any, plugins: Any, short_dir: Path, bounded: Any
) -> None:
    async def story() -> None:
        async with serve(plugins.instances(), "i"), peers_of(short_dir) as peers:
            plugin = (await peers.instance("i")).plugin
            made = await asyncio.gather(
                *(plugin.provision(SPEC, str(slot)) for slot in range(1000))
            )
            assert len(set(made)) == 1000
            assert len(await plugin.describe_instances({}, slots=True)) == 1000

    bounded(story())


def follow(peers: Peers, name: str) -> Callable[[], Any]:
    """Return a function that awaits the next batch."""
    stream = peers.events(name)
    return lambda: asyncio.wait_for(anext(stream), 100)


def test_events_come_as_they_happen_and_a_restart_is_a_gap(
    serve: Any, plugins: Any, short_dir: Path, bounded: Any
) -> None:
    async def story() -> None:
        async with peers_of(short_dir) as peers:
            batch = follow(peers, "i")
            pending = asyncio.create_task(batch())  # the plugin is not there yet
            await asyncio.sleep(0)
            ring = EventRing("i")
            ring.append(Event("lost", instance="early"))
            async with serve(plugins.instances(), "i", ring):
                first: EventBatch = await pending
                assert (first.gap, [event.instance for event in first.events]) == (True, ["early"])
                ring.append(Event("lost", instance="a"))
                second: EventBatch = await batch()
                assert (second.gap, [event.instance for event in second.events]) == (False, ["a"])
                pending = asyncio.create_task(batch())
            ring = EventRing("i")
            ring.append(Event("lost", instance="b"))
            async with serve(plugins.instances(), "i", ring):
                third: EventBatch = await pending
                assert (third.gap, [event.instance for event in third.events]) == (True, ["b"])

    bounded(story())


def test_a_ring_that_is_overrun_again_and_again_is_asked_at_once(
    serve: Any, plugins: Any, short_dir: Path, bounded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands of instances may be lost at one moment; that is no reason to hear of the next
    thousands later.
    """
    monkeypatch.setattr(peers_module, "BACK_OFF", (3600.0, 3600.0))

    async def story() -> None:
        ring = EventRing("plugin", capacity=4)
        async with serve(plugins.instances(), ring=ring), peers_of(short_dir) as peers:
            batches = peers.events("plugin")
            assert (await anext(batches)).gap
            for turn in range(20):
                asked = asyncio.ensure_future(anext(batches))
                for number in range(10):
                    ring.append(Event("lost", instance=f"{turn}-{number}"))
                assert f"{turn}-9" in [event.instance for event in (await asked).events]
            await batches.aclose()

    bounded(story())


def test_a_lost_connection_repeats_no_event(
    serve: Any, plugins: Any, short_dir: Path, bounded: Any
) -> None:
    async def story() -> None:
        async with peers_of(short_dir) as peers:
            ring = EventRing("i")
            batch = follow(peers, "i")
            async with serve(plugins.instances(), "i", ring):
                await batch()
                ring.append(Event("lost", instance="a"))
                await batch()
                next(iter(peers._streams)).close()
                ring.append(Event("lost", instance="b"))
                again: EventBatch = await batch()
                assert (again.gap, [event.instance for event in again.events]) == (True, ["b"])

    bounded(story())


def test_a_plugin_without_events_is_one_gap_until_it_is_another(
    foreign: Any, short_dir: Path, bounded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers_module, "LOOK_SECONDS", 0.01)
    plain = apis(("Instance", "0.1.0"))
    looks, identity = asyncio.Semaphore(0), peers_module.identity

    def looked(path: Path) -> Any:
        looks.release()
        return identity(path)

    monkeypatch.setattr(peers_module, "identity", looked)

    async def story() -> None:
        async with peers_of(short_dir) as peers:
            batch = follow(peers, "foreign")
            async with foreign(plain) as asked:
                assert await batch() == EventBatch("", 0, [], gap=True)
                pending = asyncio.create_task(batch())
                for _ in range(10):
                    await looks.acquire()
                assert not pending.done()
                assert len(asked) == 1
            async with foreign(plain):
                assert (await pending).gap

    bounded(story())


def told(next: object, *instances: str, stream: str = "s", gap: bool = False) -> dict[str, Any]:
    events = [{"Kind": "lost", "Instance": instance} for instance in instances]
    return {"Stream": stream, "Next": next, "Events": events, "Gap": gap}


@pytest.mark.parametrize(
    "nonsense",
    [
        told(10**30),
        told(-1),
        told(1.5),
        b'{"result":{"Stream":"s","Next":' + b"9" * 5000 + b',"Events":[],"Gap":false}}',
        b'{"result":{"Stream":"s","Next":NaN,"Events":[],"Gap":false}}',
        b'{"result":' + b"[" * 10**5 + b"]" * 10**5 + b"}",
        told(2) | {"Events": [{"Kind": "lost", "Time": 1e300}]},
        told(2) | {"Events": [{"Kind": "lost", "Slot": "9" * 5000}]},
        b"hello",
        b'{"error":{"code":1,"message":"no events today"}}',
    ],
)
def test_a_stream_that_makes_no_sense_is_begun_again_with_a_gap(
    foreign: Any,
    short_dir: Path,
    bounded: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    nonsense: object,
) -> None:
    monkeypatch.setattr(peers_module, "BACK_OFF", (0.001, 0.002))
    script = [told(1), nonsense, told(1), nonsense, told(1), told(2, "a"), told(3, "b")]
    answers = apis(("Instance", "0.1.0"), ("Events", "0.1.0")) | {"Events.Watch": iter(script)}

    async def story() -> None:
        async with peers_of(short_dir) as peers, foreign(answers):
            batch = follow(peers, "foreign")
            told = [await batch() for _ in range(5)]
        assert [batch.gap for batch in told] == [True, True, True, False, False]
        assert [[event.instance for event in batch.events] for batch in told] == [
            [],
            [],
            [],
            ["a"],
            ["b"],
        ]

    bounded(story())
    assert caplog.text.count("The events of plugin foreign are asked for anew: ") == 1


def test_the_oftener_a_stream_makes_no_sense_the_seldomer_it_is_asked(
    foreign: Any, short_dir: Path, bounded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However good each beginning is: a gap makes groups look at the world."""
    paused: list[float] = []
    sleep = asyncio.sleep

    def note(seconds: float) -> Any:
        paused.append(seconds)
        return sleep(0)

    monkeypatch.setattr(peers_module.asyncio, "sleep", note)
    script = [told(1), told(-1)] * 9
    answers = apis(("Instance", "0.1.0"), ("Events", "0.1.0")) | {"Events.Watch": iter(script)}

    async def story() -> None:
        async with peers_of(short_dir) as peers, foreign(answers):
            batch = follow(peers, "foreign")
            for _ in range(9):
                await batch()

    bounded(story())
    assert [seconds for seconds in paused if seconds][:8] == [
        0.2,
        0.4,
        0.8,
        1.6,
        3.2,
        5.0,
        5.0,
        5.0,
    ]


@pytest.mark.parametrize(
    "told_at_once",
    [told(1), told(1, "a"), told(0, "a"), told(2, "a", gap=True), told(2, gap=True)],
    ids=["nothing", "no further events", "earlier ones", "events and a gap", "a gap"],
)
def test_a_plugin_that_answers_without_waiting_is_not_asked_without_waiting(
    foreign: Any,
    short_dir: Path,
    bounded: Any,
    monkeypatch: pytest.MonkeyPatch,
    told_at_once: dict[str, Any],
) -> None:
    paused: list[float] = []
    sleep = asyncio.sleep

    def note(seconds: float) -> Any:
        paused.append(seconds)
        return sleep(0)

    monkeypatch.setattr(peers_module.asyncio, "sleep", note)
    script = [told(1), *[told_at_once] * 8, told(7, "end")]
    answers = apis(("Instance", "0.1.0"), ("Events", "0.1.0")) | {"Events.Watch": iter(script)}

    async def story() -> None:
        async with peers_of(short_dir) as peers, foreign(answers):
            batch = follow(peers, "foreign")
            while [event.instance for event in (await batch()).events] != ["end"]:
                pass

    bounded(story())
    assert [seconds for seconds in paused if seconds][:8] == [
        0.1,
        0.2,
        0.4,
        0.8,
        1.6,
        3.2,
        5.0,
        5.0,
    ]


def test_another_stream_is_a_gap_even_if_its_plugin_says_there_is_none(
    foreign: Any, short_dir: Path, bounded: Any
) -> None:
    script = [told(1), told(2, "a"), told(3, "b", stream="other"), told(4, "c", stream="other")]
    answers = apis(("Instance", "0.1.0"), ("Events", "0.1.0")) | {"Events.Watch": iter(script)}

    async def story() -> None:
        async with peers_of(short_dir) as peers, foreign(answers):
            batch = follow(peers, "foreign")
            assert [(await batch()).gap for _ in range(4)] == [True, False, True, False]

    bounded(story())


def test_a_closed_lookup_ends_its_streams(
    serve: Any, plugins: Any, short_dir: Path, bounded: Any
) -> None:
    async def story() -> None:
        peers = Peers(short_dir)
        async with serve(plugins.instances(), "i"):
            batch = follow(peers, "i")
            await batch()
            pending = asyncio.create_task(batch())
            await asyncio.sleep(0)
            await peers.close()
            with pytest.raises(StopAsyncIteration):
                await pending

    bounded(story())
