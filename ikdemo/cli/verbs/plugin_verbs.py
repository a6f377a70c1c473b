"""The verbs that talk to one plugin, past every group: ``infrakit instance``, ``flavor`` and
``plugin``, and ``ikdemo instance logs``.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from ...rpc import discovery
from ...spi.contracts import Logging
from ...spi.decode import encode
from ...spi.documents import Allocation, Description, InstanceSpec
from ...spi.errors import PluginFailure
from ...spi.text import indent, visible, visible_json
from .. import columns
from ..commands import QUIET, Invocation, Verb, say, show
from ..flags import Flag, listed, whole_number
from ..verb_inputs import packed, peers, read_document, read_properties, ready

TAGS = Flag("tags", "tags, as key=value,...", listed, (), placeholder="strings")


def as_tags(pairs: Sequence[str]) -> dict[str, str]:
    """Read ``key=value`` pairs as InfraKit does: what has not exactly one equals sign is a key with
    an empty value.

    >>> as_tags(["tier=web", "gone", "k=v=w"])
    {'tier': 'web', 'gone': '', 'k': ''}
    """
    split = (pair.split("=") for pair in pairs)
    return {parts[0]: parts[1] if len(parts) == 2 else "" for parts in split}


async def validate_instance(call: Invocation) -> None:
    properties = read_properties(call.arguments[0])
    async with peers(call.directory) as found:
        await (await found.instance(call["name"])).plugin.validate(properties)
    print("validate:ok")


async def provision(call: Invocation) -> None:
    spec = read_instance_spec(call.arguments[0])
    async with peers(call.directory) as found:
        instance = await (await found.instance(call["name"])).plugin.provision(spec)
    show(visible(instance or ""))


async def destroy(call: Invocation) -> None:
    async with peers(call.directory) as found:
        await (await found.instance(call["name"])).plugin.destroy(call.arguments[0])
    say(f"destroyed {call.arguments[0]}")


async def describe_instances(call: Invocation) -> None:
    async with peers(call.directory) as found:
        instances = await (await found.instance(call["name"])).plugin.describe_instances(
            as_tags(call["tags"])
        )
    show(columns.instance_rows(instances, call["quiet"]))


def read_instance_spec(file: str) -> InstanceSpec:
    """Read the spec of an instance, its Properties as they travel."""
    spec = read_document(file, InstanceSpec)
    return replace(spec, properties=packed(spec.properties))


INSTANCE = (
    Verb(
        "validate", "FILE", "Ask whether the plugin takes the Properties in FILE", validate_instance
    ),
    Verb("provision", "FILE", "Make an instance from the spec in FILE and print its ID", provision),
    Verb("destroy", "ID", "Destroy an instance", destroy),
    Verb(
        "describe",
        "",
        "List instances, all or those with the tags given",
        describe_instances,
        (QUIET, TAGS),
    ),
)


TAIL = Flag(
    "tail",
    "how many lines, from the end; 0 for all that is kept",
    whole_number,
    0,
    placeholder="number",
)


async def logs(call: Invocation) -> None:
    """Print what an instance printed. Control characters are escaped, as ``journalctl`` does, also
    in a pipe: most pipes end on a terminal.
    """
    async with peers(call.directory) as found:
        instances = await found.instance(call["name"])
        if "Logs" not in instances.offers or not isinstance(instances.plugin, Logging):
            raise PluginFailure(
                f"the instance plugin {call['name']} keeps nothing that instances print"
            )
        lines = await instances.plugin.logs(call.arguments[0], call["tail"])
    show("\n".join(visible(line, keep="\t") for line in lines))


INSTANCE_LOGS = (
    Verb(
        "logs",
        "ID",
        "Print the last output of an instance, also shortly after its end",
        logs,
        (TAIL,),
    ),
)
ALLOCATION = (
    Flag("size", "number of instances of the group", whole_number, 0, placeholder="number"),
    Flag("logical-ids", "logical IDs of the group, as a,b,...", listed, (), placeholder="strings"),
)
DESCRIBED = (
    Flag("id", "ID of the instance"),
    Flag("logical-id", "logical ID of the instance"),
    TAGS,
)


def allocation(call: Invocation) -> Allocation:
    """Make an allocation of the flags; no logical IDs are an empty list, as InfraKit's command line
    sends it.
    """
    return Allocation(call["size"], list(call["logical-ids"]))


async def validate_flavor(call: Invocation) -> None:
    properties = read_properties(call.arguments[0])
    async with peers(call.directory) as found:
        await (await found.flavor(call["name"])).plugin.validate(properties, allocation(call))


async def prepare(call: Invocation) -> None:
    properties = read_properties(call.arguments[0])
    spec = read_instance_spec(call.arguments[1])
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


FLAVOR = (
    Verb(
        "validate",
        "FILE",
        "Ask whether the flavor takes the Properties in FILE",
        validate_flavor,
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
        DESCRIBED,
    ),
)


def ls(call: Invocation) -> None:
    ready(call.directory)
    show(columns.plugin_rows(discovery.listing(call.directory), call["quiet"]))


PLUGIN = (Verb("ls", "", "List the plugins and where they listen", ls, (QUIET,)),)
