"""The verbs of ``infrakit flavor``: ask one flavor plugin what it would do. Loaded by
``commands``.
"""

from __future__ import annotations

from ...spi.decode import encode
from ...spi.documents import Allocation, Description, InstanceSpec
from ...spi.text import indent, visible_json
from ..commands import Invocation, Verb
from ..connections import peers
from ..documents import packed, read_document, read_properties
from ..flags import Flag, listed, whole_number
from .instances import TAGS, as_tags

ALLOCATION = (
    Flag("size", "number of instances of the group", whole_number, 0, placeholder="number"),
    Flag("logical-ids", "logical IDs of the group, as a,b,...", listed, (), placeholder="strings"),
)
INSTANCE = (
    Flag("id", "ID of the instance"),
    Flag("logical-id", "logical ID of the instance"),
    TAGS,
)


def allocation(call: Invocation) -> Allocation:
    """Make an allocation of the flags; no logical IDs are an empty list, as InfraKit's command line
    sends it.
    """
    return Allocation(call["size"], list(call["logical-ids"]))


async def validate(call: Invocation) -> None:
    properties = read_properties(call.arguments[0])
    async with peers(call.directory) as found:
        await (await found.flavor(call["name"])).plugin.validate(properties, allocation(call))


async def prepare(call: Invocation) -> None:
    properties = read_properties(call.arguments[0])
    spec = read_document(call.arguments[1], InstanceSpec)
    spec = InstanceSpec(
        packed(spec.properties), spec.tags, spec.init, spec.logical_id, spec.attachments
    )
    async with peers(call.directory) as found:
        spec = await (await found.flavor(call["name"])).plugin.prepare(
            properties, spec, allocation(call)
        )
    print(visible_json(indent(encode(spec), prefix="  ")))


async def healthy(call: Invocation) -> None:
    properties = read_properties(call.arguments[0])
    instance = Description(call["id"], call["logical-id"] or None, as_tags(call["tags"]) or None)
    async with peers(call.directory) as found:
        print(int(await (await found.flavor(call["name"])).plugin.healthy(properties, instance)))


VERBS = (
    Verb(
        "validate",
        "FILE",
        "Ask whether the flavor takes the Properties in FILE",
        validate,
        ALLOCATION,
    ),
    Verb(
        "prepare",
        "FLAVOR-FILE SPEC-FILE",
        "Print the spec of an instance as the flavor prepares it",
        prepare,
        ALLOCATION,
    ),
    Verb(
        "healthy",
        "FILE",
        "Print an instance's health: 0 unknown, 1 healthy, 2 unhealthy",
        healthy,
        INSTANCE,
    ),
)
