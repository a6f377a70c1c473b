"""The verbs of ``infrakit group``, and ``scale``, which InfraKit v0.1.0 lacks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ...spi.decode import encode
from ...spi.documents import GroupSpec
from ...spi.errors import PluginFailure
from ...spi.text import indent, visible, visible_json
from .. import columns
from ..commands import QUIET, Invocation, Verb, say, show
from ..flags import Flag, switch, whole_number
from ..verb_inputs import packed, peers, read_document, reconciling

if TYPE_CHECKING:
    from ...spi.contracts import Found, GroupPlugin

PRETEND = Flag("pretend", "say what a commit would do, and do nothing", switch, False)


@asynccontextmanager
async def named(call: Invocation) -> AsyncIterator[Found[GroupPlugin]]:
    """Connect to the group plugin that ``--name`` names."""
    async with peers(call.directory) as found:
        yield await found.group(call["name"])


async def listed(group: Found[GroupPlugin]) -> list[GroupSpec]:
    """Return every group that a plugin keeps, those that it is destroying included where it can
    tell.
    """
    return await (
        group.plugin.list_groups() if "Reconcile" in group.offers else group.plugin.inspect_groups()
    )


async def commit(call: Invocation) -> None:
    spec = read_document(call.arguments[0], GroupSpec)
    spec = GroupSpec(spec.id, packed(spec.properties))
    async with named(call) as group:
        details = await group.plugin.commit_group(spec, call["pretend"])
    say(
        f"Committing {spec.id} would involve: {details}"
        if call["pretend"]
        else f"Committed {spec.id}: {details}"
    )


async def free(call: Invocation) -> None:
    async with named(call) as group:
        await group.plugin.free_group(call.arguments[0])
    say(f"Freed {call.arguments[0]}")


async def describe(call: Invocation) -> None:
    async with named(call) as group:
        description = await group.plugin.describe_group(call.arguments[0])
    show(columns.instance_rows(description.instances, call["quiet"]))


async def inspect(call: Invocation) -> None:
    async with named(call) as group:
        specs = await group.plugin.inspect_groups()
    spec = next((spec for spec in specs if spec.id == call.arguments[0]), None)
    if spec is None:
        raise PluginFailure(f"Group {call.arguments[0]} is not being watched")
    print(visible_json(indent(encode(spec))))


async def destroy(call: Invocation) -> None:
    async with named(call) as group:
        await group.plugin.destroy_group(call.arguments[0])
    say(f"destroy {call.arguments[0]} initiated")


async def ls(call: Invocation) -> None:
    async with named(call) as group:
        specs = await listed(group)
    show("\n".join(([] if call["quiet"] else ["ID"]) + [visible(spec.id) for spec in specs]))


async def scale(call: Invocation) -> None:
    name, text = call.arguments
    try:
        size = whole_number(text)
    except ValueError as error:
        raise PluginFailure(f'invalid size "{text}": {error}') from None
    async with named(call) as group:
        details = await reconciling(group, call["name"]).scale_group(name, size)
    say(f"Scaled {name} to {size}: {details}")


GROUP = (
    Verb("commit", "FILE", "Make a group as FILE says, and keep it so", commit, (PRETEND,)),
    Verb("describe", "ID", "List the instances of a group", describe, (QUIET,)),
    Verb("inspect", "ID", "Print the committed spec of a group", inspect),
    Verb("ls", "", "List the groups that are kept", ls, (QUIET,)),
    Verb("scale", "ID SIZE", "Change the number of instances, to 0 if wanted", scale),
    Verb("free", "ID", "Stop keeping a group; its instances stay", free),
    Verb("destroy", "ID", "Destroy a group and all its instances", destroy),
    Verb("watch", "FILE", "The older name of commit", commit, (PRETEND,)),
    Verb("unwatch", "ID", "The older name of free", free),
)
