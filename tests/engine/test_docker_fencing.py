"""Two leaders over containers: after the claim of the later one nothing that the older one asks for
is done, also when it was begun long before.
"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from asking import until
from desk import Desk
from engine.private import IMAGE, PrivateEngine
from engine.registry import Registry
from msgspec import Raw
from two_leaders import TwoLeaders

from ikdemo.instance.docker.plugin import DockerInstances
from ikdemo.instance.machine.busybox_image import root_file_system
from ikdemo.spi.documents import InstanceSpec
from ikdemo.spi.errors import Fenced


@pytest.fixture
def leaders(desk: Desk, engine: PrivateEngine) -> Iterator[TwoLeaders]:
    """Give two leaders over containers; at the end the later one destroys them."""
    desk.environment["DOCKER_HOST"] = engine.host
    flags = ("--dir", str(desk.instances), "--grace", "0s")
    made = TwoLeaders(desk, "ikdemo-instance-docker", flags, Image=IMAGE, Command=["sleep", "1000"])
    yield made
    made.ask("new", "Group.DestroyGroup", ID="web")


def test_leaders_that_want_different_sizes_do_not_fight(leaders: TwoLeaders) -> None:
    leaders.do_not_fight("1")


def test_a_leader_stopped_while_its_containers_are_made_does_nothing_when_it_wakes_up(
    leaders: TwoLeaders,
) -> None:
    leaders.commit("old", 8, 7)
    until(lambda: len(leaders.slots()) >= 1)
    leaders.signal("old", signal.SIGSTOP)
    leaders.commit("new", 3, 9)
    leaders.whole("new", 3)
    leaders.kill()
    leaders.start()
    leaders.wakes_up(leaders.whole("new", 3), 7, 9)


@pytest.fixture
def registry(engine: PrivateEngine) -> Iterator[Registry]:
    made = Registry(root_file_system())
    yield made
    made.close()
    client = docker.APIClient(engine.host, timeout=100)
    if client.images(made.image):
        client.remove_image(made.image, force=True)
    client.close()


def test_what_waits_for_an_image_is_refused_and_holds_up_no_later_leader(
    tmp_path: Path, registry: Registry
) -> None:
    properties = json.dumps({"Image": registry.image, "Command": ["sleep", "1000"]}).encode()
    spec = InstanceSpec(Raw(properties), {"infrakit.group": "web", "infrakit.config_sha": "s"})

    async def story() -> None:
        made = DockerInstances(tmp_path / "p", grace=0.0, takes_along=True)
        await made.start(lambda event: None)
        try:
            await made.claim("web", 7)
            old = asyncio.create_task(made.provision(spec, "0", 7))
            while not registry.asked:  # noqa: ASYNC110  counted in another thread
                await asyncio.sleep(0.01)
            await made.claim("web", 9)
            new = asyncio.create_task(made.provision(spec, "0", 9))
            await asyncio.sleep(0)
            registry.released.set()
            with pytest.raises(Fenced, match=r"^fenced: epoch 7 is over, 9 has begun$"):
                await old
            instance = await new
            (described,) = await made.describe_instances({})
            assert described.id == instance
            with pytest.raises(Fenced):
                await made.destroy(instance, 7)
            await made.destroy(instance, 9)
            assert await made.describe_instances({}) == []
        finally:
            await made.stop()

    asyncio.run(asyncio.wait_for(story(), 100))
