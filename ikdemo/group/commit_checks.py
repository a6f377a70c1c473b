"""Decides whether a group may be committed, in InfraKit's order and words, and what the commit says
it will do.

InfraKit's own sentences are kept; where its text is that of Go's decoder, ours names the JSON path.
The second half is about changing a group that is there: a snapshot of its instances, taken without
a lock, becomes the Details, unless the group has changed since. Nothing here changes anything.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import NamedTuple

import msgspec
from msgspec import Raw

from ..reconcile.explain import count, explain
from ..spi.config_sha import sha_of
from ..spi.contracts import Lookup
from ..spi.decode import decode, unknown_members
from ..spi.documents import (
    NULL,
    Allocation,
    Document,
    GroupProperties,
    GroupSpec,
    PluginSpec,
    Updating,
)
from ..spi.durations import parse_duration
from ..spi.errors import PluginFailure, PluginNotFound, RemoteFailure, SpecError
from ..spi.text import compact, visible
from .observation import View
from .store import Record

MOST_INSTANCES = 100_000
"""Instances that a group may have: as many as one description of it can hold."""


def checked_properties(spec: GroupSpec) -> GroupProperties:
    """Decode a group's properties and check what can be checked without a plugin; raises
    SpecError.
    """
    if not spec.id:
        raise SpecError("Group ID must not be blank", path="$.ID", expected="a name")
    try:
        if bytes(spec.properties) == b"null":
            raise SpecError("$.Properties: missing", path="$.Properties", expected="an object")
        properties = decode(spec.properties, GroupProperties, path="$.Properties")
    except SpecError as error:
        raise SpecError(
            f"Invalid properties: {error}", path=error.path, expected=error.expected
        ) from None
    allocation = properties.allocation
    if allocation.logical_ids and allocation.size:
        raise SpecError("Only one Allocation method may be used", path="$.Properties.Allocation")
    if not allocation.logical_ids and not allocation.size:
        raise SpecError("Allocation must not be blank", path="$.Properties.Allocation")
    check_group_size(allocation)
    sha_of(properties)
    _check_updating(properties)
    sections = _compacted(properties.instance), _compacted(properties.flavor)
    return GroupProperties(*sections, allocation, properties.updating)


class _WithUpdating(Document, frozen=True):
    """The part of a group's properties that v0.1.0 does not know, as text."""

    updating: Raw = NULL


def unknown_members_note(spec: GroupSpec) -> str:
    """Name the members of ``Updating`` that are not known, to follow the Details; empty when there
    is none.
    """
    updating = decode(spec.properties, _WithUpdating).updating
    unknown = [] if updating == NULL else unknown_members(updating, Updating)
    if not unknown:
        return ""
    known = ", ".join(field.encode_name for field in msgspec.structs.fields(Updating))
    named = ", ".join(f"$.Properties.Updating.{visible(name[:40])}" for name in unknown[:5])
    return f" (without {named}: Updating has only {known})"


async def validate_with_plugins(properties: GroupProperties, lookup: Lookup) -> None:
    """Have both plugins of a group validate their parts, the flavor first; raises what they say,
    paths from the spec's root.
    """
    try:
        flavor = await lookup.flavor(properties.flavor.plugin)
    except PluginNotFound as error:
        raise _not_found("Flavor", error) from None
    await _validate_section(
        "Flavor", flavor.plugin.validate(properties.flavor.properties, properties.allocation)
    )
    try:
        instance = await lookup.instance(properties.instance.plugin)
    except PluginNotFound as error:
        raise _not_found("Instance", error) from None
    await _validate_section("Instance", instance.plugin.validate(properties.instance.properties))


def check_group_size(allocation: Allocation) -> None:
    """Refuse a group so large that observing it would keep every other group waiting; raises
    SpecError.
    """
    asked = count(allocation)
    if asked > MOST_INSTANCES:
        path = "$.Properties.Allocation." + ("LogicalIDs" if allocation.logical_ids else "Size")
        raise SpecError(
            f"{path}: a group may have {MOST_INSTANCES} instances, this one asks for {asked}",
            path=path,
        )


def _check_updating(properties: GroupProperties) -> None:
    """Refuse a pace that cannot be kept; raises SpecError."""
    if not properties.updating:
        return
    path = "$.Properties.Updating"
    try:
        sane = not properties.updating.duration or parse_duration(properties.updating.duration) >= 0
    except ValueError:
        sane = False
    if not sane:
        raise SpecError(
            f"{path}.Duration: expected a duration such as 10s",
            path=f"{path}.Duration",
            expected="a duration",
        )
    if properties.updating.surge > MOST_INSTANCES:
        raise SpecError(
            f"{path}.Surge: a group may have {MOST_INSTANCES} instances", path=f"{path}.Surge"
        )
    if properties.updating.surge and properties.allocation.logical_ids:
        raise SpecError(
            f"{path}.Surge: expected 0, as LogicalIDs leave no room for more",
            path=f"{path}.Surge",
            expected="0",
        )


def _not_found(section: str, error: PluginNotFound) -> SpecError:
    return SpecError(
        f"Failed to find {section} plugin '{error.name}':{error}",
        path=f"$.Properties.{section}.Plugin",
    )


async def _validate_section(section: str, validation: Awaitable[None]) -> None:
    """Let a plugin validate; a JSON path in its sentence, which begins at its own properties, is
    made to begin at the spec.
    """
    try:
        await validation
    except (SpecError, RemoteFailure) as error:
        text = str(error)
        if text.startswith("$.Properties"):
            text = f"$.Properties.{section}{text.removeprefix('$')}"
        raise SpecError(text, path=text.partition(":")[0] if text.startswith("$") else "") from None


def _compacted(section: PluginSpec) -> PluginSpec:
    return PluginSpec(section.plugin, Raw(compact(bytes(section.properties))))


class CommitSnapshot(NamedTuple):
    """The config_sha of every instance of a group, as the instance plugin ``plugin`` described
    them.
    """

    plugin: str
    shas: tuple[str | None, ...]


class StaleSnapshot(Exception):
    """The group began, ended, or changed its instance plugin since the snapshot was taken: another
    one is needed.
    """


def snapshot_of(record: Record, view: View) -> CommitSnapshot:
    """Return what a view of a group's instances showed; raises PluginFailure when they could not be
    described.
    """
    if view.observed.error:
        raise PluginFailure(view.observed.error)
    return CommitSnapshot(
        record.properties.instance.plugin, tuple(seen.sha for seen in view.observed.instances)
    )


def details_of(
    before: Record | None,
    seen: CommitSnapshot | None,
    after: GroupProperties,
    *,
    is_converged: bool,
) -> str:
    """Return the Details of replacing a record's properties; ``is_converged``: its loop found
    everything as wanted.

    Raises StaleSnapshot when ``seen`` is not of the present group, SpecError for a change that
    cannot be made.
    """
    if before is None:
        if seen is not None:
            raise StaleSnapshot
        return explain(None, (), after)
    if seen is None or seen.plugin != before.properties.instance.plugin:
        raise StaleSnapshot
    if after.instance.plugin != seen.plugin and (seen.shas or not is_converged):
        raise _plugin_change(before.id, seen.plugin, after.instance.plugin)
    return explain(before.properties, seen.shas, after)


def _plugin_change(group: str, held: str, wanted: str) -> SpecError:
    """Refuse to leave instances with a plugin that would not be asked about them any longer."""
    path = "$.Properties.Instance.Plugin"
    text = (
        f"{path}: group '{group}' has instances of plugin {held}, which nobody would look after "
        f"if it used {wanted}; "
        "scale it to 0 and wait until it has converged, then commit this spec, or commit it "
        "under another ID"
    )
    return SpecError(text, path=path, expected=held)
