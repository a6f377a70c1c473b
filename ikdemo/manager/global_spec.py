r"""The global spec: the one document with all groups, as InfraKit v0.1.0's manager stores it.

``{"Groups": {ID: {"Plugin": name, "Properties": {"ID": ID, "Properties": ...}}}}``, in three forms:
as text (``global.config`` of ``os``), as a label (``swarm``) and as plain JSON (``etcd``). The
Properties of a group keep their text. Members match in any letter case, and those of no meaning are
dropped with the next save, as v0.1.0 does; what is no such document is CorruptState and is left as
it is, since a save would destroy it.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping

from msgspec import Raw, Struct
from msgspec.structs import replace

from ..spi.decode import decode, encode, fold
from ..spi.documents import Document, GroupSpec
from ..spi.errors import CorruptState, SpecError
from ..spi.text import compact, indent

LARGEST = 8 << 20
"""Bytes of a global spec, as of everything else that is read."""


class GroupEntry(Document, frozen=True):
    """One group as it is stored: the group plugin that keeps it, and its spec."""

    plugin: str = ""
    properties: GroupSpec = GroupSpec()


class GlobalSpec(Struct, frozen=True):
    """All groups, by ID.

    >>> spec = GlobalSpec().with_group(GroupSpec("web", Raw(b'{"b":1}')), "group-stateless")
    >>> as_json(spec)
    b'{"Groups":{"web":{"Plugin":"group-stateless","Properties":{"ID":"web","Properties":{"b":1}}}}}'
    >>> as_json(spec.without("web"))
    b'{"Groups":{}}'
    """

    groups: Mapping[str, GroupEntry] = {}

    def with_group(self, spec: GroupSpec, plugin: str) -> GlobalSpec:
        """Return it with this group, in the place of the one of the same ID."""
        return GlobalSpec({**self.groups, spec.id: GroupEntry(plugin, spec)})

    def without(self, group: str) -> GlobalSpec:
        """Return it without a group."""
        return GlobalSpec({key: entry for key, entry in self.groups.items() if key != group})


class _Outside(Document, frozen=True):
    groups: dict[str, Raw] | None = None


def as_json(spec: GlobalSpec) -> bytes:
    """Return plain JSON."""
    return encode({"Groups": dict(spec.groups)})


def from_json(stored: bytes, where: str) -> GlobalSpec:
    """Read what one of the three forms holds in the end; ``where`` it was found begins the sentence
    of a CorruptState.

    >>> text = b'{"groups": {"g": {"plugin": "p", "properties": {"id": "g"}}}, "X": 1}'
    >>> as_json(from_json(text, "f"))
    b'{"Groups":{"g":{"Plugin":"p","Properties":{"ID":"g","Properties":null}}}}'
    >>> from_json(b"not json", "the file f")
    Traceback (most recent call last):
    ikdemo.spi.errors.CorruptState: the file f cannot be used and is left as it is: not JSON: \
invalid character at line 1, column 5
    """
    try:
        if len(stored) > LARGEST:
            raise SpecError(f"it is larger than {LARGEST >> 20} MiB")
        return read_global_spec(stored)
    except SpecError as error:
        raise CorruptState(f"{where} cannot be used and is left as it is: {error}") from None


def read_global_spec(document: bytes) -> GlobalSpec:
    """Read a global spec; raises SpecError that says where it is wrong.

    >>> read_global_spec(b'{"Groups": {"g": {"Plugin": "p", "Properties": {"ID": "h"}}}}')
    Traceback (most recent call last):
    ikdemo.spi.errors.SpecError: $.Groups.g.Properties.ID: expected "g", as the group is called \
there, got "h"
    """
    outside = decode(document, _Outside)
    _check_shape(document)
    groups: dict[str, GroupEntry] = {}
    for group, raw in (outside.groups or {}).items():
        where = f"$.Groups.{group[:40]}"
        entry = decode(raw, GroupEntry, path=where)
        if entry.properties.id != group:
            raise SpecError(
                f'{where}.Properties.ID: expected "{group[:40]}", as the group is called there, '
                f'got "{entry.properties.id[:40]}"',
                path=f"{where}.Properties.ID",
                expected=group,
            )
        packed = Raw(compact(bytes(entry.properties.properties)))
        groups[group] = replace(entry, properties=GroupSpec(group, packed))
    return GlobalSpec(groups)


def _check_shape(document: bytes) -> None:
    """Refuse an object that is something else, or says that it is of a version: there is none yet.

    >>> _check_shape(b'{"Version": 2, "Groups": {}}')
    Traceback (most recent call last):
    ikdemo.spi.errors.SpecError: $.Version: a global spec of another version than is known here
    """
    names = {fold(name): name for name in decode(document, dict[str, Raw])}
    for version in ("version", "format"):
        if version in names:
            raise SpecError(
                f"$.{names[version]}: a global spec of another version than is known here",
                path=f"$.{names[version]}",
            )
    if names and "groups" not in names:
        raise SpecError("$: expected an object with Groups", path="$", expected="Groups")


def as_text(spec: GlobalSpec) -> bytes:
    r"""Return the text that v0.1.0 writes, Go's ``MarshalIndent(spec, "  ", "  ")``.

    >>> as_text(GlobalSpec())
    b'{\n    "Groups": {}\n  }'
    """
    return indent(as_json(spec), prefix="  ").encode()


def as_label(spec: GlobalSpec) -> str:
    """Return the value of v0.1.0's label: that text, compressed with zlib, in standard base64.

    >>> from_label(as_label(GlobalSpec()), "the label") == GlobalSpec()
    True
    """
    return base64.b64encode(zlib.compress(as_text(spec))).decode()


def from_label(label: str, where: str) -> GlobalSpec:
    """Read the value of the label.

    >>> from_label("aGVsbG8=", "the label infrakit")
    Traceback (most recent call last):
    ikdemo.spi.errors.CorruptState: the label infrakit cannot be used and is left as it is: it is \
not compressed with zlib
    """
    try:
        packed = base64.b64decode("".join(label.split()), validate=True)
    except (binascii.Error, ValueError):
        raise _unreadable(where, "it is not base64") from None
    unpacking = zlib.decompressobj()
    try:
        text = unpacking.decompress(packed, LARGEST + 1)
    except zlib.error:
        raise _unreadable(where, "it is not compressed with zlib") from None
    if not unpacking.eof and len(text) <= LARGEST:
        raise _unreadable(where, "it ends too early")
    return from_json(text, where)


def _unreadable(where: str, why: str) -> CorruptState:
    return CorruptState(f"{where} cannot be used and is left as it is: {why}")
