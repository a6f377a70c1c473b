"""Plugins that are objects of this Python: how one is served, a flavor whose verdicts a person
decides, and an instance plugin that passes calls on and tells no events.

The last two are stand-ins. They show what a group does with unhealthy instances and without events,
though nothing is unhealthy and no plugin lacks anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Raw
from msgspec.structs import replace

from ...rpc.event_ring import EventRing
from ...rpc.server import Server
from ...spi.contracts import InstancePlugin, Interface, Lifecycle, Lookup, Plugin
from ...spi.decode import decode
from ...spi.documents import Allocation, Description, Document, Health, InstanceSpec


class ServedPlugin:
    """Both ends of a plugin's life here: its own beginning and end, and its socket's."""

    def __init__(self, plugin: Plugin, path: Path) -> None:
        self._plugin, self._ring = plugin, EventRing(path.name)
        self._server = Server(plugin, path, self._ring)

    async def start(self) -> None:
        """Answer from now on; raises InUse when a live plugin has the name."""
        if isinstance(self._plugin, Lifecycle):
            await self._plugin.start(self._ring.append)
        try:
            await self._server.start()
        except BaseException:
            await self._end()
            raise

    async def stop(self) -> None:
        """Answer no more; what is being answered gets a second."""
        await self._server.stop(grace=1.0)
        await self._end()

    async def _end(self) -> None:
        if isinstance(self._plugin, Lifecycle):
            await self._plugin.stop()


class _Properties(Document, frozen=True):
    tags: dict[str, str] | None = None


class Judge:
    """Calls an instance unhealthy while the value of its tag ``version`` is in ``bad``, and healthy
    otherwise.
    """

    interface: Interface = "Flavor"
    offers = frozenset[str]()

    def __init__(self) -> None:
        self.bad: set[str] = set()

    async def validate(self, properties: Raw, allocation: Allocation) -> None:
        """Accept properties with no other member than Tags; raises SpecError."""
        _read(properties)

    async def prepare(
        self, properties: Raw, spec: InstanceSpec, allocation: Allocation
    ) -> InstanceSpec:
        """Return the spec with the tags of the properties put over its own."""
        return replace(spec, tags={**(spec.tags or {}), **(_read(properties).tags or {})})

    async def healthy(self, properties: Raw, instance: Description) -> Health:
        """Give the verdict that was decided for the instance's version."""
        return (
            Health.UNHEALTHY if (instance.tags or {}).get("version") in self.bad else Health.HEALTHY
        )

    async def drain(self, properties: Raw, instance: Description) -> None:
        """Let the instance go: there is nothing to take out of service."""


def _read(properties: Raw) -> _Properties:
    return decode(properties, _Properties, path="$.Properties")


class WithoutEvents:
    """Passes every call on to the plugin ``name`` that ``lookup`` finds."""

    interface: Interface = "Instance"
    offers = frozenset({"Slots"})

    def __init__(self, lookup: Lookup, name: str) -> None:
        self._lookup, self._name = lookup, name

    async def _plugin(self) -> InstancePlugin:
        return (await self._lookup.instance(self._name)).plugin

    async def validate(self, properties: Raw) -> None:
        await (await self._plugin()).validate(properties)

    async def provision(self, spec: InstanceSpec, slot: str | None = None) -> str | None:
        return await (await self._plugin()).provision(spec, slot)

    async def destroy(self, instance: str) -> None:
        await (await self._plugin()).destroy(instance)

    async def describe_instances(
        self, tags: Mapping[str, str], slots: bool = False
    ) -> list[Description]:
        return await (await self._plugin()).describe_instances(tags, slots)
