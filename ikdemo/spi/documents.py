"""The documents plugins exchange, as types: attribute names are Python's, member names on the wire
are InfraKit's.

A member that is absent and one that is ``null`` mean the same; ``[]`` and ``{}`` stay what they
are. ``Raw`` members are opaque: they keep their text (key order, number spelling) on every hop.
Whatever is read is bounded here: numbers, names, moments, and the names of slots (``slot_of``).
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from .errors import SpecError

GROUP_TAG = "infrakit.group"
"""Tag that makes an instance a member of a group; its value is the group's ID."""
SHA_TAG = "infrakit.config_sha"
"""Tag that holds the hash of the configuration an instance was made from (see ``config_sha``)."""

NULL = Raw(b"null")

# Whatever is read is bounded where it is read: no number, name or moment beyond these gets in.
Name = Annotated[str, Meta(max_length=4096)]
"""An ID or a logical ID."""
SlotName = Annotated[str, Meta(max_length=4200)]
"""A slot: a number, or a logical ID and which one of that name it is."""
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
"""A whole number that every language holds."""
Epoch = Annotated[int, Meta(ge=1, le=2**63 - 1)]
"""The number of a leader's time; greater than that of every leader before."""
Moment = Annotated[float, Meta(ge=-62_135_596_800, le=253_402_300_799)]
"""Seconds since the epoch, between the years 1 and 9999."""

_WIRE = {
    "id": "ID",
    "logical_id": "LogicalID",
    "logical_ids": "LogicalIDs",
    "apis": "APIs",
    "ok": "OK",
    "http": "HTTP",
    "tcp": "TCP",
    "unproductive": "Futile",  # as it was first called: programs of then are still spoken to
}


def wire_name(attribute: str) -> str:
    """Return the member name on the wire for an attribute.

    >>> wire_name("logical_id"), wire_name("instance"), wire_name("wake_after")
    ('LogicalID', 'Instance', 'WakeAfter')
    """
    return _WIRE.get(attribute) or "".join(part.title() for part in attribute.split("_"))


class Document(Struct, frozen=True, forbid_unknown_fields=True, rename=wire_name):
    """Base of everything that travels: immutable, compared by value, members named as on the
    wire.
    """


class Attachment(Document, frozen=True):
    """Something an instance is to be attached to, such as a volume. Opaque to the group."""

    id: str = ""
    type: str = ""


class InstanceSpec(Document, frozen=True):
    """What an instance is to be made from; flavors transform it, instance plugins act on it."""

    properties: Raw = NULL
    tags: dict[str, str] | None = None
    init: str = ""
    logical_id: Name | None = None
    attachments: list[Attachment] | None = None


# thousands of them; nothing in one can lead back to it
class Description(Document, frozen=True, gc=False):
    """One living instance as its plugin describes it. ``slot`` travels only where it was asked
    for.
    """

    id: Name = ""
    logical_id: Name | None = None
    tags: dict[str, str] | None = None
    slot: SlotName | UnsetType = UNSET


class Allocation(Document, frozen=True):
    """How many instances (cattle: ``size``) or which ones (pets: ``logical_ids``). Exactly one is
    used.
    """

    size: Count = 0
    logical_ids: list[Name] | None = None


class PluginSpec(Document, frozen=True):
    """The name of a plugin and the opaque properties it is given."""

    plugin: str = ""
    properties: Raw = NULL


class Updating(Document, frozen=True):
    """How a rolling update is paced; beyond v0.1.0, and left out wherever it was not given.

    ``batch_size`` instances leave at a time. Before the next batch every new instance has been
    healthy ``count`` times in a row, one poll apart, and for ``duration`` (as Go writes it, such as
    "10s"). Where neither is given, instances that can end or become unhealthy by themselves have to
    be healthy for 5 s. ``surge`` instances more than Size are made first, so that a batch of that
    size leaves no gap.
    """

    batch_size: Annotated[int, Meta(ge=1, le=10**6)] = 1
    count: Annotated[int, Meta(ge=0, le=10**6)] = 0
    duration: str | UnsetType = UNSET
    surge: Annotated[int, Meta(ge=0, le=10**6)] = 0


class GroupProperties(Document, frozen=True):
    """The inside of a group's spec, in the member order in which InfraKit prints it."""

    instance: PluginSpec = PluginSpec()
    flavor: PluginSpec = PluginSpec()
    allocation: Allocation = Allocation()
    updating: Updating | UnsetType = UNSET


class GroupSpec(Document, frozen=True):
    """A group as it is committed: an ID, any text, and properties that decode to
    ``GroupProperties``.
    """

    id: Name = ""
    properties: Raw = NULL


class GroupDescription(Document, frozen=True):
    """The instances of a group, and whether the world is as the spec wants it."""

    instances: list[Description] | None = None
    converged: bool = False


class GroupDetails(Document, frozen=True):
    """The Details of committing one of several groups."""

    id: Name = ""
    details: str = ""


class LeaderReport(Document, frozen=True):
    """Who leads, as a manager can tell. ``name`` is empty when nobody does, or it cannot be known.

    ``since`` and ``renewed`` (the last confirmed renewal) are seconds since the epoch, 0 where that
    is not known; ``leads``: the manager that was asked does; ``why``: why it does not. ``store`` is
    the back end, ``behind`` the group plugin, which with ``fences`` passes the epoch on.
    """

    name: str = ""
    epoch: Count = 0
    since: Moment = 0.0
    renewed: Moment = 0.0
    store: str = ""
    leads: bool = False
    why: str = ""
    behind: str = ""
    fences: bool = False


class Health(IntEnum):
    """What a flavor says of an instance. Only UNHEALTHY is evidence; UNKNOWN never counts against
    anything.
    """

    UNKNOWN = 0
    HEALTHY = 1
    UNHEALTHY = 2


class Api(Document, frozen=True):
    """One entry of the handshake: an interface or an extension, and its version."""

    name: str = ""
    version: str = ""


LONGEST_SLOT = 128
"""Characters of the name of a slot."""
MOST_DIGITS = 9
"""Digits of the name of a slot that is a number: a group has no billion slots, and Python refuses
to read more than 4,300 of them.
"""


def slot_of(said: str | UnsetType | None, path: str = "$.Slot") -> str | None:
    """Return the name of a slot, None when there is none: an empty name is none. Raises SpecError
    for one that cannot be.

    >>> slot_of("7"), slot_of("db/2"), slot_of(""), slot_of(None)
    ('7', 'db/2', None, None)
    """
    if said is None or said is UNSET or not said:
        return None
    if len(said) > LONGEST_SLOT or (said.isdigit() and len(said) > MOST_DIGITS):
        expected = (
            f"at most {LONGEST_SLOT} characters, and at most {MOST_DIGITS} digits of a number"
        )
        raise SpecError(
            f"{path}: expected {expected}, got {len(said)}", path=path, expected=expected
        )
    return said
