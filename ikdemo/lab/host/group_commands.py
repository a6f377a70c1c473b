"""The commands on groups in a lab: commit, scale, describe, why, step and the rest, each asked of
the group plugin over its socket.

Every call is synchronous, has a deadline and answers with a sentence or a table. Nothing about
groups is decided here: the group plugin decides, as for any client. Which group plugin has a group,
and which plugin makes its instances, is remembered here, so that it is known while the group plugin
is away.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

from ...spi.contracts import GroupPlugin
from ...spi.decode import decode
from ...spi.documents import (
    GROUP_TAG,
    Description,
    GroupDescription,
    GroupProperties,
    GroupSpec,
)
from ...spi.errors import (
    IkdemoError,
    UnknownGroup,
)
from ...spi.plans import Reason
from ...spi.text import indent
from ..show.step_view import StepView, instance_table, reasons, told_slot
from ..show.tables import Table, Words
from ..teaching.specs import text_of
from .plugin_commands import PluginCommands

T = TypeVar("T")


class GroupCommands:
    """The groups that the plugins of a lab keep, by name."""

    def __init__(self, plugins: PluginCommands) -> None:
        self._plugins = plugins
        self._group_plugins: dict[str, str] = {}
        self._instance_plugins: dict[str, str] = {}

    def commit(
        self, spec: Mapping[str, Any] | str | Path, *, pretend: bool = False, plugin: str = "group"
    ) -> Words:
        """Commit a group: a dict, JSON text, or the name of a file. With ``pretend``, only say what
        would happen.
        """
        document = decode(text_of(spec).encode(), GroupSpec)
        details = self._call(
            self._with(plugin, lambda group: group.commit_group(document, pretend))
        )
        if pretend:
            return Words(f"Committing {document.id} would involve: {details}")
        self._group_plugins[document.id] = plugin
        self._instance_plugins[document.id] = decode(
            document.properties, GroupProperties
        ).instance.plugin
        return Words(f"Committed {document.id}: {details}")

    def scale(self, group: str, size: int) -> Words:
        """Commit another size of a group, 0 included."""
        return Words(
            f"Committed {group}: {self._ask(group, lambda plugin: plugin.scale_group(group, size))}"
        )

    def describe(self, group: str) -> Table:
        """List the living instances of a group, asked for now."""
        return self._table(self.described(group).instances or [])

    def inspect(self, group: str) -> Words:
        """Return the committed spec as JSON text."""
        return Words(indent(bytes(self._spec(group).properties)))

    def free(self, group: str, *, force: bool = False) -> Words:
        """Let go of a group: nobody watches it any more, its instances stay.

        With ``force`` also while it is being destroyed or its plugins are away; what it leaves is
        said.
        """
        if not force:
            self._ask(group, lambda plugin: plugin.free_group(group))
            return Words(f"Freed {group}")
        freed = self._ask(group, lambda plugin: plugin.force_free(group, True))
        if freed.left is None:
            return Words(f"Freed {group}. {freed.text or 'What it leaves cannot be told'}")
        return Words(
            f"Freed {group}. Nothing keeps these any more: "
            f"{', '.join(freed.left) or 'there is no instance'}"
        )

    def destroy(self, group: str) -> Words:
        """Destroy a group and all its instances, and wait until the last one is gone."""
        self._ask(group, lambda plugin: plugin.destroy_group(group))
        return Words(f"Destroyed {group}")

    def why(self, group: str) -> Table:
        """Say why a group is not as wanted."""
        return reasons(self.reasons(group))

    def pause(self, group: str) -> Words:
        """Stop the loop from acting: it still looks, but changes nothing."""
        self._ask(group, lambda plugin: plugin.pause_group(group))
        return Words(f"Paused {group}")

    def resume(self, group: str) -> Words:
        """Let the loop act again."""
        self._ask(group, lambda plugin: plugin.resume_group(group))
        return Words(f"Resumed {group}")

    def plan(self, group: str) -> StepView:
        """Observe and plan, and do nothing."""
        return StepView(self._ask(group, lambda plugin: plugin.plan_group(group)))

    def step(self, group: str) -> StepView:
        """Let a paused loop make exactly one pass: observe, plan and act."""
        return StepView(self._ask(group, lambda plugin: plugin.step_group(group)))

    def instances(self, plugin: str = "instance-file") -> Table:
        """List all instances of one instance plugin, of whichever group."""
        return self._table(self._call(self._instances(plugin)))

    def health(self, group: str) -> Table:
        """Ask the group's flavor what it thinks of each instance."""
        rows = self._call(
            self._healths(group, decode(self._spec(group).properties, GroupProperties))
        )
        return Table(["slot", "instance", "health"], rows, empty="There is no instance.")

    def destroy_all(self) -> list[str]:
        """Destroy every group that a running plugin keeps, and say of each known one what came of
        it.
        """
        said = list[str]()
        for plugin in self._plugins.of_kind("group"):
            kept = [group for group, home in self._group_plugins.items() if home == plugin]
            try:
                kept = [
                    spec.id
                    for spec in self._call(self._with(plugin, lambda asked: asked.list_groups()))
                ]
                for group in kept:
                    self._call(self._with(plugin, lambda asked: asked.destroy_group(group)))  # noqa: B023
                    said.append(f"destroyed {group}")
            except IkdemoError as error:
                said += [
                    f"{group} could not be destroyed ({error})"
                    for group in kept
                    if f"destroyed {group}" not in said
                ]
        self._group_plugins.clear()
        self._instance_plugins.clear()
        return said

    def described(self, group: str) -> GroupDescription:
        """Return the group plugin's description of a group, asked for now."""
        return self._ask(group, lambda plugin: plugin.describe_group(group))

    def reasons(self, group: str) -> list[Reason]:
        """Return why a group is not as wanted, asked for now."""
        return self._call(self.ask_why(group))

    def ask_why(self, group: str) -> Coroutine[Any, Any, list[Reason]]:
        """Return the question why a group is not as wanted, for the lab's loop thread."""
        plugin = self._plugin_of(group)
        return self._with(plugin, lambda asked: asked.why_group(group))

    def instance_plugin(self, group: str) -> str:
        """Return the plugin that makes a group's instances."""
        if group not in self._instance_plugins:
            spec = decode(self._spec(group).properties, GroupProperties)
            self._instance_plugins[group] = spec.instance.plugin
        return self._instance_plugins[group]

    def living(self, group: str) -> list[Description]:
        """Return the instances of a group in the order of slots, as its instance plugin describes
        them now.
        """
        found = self._call(self._instances(self.instance_plugin(group), group))
        return sorted(found, key=lambda one: (told_slot(one).zfill(9), one.id))

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return self._plugins.session.call(work)

    async def _with(self, plugin: str, question: Callable[[GroupPlugin], Awaitable[T]]) -> T:
        return await question((await self._plugins.session.peers.group(plugin)).plugin)

    def _ask(self, group: str, question: Callable[[GroupPlugin], Awaitable[T]]) -> T:
        """Ask the group plugin to which the group was committed."""
        return self._call(self._with(self._plugin_of(group), question))

    def _plugin_of(self, group: str) -> str:
        """Return the plugin to which a group was committed, or the manager that leads now, if that
        was a manager.
        """
        plugin = self._group_plugins.get(group, "group")
        managed = plugin in self._plugins.of_kind("manager")
        return self._plugins.leading if managed and self._plugins.leading else plugin

    def _spec(self, group: str) -> GroupSpec:
        async def committed(plugin: GroupPlugin) -> GroupSpec:
            for spec in await plugin.inspect_groups():
                if spec.id == group:
                    return spec
            raise UnknownGroup(group)

        return self._ask(group, committed)

    async def _instances(self, plugin: str, group: str = "") -> list[Description]:
        tags = {GROUP_TAG: group} if group else {}
        found = await self._plugins.session.peers.instance(plugin)
        return await found.plugin.describe_instances(tags, slots=True)

    async def _healths(self, group: str, spec: GroupProperties) -> list[tuple[str, str, str]]:
        flavor = (await self._plugins.session.peers.flavor(spec.flavor.plugin)).plugin
        living = await self._instances(spec.instance.plugin, group)
        said = [
            (told_slot(one) or "-", one.id, await flavor.healthy(spec.flavor.properties, one))
            for one in living
        ]
        return sorted((slot, name, health.name.lower()) for slot, name, health in said)

    def _table(self, described: list[Description]) -> Table:
        """Lay instances out; the record knows the slots that a plugin does not tell."""
        slots = {name: event.slot for name, event in self._plugins.session.record.living().items()}
        return instance_table(described, slots)
