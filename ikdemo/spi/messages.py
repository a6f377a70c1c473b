"""Parameters and results of every method on the wire, one type each; the table that names the
methods is ``rpc.methods``.

A client always sends every member (as InfraKit's do), except those of extensions, which are left
out unless asked for.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Raw, UnsetType, field

from .documents import (
    NULL,
    Allocation,
    Api,
    Description,
    Document,
    Epoch,
    GroupDescription,
    GroupDetails,
    GroupSpec,
    Health,
    InstanceSpec,
    Name,
    SlotName,
)
from .events import Cursor
from .plans import Reason


class Nothing(Document, frozen=True):
    """Parameters of a method that takes none."""


class Ok(Document, frozen=True):
    """The result of a method that has nothing else to say."""

    ok: bool = True


class Implements(Document, frozen=True):
    """Result of the handshake: what the plugin implements, its own interface first."""

    apis: list[Api] | None = None


class CommitGroup(Document, frozen=True):
    """``epoch`` belongs to the Fence extension."""

    spec: GroupSpec = GroupSpec()
    pretend: bool = False
    epoch: Epoch | UnsetType = UNSET


class Details(Document, frozen=True):
    details: str = ""


class GroupID(Document, frozen=True):
    id: str = ""


class Described(Document, frozen=True):
    description: GroupDescription = GroupDescription()


class Inspected(Document, frozen=True):
    """``groups`` is null, not an empty list, when there is none."""

    groups: list[GroupSpec] | None = None


class ValidateInstance(Document, frozen=True):
    properties: Raw = NULL


class Provision(Document, frozen=True):
    """``slot`` belongs to the Slots extension, ``epoch`` to Fence; they stand beside the spec, so
    that plain plugins never see them.
    """

    spec: InstanceSpec = InstanceSpec()
    slot: SlotName | UnsetType = UNSET
    epoch: Epoch | UnsetType = UNSET


class Provisioned(Document, frozen=True):
    id: Name | None = None


class DestroyInstance(Document, frozen=True):
    """``epoch`` belongs to the Fence extension."""

    instance: str = ""
    epoch: Epoch | UnsetType = UNSET


class ClaimGroup(Document, frozen=True):
    """Parameters of the Fence extension's one method; both have to be given."""

    group: str = ""
    epoch: Epoch | UnsetType = UNSET


class DescribeInstances(Document, frozen=True):
    """``slots`` belongs to the Slots extension."""

    tags: dict[str, str] | None = None
    slots: bool | UnsetType = UNSET


class Descriptions(Document, frozen=True):
    descriptions: list[Description] | None = None


class DigestInstances(Document, frozen=True):
    """Parameters of the Digest extension."""

    group: str = ""


class Digest(Document, frozen=True):
    digest: str = ""


class InstanceLogs(Document, frozen=True):
    """Parameters of the Logs extension; ``tail`` is how many lines, 0 for all that is kept."""

    instance: str = ""
    tail: Annotated[int, Meta(ge=0, le=10**6)] = 0


class Lines(Document, frozen=True):
    """What an instance printed, oldest line first."""

    lines: list[str] | None = None


class ValidateFlavor(Document, frozen=True):
    properties: Raw = NULL
    allocation: Allocation = Allocation()


class Prepare(Document, frozen=True):
    properties: Raw = NULL
    spec: InstanceSpec = InstanceSpec()
    allocation: Allocation = Allocation()


class Prepared(Document, frozen=True):
    spec: InstanceSpec = InstanceSpec()


class FlavorInstance(Document, frozen=True):
    """Parameters of Healthy, Drain and Bury."""

    properties: Raw = NULL
    instance: Description = Description()


class Healthy(Document, frozen=True):
    health: Health = Health.UNKNOWN


class Watch(Document, frozen=True):
    """Parameters of the long poll; ``timeout`` is in seconds, ``tags`` filter events that carry
    tags.
    """

    since: Cursor = Cursor()
    timeout: float = 0.0
    tags: dict[str, str] | None = None


class ScaleGroup(Document, frozen=True):
    id: str = ""
    size: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] = 0


class FreeGroup(Document, frozen=True):
    """``force``: also while the group is being destroyed, or its plugins are away."""

    id: str = ""
    force: bool = False


class CommitGroups(Document, frozen=True):
    """Parameters of the Manager extension: several groups, all of them or none."""

    groups: list[GroupSpec] = field(default_factory=list)
    pretend: bool = False


class CommittedGroups(Document, frozen=True):
    groups: list[GroupDetails] | None = None


class Reasons(Document, frozen=True):
    reasons: list[Reason]
