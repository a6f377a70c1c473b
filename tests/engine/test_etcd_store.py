"""The global spec and the leader in a real etcd: what a save demands, and what is in the way of
one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest
from engine.contest import GROUPS, LEADER
from engine.etcd3 import Etcd3
from engine.etcd_faults import TXN, Between
from msgspec import Raw

from ikdemo.etcd.addresses import Address
from ikdemo.manager.backend import Backend, Kept, Term
from ikdemo.manager.global_spec import GlobalSpec, as_json
from ikdemo.manager.stores.etcd_store import EtcdBackend
from ikdemo.spi.documents import GroupSpec
from ikdemo.spi.errors import (
    CorruptState,
    Fenced,
    IkdemoError,
    LeaseLost,
    OutcomeUnknown,
    SpecError,
    VersionConflict,
)

MEMBER = "127.0.0.1:2379"
LONG = 100.0
V0_5 = b"""{"Groups": {"web": {"Plugin": "group-stateless",
  "Properties": {"ID": "web", "Properties": {"Allocation": {"Size": 3}}}}}}"""


def store(name: str = "group", endpoint: str = MEMBER, lease: float = 60.0) -> EtcdBackend:
    return EtcdBackend(name, [endpoint], within=LONG, lease=lease)


def with_stores(work: Callable[[EtcdBackend, EtcdBackend], Awaitable[None]]) -> None:
    async def go() -> None:
        one, other = store("one"), store("other")
        try:
            await work(one, other)
        finally:
            await one.stop()
            await other.stop()

    asyncio.run(go())


def web(size: int) -> GlobalSpec:
    properties = Raw(b'{"Size":%d}' % size)
    return GlobalSpec().with_group(GroupSpec("web", properties), "group-stateless")


def told(kept: Kept) -> tuple[bytes, object]:
    return as_json(kept.spec), kept.version


async def led(candidate: Backend) -> Term:
    await candidate.start()
    term = await candidate.look()
    assert term is not None
    return term


def test_what_is_saved_is_plain_json_where_infrakit_0_5_has_it(etcd: Etcd3) -> None:
    async def work(one: EtcdBackend, other: EtcdBackend) -> None:
        empty = await one.load()
        assert empty.spec == GlobalSpec()
        saved = await one.save(web(3), empty, await led(one))
        found = etcd.read(GROUPS)
        assert found is not None and found.value is not None
        assert json.loads(found.value) == {
            "Groups": {
                "web": {
                    "Plugin": "group-stateless",
                    "Properties": {"ID": "web", "Properties": {"Size": 3}},
                }
            }
        }
        assert told(await one.load()) == told(await other.load()) == told(saved)
        etcd.put(GROUPS, V0_5)
        assert list((await one.load()).spec.groups) == ["web"]

    with_stores(work)


def test_one_leads_and_everybody_can_say_who(etcd: Etcd3) -> None:
    async def work(one: EtcdBackend, other: EtcdBackend) -> None:
        assert await other.leader() is None
        term = await led(one)
        assert await other.look() is None
        leader = await other.leader()
        assert leader is not None
        assert (leader.name.split()[0], leader.epoch) == ("one", term.epoch)
        assert leader.since > 1e9 and leader.renewed == 0.0
        own = await one.leader()
        assert own is not None and own.renewed > 1e9
        await one.stop()
        assert (await led(other)).epoch > term.epoch

    with_stores(work)


def test_a_leader_key_of_another_program_is_told_as_it_is(etcd: Etcd3) -> None:
    async def work(one: EtcdBackend, _: EtcdBackend) -> None:
        for value in (b"\xff odd", b'{"name": 1}', b"[]"):
            etcd.put(LEADER, value)
            leader = await one.leader()
            assert leader is not None and leader.name == value.decode("utf-8", "replace")

    with_stores(work)


def test_a_save_of_an_older_epoch_is_refused(etcd: Etcd3) -> None:
    async def work(one: EtcdBackend, other: EtcdBackend) -> None:
        term = await led(one)
        kept = await one.save(web(1), await one.load(), term)
        await one.stop()
        with pytest.raises(LeaseLost, match="no other leader has been elected"):
            await one.save(web(2), kept, term)
        newer = await led(other)
        with pytest.raises(Fenced) as fenced:
            await one.save(web(3), kept, term)
        assert (fenced.value.epoch, fenced.value.begun) == (term.epoch, newer.epoch)
        assert told(await other.load()) == told(kept), "nothing was written"

    with_stores(work)


def test_a_save_over_another_version_is_refused(etcd: Etcd3) -> None:
    async def work(one: EtcdBackend, _: EtcdBackend) -> None:
        term = await led(one)
        empty = await one.load()
        kept = await one.save(web(1), empty, term)
        with pytest.raises(VersionConflict):
            await one.save(web(2), empty, term)
        etcd.put(GROUPS, V0_5)
        with pytest.raises(VersionConflict):
            await one.save(web(2), kept, term)
        found = etcd.read(GROUPS)
        assert found is not None and found.value == V0_5

    with_stores(work)


def test_a_save_without_an_answer_may_have_happened(etcd: Etcd3) -> None:
    async def go() -> None:
        async with Between(Address("127.0.0.1", 2379, False)) as between:
            one = store(endpoint=str(between.address))
            term, empty = await led(one), await one.load()
            between.lose[TXN] = 1
            with pytest.raises(OutcomeUnknown):
                await one.save(web(1), empty, term)
            assert as_json((await one.load()).spec) == as_json(web(1))
            with pytest.raises(VersionConflict):
                await one.save(web(2), empty, term)
            await one.stop()

    asyncio.run(go())


@pytest.mark.parametrize(
    "stored", [b"not json", b"[]", b'{"Version": 2, "Groups": {}}', b'{"Other": 1}', b"\xff\x00"]
)
def test_a_document_that_cannot_be_read_is_left_as_it_is(etcd: Etcd3, stored: bytes) -> None:
    async def work(one: EtcdBackend, _: EtcdBackend) -> None:
        await led(one)
        etcd.put(GROUPS, stored)
        with pytest.raises(CorruptState) as caught:
            await one.load()
        assert str(caught.value).startswith(f"the key {GROUPS} in etcd ")
        found = etcd.read(GROUPS)
        assert found is not None and found.value == stored

    with_stores(work)


def test_a_document_too_large_for_etcd_is_not_sent(etcd: Etcd3) -> None:
    async def work(one: EtcdBackend, _: EtcdBackend) -> None:
        term, empty = await led(one), await one.load()
        large = GlobalSpec().with_group(GroupSpec("web", Raw(b'"%b"' % (b"x" * 1_600_000))), "g")
        with pytest.raises(SpecError, match="and etcd takes 1568768"):
            await one.save(large, empty, term)
        assert etcd.read(GROUPS) is None

    with_stores(work)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"lease": 1.0}, "a lease of etcd has whole seconds, 2 to 3600"),
        ({"lease": 2.5}, "a lease of etcd has whole seconds, 2 to 3600"),
        ({"lease": float("inf")}, "a lease of etcd has whole seconds, 2 to 3600"),
        ({"within": 0.0}, "must be longer than 0"),
        ({"poll": -1.0}, "must be longer than 0"),
        ({"endpoints": ["nonsense://x"]}, "endpoint 'nonsense://x'"),
    ],
)
def test_flags_that_can_never_work_are_one_sentence(given: dict[str, object], said: str) -> None:
    with pytest.raises(IkdemoError, match=said):
        EtcdBackend("group", **{"endpoints": [MEMBER], **given})  # type: ignore[arg-type]
