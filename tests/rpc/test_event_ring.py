"""The event ring and its long poll: nothing is skipped in silence, nobody waits longer than asked,
memory is bounded.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

import pytest

from ikdemo.rpc.event_ring import BATCH, EventRing
from ikdemo.spi.decode import decode, encode
from ikdemo.spi.events import Cursor, Event, EventBatch


def names(batch: EventBatch) -> list[str]:
    return [event.instance for event in batch.events]


def after(batch: EventBatch) -> Cursor:
    return Cursor(batch.stream, batch.next)


def test_a_new_reader_gets_what_is_held_and_a_gap(bounded: Any) -> None:
    async def story() -> None:
        ring = EventRing("instance-file")
        before = time.time()
        ring.append(Event("lost", instance="a"))
        batch = await ring.watch(Cursor(), 100.0)
        assert (names(batch), batch.gap) == (["a"], True)
        assert batch.events[0].plugin == "instance-file"
        assert before <= batch.events[0].time <= time.time()
        assert (await ring.watch(after(batch), 0.0)).events == []

    bounded(story())


def test_a_waiting_reader_wakes_with_the_next_event(bounded: Any) -> None:
    async def story() -> None:
        ring = EventRing("p")
        cursor = after(await ring.watch(Cursor(), 0.0))
        waiting = asyncio.create_task(ring.watch(cursor, 60.0))
        await asyncio.sleep(0)
        ring.append(Event("lost", instance="a"))
        ring.append(Event("lost", instance="b"))
        batch = await waiting
        assert (names(batch), batch.gap) == (["a", "b"], False)

    bounded(story())


def test_an_empty_answer_comes_when_the_time_is_up(bounded: Any) -> None:
    async def story() -> None:
        ring = EventRing("p")
        cursor = after(await ring.watch(Cursor(), 0.0))
        began = time.monotonic()
        batch = await ring.watch(cursor, 0.05)
        assert time.monotonic() - began > 0.04
        assert batch == EventBatch(cursor.stream, cursor.next, [])
        assert (await ring.watch(cursor, -1.0)).events == []

    bounded(story())


def test_tags_choose_events_and_the_cursor_passes_the_others(bounded: Any) -> None:
    async def story() -> None:
        ring = EventRing("p")
        cursor = after(await ring.watch(Cursor(), 0.0))
        waiting = asyncio.create_task(ring.watch(cursor, 60.0, {"tier": "web"}))
        await asyncio.sleep(0)
        ring.append(Event("lost", instance="db", tags={"tier": "db"}))
        await asyncio.sleep(0)
        ring.append(Event("reported", instance="untagged"))
        batch = await waiting
        assert names(batch) == ["untagged"]
        ring.append(Event("lost", instance="web", tags={"tier": "web", "x": "y"}))
        ring.append(Event("lost", instance="db", tags={"tier": "db"}))
        batch = await ring.watch(after(batch), 0.0, {"tier": "web"})
        assert names(batch) == ["web"]
        assert (await ring.watch(after(batch), 0.0)).events == []

    bounded(story())


def test_a_reader_that_fell_behind_is_told(bounded: Any) -> None:
    async def story() -> None:
        ring = EventRing("p", capacity=3)
        cursor = after(await ring.watch(Cursor(), 0.0))
        for n in range(3):
            ring.append(Event("lost", instance=str(n)))
        batch = await ring.watch(cursor, 0.0)
        assert (names(batch), batch.gap) == (["0", "1", "2"], False)
        ring.append(Event("lost", instance="3"))
        batch = await ring.watch(cursor, 0.0)
        assert (names(batch), batch.gap) == (["1", "2", "3"], True)

    bounded(story())


def test_cursors_of_another_process_or_from_the_future_are_gaps(bounded: Any) -> None:
    async def story() -> None:
        earlier, ring = EventRing("p"), EventRing("p")
        cursor = after(await earlier.watch(Cursor(), 0.0))
        assert (await ring.watch(cursor, 60.0)).gap
        own = await ring.watch(Cursor(), 0.0)
        assert (await ring.watch(Cursor(own.stream, own.next + 1), 60.0)).gap

    bounded(story())


def test_long_histories_come_in_several_answers(bounded: Any) -> None:
    async def story() -> None:
        ring = EventRing("p")
        for n in range(BATCH + 1):
            ring.append(Event("lost", instance=str(n)))
        batch = await ring.watch(Cursor(), 0.0)
        assert (len(batch.events), batch.gap) == (BATCH, True)
        batch = await ring.watch(after(batch), 0.0)
        assert (names(batch), batch.gap) == ([str(BATCH)], False)

    bounded(story())


def test_the_longest_waiting_reader_makes_room(bounded: Any) -> None:
    async def story() -> None:
        ring = EventRing("p", watchers=2)
        cursor = after(await ring.watch(Cursor(), 0.0))
        readers = [asyncio.create_task(ring.watch(cursor, 60.0)) for _ in range(3)]
        assert (await readers[0]).events == []
        assert not readers[1].done()
        ring.append(Event("lost", instance="a"))
        assert [names(await reader) for reader in readers[1:]] == [["a"], ["a"]]

    bounded(story())


def test_a_reader_that_went_away_makes_room_and_hinders_nobody(bounded: Any) -> None:
    async def story() -> None:
        ring = EventRing("p", watchers=1)
        cursor = after(await ring.watch(Cursor(), 0.0))
        gone = asyncio.create_task(ring.watch(cursor, 60.0))
        while not ring._waiting:  # noqa: ASYNC110
            await asyncio.sleep(0)
        gone.cancel()  # and has not had its turn when the next one comes
        assert (await ring.watch(cursor, 0.01)).events == []

    bounded(story())


@pytest.mark.parametrize(
    "event",
    [
        Event("reported", text=os.fsdecode(b"/caf\xe9/readme")),
        Event("lost", instance="\ud800", slot="\udfff", tags={"\ud83d": "\ude00"}),
        Event(
            "reported",
            text="x" * 10**6,
            instance="y" * 10**6,
            slot="9" * 5000,
            group="\x00" * 10**5,
        ),
        Event("provisioned", tags={str(n): "z" * 1000 for n in range(1000)}),
    ],
)
def test_whatever_a_plugin_tells_is_read_by_its_readers(bounded: Any, event: Event) -> None:
    async def story() -> None:
        ring = EventRing("p")
        ring.append(Event("lost", instance="before"))
        ring.append(event)
        ring.append(Event("lost", instance="after"))
        read = decode(encode(await ring.watch(Cursor(), 0.0)), EventBatch)
        assert [names(read)[0], names(read)[2]] == ["before", "after"]
        assert read.events[1].kind == event.kind
        assert len(encode(read)) < 2**20

    bounded(story())


def test_what_is_kept_and_what_is_answered_is_bounded_in_size(bounded: Any) -> None:
    async def story() -> None:
        ring = EventRing("p")
        tags = {"t": "x" * 60_000}
        for n in range(600):
            ring.append(Event("lost", instance=str(n), tags=tags))
        batch = await ring.watch(Cursor(), 0.0)
        told = []
        while batch.events:
            assert len(encode(batch)) < 2**21
            told += names(batch)
            batch = await ring.watch(after(batch), 0.0)
            assert not batch.gap
        assert told == [str(n) for n in range(600 - len(told), 600)]
        assert 200 < len(told) < 300

    bounded(story())


def test_a_closed_ring_keeps_nobody_waiting(bounded: Any) -> None:
    async def story() -> None:
        ring = EventRing("p")
        cursor = after(await ring.watch(Cursor(), 0.0))
        waiting = asyncio.create_task(ring.watch(cursor, 60.0))
        await asyncio.sleep(0)
        ring.close()
        assert (await waiting).events == []
        assert (await ring.watch(cursor, 60.0)).events == []

    bounded(story())
