"""The probe flavor against real servers: when it calls an instance healthy, when not, and whom it
tells.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from flavor.probing import checking, codes, probing, properties, run, serving
from msgspec import Raw

from ikdemo.flavor.probe import Probe
from ikdemo.spi.documents import Allocation, Description, Health, InstanceSpec
from ikdemo.spi.errors import PluginFailure, SpecError

ONE = Allocation(1)


def test_health_is_unknown_then_healthy_then_unhealthy_and_back_and_each_change_is_told() -> None:
    async def story() -> None:
        async with serving() as (server, instance), probing() as (probe, told):
            check = properties({"HTTP": "/"})
            assert await probe.healthy(check, instance) is Health.UNKNOWN
            await codes(told, "healthy")
            assert await probe.healthy(check, instance) is Health.HEALTHY
            server.status = 500
            event = await told.get()
            assert (event.code, event.text) == ("unhealthy", "i-1: HTTP status 500")
            assert await probe.healthy(check, instance) is Health.UNHEALTHY
            visits = server.visits
            server.status = 302
            await codes(told, "healthy")
            assert server.visits > visits
            assert told.empty()

    run(story)


def test_fewer_failures_in_a_row_than_the_threshold_change_nothing() -> None:
    async def story() -> None:
        async with serving() as (server, instance), probing() as (probe, told):
            await probe.healthy(properties({"HTTP": "/"}, Timeout="50ms"), instance)
            await codes(told, "healthy")
            for _ in range(5):
                server.status, before = None, server.visits
                await server.visited(before + 2)
                server.status, before = 200, server.visits
                await server.visited(before + 2)
            assert told.empty()

    run(story)


def test_an_instance_that_hangs_is_unhealthy_after_as_many_checks_as_the_threshold_says() -> None:
    async def story() -> None:
        async with serving() as (server, instance), probing() as (probe, told):
            await probe.healthy(
                properties({"HTTP": "/"}, Interval="100ms", Timeout="80ms"), instance
            )
            await codes(told, "healthy")
            await server.deserted()
            server.status, before = None, server.visits
            event = await told.get()
            assert event.text == "i-1: no answer within 0.08 s"
            assert server.visits - before == 3

    run(story)


def test_what_was_never_healthy_is_only_starting_for_a_while() -> None:
    async def story() -> None:
        nobody = Description("i-1", None, {"port": "1", "infrakit.group": "g"})
        async with probing(start_up=0.3) as (probe, told):
            began = asyncio.get_running_loop().time()
            assert await probe.healthy(properties({"TCP": True}), nobody) is Health.UNKNOWN
            await codes(told, "unhealthy")
            assert asyncio.get_running_loop().time() - began >= 0.3
            assert await probe.healthy(properties({"TCP": True}), nobody) is Health.UNHEALTHY

    run(story)


def test_connections_and_commands_are_checks_too() -> None:
    async def story() -> None:
        async with serving() as (_, instance), probing() as (probe, told):
            await probe.healthy(properties({"TCP": True}), instance)
            await codes(told, "healthy")
            await probe.drain(properties({"TCP": True}), instance)
            port = (instance.tags or {})["port"]
            good = ["sh", "-c", f'test "$INSTANCE_ID $ADDRESS $PORT" = "i-1 127.0.0.1 {port}"']
            await probe.healthy(properties({"Command": good}), instance)
            await codes(told, "healthy")
            no_port = Description("i-1", None, {"infrakit.group": "g"})
            assert await probe.healthy(properties({"Command": ["true"]}), no_port) is Health.UNKNOWN
            await codes(told, "healthy")

    run(story)


@pytest.mark.parametrize(
    ("check", "wrong"),
    [
        ({"Command": ["false"]}, "false ended with status 1"),
        ({"Command": ["sh", "-c", "sleep 1000 & sleep 1000"]}, "no answer within 0.2 s"),
        ({"Command": ["no-such-program"]}, "no such file or directory"),
        ({"TCP": True}, "connection refused"),
        ({"HTTP": "/"}, "connection refused"),
    ],
)
def test_why_an_instance_is_unhealthy_is_told(check: Any, wrong: str) -> None:
    async def story() -> None:
        async with probing(start_up=0.0) as (probe, told):
            await probe.healthy(properties(check), Description("i-1", None, {"port": "1"}))
            assert (await told.get()).text == f"i-1: {wrong}"

    run(story)


def test_what_does_not_speak_http_is_not_well() -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"x" * 200_000 if served.pop() else b"SSH-2.0-nothing\r\n")
        writer.close()

    served = [False, True]

    async def story() -> None:
        async with (
            probing(start_up=0.0) as (probe, told),
            await asyncio.start_server(babble, "127.0.0.1", 0) as listening,
        ):
            port = str(listening.sockets[0].getsockname()[1])
            for name in ("a", "b"):
                await probe.healthy(
                    properties({"HTTP": "/"}, Threshold=1, Interval="1h"),
                    Description(name, None, {"port": port}),
                )
                assert (await told.get()).code == "unhealthy"

    run(story)


def test_checks_in_flight_are_bounded() -> None:
    async def story() -> None:
        async with serving() as (server, instance), probing() as (probe, told):
            server.status = None
            for number in range(200):
                await probe.healthy(
                    properties({"HTTP": "/"}, Timeout="100ms"),
                    Description(f"i-{number}", None, instance.tags),
                )
            await server.visited(200)
            assert server.most == 64
            assert told.empty()

    run(story)


def test_what_is_drained_is_checked_no_more_at_whatever_moment_that_was() -> None:
    async def story() -> None:
        async with serving() as (server, instance), probing() as (probe, _):
            for number in range(400):
                await probe.healthy(properties({"HTTP": "/"}, Interval="10ms"), instance)
                await asyncio.sleep(number / 400 * 0.004)
                await probe.drain(properties({"HTTP": "/"}), instance)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            await server.deserted()
            assert checking() == 0

    run(story)


def test_another_check_of_the_same_instance_starts_over() -> None:
    async def story() -> None:
        async with serving() as (_, instance), probing() as (probe, told):
            await probe.healthy(properties({"HTTP": "/"}), instance)
            await codes(told, "healthy")
            assert await probe.healthy(properties({"TCP": True}), instance) is Health.UNKNOWN
            await codes(told, "healthy")

    run(story)


def test_it_adds_what_vanilla_adds() -> None:
    given = Raw(b'{"Init": ["two"], "Tags": {"tier": "web"}, "Check": {"TCP": true}}')
    spec = InstanceSpec(Raw(b"{}"), {"a": "b"}, "one")
    prepared = asyncio.run(Probe().prepare(given, spec, ONE))
    assert prepared == InstanceSpec(Raw(b"{}"), {"a": "b", "tier": "web"}, "one\ntwo")


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({}, "Check: expected one of HTTP, TCP and Command"),
        ({"Check": {"HTTP": "/", "TCP": True}}, "Check: expected one of HTTP, TCP and Command"),
        ({"Check": {"HTTP": "index.html"}}, "Check.HTTP: expected a path"),
        ({"Check": {"HTTP": "/ HTTP/1.1\r\nX: y"}}, "Check.HTTP"),
        ({"Check": {"Command": []}}, "Check.Command: expected a program"),
        ({"Check": {"TCP": True}, "Interval": "1"}, "Interval: expected a duration such as"),
        (
            {"Check": {"TCP": True}, "Timeout": "0s"},
            "Timeout: expected a duration between 10ms and 1h",
        ),
        ({"Check": {"TCP": True}, "Threshold": 0}, "Threshold: expected a whole number >= 1"),
        ({"Check": {"TCP": True}, "Init": "ls"}, "Init: expected a list"),
        (
            {"Check": {"TCP": True}, "Intervall": "1s"},
            r"^\$\.Properties\.Intervall: no such member is known, expected one of Check, ",
        ),
        (
            {"Check": {"HTTP": "/", "Port": 80}},
            r"^\$\.Properties\.Check\.Port: no such member .*one of Command, HTTP, TCP$",
        ),
    ],
)
def test_properties_that_make_no_sense_are_refused(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SpecError, match=sentence):
        asyncio.run(Probe().validate(Raw(json.dumps(wrong).encode()), ONE))


def test_an_instance_without_a_port_cannot_be_asked() -> None:
    async def story() -> None:
        async with probing() as (probe, _):
            for tags in ({}, {"port": "x"}, {"port": "70000"}, {"port": "0"}):
                with pytest.raises(PluginFailure, match="has no tag 'port'"):
                    await probe.healthy(properties({"HTTP": "/"}), Description("i-1", None, tags))

    run(story)


def test_members_are_known_in_any_letter_case_and_a_stored_group_goes_on_with_one_that_is_not() -> (
    None
):
    async def story() -> None:
        async with serving() as (_, instance), probing() as (probe, told):
            await probe.validate(
                Raw(
                    b'{"check": {"tcp": true, "HTTP": null}, "INTERVAL": "1s", "tags": {"x": '
                    b'"y"}, "init": []}'
                ),
                ONE,
            )
            await probe.healthy(properties({"TCP": True, "Port": 1}, Retries=1), instance)
            await codes(told, "healthy")

    run(story)
