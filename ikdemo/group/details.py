"""What a commit says it will do, from a look that was taken while the command was under way, and whether it may be done.

The look is taken without a lock, since a plugin has to be asked; the sentence is made of it and of the record that is present
when the commit takes effect.
"""

from __future__ import annotations

from typing import NamedTuple

from ..reconcile.explain import explain
from ..spi.documents import GroupProperties
from ..spi.errors import PluginFailure, SpecError
from .observe import View
from .store import Record


class Look(NamedTuple):
    """What was there: the config_sha of every instance of a group, as the instance plugin ``plugin`` described them."""

    plugin: str
    shas: tuple[str | None, ...]


class StaleLook(Exception):
    """The group began, ended, or changed its instance plugin since the look was taken: another one is needed."""


def look_of(record: Record, view: View) -> Look:
    """Return what a view of a group's instances showed; raises PluginFailure when they could not be described."""
    if view.observed.error:
        raise PluginFailure(view.observed.error)
    return Look(record.properties.instance.plugin, tuple(seen.sha for seen in view.observed.instances))


def details_of(before: Record | None, seen: Look | None, after: GroupProperties, *, at_rest: bool) -> str:
    """Return the Details of replacing a record's properties; ``at_rest``: its loop found everything as wanted.

    Raises StaleLook when ``seen`` is not a look at the present group, SpecError for a change that cannot be made.
    """
    if before is None:
        if seen is not None:
            raise StaleLook
        return explain(None, (), after)
    if seen is None or seen.plugin != before.properties.instance.plugin:
        raise StaleLook
    if after.instance.plugin != seen.plugin and (seen.shas or not at_rest):
        raise _moves(before.id, seen.plugin, after.instance.plugin)
    return explain(before.properties, seen.shas, after)


def _moves(group: str, held: str, wanted: str) -> SpecError:
    """Refuse to leave instances with a plugin that would not be asked about them any longer."""
    path = "$.Properties.Instance.Plugin"
    text = (
        f"{path}: group '{group}' has instances of plugin {held}, which nobody would look after if it used {wanted}; "
        "scale it to 0 and wait until it has converged, then commit this spec, or commit it under another ID"
    )
    return SpecError(text, path=path, expected=held)
