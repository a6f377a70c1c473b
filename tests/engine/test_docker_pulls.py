"""Images that the engine does not have yet: pulled once for all who wait, with patience but not
without end.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from engine.private import PrivateEngine
from engine.registry import Registry
from msgspec import Raw

from ikdemo.instance.docker import provisioning
from ikdemo.instance.docker.plugin import DockerInstances
from ikdemo.instance.docker.provisioning import ImagePulls
from ikdemo.instance.machine.busybox_image import root_file_system
from ikdemo.spi.documents import InstanceSpec
from ikdemo.spi.errors import PluginFailure


@pytest.fixture
def registry(engine: PrivateEngine) -> Iterator[Registry]:
    made = Registry(root_file_system())
    yield made
    made.close()
    client = docker.APIClient(engine.host, timeout=100)
    if client.images(made.image):
        client.remove_image(made.image, force=True)
    client.close()


def spec(image: str, pull: str) -> InstanceSpec:
    properties = json.dumps({"Image": image, "Pull": pull, "Command": ["sleep", "1000"]}).encode()
    return InstanceSpec(Raw(properties), {"infrakit.group": "g"})


def test_an_image_is_pulled_once_for_all_who_wait_for_it(
    tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provisioning, "ImagePulls", lambda engine: ImagePulls(engine, patience=0.5))

    async def story() -> None:
        made = DockerInstances(tmp_path / "p", grace=0.0, takes_along=True)
        await made.start(lambda event: None)
        try:
            with pytest.raises(PluginFailure, match="Pull is never"):
                await made.provision(spec(registry.image, "never"), "0")
            assert registry.asked == 0
            waiting = [
                made.provision(spec(registry.image, "missing"), str(slot)) for slot in range(3)
            ]
            for said in await asyncio.gather(*waiting, return_exceptions=True):
                assert str(said).startswith(f"image {registry.image} is being pulled: ")
            asked = registry.asked
            registry.released.set()
            async with asyncio.timeout(100):
                while True:
                    try:
                        first = await made.provision(spec(registry.image, "missing"), "0")
                        break
                    except PluginFailure as error:
                        assert "is being pulled" in str(error)
            assert registry.asked == asked, "it was pulled a second time"
            await made.provision(spec(registry.image, "missing"), "1")
            assert registry.asked == asked
            await made.provision(spec(registry.image, "always"), "2")
            assert registry.asked > asked
            assert first in {one.id for one in await made.describe_instances({})}
        finally:
            await made.stop()

    asyncio.run(asyncio.wait_for(story(), 100))
