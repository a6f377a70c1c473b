"""The verbs that tell what this package is: its version, and the JSON schema of a group's spec,
derived from the types that decode it.

The schema is for editors that complete and check what is typed; the group plugin stays the judge.
"""

from __future__ import annotations

import json
import platform
from typing import Any

import msgspec
from msgspec import NODEFAULT, Raw, Struct

from ... import __version__
from ...spi.documents import Allocation, GroupProperties, GroupSpec, PluginSpec
from ..commands import Invocation, Verb


def group_schema() -> dict[str, Any]:
    """Return the schema: opaque Properties take any value, those of the group are
    ``GroupProperties``.
    """
    plugin = _plain(PluginSpec, required=("plugin",))
    properties = _plain(
        GroupProperties,
        {"instance": plugin, "flavor": plugin},
        required=("instance", "flavor", "allocation"),
    )
    spec = _plain(GroupSpec, {"properties": properties}, required=("id", "properties"))
    schema = msgspec.json.schema(spec)
    schema["$defs"][Allocation.__name__]["minProperties"] = 1
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The spec of a group",
        **schema,
    }


def _plain(
    struct: type[Struct], types: dict[str, Any] | None = None, *, required: tuple[str, ...]
) -> type[Struct]:
    """Copy a document's type for the schema: opaque members take any value, ``required`` ones lose
    their default.
    """
    fields = []
    for field in msgspec.structs.fields(struct):
        kind = (types or {}).get(field.name, Any if field.type is Raw else field.type)
        default = (
            NODEFAULT if field.name in required else None if field.type is Raw else field.default
        )
        fields.append((field.name, kind, msgspec.field(name=field.encode_name, default=default)))
    return msgspec.defstruct(
        struct.__name__,
        fields,
        kw_only=True,
        forbid_unknown_fields=True,
        namespace={"__doc__": struct.__doc__},
    )


def schema(call: Invocation) -> None:
    print(json.dumps(group_schema(), indent=2))


SCHEMA = (Verb("schema", "", "Print the JSON schema of a group's spec", schema),)


def version(call: Invocation) -> None:
    if call.program == "infrakit":
        # InfraKit stamps both into its releases; a build of one's own, which is what our recordings
        # come from, says this
        print("Version: Unspecified\nRevision: Unspecified")
    else:
        print(f"ikdemo {__version__}, Python {platform.python_version()}")


VERSION = (Verb("version", "", "Print the version", version),)
