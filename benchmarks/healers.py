"""The ways of keeping containers alive that are compared: a bare event loop, ours, Docker's restart policy, a Swarm service.

Each keeps a number of sleeping containers that carry its name in the label ``LABEL``; who is hurt, and how long it takes, is
decided by ``containers``.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, cast

import docker
from docker.types import ContainerSpec, RestartPolicy, ServiceMode, TaskTemplate
from msgspec import Raw

import ikdemo
from ikdemo.rpc.proxies import GroupClient
from ikdemo.spi.documents import GroupSpec

from .plugins import PATIENCE

LABEL = "ikdemo-benchmark"
COMMAND = ["sleep", "1000000"]
AT_ONCE = 8
"""Calls that the bare loop has under way at a time; on two processors more gain nothing."""
GROUP = "benchmark"


class Healer(Protocol):
    """Keeps ``size`` containers from ``start`` to ``stop``."""

    who: str

    def start(self, size: int) -> None:
        """Begin with that many; they need not run yet on return."""

    def renew(self) -> None:
        """Forget what was done to it, where that would count against it."""

    def stop(self) -> None:
        """End, and stop healing; containers may be left."""


class BareLoop:
    """The floor: whenever the engine tells of a death, a new container is created and started, and nothing else is done."""

    who = "bare event loop"

    def __init__(self, client: docker.APIClient, image: str) -> None:
        self._client, self._image = client, image
        self._events: Any = None
        self._room = ThreadPoolExecutor(AT_ONCE)

    def start(self, size: int) -> None:
        filters = {"type": "container", "event": "die", "label": f"{LABEL}={self.who}"}
        self._events = self._client.events(filters=filters, decode=True)
        threading.Thread(target=self._listen, args=(self._events,), daemon=True).start()
        for _ in range(size):
            self._room.submit(self._replace)

    def _listen(self, events: Any) -> None:
        with suppress(Exception):  # however it ends, it was closed
            for _ in events:
                self._room.submit(self._replace)

    def _replace(self) -> None:
        self._client.start(self._client.create_container(self._image, COMMAND, labels={LABEL: self.who})["Id"])

    def renew(self) -> None:
        pass

    def stop(self) -> None:
        self._events.close()
        self._room.shutdown()
        self._room = ThreadPoolExecutor(AT_ONCE)


class OurGroup:
    """A group of ours, with its plugins as processes; the docker plugin takes its containers along in the end."""

    who = "ikdemo"

    def __init__(self, root: Path, image: str) -> None:
        self._root, self._image = root, image

    def start(self, size: int) -> None:
        instance = {"Image": self._image, "Command": COMMAND, "Labels": {LABEL: self.who}}
        properties = {
            "Allocation": {"Size": size},
            "Instance": {"Plugin": "instance-docker", "Properties": instance},
            "Flavor": {"Plugin": "flavor-vanilla", "Properties": {}},
        }
        asyncio.run(self._ask("commit_group", GroupSpec(GROUP, Raw(json.dumps(properties).encode()))))

    async def _ask(self, method: str, *arguments: object) -> None:
        group = cast(GroupClient, await ikdemo.connect("group", directory=self._root / "p"))
        try:
            await getattr(group, method)(*arguments)
        finally:
            group.close()

    def renew(self) -> None:
        pass

    def stop(self) -> None:
        asyncio.run(self._ask("destroy_group", GROUP))


class RestartPolicyAlways:
    """``docker run --restart=always``, begun anew before every blow: hit again and again it waits longer each time."""

    who = "--restart=always"

    def __init__(self, client: docker.APIClient, image: str) -> None:
        self._client, self._image, self._size = client, image, 0

    def start(self, size: int) -> None:
        self._size = size
        policy = self._client.create_host_config(restart_policy={"Name": "always"})
        for _ in range(size):
            made = self._client.create_container(self._image, COMMAND, labels={LABEL: self.who}, host_config=policy)
            self._client.start(made["Id"])

    def renew(self) -> None:
        self.stop()
        self.start(self._size)

    def stop(self) -> None:
        for container in self._client.containers(all=True, quiet=True, filters={"label": f"{LABEL}={self.who}"}):
            self._client.remove_container(container["Id"], force=True)


class SwarmService:
    """A replicated service; ``delay`` in seconds before a task is restarted, None for Docker's own default of five."""

    def __init__(self, client: docker.APIClient, image: str, delay: float | None) -> None:
        self.who = "Swarm service, defaults" if delay is None else f"Swarm service, restart delay {delay:g} s"
        self._client, self._image, self._delay = client, image, delay
        self._service = ""

    def start(self, size: int) -> None:
        container = ContainerSpec(self._image, COMMAND, labels={LABEL: self.who}, stop_grace_period=0)  # for a quick ``stop``
        policy = None if self._delay is None else RestartPolicy("any", delay=int(self._delay * 1e9))
        task = TaskTemplate(container, restart_policy=policy)
        self._service = self._client.create_service(task, mode=ServiceMode("replicated", size))["ID"]

    def renew(self) -> None:
        pass

    def stop(self) -> None:
        self._client.remove_service(self._service)
        until = time.monotonic() + PATIENCE
        while self._client.containers(quiet=True, filters={"label": f"{LABEL}={self.who}"}):
            if time.monotonic() > until:
                raise SystemExit(f"{self.who} did not end")
            time.sleep(0.1)


@contextmanager
def swarm_mode(client: docker.APIClient) -> Iterator[bool]:
    """Have the engine in Swarm mode, and as it was afterwards; say whether services can be made."""
    state = client.info()["Swarm"]
    if state["LocalNodeState"] != "inactive":
        yield bool(state["ControlAvailable"])
        return
    client.init_swarm(advertise_addr="127.0.0.1")
    try:
        yield True
    finally:
        client.leave_swarm(force=True)
