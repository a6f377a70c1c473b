"""A real etcd, asked: keys, transactions, leases, watches, and what a candidate believes when
single answers are lost or late.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asking
import pytest
from engine.etcd3 import Etcd3
from engine.etcd_faults import GRANT, RENEW, TXN, Between

from ikdemo.etcd.addresses import Address
from ikdemo.etcd.election import Elected, Election
from ikdemo.etcd.endpoints import Endpoints
from ikdemo.etcd.etcd_client import (
    LARGEST_VALUE,
    EtcdClient,
    created_at,
    get,
    modified_at,
    put,
)
from ikdemo.spi.errors import CorruptState, OutcomeUnknown, PluginUnavailable, SpecError

MEMBER = Address("127.0.0.1", 2379, False)
LONG = 100.0
KEY = b"test/key"
LEADER = "test/leader"


class Hands:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time

    def wait(self, seconds: float) -> None:
        self.time += seconds


def with_client(work: Callable[[EtcdClient], Awaitable[None]]) -> None:
    async def go() -> None:
        client = EtcdClient(Endpoints([MEMBER], None, LONG))
        try:
            await work(client)
        finally:
            client.close()

    asyncio.run(go())


def election(
    address: Address, *, clock: Hands | None = None, within: float = LONG, seconds: int = 60
) -> tuple[EtcdClient, Election]:
    client = EtcdClient(Endpoints([address], None, within))
    own: dict[str, Any] = {} if clock is None else {"now": clock.now}
    return client, Election(client, LEADER.encode(), lambda: b"me", seconds, within, **own)


def test_a_transaction_does_all_or_nothing_and_reads_what_it_wrote(etcd: Etcd3) -> None:
    async def work(client: EtcdClient) -> None:
        assert (await client.look(KEY)).found is None
        made = await client.decide([created_at(KEY, 0)], [put(KEY, b"\0\xff"), get(KEY)], [])
        assert made.succeeded
        (written,) = made.found
        assert written is not None
        assert (written.key, written.value) == (KEY, b"\0\xff")
        assert written.create_revision == written.mod_revision == made.revision
        late = await client.decide(
            [created_at(KEY, 0)], [put(KEY, b"2")], [get(KEY), get(b"test/none", value=False)]
        )
        assert (late.succeeded, late.found) == (False, (written, None))
        guarded = [modified_at(KEY, written.mod_revision), created_at(KEY, made.revision)]
        assert (await client.decide(guarded, [put(KEY, b"3")], [])).succeeded
        assert not (await client.decide(guarded, [put(KEY, b"4")], [])).succeeded
        looked = await client.look(KEY)
        assert looked.found is not None
        assert (looked.found.value, looked.found.create_revision) == (b"3", made.revision)

    with_client(work)


def test_a_lease_takes_its_keys_along_and_an_unknown_one_is_over(etcd: Etcd3) -> None:
    async def work(client: EtcdClient) -> None:
        lease, seconds = await client.grant(60)
        assert seconds == 60
        assert (await client.grant(1))[1] >= 2, "etcd's shortest"
        await client.decide([], [put(KEY, b"1", lease)], [])
        assert await client.renew(lease) == 60
        await client.revoke(lease)
        assert (await client.look(KEY)).found is None
        assert await client.renew(lease) == 0
        await client.revoke(lease)

    with_client(work)


def test_the_largest_value_is_taken_and_a_larger_one_is_not_sent(etcd: Etcd3) -> None:
    async def work(client: EtcdClient) -> None:
        largest = bytes(LARGEST_VALUE)
        guards = [created_at(KEY, 0), created_at(LEADER.encode(), 0)]
        assert (await client.decide(guards, [put(KEY, largest), get(KEY, value=False)], [])).found
        looked = await client.look(KEY)
        assert looked.found is not None and looked.found.value == largest
        with pytest.raises(SpecError, match=f"has {LARGEST_VALUE + 1} bytes, and etcd takes"):
            put(KEY, largest + b"\0")

    with_client(work)


def test_a_change_is_told_also_when_it_came_before_the_watch(etcd: Etcd3) -> None:
    async def work(client: EtcdClient) -> None:
        revision = (await client.look(KEY)).revision
        waiting = asyncio.create_task(client.changed(KEY, revision + 1, LONG))
        await client.decide([], [put(b"test/other", b"1")], [])
        await asyncio.sleep(0)
        assert not waiting.done()
        await client.decide([], [put(KEY, b"1")], [])
        await waiting
        await client.changed(KEY, revision + 1, LONG)
        lease, _ = await client.grant(60)
        written = await client.decide([], [put(KEY, b"2", lease)], [])
        waiting = asyncio.create_task(client.changed(KEY, written.revision + 1, LONG))
        await client.revoke(lease)
        await waiting
        etcd.ask("/v3/kv/compaction", {"revision": etcd.revision()})
        await client.changed(KEY, revision, LONG)  # what was there then is not known any longer

    with_client(work)


def test_of_many_candidates_one_leads_and_the_next_one_has_a_greater_epoch(etcd: Etcd3) -> None:
    async def go() -> None:
        clients, elections = zip(*(election(MEMBER) for _ in range(8)), strict=True)
        epochs = [0]
        for _ in range(5):
            found = await asyncio.gather(*(one.look() for one in elections))
            (leader,) = [number for number, elected in enumerate(found) if elected]
            elected = found[leader]
            assert elected is not None and elected.epoch > epochs[-1]
            key = etcd.read(LEADER)
            assert key is not None and key.created == elected.epoch
            epochs.append(elected.epoch)
            again = await elections[leader].look()
            assert again is not None and again.epoch == elected.epoch
            others = [one for number, one in enumerate(elections) if number != leader]
            waiting = [asyncio.create_task(one.changed()) for one in others]
            await elections[leader].resign()
            await asyncio.gather(*waiting)
        for client in clients:
            client.close()

    asyncio.run(go())


def test_an_election_whose_answer_was_lost_is_found_out_with_its_own_epoch(etcd: Etcd3) -> None:
    async def go() -> None:
        async with Between(MEMBER) as between:
            client, candidate = election(between.address)
            between.lose[TXN] = 1
            with pytest.raises(OutcomeUnknown):
                await candidate.look()
            key = etcd.read(LEADER)
            assert key is not None, "it has happened"
            etcd.put("test/other", b"and time goes on")
            elected = await candidate.look()
            assert elected is not None and elected.epoch == key.created
            guarded = [created_at(LEADER.encode(), elected.epoch)]
            assert (await client.decide(guarded, [put(KEY, b"1")], [])).succeeded
            await candidate.resign()
            client.close()

    asyncio.run(go())


@pytest.mark.parametrize("late", [GRANT, TXN, RENEW])
def test_a_leader_may_act_for_a_lease_from_when_it_asked_not_from_the_answer(
    etcd: Etcd3, late: str
) -> None:
    async def go() -> None:
        clock = Hands()
        async with Between(MEMBER) as between:
            client, candidate = election(between.address, clock=clock)
            between.hold[late] = lambda: clock.wait(7.0)
            elected = await candidate.look()
            assert elected is not None and elected.until == 1000.0 + 60
            clock.time = 1010.0
            elected = await candidate.look()
            assert elected is not None and elected.until == 1010.0 + 60
            await candidate.resign()
            client.close()

    asyncio.run(go())


def test_a_renewal_without_an_answer_leaves_the_last_one_as_it_is(etcd: Etcd3) -> None:
    async def go() -> None:
        clock = Hands()
        async with Between(MEMBER) as between:
            client, candidate = election(between.address, clock=clock)
            first = await candidate.look()
            clock.time = 1059.0
            between.lose[RENEW] = 1
            with pytest.raises(OutcomeUnknown):
                await candidate.look()
            clock.time = 1061.0  # as after a pause, or a sleep of the machine
            again = await candidate.look()  # the lease is alive: the real clock has not moved
            assert first is not None and again == Elected(first.epoch, 1121.0)
            await candidate.resign()
            client.close()

    asyncio.run(go())


def test_no_setting_of_the_date_moves_the_end_of_a_term(
    etcd: Etcd3, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def go() -> None:
        client, candidate = election(MEMBER)
        first = await candidate.look()
        monkeypatch.setattr("time.time", lambda: 4e9)
        monkeypatch.setattr("time.time_ns", lambda: 4 * 10**18)
        second = await candidate.look()
        assert first is not None and second is not None
        assert first.until <= second.until < first.until + LONG
        await candidate.resign()
        client.close()

    asyncio.run(go())


def test_a_leader_whose_key_was_removed_or_replaced_by_hand_does_not_lead(etcd: Etcd3) -> None:
    async def go() -> None:
        client, candidate = election(MEMBER)
        first = await candidate.look()
        waiting = asyncio.create_task(candidate.changed())
        etcd.remove(LEADER)
        await waiting
        second = await candidate.look()
        assert first is not None and second is not None and second.epoch > first.epoch
        etcd.put(LEADER, b"by hand")
        with pytest.raises(CorruptState, match="has no lease, so no other leader"):
            await candidate.look()
        assert candidate.epoch == 0
        etcd.remove(LEADER)
        third = await candidate.look()
        assert third is not None and third.epoch > second.epoch
        await candidate.resign()
        client.close()

    asyncio.run(go())


def test_without_a_member_each_look_is_doubt_and_says_why(etcd: Etcd3) -> None:
    async def go() -> None:
        client, candidate = election(Address("127.0.0.1", 9, False))
        for _ in range(2):
            with pytest.raises(PluginUnavailable, match="connection refused"):
                await candidate.look()
            await candidate.changed()  # not at once, but soon
        client.close()

    asyncio.run(go())


def test_an_etcd_of_a_test_run_that_is_killed_is_gone(etcd: Etcd3) -> None:
    script = (
        "import signal\nfrom engine.etcd3 import Etcd3\nmade = Etcd3([1])\nmade.start()\n"
        "print(*made.pids, flush=True)\nsignal.pause()"
    )
    tests = Path(__file__).parents[1]
    with subprocess.Popen(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": f"{tests}{os.pathsep}{tests.parent}"},
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        pids = [int(pid) for pid in child.stdout.readline().split()]
        child.kill()
    assert len(pids) == 2
    asking.until(lambda: not any(is_running(pid) for pid in pids))


def is_running(pid: int) -> bool:
    """Say whether a process is there, and not only its exit status."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False
