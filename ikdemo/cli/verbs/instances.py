"""The verbs of ``infrakit instance``: talk to one instance plugin past every group. Loaded by
``commands``.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...spi.documents import InstanceSpec
from ...spi.text import visible
from .. import columns
from ..commands import QUIET, Invocation, Verb, say, show
from ..connections import peers
from ..documents import packed, read_document, read_properties
from ..flags import Flag, listed

TAGS = Flag("tags", "tags, as key=value,...", listed, (), placeholder="strings")


def as_tags(pairs: Sequence[str]) -> dict[str, str]:
    """Read ``key=value`` pairs as InfraKit does: what has not exactly one equals sign is a key with
    an empty value.

    >>> as_tags(["tier=web", "gone", "k=v=w"])
    {'tier': 'web', 'gone': '', 'k': ''}
    """
    split = (pair.split("=") for pair in pairs)
    return {parts[0]: parts[1] if len(parts) == 2 else "" for parts in split}


async def validate(call: Invocation) -> None:
    properties = read_properties(call.arguments[0])
    async with peers(call.directory) as found:
        await (await found.instance(call["name"])).plugin.validate(properties)
    print("validate:ok")


async def provision(call: Invocation) -> None:
    spec = read_document(call.arguments[0], InstanceSpec)
    spec = InstanceSpec(
        packed(spec.properties), spec.tags, spec.init, spec.logical_id, spec.attachments
    )
    async with peers(call.directory) as found:
        instance = await (await found.instance(call["name"])).plugin.provision(spec)
    show(visible(instance or ""))


async def destroy(call: Invocation) -> None:
    async with peers(call.directory) as found:
        await (await found.instance(call["name"])).plugin.destroy(call.arguments[0])
    say(f"destroyed {call.arguments[0]}")


async def describe(call: Invocation) -> None:
    async with peers(call.directory) as found:
        instances = await (await found.instance(call["name"])).plugin.describe_instances(
            as_tags(call["tags"])
        )
    show(columns.instance_rows(instances, call["quiet"]))


VERBS = (
    Verb("validate", "FILE", "Ask whether the plugin takes the Properties in FILE", validate),
    Verb("provision", "FILE", "Make an instance from the spec in FILE and print its ID", provision),
    Verb("destroy", "ID", "Destroy an instance", destroy),
    Verb(
        "describe", "", "List instances, all or those with the tags given", describe, (QUIET, TAGS)
    ),
)
