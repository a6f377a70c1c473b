"""An instance plugin that does everything another one does and tells nobody: it emits no events.

For one honest experiment: the same instances, the same group plugin, once with events and once with the poll alone. Started by
``Lab.mute``, which serves it on a socket of its own.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Raw

from ...spi.contracts import InstancePlugin, Interface, Lookup
from ...spi.documents import Description, InstanceSpec


class Mute:
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

    async def describe_instances(self, tags: Mapping[str, str], slots: bool = False) -> list[Description]:
        return await (await self._plugin()).describe_instances(tags, slots)
