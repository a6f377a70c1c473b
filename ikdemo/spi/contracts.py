"""The three plugin contracts, and what a group is handed to find plugins by name.

A plugin is any object with these methods; nothing is inherited. It says what it is in ``interface``
and which extensions it has in ``offers`` ("Slots": provision is idempotent on (group, slot);
"ConstantHealth": health never changes, do not ask; "ConstantPrepare": the same question to prepare
always has the same answer, do not ask again; "HealthEvents": each change of health is emitted, and
only after several checks; "Logs": what instances print is kept, see ``Logging``; "Digest": what
there is can be said in a line, see ``Digesting``; "Fence": what an older leader asks for is
refused, see ``Fencing``; "Bury": what a lost instance left elsewhere is removed, see ``Burying``;
"Stateless": a group plugin that remembers no group across a restart;
"FiltersByTag": what is described carries the tags that were asked for, even where its description
does not repeat them). One that needs a beginning and an end also has ``start(emit)`` and
``stop()``. Errors are those of ``errors``: ``SpecError`` for a document, ``PluginFailure`` for
everything else a plugin refuses.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar, runtime_checkable

from msgspec import Raw

from .documents import (
    Allocation,
    Description,
    GroupDescription,
    GroupDetails,
    GroupSpec,
    Health,
    InstanceSpec,
    LeaderReport,
)
from .events import Emit, EventBatch
from .plans import Freed, Reason, Step

MOMENT: ContextVar[object] = ContextVar("MOMENT")
"""One object for all calls that came in one request, and another one for the next; unset for calls
within this process.

What was asked in one request was asked at one moment: a plugin that observes the world before it
answers may observe once for all.
"""

Interface = Literal["Group", "Instance", "Flavor"]
VERSION = "0.1.0"
"""The version of every interface and extension spoken here."""


class Plugin(Protocol):
    """What every plugin says of itself."""

    @property
    def interface(self) -> Interface: ...
    @property
    def offers(self) -> frozenset[str]: ...


@runtime_checkable
class Lifecycle(Protocol):
    """The optional beginning and end of a plugin; its host calls both, in the loop that serves
    it.
    """

    async def start(self, emit: Emit) -> None: ...
    async def stop(self) -> None: ...


@runtime_checkable
class BeginsWhenServed(Protocol):
    """What a plugin has that begins something only once it is served, so that no other process can
    have its name.
    """

    async def serving(self) -> None: ...


class InstancePlugin(Plugin, Protocol):
    """Makes, destroys and describes instances of one kind."""

    async def validate(self, properties: Raw) -> None:
        """Accept ``properties`` or raise SpecError; changes nothing."""

    async def provision(self, spec: InstanceSpec, slot: str | None = None) -> str | None:
        """Make one instance and return its ID; with a slot, return the living instance of (group,
        slot) if there is one.

        Raises PluginFailure "occupied by ID" when that instance has another configuration.
        """

    async def destroy(self, instance: str) -> None:
        """End the instance of this ID for good; afterwards it is no longer described."""

    async def describe_instances(
        self, tags: Mapping[str, str], slots: bool = False
    ) -> list[Description]:
        """Return every living instance that carries all ``tags``; with ``slots``, name each one's
        slot.
        """


@runtime_checkable
class Logging(Protocol):
    """What an instance plugin with the extension Logs has besides."""

    async def logs(self, instance: str, lines: int = 0) -> list[str]:
        """Return the last ``lines`` that an instance printed, oldest first; all that is kept for
        0.
        """


@runtime_checkable
class Digesting(Protocol):
    """What an instance plugin with the extension Digest has besides."""

    async def digest_instances(self, group: str) -> str:
        """Return the ``digest`` of the living instances that carry a group's tag."""


@runtime_checkable
class Fencing(Protocol):
    """What an instance plugin with the extension Fence has besides.

    An epoch is the number of a leader's time, greater than that of every leader before. Without one
    both actions are what ``InstancePlugin`` says; with one they belong to a leader, and raise
    Fenced when a greater epoch was claimed for the group, PluginFailure when theirs was not.
    """

    async def claim(self, group: str, epoch: int) -> None:
        """Let nobody with a smaller epoch act on the instances of a group any longer.

        On return that is durable, and what smaller epochs had begun is over, so that the next
        description shows it. Claiming the same epoch again is no error. Raises Fenced when a
        greater one was claimed, PluginFailure when what was begun does not end in time.
        """

    async def provision(
        self, spec: InstanceSpec, slot: str | None = None, epoch: int | None = None
    ) -> str | None:
        """As ``InstancePlugin.provision``; the group is that of the spec's tag."""

    async def destroy(self, instance: str, epoch: int | None = None) -> None:
        """As ``InstancePlugin.destroy``; the group is that of the instance's tag."""


class FlavorPlugin(Plugin, Protocol):
    """Knows what instances are for: prepares their specs, judges their health, drains them."""

    async def validate(self, properties: Raw, allocation: Allocation) -> None:
        """Accept ``properties`` for this allocation or raise SpecError; changes nothing."""

    async def prepare(
        self, properties: Raw, spec: InstanceSpec, allocation: Allocation
    ) -> InstanceSpec:
        """Return the spec with this flavor's Init, tags and attachments added."""

    async def healthy(self, properties: Raw, instance: Description) -> Health:
        """Judge one instance."""

    async def drain(self, properties: Raw, instance: Description) -> None:
        """Take the instance out of service before it is destroyed."""


@runtime_checkable
class Burying(Protocol):
    """What a flavor with the extension Bury has besides."""

    async def bury(self, properties: Raw, instance: Description) -> None:
        """Remove what an instance left elsewhere that is gone and was not drained; nothing left is
        no error.

        Raises PluginFailure while that cannot be done, as where it cannot be told that it is gone.
        """


class GroupPlugin(Plugin, Protocol):
    """Keeps groups as their committed specs want them. The last seven methods are the Reconcile
    extension.
    """

    async def commit_group(
        self, spec: GroupSpec, pretend: bool = False, epoch: int | None = None
    ) -> str:
        """Validate, store (durable before the return) and act on a spec; return InfraKit's Details
        sentence.

        ``epoch`` belongs to the Fence extension, and is given only where that is offered: the epoch
        of the leader that commits, which the group has from then on. None leaves the group the one
        it has. Raises Fenced when the group knows a greater one.
        """

    async def free_group(self, group: str) -> None:
        """Stop watching; the instances stay."""

    async def destroy_group(self, group: str) -> None:
        """Mark the group for destruction (durable) and wait until no instance is left, or a bounded
        time.
        """

    async def describe_group(self, group: str) -> GroupDescription:
        """Describe the instances of a watched group, live."""

    async def inspect_groups(self) -> list[GroupSpec]:
        """Return every watched group's spec."""

    async def plan_group(self, group: str) -> Step:
        """Observe and plan without acting: what the loop would do now."""

    async def why_group(self, group: str) -> list[Reason]:
        """Say why the group is not as wanted; empty when it is."""

    async def pause_group(self, group: str) -> None:
        """Keep the loop from acting until resumed or stepped."""

    async def resume_group(self, group: str) -> None:
        """Let the loop act again, and try at once what it waits with or has stopped trying."""

    async def step_group(self, group: str) -> Step:
        """Make exactly one pass of a paused loop and say what it did."""

    async def scale_group(self, group: str, size: int) -> str:
        """Commit another size (0 included) of a Size group; return the Details sentence."""

    async def list_groups(self) -> list[GroupSpec]:
        """Return every group's spec, those of groups that are being destroyed included."""

    async def force_free(self, group: str, force: bool = False) -> Freed:
        """Stop watching and say what is left; with ``force`` also a group that is being
        destroyed.
        """


class Managing(Protocol):
    """What a group plugin with the extension Manager has besides: one that stands before another
    and keeps groups only while it leads.
    """

    async def leader(self) -> LeaderReport:
        """Say who leads."""

    async def commit_groups(
        self, specs: list[GroupSpec], pretend: bool = False
    ) -> list[GroupDetails]:
        """Commit several groups, all of them or none, and return the Details of each."""


P = TypeVar("P", covariant=True)


@dataclass(frozen=True)
class Found(Generic[P]):
    """A plugin that a lookup found, and the extensions it offers."""

    plugin: P
    offers: frozenset[str]


class Lookup(Protocol):
    """Plugins by name, in this process or behind a socket; a caller cannot tell which.

    Finding is asked afresh each time, so a plugin may come, go and come back. Raises
    PluginNotFound, PluginUnavailable, or ProtocolError when the plugin is of another interface.
    """

    async def instance(self, name: str) -> Found[InstancePlugin]: ...
    async def flavor(self, name: str) -> Found[FlavorPlugin]: ...
    async def group(self, name: str) -> Found[GroupPlugin]: ...
    def events(self, name: str) -> AsyncIterator[EventBatch]:
        """Yield batches of the plugin's events for ever, across its restarts; the first, and each
        after a loss, has ``gap``.
        """
