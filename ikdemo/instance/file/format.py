"""The text of an instance file: InfraKit's own form, byte for byte, and our slot as one further
member at its end.

Pure; the one place that knows the form.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from msgspec import UNSET, UnsetType

from ...spi.decode import decode
from ...spi.documents import GROUP_TAG, Attachment, Description, Document, InstanceSpec, slot_of
from ...spi.errors import SpecError
from ...spi.text import compact, indent, quote

LIMIT = 2**20
"""Largest file, in bytes, that is written or read."""
LONGEST_ID = 128
"""Characters of an ID."""
MOST_SHARED = 1000
"""Groups whose tags are held once for all their instances."""


class Content(Document, frozen=True):
    """What an instance file holds; the members that describe it stand beside the spec that it was
    made from.
    """

    id: str = ""
    logical_id: str | None = None
    tags: dict[str, str] | None = None
    spec: InstanceSpec = InstanceSpec()
    slot: str | UnsetType = UNSET


def read(data: bytes, shared: dict[str, dict[str, str]] | None = None) -> Description:
    """Return the description in a file, its slot included; raises SpecError for what cannot be an
    instance.

    As in InfraKit any JSON object counts if only it has an ID: what else it lacks is empty. Tags
    that are equal to those which ``shared`` holds for their group are those, and others take their
    place: a thousand copies take long to look through.

    >>> read(b'{"id": "instance-1", "Tags": {"tier": "web"}, "Colour": "red"}').tags
    {'tier': 'web'}
    """
    content = decode(data, Content)
    _check_id(content.id)
    slot = slot_of(content.slot)
    tags = content.tags
    if tags is not None and shared is not None:
        group = tags.get(GROUP_TAG, "")
        known = shared.get(group)
        if known == tags:
            tags = known
        elif len(shared) < MOST_SHARED or known is not None:
            shared[group] = tags
    return Description(content.id, content.logical_id, tags, UNSET if slot is None else slot)


def _check_id(instance: str) -> None:
    """Refuse what cannot be passed on as the ID of an instance: no such thing was made here; raises
    SpecError.
    """
    if (
        not 0 < len(instance) <= LONGEST_ID
        or "/" in instance
        or instance in (".", "..")
        or not instance.isprintable()
    ):
        expected = f"1 to {LONGEST_ID} printable characters without a slash"
        raise SpecError(
            f"$.ID: expected {expected}, got {instance[:40]!a}", path="$.ID", expected=expected
        )


def write(instance: str, spec: InstanceSpec, slot: str | None = None) -> bytes:
    """Return the file of an instance; raises SpecError when it would be too large to be read
    again.
    """
    if len(bytes(spec.properties)) <= LIMIT:
        tags = None if spec.tags is None else tuple(sorted(spec.tags.items()))
        attachments = None if spec.attachments is None else tuple(spec.attachments)
        rest = _rest(bytes(spec.properties), tags, spec.init, spec.logical_id, attachments)
        members = [f'"ID": {quote(instance)}', rest]
        if slot is not None:
            members.append(f'"Slot": {quote(slot)}')
        text = _lines("{}", members, 2).encode()
        if len(text) <= LIMIT:
            return text
    raise SpecError(
        f"$.Spec: too large, an instance file holds at most {LIMIT} bytes", path="$.Spec"
    )


@lru_cache(maxsize=8)  # the instances of a group differ in what is not asked for here
def _rest(
    properties: bytes,
    tags: tuple[tuple[str, str], ...] | None,
    init: str,
    logical_id: str | None,
    attachments: tuple[Attachment, ...] | None,
) -> str:
    """Lay out the members between the ID and the slot."""
    called = "null" if logical_id is None else quote(logical_id)
    inner = [
        f'"Properties": {indent(compact(properties), prefix=" " * 6)}',
        f'"Tags": {_map(tags, 6)}',
        f'"Init": {quote(init)}',
        f'"LogicalID": {called}',
        f'"Attachments": {_attachments(attachments)}',
    ]
    members = [
        f'"LogicalID": {called}',
        f'"Tags": {_map(tags, 4)}',
        f'"Spec": {_lines("{}", inner, 4)}',
    ]
    return f",\n{' ' * 4}".join(members)


def _lines(brackets: str, rows: Iterable[str], margin: int) -> str:
    """Put rows between brackets, a line each; ``margin`` is the number of blanks before the closing
    one.
    """
    inside = f",\n{' ' * (margin + 2)}".join(rows)
    return (
        f"{brackets[0]}\n{' ' * (margin + 2)}{inside}\n{' ' * margin}{brackets[1]}"
        if inside
        else brackets
    )


def _map(tags: Iterable[tuple[str, str]] | None, margin: int) -> str:
    if tags is None:
        return "null"
    return _lines("{}", (f"{quote(key)}: {quote(text)}" for key, text in tags), margin)


def _attachments(attachments: Iterable[Attachment] | None) -> str:
    if attachments is None:
        return "null"
    rows = (
        _lines("{}", (f'"ID": {quote(a.id)}', f'"Type": {quote(a.type)}'), 8) for a in attachments
    )
    return _lines("[]", rows, 6)
