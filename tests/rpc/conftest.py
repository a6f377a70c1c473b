"""Plugins to serve, a way to serve them, and raw bytes over a socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

from ikdemo.rpc.event_ring import EventRing
from ikdemo.rpc.server import Server
from ikdemo.spi.documents import (
    Allocation,
    Description,
    GroupDescription,
    GroupSpec,
    Health,
    InstanceSpec,
)
from ikdemo.spi.errors import PluginFailure, UnknownGroup


class Instances:
    """An instance plugin in memory; ``gate`` holds up provisioning until it is set."""

    interface = "Instance"

    def __init__(self, offers: frozenset[str] = frozenset({"Slots"})) -> None:
        self.offers = offers
        self.made: dict[str, tuple[InstanceSpec, str | None]] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.entered = asyncio.Event()

    async def validate(self, properties: Raw) -> None:
        if b"broken" in bytes(properties):
            raise KeyError("a slip in the plugin")
        if b"refuse" in bytes(properties):
            raise PluginFailure('no "such" thing: <é>')

    async def provision(self, spec: InstanceSpec, slot: str | None = None) -> str | None:
        self.entered.set()
        await self.gate.wait()
        name = f"instance-{len(self.made)}"
        self.made[name] = spec, slot
        return name

    async def destroy(self, instance: str) -> None:
        del self.made[instance]

    async def describe_instances(
        self, tags: Mapping[str, str], slots: bool = False
    ) -> list[Description]:
        found = [
            (name, spec, slot)
            for name, (spec, slot) in self.made.items()
            if tags.items() <= (spec.tags or {}).items()
        ]
        if slots:
            return [
                Description(name, spec.logical_id, spec.tags, slot or "")
                for name, spec, slot in found
            ]
        return [Description(name, spec.logical_id, spec.tags) for name, spec, _ in found]


class Flavor:
    """A flavor that changes nothing."""

    interface = "Flavor"
    offers = frozenset({"ConstantHealth"})

    async def validate(self, properties: Raw, allocation: Allocation) -> None:
        if bytes(properties) == b"null":
            raise PluginFailure(f"no properties for {allocation.size}")

    async def prepare(
        self, properties: Raw, spec: InstanceSpec, allocation: Allocation
    ) -> InstanceSpec:
        return spec

    async def healthy(self, properties: Raw, instance: Description) -> Health:
        return Health.UNHEALTHY if instance.id == "sick" else Health.HEALTHY

    async def drain(self, properties: Raw, instance: Description) -> None:
        pass


class Groups:
    """A group plugin that remembers specs and does nothing about them."""

    interface = "Group"
    offers: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self.specs: dict[str, GroupSpec] = {}

    async def commit_group(self, spec: GroupSpec, pretend: bool = False) -> str:
        if not pretend:
            self.specs[spec.id] = spec
        return "Managing 0 instances"

    async def free_group(self, group: str) -> None:
        if self.specs.pop(group, None) is None:
            raise UnknownGroup(group)

    async def destroy_group(self, group: str) -> None:
        await self.free_group(group)

    async def describe_group(self, group: str) -> GroupDescription:
        return GroupDescription(instances=[], converged=True)

    async def inspect_groups(self) -> list[GroupSpec]:
        return list(self.specs.values())


Serve = Callable[..., AbstractAsyncContextManager[Server]]


@pytest.fixture
def plugins() -> Any:
    """The kinds of plugins there are to serve."""

    class Kinds:
        instances = Instances
        flavor = Flavor
        groups = Groups

    return Kinds


@pytest.fixture
def serve(short_dir: Path) -> Serve:
    """Serve a plugin as long as the ``async with`` block runs."""

    @asynccontextmanager
    async def serving(
        plugin: Any, name: str = "plugin", ring: EventRing | None = None
    ) -> AsyncIterator[Server]:
        server = Server(plugin, short_dir / name, ring or EventRing(name))
        await server.start()
        try:
            yield server
        finally:
            await server.stop(grace=1.0)

    return serving


@pytest.fixture
def bounded() -> Callable[[Coroutine[Any, Any, None]], None]:
    """Run a coroutine to its end within 20 seconds."""

    def run(story: Coroutine[Any, Any, None]) -> None:
        asyncio.run(asyncio.wait_for(story, 100))

    return run


@pytest.fixture
def exchange() -> Callable[..., Coroutine[Any, Any, bytes]]:
    """Send bytes to a socket and return all that comes back until the other side ends the
    connection.
    """

    async def send(path: Path, *parts: bytes, end: bool = False) -> bytes:
        reader, writer = await asyncio.open_unix_connection(path)
        try:
            for part in parts:
                writer.write(part)
                for _ in range(3):
                    # the server, in the same loop, reads this part before the next is sent
                    await asyncio.sleep(0)
            if end:
                writer.write_eof()
            return await reader.read()
        finally:
            writer.close()

    return send
