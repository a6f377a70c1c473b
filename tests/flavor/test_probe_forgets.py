"""What the probe flavor keeps is bounded: instances that are gone are forgotten, by time and by
number.
"""

from __future__ import annotations

import asyncio
import gc
import tracemalloc

import pytest
from flavor.probing import checking, codes, probing, properties, run, serving

from ikdemo.flavor import probe as module
from ikdemo.spi.documents import Description, Health
from ikdemo.spi.errors import PluginFailure

CHECK = properties({"HTTP": "/"})


def gone(number: int) -> Description:
    return Description(f"gone-{number}", None, {"port": "1", "infrakit.group": "g"})


async def only_checking(count: int) -> None:
    """Wait until so many instances are checked."""
    while checking() != count:  # noqa: ASYNC110  nothing tells of it
        await asyncio.sleep(0.01)


def test_what_nobody_asks_about_is_named_once_and_then_forgotten() -> None:
    async def story() -> None:
        async with serving() as (_, instance), probing(forget_after=0.4) as (probe, told):
            await probe.healthy(CHECK, instance)
            await codes(told, "healthy", "unasked")
            assert checking() == 1
            await only_checking(0)
            assert told.empty()
            assert await probe.healthy(CHECK, instance) is Health.UNKNOWN

    run(story)


def test_what_is_asked_about_is_neither_named_nor_forgotten() -> None:
    async def story() -> None:
        async with serving() as (server, instance), probing(forget_after=1.0) as (probe, told):
            await probe.healthy(CHECK, instance)
            await codes(told, "healthy")
            await probe.healthy(CHECK, gone(1))
            # twice as long as it takes to forget one that nobody asks about and that does not
            # answer
            while checking() == 2:
                assert await probe.healthy(CHECK, instance) is Health.HEALTHY
                await server.visited(server.visits + 1)
            assert [told.get_nowait().instance for _ in range(told.qsize())] == ["gone-1"]

    run(story)


def test_what_does_not_answer_is_forgotten_long_before_what_does() -> None:
    async def story() -> None:
        async with serving() as (_, instance), probing(forget_after=6.0) as (probe, told):
            await probe.healthy(CHECK, instance)
            await codes(told, "healthy")
            for number in range(20):
                await probe.healthy(CHECK, gone(number))
            await only_checking(1)
            assert await probe.healthy(CHECK, instance) is Health.HEALTHY
            assert {told.get_nowait().code for _ in range(20)} == {"unasked"} and told.empty()

    run(story)


def test_when_there_is_no_room_what_is_gone_makes_it_and_what_lives_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST", 4)

    async def story() -> None:
        async with serving() as (_, instance), probing(forget_after=3600.0) as (probe, told):
            await probe.healthy(CHECK, instance)
            await codes(told, "healthy")
            for number in range(3):
                await probe.healthy(CHECK, gone(number))
            with pytest.raises(PluginFailure, match="no more than 4 instances can be watched"):
                await probe.healthy(CHECK, gone(3))
            for watched in probe._monitored.values():  # an hour ago, gone-1 first
                watched.asked -= 3600.0 + (watched.instance.id == "gone-1")
            await probe.healthy(CHECK, gone(3))
            assert set(probe._monitored) == {"i-1", "gone-0", "gone-2", "gone-3"}
            for number in range(4, 6):
                await probe.healthy(CHECK, gone(number))
            with pytest.raises(PluginFailure, match="no more than 4"):
                await probe.healthy(CHECK, gone(6))
            assert set(probe._monitored) == {"i-1", "gone-3", "gone-4", "gone-5"}
            await asyncio.sleep(0)
            assert checking() == 4

    run(story)


def test_five_hundred_instances_that_came_and_went_leave_nothing_behind() -> None:
    async def story() -> None:
        async with serving() as (server, instance), probing() as (probe, _):

            async def come_and_go(turn: int) -> int:
                tags = [instance.tags if number % 2 else {"port": "1"} for number in range(50)]
                come = [
                    Description(f"i-{turn}-{number}", None, tags[number]) for number in range(50)
                ]
                before = server.visits
                for one in come:
                    await probe.healthy(CHECK, one)
                await server.visited(before + 25)
                for one in come:
                    await probe.drain(CHECK, one)
                await only_checking(0)
                await server.deserted()
                # connections that were given up are closed in the next turns of the loop
                for _ in range(5):
                    await asyncio.sleep(0)
                gc.collect()
                return tracemalloc.get_traced_memory()[0]

            tracemalloc.start()
            try:
                held = [await come_and_go(turn) for turn in range(10)]
            finally:
                tracemalloc.stop()
            # four hundred and fifty instances, each of some thousands of bytes
            assert max(held) - held[0] < 500_000, held

    run(story)
