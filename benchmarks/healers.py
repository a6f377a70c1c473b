"""The ways of keeping containers alive that are compared with Docker's own: a bare event loop, and
ours.

Each keeps a number of sleeping containers that carry its name in the label ``LABEL``; who is hurt,
and how long it takes, is decided by ``containers``.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, cast

import docker
from msgspec import Raw

import ikdemo
from ikdemo.lab.docker.baselines import LABEL
from ikdemo.rpc.proxies import GroupClient
from ikdemo.spi.documents import GroupSpec

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
    """The floor: whenever the engine tells of a death, a new container is created and started, and
    nothing else is done.
    """

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
        self._client.start(
            self._client.create_container(self._image, COMMAND, labels={LABEL: self.who})["Id"]
        )

    def renew(self) -> None:
        pass

    def stop(self) -> None:
        self._events.close()
        self._room.shutdown()
        self._room = ThreadPoolExecutor(AT_ONCE)


class OurGroup:
    """A group of ours, with its plugins as processes; the docker plugin takes its containers along
    in the end.
    """

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
        asyncio.run(
            self._ask("commit_group", GroupSpec(GROUP, Raw(json.dumps(properties).encode())))
        )

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
