"""Operations that are shared: who comes while one is under way waits for it, who comes later begins
another one.
"""

from __future__ import annotations

import asyncio

from ikdemo.instance.single_flight import SingleFlight


def test_those_who_come_meanwhile_share_one() -> None:
    async def go() -> None:
        flights, go_on, begun = SingleFlight[str, int](), asyncio.Event(), 0

        async def operation() -> int:
            nonlocal begun
            begun += 1
            await go_on.wait()
            return begun

        first = flights.begin("key", operation, name="operation")
        second = flights.begin("key", operation, name="operation")
        go_on.set()
        assert (await first, await second) == (1, 1)
        assert await flights.do("key", operation, name="operation") == 2
        assert not flights.tasks

    asyncio.run(go())


def test_one_that_ended_in_this_turn_of_the_loop_is_not_shared() -> None:
    """Whoever asks again and again until it has an answer would never let the loop go on."""

    async def go() -> None:
        flights, ends, begun = SingleFlight[str, int](), asyncio.Event(), 0

        async def operation() -> int:
            nonlocal begun
            begun += 1
            ends.set()  # who waits for it runs before the callbacks of this task
            return begun

        async def another() -> int:
            await ends.wait()
            assert "key" in flights, "nobody was told yet that it has ended"
            return await flights.do("key", operation, name="operation")

        waiting = asyncio.create_task(another())
        await asyncio.sleep(0)
        assert await flights.do("key", operation, name="operation") == 1
        assert await waiting == 2
        assert not flights.tasks

    asyncio.run(go())
