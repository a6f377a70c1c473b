"""A swarm of one node for tests: what is in it, what is done to it behind a plugin's back, and
instances that it places.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import docker
import lasting
import pytest
from engine.private import IMAGE, PrivateEngine, lacking
from lasting import Ear

from ikdemo.engine import EngineAddress
from ikdemo.instance.container_labels import INSTANCE
from ikdemo.instance.swarm.plugin import SwarmInstances
from ikdemo.spi.documents import InstanceSpec


@pytest.fixture(scope="module")
def one_node() -> Iterator[SwarmWorld]:
    """Start an engine that is a swarm of its own."""
    if reason := lacking():
        pytest.skip(reason)
    engine = PrivateEngine()
    try:
        engine.start()
        engine.load_image()
        made = SwarmWorld(engine.host)
        made.client.init_swarm("127.0.0.1", "127.0.0.1")
        yield made
        made.close()
    finally:
        engine.close()


class SwarmWorld:
    """A managing engine, by its own client."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.client = docker.APIClient(host, timeout=100)

    def containers(self, instance: str = "") -> list[str]:
        """Return the IDs of the running containers of one instance, or of all."""
        label = f"{INSTANCE}={instance}" if instance else INSTANCE
        return [row["Id"] for row in self.client.containers(filters={"label": label})]

    def kill(self, instance: str) -> None:
        for container in self.containers(instance):
            self.client.kill(container)

    def service(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client.inspect_service(name)
        return found

    def labels(self) -> list[dict[str, str]]:
        """Return the labels of every service, in the order of their names."""
        services = sorted(self.client.services(), key=lambda one: one["Spec"]["Name"])
        return [one["Spec"].get("Labels") or {} for one in services]

    def foreign(self, name: str, labels: dict[str, str] | None = None, replicas: int = 1) -> str:
        """Make a service that is not ours."""
        template = docker.types.TaskTemplate(
            docker.types.ContainerSpec(IMAGE, ["sleep", "1000"], labels=labels),
            restart_policy=docker.types.RestartPolicy("none"),
        )
        mode = docker.types.ServiceMode("replicated", replicas)
        made: str = self.client.create_service(template, name=name, labels=labels, mode=mode)["ID"]
        return made

    def clear(self) -> None:
        """Remove every service, and wait until their containers are gone."""
        for service in self.client.services():
            self.client.remove_service(service["ID"])
        for container in self.client.containers(all=True, quiet=True):
            try:
                self.client.remove_container(container["Id"], force=True)
            except docker.errors.APIError:
                pass  # Swarm was faster

    def close(self) -> None:
        self.client.close()

    @asynccontextmanager
    async def plugin(self, **options: Any) -> AsyncIterator[tuple[SwarmInstances, Ear]]:
        """Serve a plugin of the namespace ``test``, and end its instances with it."""
        namespace = options.pop("namespace", "test")
        hosts = options.pop("hosts", [EngineAddress(self.host)])
        made, ear = SwarmInstances(namespace, hosts, **{"takes_along": True, **options}), Ear()
        await made.start(ear)
        try:
            yield made, ear
        finally:
            await made.stop()


def sleeping(sha: str = "s", **properties: Any) -> InstanceSpec:
    """Return the spec of an instance that sleeps."""
    return lasting.spec("", sha, **{"Image": IMAGE, "Command": ["sleep", "1000"], **properties})


async def described(made: SwarmInstances) -> dict[str, str]:
    """Return the instances by their slots; two in one would be an error."""
    found = await made.describe_instances({}, slots=True)
    slots = {str(one.slot): one.id for one in found}
    assert len(slots) == len(found), found
    return slots


async def until(true: Any, *words: Any) -> None:
    """Wait until a question about the engine is answered with yes."""
    async with asyncio.timeout(100):
        while not await asyncio.to_thread(true, *words):  # noqa: ASYNC110  other engines' events are not heard
            await asyncio.sleep(0.05)
