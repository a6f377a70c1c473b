"""What the plugin for instances placed by Swarm does at a real engine: slots are filled, emptied
and claimed; what is lost is told; what is not ours stays untouched.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import pytest
from engine.swarm_world import SwarmWorld, described, one_node, sleeping, until  # noqa: F401
from lasting import printed, run, spec
from msgspec import Raw

from ikdemo.engine import EngineAddress, Services
from ikdemo.instance.container_labels import INSTANCE, SLOT
from ikdemo.instance.swarm import slot_sweep
from ikdemo.instance.swarm.plugin import SwarmInstances
from ikdemo.instance.swarm.slot_service import (
    EPOCH,
    GROUP,
    NAMESPACE,
    emptied,
    record_name,
    service_name,
    touched,
)
from ikdemo.spi.errors import Fenced, PluginFailure, SpecError, VersionConflict


@pytest.fixture
def world(one_node: SwarmWorld) -> Iterator[SwarmWorld]:  # noqa: F811
    yield one_node
    one_node.clear()


def test_a_slot_is_filled_once_and_keeps_its_service(world: SwarmWorld) -> None:
    async def story() -> None:
        async with world.plugin() as (made, ear):
            ids = await asyncio.gather(*(made.provision(sleeping(), "0") for _ in range(4)))
            assert len(set(ids)) == 1
            assert await described(made) == {"0": ids[0]}
            assert len(world.containers(ids[0])) == 1
            with pytest.raises(PluginFailure, match=f"occupied by {ids[0]}"):
                await made.provision(sleeping("other"), "0")
            before = world.service(service_name("test", "g", "0"))["ID"]
            await asyncio.gather(made.destroy(ids[0]), made.destroy(ids[0]), return_exceptions=True)
            await until(lambda: world.containers() == [])  # listed for a moment, like any dead one
            assert await described(made) == {}
            second = await made.provision(sleeping("other"), "0")
            assert second != ids[0]
            assert world.service(service_name("test", "g", "0"))["ID"] == before
            assert [event.kind for event in ear.told][:3] == [
                "provisioned",
                "destroyed",
                "provisioned",
            ]
        assert world.labels() == []

    run(story)


def test_a_container_that_ends_is_told_and_its_slot_is_filled_anew(world: SwarmWorld) -> None:
    async def story() -> None:
        async with world.plugin() as (made, ear):
            first = await made.provision(sleeping(), "0")
            world.kill(first)
            event = await ear.next("lost")
            assert (event.instance, event.slot, event.group) == (first, "0", "g")
            assert "was ended by SIGKILL" in event.text
            assert await described(made) == {}
            with pytest.raises(PluginFailure, match=f"{first} is no instance here"):
                await made.destroy(first)
            second = await made.provision(sleeping(), "0")
            assert await described(made) == {"0": second}
            third = await made.provision(spec("echo so it ends; sleep 0.3; exit 3", **IMAGE), "1")
            event = await ear.next("lost")
            assert (event.instance, event.code) == (third, "died")
            assert event.text.startswith("exited with status 3")
            assert event.text.endswith("it said last: so it ends")
            assert await made.logs(third) == ["so it ends"]

    run(story)


IMAGE = {"Image": "ikdemo-test/busybox:local"}


def test_an_instance_knows_who_it_is_and_tells_where_it_answers(world: SwarmWorld) -> None:
    async def story() -> None:
        async with world.plugin() as (made, _):
            script = 'echo "$INSTANCE_ID|$SLOT|$GROUP|$PORT|$COLOUR"; exec sleep 1000'
            wanted = spec(
                script,
                Env={"COLOUR": "red"},
                Ports=["0:8080"],
                Labels={"mine": "1"},
                Memory="32M",
                Constraints=["node.role==manager"],
                Preferences=["spread=node.labels.rack"],
                **IMAGE,
            )
            instance = await made.provision(wanted, "3")
            (one,) = await made.describe_instances({"infrakit.group": "g"}, slots=True)
            tags = one.tags or {}
            assert (one.id, one.slot, tags["Address"]) == (instance, "3", "127.0.0.1")
            assert int(tags["port"]) > 1024
            container = world.client.inspect_container(world.containers(instance)[0])
            assert container["Config"]["Labels"]["mine"] == "1"
            assert container["HostConfig"]["Memory"] == 32 * 2**20
            assert await printed(made, instance, 1) == [f"{instance}|3|g|8080|red"]
            assert await made.describe_instances({"tier": "web"}) == []

    run(story)


def test_an_instance_without_a_slot_has_a_service_that_goes_with_it(world: SwarmWorld) -> None:
    async def story() -> None:
        async with world.plugin() as (made, _):
            ids = [await made.provision(sleeping()) for _ in range(2)]
            assert len(set(ids)) == 2
            found = await made.describe_instances({}, slots=True)
            assert {one.id for one in found} == set(ids)
            await made.destroy(ids[0])
            assert [labels[INSTANCE] for labels in world.labels()] == [ids[1]]

    run(story)


def test_after_a_claim_no_older_leader_acts_at_any_plugin(world: SwarmWorld) -> None:
    async def story() -> None:
        async with world.plugin() as (old, _), world.plugin(takes_along=False) as (new, _):
            await old.claim("g", 7)
            first = await old.provision(sleeping(), "0", 7)
            container = world.containers(first)
            await new.claim("g", 9)
            assert world.containers(first) == container, "a claim restarts nothing"
            for late in (
                old.provision(sleeping("other"), "0", 7),
                old.provision(sleeping(), "1", 7),
                old.destroy(first, 7),
                old.claim("g", 7),
            ):
                with pytest.raises(Fenced, match=r"^fenced: epoch 7 is over, 9 has begun$"):
                    await late
            with pytest.raises(PluginFailure, match="epoch 11 has not been claimed"):
                await new.destroy(first, 11)
            assert await described(new) == {"0": first}
            assert world.containers() == container
            await new.claim("g", 9)
            assert await new.provision(sleeping(), "0", 9) == first
            await new.destroy(first, 9)
        record = world.service(record_name("test", "g"))["Spec"]["Labels"]
        assert record == {NAMESPACE: "test", GROUP: "g", EPOCH: "9"}, "epochs outlive the plugins"
        async with world.plugin() as (next_one, _):
            with pytest.raises(Fenced):
                await next_one.provision(sleeping(), "0", 8)

    run(story)


def test_a_service_that_has_changed_since_it_was_read_is_not_changed(world: SwarmWorld) -> None:
    async def story() -> None:
        services = Services([EngineAddress(world.host)])
        async with world.plugin() as (made, _):
            await made.provision(sleeping(), "0")
            (read,) = await services.services(name=[service_name("test", "g", "0")])
            await services.update(read, touched(read.spec, 7))
            for late in (touched(read.spec, 6), emptied(read.spec)):
                with pytest.raises(VersionConflict, match="update out of sequence"):
                    await services.update(read, late)
            with pytest.raises(VersionConflict, match="name conflicts"):
                await services.create(read.spec)
            (now,) = await services.services(name=[read.name])
            assert (now.labels[EPOCH], now.replicas) == ("7", 1)
            await services.remove(now)
            await services.remove(now)
            with pytest.raises(VersionConflict, match="not found"):
                await services.update(now, now.spec)
            assert await services.tasks_of(now.id) == []
        services.disconnect()

    run(story)


def test_what_no_node_can_run_is_a_sentence_and_leaves_nothing_that_waits(
    world: SwarmWorld,
) -> None:
    async def story() -> None:
        async with world.plugin() as (made, ear):
            nowhere = sleeping(Constraints=["node.labels.rack==3"])
            with pytest.raises(PluginFailure, match=r"no node can run .*constraints not satisfied"):
                await made.provision(nowhere, "0")
            with pytest.raises(PluginFailure, match=r"could not be started on .*No such image"):
                await made.provision(sleeping(Image="no.such/image:1"), "1")
            with pytest.raises(PluginFailure, match="network nowhere not found"):
                await made.provision(sleeping(Network="nowhere"), "3")
            assert await described(made) == {}
            assert ear.told == []
            assert await made.provision(sleeping(), "0")

    run(story)


def test_what_others_made_stays_untouched(world: SwarmWorld) -> None:
    name = service_name("test", "g", "0")
    taken = world.foreign(name)
    faked = {NAMESPACE: "test", GROUP: "g", SLOT: "1", INSTANCE: "instance-1"}
    fake = world.foreign("not-its-name", faked)
    other = world.foreign(
        service_name("other", "g", "1"), {**faked, NAMESPACE: "other"}, replicas=0
    )

    async def story() -> None:
        async with world.plugin() as (made, _):
            with pytest.raises(PluginFailure, match=f"a service called {name} is there that was"):
                await made.provision(sleeping(), "0")
            assert await described(made) == {}
            with pytest.raises(PluginFailure, match="instance-1 is no instance here"):
                await made.destroy("instance-1")
            mine = await made.provision(sleeping(), "1")
            assert await described(made) == {"1": mine}

    run(story)
    assert {one["ID"] for one in world.client.services()} == {taken, fake, other}
    versions = [one["Spec"]["Labels"].get(EPOCH) for one in world.client.services()]
    assert versions == [None] * 3


def test_what_is_done_by_hand_is_told(world: SwarmWorld) -> None:
    async def story() -> None:
        async with world.plugin() as (made, ear):
            removed = await made.provision(sleeping(), "0")
            world.client.remove_service(service_name("test", "g", "0"))
            event = await ear.next("lost")
            assert (event.instance, event.text) == (removed, "its service was removed")
            async with world.plugin(takes_along=False) as (other, _):
                emptied = await other.provision(sleeping(), "1")
                assert (await ear.next("provisioned")).instance == emptied
                await other.destroy(emptied)
                assert (await ear.next("destroyed")).instance == emptied

    run(story)


def test_a_slot_that_stays_empty_is_removed_and_a_filled_one_never(
    world: SwarmWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slot_sweep, "SPARE", 0.5)

    async def story() -> None:
        async with world.plugin() as (made, _):
            stays = await made.provision(sleeping(), "0")
            await made.destroy(await made.provision(sleeping(), "1"))
            await until(lambda: [one[SLOT] for one in world.labels()] == ["0"])
            assert await described(made) == {"0": stays}
            again = await made.provision(sleeping(), "1")
            assert await described(made) == {"0": stays, "1": again}

    run(story)


def test_the_next_plugin_knows_what_lives(world: SwarmWorld) -> None:
    async def story() -> None:
        async with world.plugin(takes_along=False) as (made, _):
            ids = [await made.provision(sleeping(), str(slot)) for slot in range(2)]
        world.kill(ids[1])
        async with world.plugin() as (made, _):
            async with asyncio.timeout(100):
                while await described(made) != {"0": ids[0]}:  # noqa: ASYNC110  its end is not told
                    await asyncio.sleep(0.05)
            assert await made.provision(sleeping(), "0") == ids[0]

    run(story)


def test_a_manager_that_is_not_there_makes_room_for_the_next(world: SwarmWorld) -> None:
    async def story() -> None:
        hosts = [EngineAddress("tcp://127.0.0.1:9"), EngineAddress(world.host)]
        async with world.plugin(hosts=hosts) as (made, _):
            assert await made.provision(sleeping(), "0")
            assert len(await described(made)) == 1
        nobody = SwarmInstances("test", [hosts[0]])
        await nobody.start(lambda event: None)
        with pytest.raises(Exception, match="does not answer at"):
            await nobody.describe_instances({})
        await nobody.stop()

    run(story)


@pytest.mark.parametrize(
    ("properties", "sentence"),
    [
        ({}, r"\$.Properties.Image: expected the name of an image"),
        (
            {"Image": "a", "Constraints": ["rack"]},
            r"\$.Properties.Constraints\[0\]: expected a con",
        ),
        (
            {"Image": "a", "Preferences": ["rack"]},
            r"\$.Properties.Preferences\[0\]: expected a pre",
        ),
        ({"Image": "a", "Ports": ["127.0.0.1:8:8"]}, "no address: Swarm publishes on all"),
        ({"Image": "a", "Pull": "never"}, r"\$.Properties.Pull: no such member is known"),
    ],
)
def test_properties_that_no_task_can_be_made_from_are_refused(
    properties: dict[str, object], sentence: str
) -> None:
    with pytest.raises(SpecError, match=sentence):
        asyncio.run(SwarmInstances().validate(Raw(json.dumps(properties).encode())))
