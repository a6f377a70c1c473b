"""The back end ``swarm``: one leads, what is stored is what the leader of the last epoch stored,
and doubt is never an answer. The engine is a small server of the tests' own; real ones are asked in
tests/engine.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import zlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from engine.fake_swarm import DROPPED, HANG, LOST, NO_LEADER, FakeSwarm
from msgspec import Raw

from ikdemo.engine import EngineAddress, Swarm
from ikdemo.manager.backend import Term
from ikdemo.manager.global_spec import GlobalSpec, as_label
from ikdemo.manager.stores.swarm_store import LEASE, RENEWAL, SwarmBackend
from ikdemo.spi.documents import GroupSpec
from ikdemo.spi.errors import (
    CorruptState,
    Fenced,
    IkdemoError,
    LeaseLost,
    OutcomeUnknown,
    PluginFailure,
    VersionConflict,
)

# the SDK leaves a socket that it could not connect to the garbage collector, which warns
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
)


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Table:
    """A swarm, a clock, and managers' stores at its nodes."""

    def __init__(self, directory: Path) -> None:
        self.swarm = FakeSwarm(directory, "n1", "n2")
        self.clock = Clock()
        self._asked: list[Swarm] = []

    def store(self, name: str = "group", node: str = "n1", deadline: float = 100.0) -> SwarmBackend:
        self._asked.append(Swarm(EngineAddress(self.swarm.host(node)), deadline))
        return SwarmBackend(self._asked[-1], name, 5.0, self.clock)

    def close(self) -> None:
        self.swarm.close()
        for one in self._asked:
            one.disconnect()

    def says(self, path: str, status: int, text: str) -> None:
        self.swarm.answers[path] = (status, b'{"message": "%s"}' % text.encode())


@pytest.fixture
def table(short_dir: Path) -> Iterator[Table]:
    made = Table(short_dir)
    yield made
    made.close()
    gc.collect()


def run(story: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(_awaited(story), 100))


async def _awaited(story: Callable[[], Awaitable[None]]) -> None:
    await story()


def spec_of(*groups: str) -> GlobalSpec:
    spec = GlobalSpec()
    for group in groups:
        spec = spec.with_group(GroupSpec(group, Raw(b'{"Size":2}')), "group-stateless")
    return spec


async def leading(store: SwarmBackend) -> Term:
    term = await store.look()
    assert term is not None
    return term


def test_what_is_saved_is_v010_s_label_and_nothing_else_of_the_spec_changes(table: Table) -> None:
    table.swarm.spec |= {"Unknown": {"Deep": [1, None, {"x": 12345678901234567890}]}, "Seen": ""}
    table.swarm.set_label("theirs", "stays")
    before = dict(table.swarm.spec)

    async def story() -> None:
        store = table.store()
        term, kept = await leading(store), await store.load()
        assert kept.spec == GlobalSpec()
        saved = await store.save(spec_of("g"), kept, term)
        assert saved.spec == spec_of("g")
        assert await table.store("another").load() == saved

    run(story)
    text = zlib.decompress(base64.b64decode(table.swarm.labels["infrakit"], validate=True))
    assert text.startswith(b'{\n    "Groups": {\n      "g": {\n        "Plugin": "group-stateless"')
    labels = table.swarm.labels
    assert labels["theirs"] == "stays"
    assert labels["ikdemo.epoch"] == "1"
    assert set(labels) == {"theirs", "infrakit", "ikdemo.epoch", "ikdemo.leader"}
    assert {**table.swarm.spec, "Labels": 0} == {**before, "Labels": 0}


@pytest.mark.parametrize(
    ("label", "why"),
    [
        ("not base64!", "it is not base64"),
        ("aGVsbG8=", "it is not compressed with zlib"),
        (base64.b64encode(zlib.compress(b"{}" * 99)[:-5]).decode(), "it ends too early"),
        (base64.b64encode(zlib.compress(b"[]")).decode(), "expected an object"),
        (base64.b64encode(zlib.compress(b'{"Groups": {"g": 3}}')).decode(), "Groups.g"),
        (base64.b64encode(zlib.compress(b"1" * (9 << 20))).decode(), "larger than 8 MiB"),
    ],
)
def test_a_label_that_cannot_be_read_is_left_as_it_is(table: Table, label: str, why: str) -> None:
    table.swarm.set_label("infrakit", label)

    async def story() -> None:
        store = table.store()
        await leading(store)
        with pytest.raises(CorruptState, match=f"the label infrakit of the swarm of .*{why}"):
            await store.load()

    run(story)
    assert table.swarm.labels["infrakit"] == label


@pytest.mark.parametrize("label", ["", "seven", "-1", "1.5", "9" * 19])
def test_an_epoch_that_cannot_be_read_lets_no_one_lead_and_is_left_as_it_is(
    table: Table, label: str
) -> None:
    table.swarm.set_label("ikdemo.epoch", label)

    async def story() -> None:
        with pytest.raises(CorruptState, match=r"the label ikdemo[.]epoch of the swarm"):
            await table.store().look()

    run(story)
    assert table.swarm.updates() == []


def test_a_leader_renews_in_its_epoch_and_begins_another_after_a_break(table: Table) -> None:
    async def story() -> None:
        store = table.store()
        first = await leading(store)
        assert first == Term(1, 1000.0 + LEASE)
        table.clock.now += RENEWAL / 2
        assert await store.look() == first  # nothing is written for a look that comes early
        assert len(table.swarm.updates()) == 1
        table.clock.now = 1000.0 + LEASE - 0.1
        assert await store.look() == Term(1, table.clock.now + LEASE)
        table.clock.now += LEASE
        assert (await leading(store)).epoch == 2
        table.swarm.leader = "n2"
        assert await store.look() is None
        table.swarm.leader = "n1"
        assert (await leading(store)).epoch == 3

    run(story)


def test_a_term_counts_from_the_sending_of_a_renewal(table: Table) -> None:
    def slow(asked: object) -> None:
        table.clock.now += 4.0

    table.swarm.answers["/swarm/update"] = slow

    async def story() -> None:
        assert (await leading(table.store())).until == 1000.0 + LEASE

    run(story)


def test_a_save_fails_when_a_newer_epoch_has_begun(table: Table) -> None:
    async def story() -> None:
        old, new = table.store("old"), table.store("new", "n2")
        term, kept = await leading(old), await old.load()
        table.swarm.leader = "n2"
        assert (await leading(new)).epoch == 2
        assert await old.look() is None
        with pytest.raises(Fenced, match="epoch 1 is over, 2 has begun"):
            await old.save(spec_of("late"), kept, term)
        assert "infrakit" not in table.swarm.labels

    run(story)


def test_an_epoch_that_begins_between_check_and_update_is_noticed(table: Table) -> None:
    """The old leader has read the spec and stands still; the new one takes over; the old goes
    on.
    """

    async def story() -> None:
        old = table.store("old")
        term, kept = await leading(old), await old.load()
        table.swarm.after_read = lambda: table.swarm.set_label("ikdemo.epoch", "2")
        with pytest.raises(Fenced, match="epoch 1 is over, 2 has begun"):
            await old.save(spec_of("late"), kept, term)
        assert "infrakit" not in table.swarm.labels

    run(story)


def test_a_leader_whose_name_was_taken_out_is_fenced(table: Table) -> None:
    async def story() -> None:
        store = table.store()
        term, kept = await leading(store), await store.load()
        table.swarm.set_label("ikdemo.leader", None)
        with pytest.raises(LeaseLost, match=r"epoch 1 is over: the swarm of .* names no leader"):
            await store.save(spec_of("g"), kept, term)
        assert (await leading(store)).epoch == 2

    run(story)


@pytest.mark.parametrize("moment", ["before", "between"])
def test_a_store_that_another_program_changed_is_not_overwritten(table: Table, moment: str) -> None:
    theirs = as_label(spec_of("theirs"))

    async def story() -> None:
        store = table.store()
        term, kept = await leading(store), await store.load()
        if moment == "before":
            table.swarm.set_label("infrakit", theirs)
        else:
            table.swarm.after_read = lambda: table.swarm.set_label("infrakit", theirs)
        with pytest.raises(VersionConflict, match="the label infrakit"):
            await store.save(spec_of("ours"), kept, term)
        assert table.swarm.labels["infrakit"] == theirs
        assert (await store.save(spec_of("ours"), await store.load(), term)).spec == spec_of("ours")

    run(story)


def test_what_others_change_elsewhere_in_the_spec_meanwhile_is_kept(table: Table) -> None:
    async def story() -> None:
        store = table.store()
        term, kept = await leading(store), await store.load()
        table.swarm.after_read = lambda: table.swarm.set_label("theirs", "new")
        await store.save(spec_of("g"), kept, term)
        assert table.swarm.labels["theirs"] == "new"
        assert (await store.load()).spec == spec_of("g")

    run(story)


def test_others_that_change_the_spec_without_end_are_an_error(table: Table) -> None:
    def again() -> None:
        table.swarm.set_label("theirs", str(table.swarm.version))
        table.swarm.after_read = again

    async def story() -> None:
        store = table.store()
        term, kept = await leading(store), await store.load()
        table.swarm.after_read = again
        with pytest.raises(VersionConflict, match="changed by others all the time"):
            await store.save(spec_of("g"), kept, term)

    run(story)
    assert "infrakit" not in table.swarm.labels


def test_renewals_and_saves_at_the_same_time_do_not_hinder_each_other(table: Table) -> None:
    async def story() -> None:
        store = table.store()
        term, kept = await leading(store), await store.load()
        for number in range(10):
            table.clock.now += RENEWAL
            kept, renewed = await asyncio.gather(
                store.save(spec_of(f"g{number}"), kept, term), store.look()
            )
            assert renewed == Term(1, table.clock.now + LEASE)
        assert (await store.load()).spec == spec_of("g9")

    run(story)


@pytest.mark.parametrize(("answer", "stored"), [(LOST, True), (DROPPED, False)])
def test_after_a_lost_answer_the_next_load_tells(
    table: Table, answer: tuple[int, bytes], stored: bool
) -> None:
    async def story() -> None:
        store = table.store()
        term, kept = await leading(store), await store.load()
        table.swarm.answers["/swarm/update"] = answer
        with pytest.raises(OutcomeUnknown, match="went silent"):
            await store.save(spec_of("g"), kept, term)
        table.swarm.answers.clear()
        there = await store.load()
        assert there.spec == (spec_of("g") if stored else GlobalSpec())
        assert (await store.save(spec_of("h"), there, term)).spec == spec_of("h")

    run(story)


def test_a_takeover_whose_answer_was_lost_is_begun_anew(table: Table) -> None:
    async def story() -> None:
        store = table.store()
        table.swarm.answers["/swarm/update"] = LOST
        with pytest.raises(OutcomeUnknown):
            await store.look()
        assert table.swarm.labels["ikdemo.epoch"] == "1"
        table.swarm.answers.clear()
        assert (await leading(store)).epoch == 2

    run(story)


@pytest.mark.parametrize("asked", ["/nodes/n1", "/swarm", "/swarm/update"])
@pytest.mark.parametrize(
    ("answer", "error", "sentence"),
    [
        (HANG, OutcomeUnknown, "went silent: no answer within 0.3 s"),
        (DROPPED, OutcomeUnknown, "went silent"),
        ((503, b'{"message": "%s"}' % NO_LEADER.encode()), PluginFailure, "have a leader"),
        ((500, b"<html>"), PluginFailure, "<html>"),
        ((400, b'{"message": "bad"}'), PluginFailure, "^bad$"),
        ((404, b'{"message": "not here"}'), PluginFailure, "^not here$"),
    ],
)
def test_what_an_unwell_engine_says_is_doubt(
    table: Table, asked: str, answer: tuple[int, bytes], error: type[IkdemoError], sentence: str
) -> None:
    """And leadership that was confirmed before stays for as long as it was confirmed."""

    async def story() -> None:
        store = table.store(deadline=0.3 if answer == HANG else 100.0)
        if answer == HANG:
            store = await leading_at_last(table)
        term = await leading(store)
        table.clock.now += RENEWAL
        table.swarm.answers[asked] = answer
        with pytest.raises(error, match=sentence):
            await store.look()
        table.swarm.answers.clear()
        assert (await until_answered(store.look)) == Term(term.epoch, table.clock.now + LEASE)

    run(story)


async def leading_at_last(table: Table) -> SwarmBackend:
    """Give a store that does not wait long, and leads although the machine may be slow."""
    store = table.store(deadline=0.3)
    await until_answered(store.look)
    return store


async def until_answered(question: Callable[[], Awaitable[Any]]) -> Any:
    while True:
        try:
            return await question()
        except OutcomeUnknown:
            continue  # a busy machine


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/info", b"{}"),
        ("/info", b'{"Swarm": {"LocalNodeState": "active", "ControlAvailable": true}}'),
        ("/nodes/n1", b"null"),
        ("/nodes/n1", b'{"ID": "n2"}'),
        ("/nodes/n1", b'{"ID": "n1", "ManagerStatus": {"Leader": "no"}}'),
        ("/swarm", b"{}"),
        ("/swarm", b'{"Version": {}, "Spec": {}}'),
        ("/swarm", b'{"Version": {"Index": 1}, "Spec": []}'),
        ("/swarm", b'{"Version": {"Index": 1}, "Spec": {"Labels": {"infrakit": 7}}}'),
    ],
)
def test_an_answer_that_makes_no_sense_is_doubt(table: Table, path: str, said: bytes) -> None:
    table.swarm.answers[path] = (200, said)

    async def story() -> None:
        with pytest.raises(OutcomeUnknown, match="makes no sense"):
            await table.store().look()

    run(story)
    assert table.swarm.updates() == []


def test_a_worker_and_an_engine_in_no_swarm_say_so(table: Table) -> None:
    async def story() -> None:
        store = table.store("group", "n2")
        table.swarm.workers.add("n2")
        with pytest.raises(PluginFailure, match=r"unix://.*n2.sock is a worker of its swarm"):
            await store.look()
        table.swarm.answers["/info"] = (200, b'{"Swarm": {"LocalNodeState": "inactive"}}')
        with pytest.raises(PluginFailure, match="is in no swarm: its node is inactive"):
            await store.look()
        table.swarm.answers.clear()
        table.swarm.workers.clear()
        assert await store.look() is None  # the swarm's own word
        table.swarm.leader = "n2"
        await leading(store)
        table.swarm.workers.add("n2")
        with pytest.raises(PluginFailure, match="not a swarm manager"):
            await store.look()

    run(story)


def test_no_engine_at_all_is_doubt(table: Table, short_dir: Path) -> None:
    async def story() -> None:
        store = SwarmBackend(Swarm(EngineAddress(f"unix://{short_dir}/none.sock")), "group", 5.0)
        for question in (store.look, store.load, store.leader):
            with pytest.raises(IkdemoError, match="the Docker engine does not answer at"):
                await question()
        await store.stop()

    run(story)


def test_info_is_asked_once_and_again_when_the_node_is_another(table: Table) -> None:
    async def story() -> None:
        store = table.store()
        for _ in range(3):
            await leading(store)
        assert asked_for(table, "/info") == 1
        table.says("/nodes/n1", 404, "node n1 not found")
        with pytest.raises(PluginFailure):
            await store.look()
        table.swarm.answers.clear()
        await leading(store)
        assert asked_for(table, "/info") == 2

    run(story)


def asked_for(table: Table, path: str) -> int:
    return sum(one.path == path for one in table.swarm.asked)


def test_of_two_managers_at_one_engine_one_leads_until_it_stands_still(table: Table) -> None:
    async def story() -> None:
        first, second = table.store("first"), table.store("second")
        term, kept = await leading(first), await first.load()
        for _ in range(5):  # neither takes it from the other
            table.clock.now += LEASE - 1.0
            term = await leading(first)
            assert term.epoch == 1
            assert await second.look() is None
        table.clock.now += LEASE - 0.1
        assert await second.look() is None
        table.clock.now += 0.2
        assert await second.look() == Term(2, table.clock.now + LEASE)
        assert term.until < table.clock.now, "the first one's term was over before"
        with pytest.raises(Fenced, match="epoch 1 is over, 2 has begun"):
            await first.save(spec_of("late"), kept, term)
        for _ in range(3):
            table.clock.now += 1.0
            assert await first.look() is None
            await leading(second)

    run(story)


def test_one_that_stops_hands_leadership_over(table: Table) -> None:
    async def story() -> None:
        first, second = table.store("first"), table.store("second")
        await leading(first)
        assert await second.look() is None
        await second.stop()  # it does not lead, and takes nothing away
        assert (await first.leader() or ("",))[0] == "first"
        await first.stop()
        assert await first.leader() is None
        assert (await leading(second)).epoch == 2

    run(story)


def test_who_leads_is_told(table: Table) -> None:
    async def story() -> None:
        store = table.store("group-3", "n2")
        assert await store.leader() is None
        table.swarm.leader = "n2"
        await leading(store)
        told = await table.store("another").leader()
        assert told is not None
        assert (told.name, told.epoch) == ("group-3", 1)
        assert 0 < told.since <= told.renewed
        table.swarm.set_label("ikdemo.leader", "of no use")
        assert await store.leader() is None
        assert (await leading(store)).epoch == 2

    run(story)


def test_a_look_is_worth_it_when_it_is_time_to_renew_or_to_take_over(table: Table) -> None:
    async def due(store: SwarmBackend) -> bool:
        waiting = asyncio.ensure_future(store.changed())
        done, _ = await asyncio.wait({waiting}, timeout=0.05)
        waiting.cancel()
        return bool(done)

    async def story() -> None:
        first, second, third = table.store("1"), table.store("2"), table.store("3", "n2")
        await leading(first)
        assert await second.look() is None
        assert await third.look() is None
        assert not (await due(first) or await due(second) or await due(third))
        table.clock.now += RENEWAL
        assert await due(first)
        assert not await due(second)
        table.clock.now += LEASE
        assert await due(second)
        assert not await due(third)
        table.says("/swarm", 503, "no")
        with pytest.raises(PluginFailure):
            await first.look()
        assert not await due(first), "a look that failed is not repeated at once"

    run(story)
