"""The back end ``swarm`` and real engines: what the swarm's spec keeps, who leads at one node and
at two, and what becomes of it when an engine is killed.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import signal
import time
import zlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import docker
import pytest
from desk import Desk
from engine.network import link
from engine.private import PrivateEngine, lacking
from msgspec import Raw

from ikdemo.boottime import since_boot
from ikdemo.engine import EngineAddress, Swarm
from ikdemo.manager.backend import Term
from ikdemo.manager.global_spec import GlobalSpec, as_label
from ikdemo.manager.stores.swarm_store import LEASE, RENEWAL, SwarmBackend
from ikdemo.spi.documents import GroupSpec
from ikdemo.spi.errors import CorruptState, Fenced, IkdemoError, PluginFailure, VersionConflict

# the SDK leaves a socket that it could not connect to the garbage collector, which warns
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
)
HERE = "127.0.0.1"
ASKED: list[Swarm] = []


class Nodes(NamedTuple):
    """Two engines, clients of theirs, and the IDs of their nodes."""

    engine: PrivateEngine
    other: PrivateEngine
    first: docker.APIClient
    second: docker.APIClient
    own_id: str
    other_id: str


class Clock:
    """The machine's, and what the test adds to it."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return since_boot() + self.ahead


@contextmanager
def api(engine: PrivateEngine) -> Iterator[docker.APIClient]:
    client = docker.APIClient(engine.host, timeout=100)
    try:
        yield client
    finally:
        client.close()


@pytest.fixture
def swarm(engine: PrivateEngine) -> Iterator[PrivateEngine]:
    """Give an engine that is a swarm of one node, and leaves it afterwards."""
    with api(engine) as client:
        client.init_swarm(HERE, f"{HERE}:2377")
    yield engine
    with api(engine) as client:
        client.leave_swarm(force=True)


@pytest.fixture
def second_engine() -> Iterator[PrivateEngine]:
    """Give another engine, in another network."""
    if reason := lacking():
        pytest.skip(reason)
    made = PrivateEngine()
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture(autouse=True)
def disconnected() -> Iterator[None]:
    """Let go of the engines that were asked."""
    yield
    for one in ASKED:
        one.disconnect()
    ASKED.clear()
    gc.collect()


def store(engine: PrivateEngine, name: str = "group", clock: Any = since_boot) -> SwarmBackend:
    ASKED.append(Swarm(EngineAddress(engine.host)))
    return SwarmBackend(ASKED[-1], name, 5.0, clock)


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(200):  # swarms elect in several of these stories
            await story()

    asyncio.run(bounded())


def spec_of(*groups: str) -> GlobalSpec:
    spec = GlobalSpec()
    for group in groups:
        spec = spec.with_group(GroupSpec(group, Raw(b'{"Size":2}')), "group-stateless")
    return spec


async def answered(question: Callable[[], Awaitable[Any]]) -> Any:
    """Ask until there is an answer: a swarm elects, an engine starts, a machine is busy."""
    while True:
        try:
            return await question()
        except IkdemoError:
            await asyncio.sleep(0.1)


async def leads(one: SwarmBackend) -> Term:
    while True:
        if (term := await answered(one.look)) is not None:
            return term
        await asyncio.sleep(0.1)


def spec_there(engine: PrivateEngine) -> dict[str, Any]:
    with api(engine) as client:
        return dict(client.inspect_swarm()["Spec"])


def change(engine: PrivateEngine, **members: Any) -> None:
    """Change the swarm's spec as other programs do."""
    with api(engine) as client:
        there = client.inspect_swarm()
        client.update_swarm(there["Version"]["Index"], {**there["Spec"], **members})


def set_label(engine: PrivateEngine, name: str, text: str) -> None:
    change(engine, Labels={**spec_there(engine)["Labels"], name: text})


def test_specs_are_in_the_label_and_the_rest_of_the_swarm_s_spec_stays(
    swarm: PrivateEngine,
) -> None:
    with api(swarm) as client:
        tokens = client.inspect_swarm()["JoinTokens"]
    change(swarm, Orchestration={"TaskHistoryRetentionLimit": 9}, Labels={"theirs": "stays"})
    before = spec_there(swarm)

    async def story() -> None:
        one = store(swarm)
        term, kept = await leads(one), await answered(one.load)
        assert kept.spec == GlobalSpec()
        kept = await one.save(spec_of("g"), kept, term)
        kept = await one.save(spec_of("g", "h"), kept, term)
        assert (await store(swarm).load()) == kept

    run(story)
    after = spec_there(swarm)
    assert {**after, "Labels": 0} == {**before, "Labels": 0}
    assert after["Labels"]["theirs"] == "stays"
    assert after["Labels"]["ikdemo.epoch"] == "1"
    text = zlib.decompress(base64.b64decode(after["Labels"]["infrakit"], validate=True))
    assert b'"h": {\n        "Plugin": "group-stateless"' in text
    with api(swarm) as client:
        assert client.inspect_swarm()["JoinTokens"] == tokens


@pytest.mark.parametrize(
    ("label", "why"),
    [
        ("not base64!", "it is not base64"),
        ("aGVsbG8=", "it is not compressed with zlib"),
        (base64.b64encode(zlib.compress(b'{"Groups": []}')).decode(), "expected an object"),
    ],
)
def test_a_label_of_something_else_is_left_as_it_is(
    swarm: PrivateEngine, label: str, why: str
) -> None:
    set_label(swarm, "infrakit", label)

    async def story() -> None:
        one = store(swarm)
        await leads(one)
        with pytest.raises(CorruptState, match=why):
            await one.load()

    run(story)
    assert spec_there(swarm)["Labels"]["infrakit"] == label


def test_what_another_program_stores_is_not_overwritten(swarm: PrivateEngine) -> None:
    async def story() -> None:
        one = store(swarm)
        term, kept = await leads(one), await one.load()
        set_label(swarm, "theirs", "stays")
        kept = await one.save(spec_of("g"), kept, term)
        set_label(swarm, "infrakit", as_label(spec_of("theirs")))
        with pytest.raises(VersionConflict, match="the label infrakit"):
            await one.save(spec_of("h"), kept, term)
        there = await one.load()
        assert there.spec == spec_of("theirs")
        await one.save(spec_of("h"), there, term)

    run(story)
    assert spec_there(swarm)["Labels"]["theirs"] == "stays"


def test_of_two_managers_at_one_engine_one_leads(swarm: PrivateEngine) -> None:
    clock = Clock()

    async def story() -> None:
        first, second = store(swarm, "first", clock), store(swarm, "second", clock)
        term, kept = await leads(first), await first.load()
        assert await answered(second.look) is None
        clock.ahead += LEASE / 2
        assert (await leads(first)).epoch == 1
        assert await answered(second.look) is None
        clock.ahead += LEASE  # the first one stands still
        assert (await leads(second)).epoch == 2
        with pytest.raises(Fenced, match="fenced: epoch 1 is over, 2 has begun"):
            await first.save(spec_of("late"), kept, term)
        assert await answered(first.look) is None
        assert (await second.leader() or ("",))[0] == "second"
        await second.stop()
        assert (await leads(first)).epoch == 3

    run(story)


def test_an_engine_that_is_killed_is_doubt_and_one_that_is_back_keeps_all(
    swarm: PrivateEngine,
) -> None:
    async def story() -> None:
        one = store(swarm)
        term, kept = await leads(one), await answered(one.load)
        await one.save(spec_of("g"), kept, term)
        swarm.kill()
        for question in (one.look, one.look, one.load):
            with pytest.raises(IkdemoError, match="the Docker engine"):
                await question()
        swarm.start()  # in this thread: an engine ends with the thread that started it
        again = await leads(one)  # what it says until its swarm has a leader again is doubt
        assert again.epoch >= term.epoch
        there = await answered(one.load)
        assert there.spec == spec_of("g")
        assert (await one.save(spec_of("h"), there, again)).spec == spec_of("h")

    run(story)


def test_an_engine_in_no_swarm_says_so(engine: PrivateEngine) -> None:
    async def story() -> None:
        with pytest.raises(PluginFailure, match="is in no swarm: its node is inactive"):
            await store(engine).look()
        with pytest.raises(PluginFailure, match="This node is not a swarm manager"):
            await store(engine).load()

    run(story)


@pytest.fixture
def nodes(swarm: PrivateEngine, second_engine: PrivateEngine) -> Iterator[Nodes]:
    """Give a swarm of two engines, of which the first manages and the second works."""
    with api(swarm) as first, api(second_engine) as second:
        first.leave_swarm(force=True)
        here, there = link(swarm.namespace, second_engine.namespace)
        first.init_swarm(here, f"{here}:2377")
        token = first.inspect_swarm()["JoinTokens"]["Worker"]
        second.join_swarm([f"{here}:2377"], token, f"{there}:2377", there)
        ids = [client.info()["Swarm"]["NodeID"] for client in (first, second)]
        yield Nodes(swarm, second_engine, first, second, *ids)


def test_a_node_that_leads_makes_its_manager_lead_and_one_that_works_cannot(nodes: Nodes) -> None:
    """A worker is promoted, and then the leader is demoted."""

    async def story() -> None:
        one, two = store(nodes.engine, "one"), store(nodes.other, "two")
        term, kept = await leads(one), await answered(one.load)
        with pytest.raises(PluginFailure, match="is a worker of its swarm"):
            await two.look()

        await set_role(nodes.first, nodes.other_id, "manager")
        assert await answered(two.look) is None
        kept = await one.save(spec_of("g"), kept, term)
        assert (await answered(two.load)).spec == spec_of("g")

        await set_role(nodes.second, nodes.own_id, "worker")
        later = await leads(two)
        assert later.epoch > term.epoch
        assert (await answered(two.load)).spec == spec_of("g")
        for question in (one.look, lambda: one.save(spec_of("late"), kept, term)):
            with pytest.raises(IkdemoError):
                await question()

        await set_role(nodes.second, nodes.own_id, "manager")
        assert await answered(one.look) is None
        with pytest.raises(Fenced, match="fenced: epoch 1 is over, "):
            await one.save(spec_of("late"), kept, term)

    run(story)


def test_a_leader_without_a_majority_confirms_nothing(nodes: Nodes) -> None:
    """Its engine says for some seconds that it leads."""
    clock = Clock()

    async def story() -> None:
        one = store(nodes.engine, "one", clock)
        await set_role(nodes.first, nodes.other_id, "manager")
        term, kept = await leads(one), await answered(one.load)
        nodes.other.kill()
        clock.ahead += RENEWAL
        for _ in range(3):
            with pytest.raises(IkdemoError):
                await one.look()
        with pytest.raises(IkdemoError):
            await one.save(spec_of("late"), kept, term)

    run(story)


def test_managers_as_programs_keep_a_group_when_the_leading_one_is_killed(
    swarm: PrivateEngine, desk: Desk
) -> None:
    desk.start("infrakit-instance-file", "instance-file", "--dir", str(desk.instances))
    desk.start("infrakit-flavor-vanilla", "flavor-vanilla")
    desk.put_spec("g.json", "g", 2)
    start_manager(swarm, desk, "m-1")
    deadline = time.monotonic() + 100
    while (done := desk.run("infrakit group commit g.json --name m-1")).returncode:
        assert time.monotonic() < deadline, done
    assert "Managing 2 instances" in done.stdout, done
    start_manager(swarm, desk, "m-2")
    other = desk.run("infrakit group commit g.json --name m-2")
    assert "not-a-leader" in other.stderr, other
    desk.until(2)

    for name in ("m-1", "m-1-behind"):
        desk.stop(name, signal.SIGKILL)
    (desk.instances / desk.living()[0]).unlink()
    desk.until(2)
    assert spec_there(swarm)["Labels"]["ikdemo.epoch"] == "2"


def start_manager(swarm: PrivateEngine, desk: Desk, name: str) -> None:
    desk.start("infrakit-group-default", f"{name}-behind", "--store", "none")
    before = ("--proxy-for-group", f"{name}-behind", "swarm", "--host", swarm.host)
    desk.start("infrakit-manager", name, *before, "--poll-interval", "500ms")


async def set_role(client: docker.APIClient, node: str, role: str) -> None:
    """Make a node manage the swarm, or work only, and wait until it does."""

    def tell() -> bool:
        there = client.inspect_node(node)
        if there["Spec"]["Role"] != role:
            client.update_node(node, there["Version"]["Index"], {**there["Spec"], "Role": role})
        there = client.inspect_node(node)
        managing = (there.get("ManagerStatus") or {}).get("Reachability") == "reachable"
        return managing == (role == "manager")

    while True:
        try:
            if await asyncio.to_thread(tell):
                return
        except docker.errors.APIError:
            pass  # while the swarm elects
        await asyncio.sleep(0.1)
