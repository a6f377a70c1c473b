"""The three contracts, carried out by a plugin behind a socket.

The handshake (what the plugin is, and which extensions it has) is made here: before the first call,
and again after a connection was lost and at every commit, since another program may answer by then.
Extensions are used only where they are offered. The methods are written out one by one, though the
table in ``methods`` could make them: so mypy checks them against the contracts, and their callers
against them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from msgspec import UNSET, Raw, UnsetType
from msgspec.structs import replace

from ..spi import messages as m
from ..spi.contracts import VERSION, Interface
from ..spi.documents import (
    Allocation,
    Api,
    Description,
    Document,
    GroupDescription,
    GroupDetails,
    GroupSpec,
    Health,
    InstanceSpec,
    LeaderReport,
)
from ..spi.errors import OutcomeUnknown, PluginUnavailable, ProtocolError
from ..spi.plans import Freed, Reason, Step
from . import methods
from .client import Client
from .methods import Method

A = TypeVar("A", bound=Document)
R = TypeVar("R")


async def ask_apis(client: Client) -> list[Api]:
    """Ask a plugin what it implements; raises PluginUnavailable when it does not answer, as nothing
    was begun then.
    """
    asked = methods.IMPLEMENTS
    try:
        return (
            await client.call(asked.wire, m.Nothing(), asked.result, asked.deadline, reads=True)
        ).apis or []
    except OutcomeUnknown as error:
        raise PluginUnavailable(str(error).removesuffix("; it may have happened")) from None


def extensions_for(apis: list[Api], interface: Interface) -> frozenset[str]:
    """Return the extensions of a plugin that implements ``interface``; raises ProtocolError, as
    InfraKit says it, otherwise.
    """
    if Api(interface, VERSION) in apis:
        return extensions(apis)
    if versions := [api.version for api in apis if api.name == interface]:
        raise ProtocolError(
            f"Plugin supports {interface} interface version {versions[-1][:40]}, client requires "
            f"{VERSION}"
        )
    raise ProtocolError(f"Plugin does not support interface {{{interface} {VERSION}}}")


def extensions(apis: list[Api]) -> frozenset[str]:
    """Return the names of what is offered in the one version that is spoken here."""
    return frozenset(api.name for api in apis if api.version == VERSION)


class _Proxy:
    """What the three have in common: a client, and the handshake with the plugin behind it now."""

    interface: Interface

    def __init__(self, client: Client) -> None:
        self._client = client
        self._offers: frozenset[str] | None = None
        self._lost = 0
        self._validated = False

    @property
    def offers(self) -> frozenset[str]:
        """The extensions found at the latest handshake."""
        return self._offers or frozenset()

    async def handshake(self) -> frozenset[str]:
        """Make sure of the plugin's interface and return its extensions; raises ProtocolError when
        it is of another.
        """
        if self._offers is None or self._lost != self._client.lost:
            lost = self._client.lost
            offers = extensions_for(await ask_apis(self._client), self.interface) - {self.interface}
            self._offers, self._lost = offers, lost
        return self.offers

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    async def _validate(self, method: Method[A, R], params: A) -> None:
        """Validate, which begins a commit; as in InfraKit, every commit begins with a handshake."""
        if self._validated:
            self._offers = None
        self._validated = True
        await self._ask(method, params)

    async def _known(self, epoch: int | None) -> int | UnsetType:
        """Return an epoch as it is sent: only to what offers Fence."""
        return epoch if epoch is not None and "Fence" in await self.handshake() else UNSET

    async def _ask(self, method: Method[A, R], params: A) -> R:
        offers = await self.handshake()
        if method.needs != self.interface and method.needs not in offers:
            raise ProtocolError(
                f"plugin {self._client.name} does not offer the {method.needs} extension"
            )
        batch = "Batch" in offers
        return await self._client.call(
            method.wire, params, method.result, method.deadline, reads=method.reads, batch=batch
        )


class InstanceClient(_Proxy):
    """An instance plugin behind a socket."""

    interface: Interface = "Instance"

    async def validate(self, properties: Raw) -> None:
        await self._validate(methods.VALIDATE_INSTANCE, m.ValidateInstance(properties))

    async def provision(
        self, spec: InstanceSpec, slot: str | None = None, epoch: int | None = None
    ) -> str | None:
        known = slot is not None and "Slots" in await self.handshake()
        asked = m.Provision(
            spec, slot if known and slot is not None else UNSET, await self._known(epoch)
        )
        return (await self._ask(methods.PROVISION, asked)).id

    async def destroy(self, instance: str, epoch: int | None = None) -> None:
        asked = m.DestroyInstance(instance, await self._known(epoch))
        await self._ask(methods.DESTROY, asked)

    async def claim(self, group: str, epoch: int) -> None:
        await self._ask(methods.CLAIM, m.ClaimGroup(group, epoch))

    async def describe_instances(
        self, tags: Mapping[str, str], slots: bool = False
    ) -> list[Description]:
        known = slots and "Slots" in await self.handshake()
        asked = m.DescribeInstances(dict(tags), True if known else UNSET)
        found = (await self._ask(methods.DESCRIBE_INSTANCES, asked)).descriptions or []
        return (
            found
            if known
            else [replace(d, slot=UNSET) if d.slot is not UNSET else d for d in found]
        )

    async def digest_instances(self, group: str) -> str:
        return (await self._ask(methods.DIGEST, m.DigestInstances(group))).digest

    async def logs(self, instance: str, lines: int = 0) -> list[str]:
        return (await self._ask(methods.LOGS, m.InstanceLogs(instance, lines))).lines or []


class FlavorClient(_Proxy):
    """A flavor plugin behind a socket."""

    interface: Interface = "Flavor"

    async def validate(self, properties: Raw, allocation: Allocation) -> None:
        await self._validate(methods.VALIDATE_FLAVOR, m.ValidateFlavor(properties, allocation))

    async def prepare(
        self, properties: Raw, spec: InstanceSpec, allocation: Allocation
    ) -> InstanceSpec:
        return (await self._ask(methods.PREPARE, m.Prepare(properties, spec, allocation))).spec

    async def healthy(self, properties: Raw, instance: Description) -> Health:
        return (await self._ask(methods.HEALTHY, m.FlavorInstance(properties, instance))).health

    async def drain(self, properties: Raw, instance: Description) -> None:
        await self._ask(methods.DRAIN, m.FlavorInstance(properties, instance))

    async def bury(self, properties: Raw, instance: Description) -> None:
        await self._ask(methods.BURY, m.FlavorInstance(properties, instance))


def as_manager(plugin: object) -> GroupClient | None:
    """Return a plugin that is a manager of ours, before a group plugin; None for any other."""
    return plugin if isinstance(plugin, GroupClient) and "Manager" in plugin.offers else None


class GroupClient(_Proxy):
    """A group plugin behind a socket; the last two methods need the Manager extension, the eight
    before them Reconcile.
    """

    interface: Interface = "Group"

    async def commit_group(
        self, spec: GroupSpec, pretend: bool = False, epoch: int | None = None
    ) -> str:
        asked = m.CommitGroup(spec, pretend, await self._known(epoch))
        return (await self._ask(methods.COMMIT, asked)).details

    async def free_group(self, group: str) -> None:
        await self._ask(methods.FREE, m.GroupID(group))

    async def destroy_group(self, group: str) -> None:
        await self._ask(methods.DESTROY_GROUP, m.GroupID(group))

    async def describe_group(self, group: str) -> GroupDescription:
        return (await self._ask(methods.DESCRIBE_GROUP, m.GroupID(group))).description

    async def inspect_groups(self) -> list[GroupSpec]:
        return (await self._ask(methods.INSPECT, m.Nothing())).groups or []

    async def plan_group(self, group: str) -> Step:
        return await self._ask(methods.PLAN, m.GroupID(group))

    async def why_group(self, group: str) -> list[Reason]:
        return (await self._ask(methods.WHY, m.GroupID(group))).reasons

    async def pause_group(self, group: str) -> None:
        await self._ask(methods.PAUSE, m.GroupID(group))

    async def resume_group(self, group: str) -> None:
        await self._ask(methods.RESUME, m.GroupID(group))

    async def step_group(self, group: str) -> Step:
        return await self._ask(methods.STEP, m.GroupID(group))

    async def scale_group(self, group: str, size: int) -> str:
        return (await self._ask(methods.SCALE, m.ScaleGroup(group, size))).details

    async def list_groups(self) -> list[GroupSpec]:
        return (await self._ask(methods.LIST, m.Nothing())).groups or []

    async def force_free(self, group: str, force: bool = False) -> Freed:
        return await self._ask(methods.FORCE_FREE, m.FreeGroup(group, force))

    async def leader(self) -> LeaderReport:
        return await self._ask(methods.LEADER, m.Nothing())

    async def commit_groups(
        self, specs: list[GroupSpec], pretend: bool = False
    ) -> list[GroupDetails]:
        asked = m.CommitGroups(list(specs), pretend)
        return (await self._ask(methods.COMMIT_GROUPS, asked)).groups or []
