"""The table of every method on the wire: its name, its two documents, its deadline, and the
contract's method behind it.

One table serves both sides: the server looks methods up by name (``dispatch``), the proxies call
through the same entries. Nothing else knows a wire name. Most methods are as their contract has
them (``_plain``); a function of its own stands here only for what the wire has besides: a null for
an empty list, a slot or an epoch that only some plugins understand, a refusal in InfraKit's words.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, get_args

from msgspec import UNSET, Raw, Struct, UnsetType, structs

from ..spi import messages as m
from ..spi.contracts import (
    VERSION,
    Burying,
    Digesting,
    Fencing,
    FlavorPlugin,
    GroupPlugin,
    InstancePlugin,
    Logging,
    Managing,
    Plugin,
)
from ..spi.documents import NULL, Api, Document, LeaderReport
from ..spi.errors import SpecError
from ..spi.events import EventBatch
from ..spi.plans import Freed, Step
from .event_ring import LONGEST_WAIT, EventRing

A = TypeVar("A", bound=Document)
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

    ``extension``: the one it belongs to, where that is not the part before the dot. ``member``: the
    contract's method, where the parameters' members are its arguments.
    """

    wire: str
    params: type[A]
    result: type[R]
    deadline: float
    call: Callable[[Any, A], Awaitable[R]]
    reads: bool = False
    extension: str = ""
    member: Callable[..., Awaitable[Any]] | None = None

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
    slot = ask.slot if ask.slot is not UNSET and "Slots" in plugin.offers else ""
    asked = {"slot": slot} if slot else {}
    return m.Provisioned(await plugin.provision(ask.spec, **asked, **_epoch(plugin, ask.epoch)))


async def _destroy(plugin: InstancePlugin, ask: m.DestroyInstance) -> m.Ok:
    await plugin.destroy(ask.instance, **_epoch(plugin, ask.epoch))
    return m.Ok()


async def _claim(plugin: Fencing, ask: m.ClaimGroup) -> m.Ok:
    if not ask.group:
        raise SpecError("$.Group: expected a group's ID", path="$.Group", expected="a group's ID")
    if ask.epoch is UNSET:
        raise SpecError(
            "$.Epoch: expected a whole number >= 1",
            path="$.Epoch",
            expected="a whole number >= 1",
        )
    await plugin.claim(ask.group, ask.epoch)
    return m.Ok()


async def _commit(plugin: GroupPlugin, ask: m.CommitGroup) -> m.Details:
    epoch = _epoch(plugin, ask.epoch)
    return m.Details(await plugin.commit_group(ask.spec, ask.pretend, **epoch))


def _epoch(plugin: Plugin, epoch: int | UnsetType) -> dict[str, Any]:
    """Return what a plugin is called with besides, if it knows epochs, and one was given."""
    return {} if epoch is UNSET or "Fence" not in plugin.offers else {"epoch": epoch}


async def _describe_instances(plugin: InstancePlugin, ask: m.DescribeInstances) -> m.Descriptions:
    if ask.slots is True and "Slots" in plugin.offers:
        return m.Descriptions(await plugin.describe_instances(ask.tags or {}, slots=True))
    return m.Descriptions(await plugin.describe_instances(ask.tags or {}))


async def _inspect(plugin: GroupPlugin, _: m.Nothing) -> m.Inspected:
    return m.Inspected(await plugin.inspect_groups() or None)


async def _list(plugin: GroupPlugin, _: m.Nothing) -> m.Inspected:
    return m.Inspected(await plugin.list_groups() or None)


def _plain(
    wire: str,
    params: type[A],
    result: type[R],
    deadline: float,
    member: Callable[..., Awaitable[Any]],
    *,
    reads: bool = False,
    extension: str = "",
) -> Method[A, R]:
    """Return a method that is as the contract has it: the members of its parameters, in their
    order, are the arguments of ``member``, whose answer is the result or the result's one member.
    """

    wrap: Callable[[Any], R] = result

    async def call(plugin: Any, ask: A) -> R:
        answer = await getattr(plugin, member.__name__)(*structs.astuple(ask))
        if result is m.Ok:
            return result()
        return answer if result in (Step, Freed, LeaderReport) else wrap(answer)

    return Method(wire, params, result, deadline, call, reads, extension, member)


IMPLEMENTS = Method("Plugin.Implements", m.Nothing, m.Implements, QUICK, _implements, reads=True)
WATCH = Method("Events.Watch", m.Watch, EventBatch, LONGEST_WAIT + 10, _watch, reads=True)

VALIDATE_INSTANCE = Method(
    "Instance.Validate", m.ValidateInstance, m.Ok, QUICK, _validate_instance, reads=True
)
PROVISION = Method("Instance.Provision", m.Provision, m.Provisioned, SLOW, _provision)
DESTROY = Method("Instance.Destroy", m.DestroyInstance, m.Ok, SLOW, _destroy)
CLAIM = Method("Instance.Claim", m.ClaimGroup, m.Ok, QUICK, _claim, extension="Fence")
DESCRIBE_INSTANCES = Method(
    "Instance.DescribeInstances",
    m.DescribeInstances,
    m.Descriptions,
    QUICK,
    _describe_instances,
    reads=True,
)
DIGEST = _plain(
    "Instance.Digest",
    m.DigestInstances,
    m.Digest,
    QUICK,
    Digesting.digest_instances,
    reads=True,
    extension="Digest",
)
LOGS = _plain(
    "Instance.Logs", m.InstanceLogs, m.Lines, QUICK, Logging.logs, reads=True, extension="Logs"
)

VALIDATE_FLAVOR = _plain(
    "Flavor.Validate", m.ValidateFlavor, m.Ok, QUICK, FlavorPlugin.validate, reads=True
)
PREPARE = _plain("Flavor.Prepare", m.Prepare, m.Prepared, QUICK, FlavorPlugin.prepare)
HEALTHY = _plain(
    "Flavor.Healthy", m.FlavorInstance, m.Healthy, QUICK, FlavorPlugin.healthy, reads=True
)
DRAIN = _plain("Flavor.Drain", m.FlavorInstance, m.Ok, SLOW, FlavorPlugin.drain)
BURY = _plain("Flavor.Bury", m.FlavorInstance, m.Ok, QUICK, Burying.bury, extension="Bury")

COMMIT = Method("Group.CommitGroup", m.CommitGroup, m.Details, SLOW, _commit)
FREE = _plain("Group.FreeGroup", m.GroupID, m.Ok, SLOW, GroupPlugin.free_group)
DESTROY_GROUP = _plain("Group.DestroyGroup", m.GroupID, m.Ok, SLOW, GroupPlugin.destroy_group)
DESCRIBE_GROUP = _plain(
    "Group.DescribeGroup", m.GroupID, m.Described, NESTED, GroupPlugin.describe_group, reads=True
)
INSPECT = Method("Group.InspectGroups", m.Nothing, m.Inspected, QUICK, _inspect, reads=True)

PLAN = _plain("Reconcile.Plan", m.GroupID, Step, NESTED, GroupPlugin.plan_group, reads=True)
WHY = _plain("Reconcile.Why", m.GroupID, m.Reasons, NESTED, GroupPlugin.why_group, reads=True)
PAUSE = _plain("Reconcile.Pause", m.GroupID, m.Ok, QUICK, GroupPlugin.pause_group)
RESUME = _plain("Reconcile.Resume", m.GroupID, m.Ok, QUICK, GroupPlugin.resume_group)
STEP = _plain("Reconcile.Step", m.GroupID, Step, SLOW, GroupPlugin.step_group)
SCALE = _plain("Reconcile.Scale", m.ScaleGroup, m.Details, SLOW, GroupPlugin.scale_group)
LIST = Method("Reconcile.List", m.Nothing, m.Inspected, QUICK, _list, reads=True)
FORCE_FREE = _plain("Reconcile.Free", m.FreeGroup, Freed, SLOW, GroupPlugin.force_free)

LEADER = _plain("Manager.Leader", m.Nothing, LeaderReport, QUICK, Managing.leader, reads=True)
COMMIT_GROUPS = _plain(
    "Manager.Commit", m.CommitGroups, m.CommittedGroups, SLOW, Managing.commit_groups
)

# fmt: off
METHODS: tuple[Method[Any, Any], ...] = (
    IMPLEMENTS, WATCH,
    VALIDATE_INSTANCE, PROVISION, DESTROY, CLAIM, DESCRIBE_INSTANCES, DIGEST, LOGS,
    VALIDATE_FLAVOR, PREPARE, HEALTHY, DRAIN, BURY,
    COMMIT, FREE, DESTROY_GROUP, DESCRIBE_GROUP, INSPECT,
    PLAN, WHY, PAUSE, RESUME, STEP, SCALE, LIST, FORCE_FREE,
    LEADER, COMMIT_GROUPS,
)
# fmt: on
