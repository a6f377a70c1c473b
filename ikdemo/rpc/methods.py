"""The table of every method on the wire: its name, its two documents, its deadline, and the
contract's method behind it.

One table serves both sides: the server looks methods up by name (``dispatch``), the proxies call
through the same entries. Nothing else knows a wire name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, get_args

from msgspec import UNSET, Raw, Struct, structs

from ..spi import messages as m
from ..spi.contracts import (
    VERSION,
    Digesting,
    FlavorPlugin,
    GroupPlugin,
    InstancePlugin,
    Logging,
    Plugin,
)
from ..spi.documents import NULL, Api
from ..spi.errors import SpecError
from ..spi.events import EventBatch
from ..spi.plans import Freed, Step
from .event_ring import LONGEST_WAIT, EventRing

A = TypeVar("A")
"""What is asked: the type of a method's parameters."""
R = TypeVar("R")
"""What is replied: the type of its result."""

QUICK, NESTED, SLOW = 30.0, 120.0, 300.0
"""Seconds a client waits: for what only looks; for what makes other plugins look; for what makes,
destroys or drains.
"""


FINAL = Raw(b'{"Retry":"no"}')
"""What an error of Prepare or Provision carries as data when only another spec helps; InfraKit's
clients do not look at it.
"""


@dataclass(frozen=True)
class Method(Generic[A, R]):
    """One method. ``call`` is given the plugin (or the ring) and the parameters; ``reads``: asking
    twice changes nothing.

    ``extension``: the one it belongs to, where that is not the part before the dot.
    """

    wire: str
    params: type[A]
    result: type[R]
    deadline: float
    call: Callable[[Any, A], Awaitable[R]]
    reads: bool = False
    extension: str = ""

    @property
    def service(self) -> str:
        """The part before the dot: an interface, or an extension."""
        return self.wire.partition(".")[0]

    @property
    def needs(self) -> str:
        """What a plugin has to offer, or to be, to have this method."""
        return self.extension or self.service


_holds_text: dict[Any, bool] = {}


def holds_text(kind: Any) -> bool:
    """Tell whether a type has opaque members somewhere inside, whose text must be compacted as it
    comes in.
    """
    if kind not in _holds_text:
        inside = (
            [field.type for field in structs.fields(kind)] if _is_struct(kind) else get_args(kind)
        )
        _holds_text[kind] = kind is Raw or any(holds_text(part) for part in inside)
    return _holds_text[kind]


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Struct)


def implemented(plugin: Plugin) -> list[Api]:
    """List what a plugin is served as: its interface first, then its extensions and those that
    every server has.
    """
    return [
        Api(name, VERSION)
        for name in (plugin.interface, *sorted(plugin.offers | {"Events", "Batch"}))
    ]


async def _implements(plugin: Plugin, _: m.Nothing) -> m.Implements:
    return m.Implements(implemented(plugin))


async def _watch(ring: EventRing, ask: m.Watch) -> EventBatch:
    return await ring.watch(ask.since, ask.timeout, ask.tags)


async def _validate_instance(plugin: InstancePlugin, ask: m.ValidateInstance) -> m.Ok:
    if ask.properties == NULL:
        raise SpecError("Request Properties must be set")
    await plugin.validate(ask.properties)
    return m.Ok()


async def _provision(plugin: InstancePlugin, ask: m.Provision) -> m.Provisioned:
    if ask.slot is UNSET or not ask.slot or "Slots" not in plugin.offers:
        return m.Provisioned(await plugin.provision(ask.spec))
    return m.Provisioned(await plugin.provision(ask.spec, slot=ask.slot))


async def _destroy(plugin: InstancePlugin, ask: m.DestroyInstance) -> m.Ok:
    await plugin.destroy(ask.instance)
    return m.Ok()


async def _describe_instances(plugin: InstancePlugin, ask: m.DescribeInstances) -> m.Descriptions:
    if ask.slots is True and "Slots" in plugin.offers:
        return m.Descriptions(await plugin.describe_instances(ask.tags or {}, slots=True))
    return m.Descriptions(await plugin.describe_instances(ask.tags or {}))


async def _digest(plugin: Digesting, ask: m.DigestInstances) -> m.Digest:
    return m.Digest(await plugin.digest_instances(ask.group))


async def _logs(plugin: Logging, ask: m.InstanceLogs) -> m.Lines:
    return m.Lines(await plugin.logs(ask.instance, ask.tail))


async def _validate_flavor(plugin: FlavorPlugin, ask: m.ValidateFlavor) -> m.Ok:
    await plugin.validate(ask.properties, ask.allocation)
    return m.Ok()


async def _prepare(plugin: FlavorPlugin, ask: m.Prepare) -> m.Prepared:
    return m.Prepared(await plugin.prepare(ask.properties, ask.spec, ask.allocation))


async def _healthy(plugin: FlavorPlugin, ask: m.FlavorInstance) -> m.Healthy:
    return m.Healthy(await plugin.healthy(ask.properties, ask.instance))


async def _drain(plugin: FlavorPlugin, ask: m.FlavorInstance) -> m.Ok:
    await plugin.drain(ask.properties, ask.instance)
    return m.Ok()


async def _commit(plugin: GroupPlugin, ask: m.CommitGroup) -> m.Details:
    return m.Details(await plugin.commit_group(ask.spec, ask.pretend))


async def _free(plugin: GroupPlugin, ask: m.GroupID) -> m.Ok:
    await plugin.free_group(ask.id)
    return m.Ok()


async def _destroy_group(plugin: GroupPlugin, ask: m.GroupID) -> m.Ok:
    await plugin.destroy_group(ask.id)
    return m.Ok()


async def _describe_group(plugin: GroupPlugin, ask: m.GroupID) -> m.Described:
    return m.Described(await plugin.describe_group(ask.id))


async def _inspect(plugin: GroupPlugin, _: m.Nothing) -> m.Inspected:
    return m.Inspected(await plugin.inspect_groups() or None)


async def _plan(plugin: GroupPlugin, ask: m.GroupID) -> Step:
    return await plugin.plan_group(ask.id)


async def _why(plugin: GroupPlugin, ask: m.GroupID) -> m.Reasons:
    return m.Reasons(await plugin.why_group(ask.id))


async def _pause(plugin: GroupPlugin, ask: m.GroupID) -> m.Ok:
    await plugin.pause_group(ask.id)
    return m.Ok()


async def _resume(plugin: GroupPlugin, ask: m.GroupID) -> m.Ok:
    await plugin.resume_group(ask.id)
    return m.Ok()


async def _step(plugin: GroupPlugin, ask: m.GroupID) -> Step:
    return await plugin.step_group(ask.id)


async def _scale(plugin: GroupPlugin, ask: m.ScaleGroup) -> m.Details:
    return m.Details(await plugin.scale_group(ask.id, ask.size))


async def _list(plugin: GroupPlugin, _: m.Nothing) -> m.Inspected:
    return m.Inspected(await plugin.list_groups() or None)


async def _force_free(plugin: GroupPlugin, ask: m.FreeGroup) -> Freed:
    return await plugin.force_free(ask.id, ask.force)


IMPLEMENTS = Method("Plugin.Implements", m.Nothing, m.Implements, QUICK, _implements, reads=True)
WATCH = Method("Events.Watch", m.Watch, EventBatch, LONGEST_WAIT + 10, _watch, reads=True)

VALIDATE_INSTANCE = Method(
    "Instance.Validate", m.ValidateInstance, m.Ok, QUICK, _validate_instance, reads=True
)
PROVISION = Method("Instance.Provision", m.Provision, m.Provisioned, SLOW, _provision)
DESTROY = Method("Instance.Destroy", m.DestroyInstance, m.Ok, SLOW, _destroy)
DESCRIBE_INSTANCES = Method(
    "Instance.DescribeInstances",
    m.DescribeInstances,
    m.Descriptions,
    QUICK,
    _describe_instances,
    reads=True,
)
DIGEST = Method(
    "Instance.Digest", m.DigestInstances, m.Digest, QUICK, _digest, reads=True, extension="Digest"
)
LOGS = Method("Instance.Logs", m.InstanceLogs, m.Lines, QUICK, _logs, reads=True, extension="Logs")

VALIDATE_FLAVOR = Method(
    "Flavor.Validate", m.ValidateFlavor, m.Ok, QUICK, _validate_flavor, reads=True
)
PREPARE = Method("Flavor.Prepare", m.Prepare, m.Prepared, QUICK, _prepare)
HEALTHY = Method("Flavor.Healthy", m.FlavorInstance, m.Healthy, QUICK, _healthy, reads=True)
DRAIN = Method("Flavor.Drain", m.FlavorInstance, m.Ok, SLOW, _drain)

COMMIT = Method("Group.CommitGroup", m.CommitGroup, m.Details, SLOW, _commit)
FREE = Method("Group.FreeGroup", m.GroupID, m.Ok, SLOW, _free)
DESTROY_GROUP = Method("Group.DestroyGroup", m.GroupID, m.Ok, SLOW, _destroy_group)
DESCRIBE_GROUP = Method(
    "Group.DescribeGroup", m.GroupID, m.Described, NESTED, _describe_group, reads=True
)
INSPECT = Method("Group.InspectGroups", m.Nothing, m.Inspected, QUICK, _inspect, reads=True)

PLAN = Method("Reconcile.Plan", m.GroupID, Step, NESTED, _plan, reads=True)
WHY = Method("Reconcile.Why", m.GroupID, m.Reasons, NESTED, _why, reads=True)
PAUSE = Method("Reconcile.Pause", m.GroupID, m.Ok, QUICK, _pause)
RESUME = Method("Reconcile.Resume", m.GroupID, m.Ok, QUICK, _resume)
STEP = Method("Reconcile.Step", m.GroupID, Step, SLOW, _step)
SCALE = Method("Reconcile.Scale", m.ScaleGroup, m.Details, SLOW, _scale)
LIST = Method("Reconcile.List", m.Nothing, m.Inspected, QUICK, _list, reads=True)
FORCE_FREE = Method("Reconcile.Free", m.FreeGroup, Freed, SLOW, _force_free)

# fmt: off
METHODS: tuple[Method[Any, Any], ...] = (
    IMPLEMENTS, WATCH,
    VALIDATE_INSTANCE, PROVISION, DESTROY, DESCRIBE_INSTANCES, DIGEST, LOGS,
    VALIDATE_FLAVOR, PREPARE, HEALTHY, DRAIN,
    COMMIT, FREE, DESTROY_GROUP, DESCRIBE_GROUP, INSPECT,
    PLAN, WHY, PAUSE, RESUME, STEP, SCALE, LIST, FORCE_FREE,
)
# fmt: on
