"""What a container of ours carries as labels, whatever made it, and finds in its environment: who
its instance is.

The only place that knows these labels. They are the whole truth about an instance, so nothing is
kept elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from msgspec import UNSET

from ..spi.documents import GROUP_TAG, Description, slot_of
from ..spi.errors import SpecError

PREFIX = "ikdemo."
INSTANCE, SLOT, LOGICAL_ID, PORT = (
    PREFIX + name for name in ("instance", "slot", "logical_id", "port")
)
TAG = PREFIX + "tag."
PORT_TAG, ADDRESS_TAG = "port", "Address"
"""Tags that say where an instance answers, unless its spec has them."""


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


def labels_of(labels: Mapping[str, str]) -> Labels | None:
    """Return who a container with these labels is, None if no plugin of this kind made it.

    >>> labels = Labels("instance-1", "0", None, {"infrakit.group": "web"}, "80")
    >>> labels_of(labels.to_dict({"ikdemo.owner": "me"})) == labels, labels.group
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


def environment_of(labels: Labels) -> dict[str, str]:
    """Return what an instance may want to know of itself, under the names that processes have
    it.
    """
    known = {
        "INSTANCE_ID": labels.instance,
        "SLOT": labels.slot or "",
        "GROUP": labels.group,
        "LOGICAL_ID": labels.logical_id or "",
        **({"PORT": labels.port} if labels.port else {}),
    }
    return {name: text.replace("\0", "") for name, text in known.items()}
