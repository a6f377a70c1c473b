"""Pieces of work side by side: what waits holds back nobody, what does not wait costs no task, and
all ends together.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ikdemo.rpc.task_pool import TaskPool


def test_what_does_not_wait_is_done_in_order_and_without_another_task(bounded: Any) -> None:
    async def story() -> None:
        seen: list[int] = []

        async def do(piece: int) -> int:
            assert asyncio.current_task() is own and len(asyncio.all_tasks()) == before
            seen.append(piece)
            return piece * 2

        own, before = asyncio.current_task(), len(asyncio.all_tasks())
        assert await TaskPool(do, range(1000)).work() == [2 * n for n in range(1000)]
        assert seen == list(range(1000))

    bounded(story())


def test_a_piece_that_waits_holds_back_no_other(bounded: Any) -> None:
    async def story() -> None:
        others, done = asyncio.Event(), set[int]()

        async def do(piece: int) -> int:
            if piece % 3 == 0:  # each of them waits until every other piece is done
                await others.wait()
            elif piece % 3 == 1:  # and these go on after a turn of the loop, then wait once more
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            done.add(piece)
            if len(done) == 66:
                others.set()
            return piece

        assert await TaskPool(do, range(99)).work() == list(range(99))

    bounded(story())


def test_each_piece_that_waits_has_a_task_of_its_own_so_that_its_timeout_hits_nobody_else(
    bounded: Any,
) -> None:
    async def story() -> None:
        async def do(piece: int) -> str:
            try:
                async with asyncio.timeout(0.01 if piece % 2 else 10):
                    await asyncio.sleep(0.05)
            except TimeoutError:
                return "late"
            return "in time"

        assert await TaskPool(do, range(6)).work() == ["in time", "late"] * 3

    bounded(story())


@pytest.mark.parametrize("piece_that_fails", [0, 5, 9])
def test_an_error_ends_all_that_is_under_way(bounded: Any, piece_that_fails: int) -> None:
    async def story() -> None:
        never, before = asyncio.Event(), asyncio.all_tasks()

        async def do(piece: int) -> None:
            if piece == piece_that_fails:
                raise OSError("no")
            await never.wait()

        with pytest.raises(ExceptionGroup) as failed:
            await TaskPool(do, range(10)).work()
        assert failed.group_contains(OSError)
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == before

    bounded(story())


def test_who_gives_up_waiting_leaves_nothing_under_way(bounded: Any) -> None:
    async def story() -> None:
        never, begun, before = asyncio.Event(), asyncio.Semaphore(0), asyncio.all_tasks()

        async def do(piece: int) -> None:
            begun.release()
            await never.wait()

        working = asyncio.create_task(TaskPool(do, range(10)).work())
        for _ in range(10):
            await begun.acquire()
        working.cancel()
        await asyncio.wait([working])
        await asyncio.sleep(0)
        assert working.cancelled() and asyncio.all_tasks() == before

    bounded(story())
