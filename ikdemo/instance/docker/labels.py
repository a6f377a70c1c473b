"""What a container of ours carries as labels, and what the engine says of it: whose it is, if it
lives, where it answers.

The only place that knows our labels. They are the whole truth about an instance, so nothing is kept
elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from msgspec import UNSET
from msgspec.structs import replace

from ...engine import Row
from ...spi.documents import GROUP_TAG, Description, slot_of
from ...spi.errors import SpecError

PREFIX = "ikdemo."
OWNER, MARK = PREFIX + "owner", PREFIX + "mark"
"""Labels that say whose a container is: the directory of its plugin, for people; and what the
plugin noted down there, as the directory may be renamed, and another one may have the same path in
a container that uses the same engine."""
INSTANCE, SLOT, LOGICAL_ID, PORT = (
    PREFIX + name for name in ("instance", "slot", "logical_id", "port")
)
TAG = PREFIX + "tag."
PORT_TAG, ADDRESS_TAG = "port", "Address"
"""Tags that say where an instance answers, unless its spec has them."""
ALIVE = ("running", "paused", "restarting")
LEFTOVER = ("created", "dead", "removing")
"""States in which a container is that was never started, or could not be removed; one that ended is
``exited``.
"""


class Labels(NamedTuple):
    """Who an instance is. ``port``: where it listens; empty when that is not said."""

    instance: str
    slot: str | None
    logical_id: str | None
    tags: dict[str, str]
    port: str = ""

    @property
    def group(self) -> str:
        return self.tags.get(GROUP_TAG, "")

    @property
    def description(self) -> Description:
        """What the plugin says of it without asking where it answers, its slot included."""
        slot = UNSET if self.slot is None else self.slot
        return Description(self.instance, self.logical_id, self.tags, slot)

    def to_dict(self, owner_labels: Mapping[str, str]) -> dict[str, str]:
        """Return the labels of this instance's container; ``owner_labels``: those that say whose it
        is.
        """
        own = {**owner_labels, INSTANCE: self.instance, PORT: self.port}
        if self.slot is not None:
            own[SLOT] = self.slot
        if self.logical_id is not None:
            own[LOGICAL_ID] = self.logical_id
        return {**own, **{TAG + name: text for name, text in self.tags.items()}}


class Container(NamedTuple):
    """A container of ours as the engine lists it. ``host``, ``public``: where it answers.

    ``is_original``: it bears the ID of its instance as its name, as it was made; an image of it
    passes on the labels alone.
    """

    id: str
    labels: Labels
    is_original: bool
    state: str
    status: str
    network: str
    host: str
    public: str

    @property
    def lender(self) -> str:
        """The container whose network this one uses; empty if it has its own."""
        return (
            self.network.removeprefix("container:") if self.network.startswith("container:") else ""
        )

    @property
    def is_alive(self) -> bool:
        return self.state in ALIVE

    def description(self, host: str) -> Description:
        """Describe the instance; ``host`` is the address of the container whose network it uses, if
        it uses one's.
        """
        where = {ADDRESS_TAG: self.host or host, PORT_TAG: self.public or self.labels.port}
        tags = {**(where if all(where.values()) else {}), **self.labels.tags}
        return replace(self.labels.description, tags=tags)


def labels_of(labels: Mapping[str, str]) -> Labels | None:
    """Return who a container with these labels is, None if no plugin of this kind made it.

    >>> labels = Labels("instance-1", "0", None, {"infrakit.group": "web"}, "80")
    >>> labels_of(labels.to_dict({OWNER: "me"})) == labels, labels.group
    (True, 'web')
    """
    if not (instance := labels.get(INSTANCE)):
        return None
    tags = {name.removeprefix(TAG): text for name, text in labels.items() if name.startswith(TAG)}
    try:
        slot = slot_of(labels.get(SLOT))
    except SpecError:  # no slot has such a name
        slot = None
    return Labels(instance, slot, labels.get(LOGICAL_ID), tags, labels.get(PORT, ""))


def has_labels(row: Row, labels: Iterable[str]) -> bool:
    """Say whether a row of the engine's list has these labels, each ``key=value``: it may list more
    than it was asked for.
    """
    own = row.get("Labels") or {}
    return all(own.get(key) == text for key, _, text in (label.partition("=") for label in labels))


def container_of(row: Row, engine: str) -> Container | None:
    """Read a row of the engine's list, None if it is not ours; ``engine`` is the address of the
    engine's machine.
    """
    labels = labels_of(row.get("Labels") or {})
    if labels is None:
        return None
    public = next(
        (str(p["PublicPort"]) for p in row.get("Ports") or () if _leads_to(p, labels.port)), ""
    )
    network = (row.get("HostConfig") or {}).get("NetworkMode", "")
    host = engine if public or network == "host" else address_of(row)
    is_original = f"/{labels.instance}" in (row.get("Names") or ())
    return Container(
        row["Id"],
        labels,
        is_original,
        row["State"],
        str(row.get("Status") or row["State"]),
        network,
        host,
        public,
    )


def _leads_to(port: Row, own: str) -> bool:
    return bool(port.get("PublicPort")) and str(port["PrivatePort"]) == own


def address_of(row: Row) -> str:
    """Return the address that a container has in its network; empty when it has none of its own."""
    for network in ((row.get("NetworkSettings") or {}).get("Networks") or {}).values():
        if address := network.get("IPAddress") or network.get("GlobalIPv6Address"):
            return str(address)
    return ""
