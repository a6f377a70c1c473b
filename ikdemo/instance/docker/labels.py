"""What the engine says of a container of ours: whose it is, if it lives, where it answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from msgspec.structs import replace

from ...engine import Row
from ...spi.documents import Description
from ..container_labels import ADDRESS_TAG, PORT_TAG, PREFIX, Labels, labels_of

OWNER, MARK = PREFIX + "owner", PREFIX + "mark"
"""Labels that say whose a container is: the directory of its plugin, for people; and what the
plugin noted down there, as the directory may be renamed, and another one may have the same path in
a container that uses the same engine."""
ALIVE = ("running", "paused", "restarting")
LEFTOVER = ("created", "dead", "removing")
"""States in which a container is that was never started, or could not be removed; one that ended is
``exited``.
"""


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
