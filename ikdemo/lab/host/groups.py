"""The verbs of groups in a lab: commit, scale, describe, why, step and the rest, each asked of the
group plugin over its socket.

Every call is synchronous, has a deadline and answers with a sentence or a table. Nothing about
groups is decided here: the group plugin decides, as for any client. ``FaultInjection`` builds on
it.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

from ...reconcile.plan import sentences
from ...reconcile.waiting import ConvergenceWait
from ...spi.contracts import GroupPlugin
from ...spi.decode import decode
from ...spi.documents import (
    GROUP_TAG,
    SHA_TAG,
    Description,
    GroupDescription,
    GroupProperties,
    GroupSpec,
)
from ...spi.errors import (
    NotConverged,
    OutcomeUnknown,
    PluginFailure,
    PluginNotFound,
    PluginUnavailable,
    UnknownGroup,
)
from ...spi.plans import Reason
from ...spi.text import indent
from ..show.step_view import StepView, reasons
from ..show.tables import Table, Words
from ..teaching.specs import text_of
from .plugins import Plugins

T = TypeVar("T")
LAG = 1.0
"""Seconds that the record may be behind the world before it is made to agree by looking."""
SAYS_CONVERGED = ("committed", "drifted", "planned", "acted", "converged")


class GroupCommands(Plugins):
    """A bench whose plugins keep groups, and the groups by name."""

    def __init__(self) -> None:
        super().__init__()
        self._homes: dict[str, str] = {}
        self._makers: dict[str, str] = {}

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
        self._homes[document.id] = plugin
        self._makers[document.id] = decode(document.properties, GroupProperties).instance.plugin
        return Words(f"Committed {document.id}: {details}")

    def scale(self, group: str, size: int) -> Words:
        """Commit another size of a group, 0 included."""
        return Words(
            f"Committed {group}: {self._ask(group, lambda plugin: plugin.scale_group(group, size))}"
        )

    def describe(self, group: str) -> Table:
        """List the living instances of a group, asked for now."""
        return self._instance_table(self._described(group).instances or [])

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
        return reasons(self._reasons(group))

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

    def wait(self, group: str, timeout: float = 30.0) -> Words:
        """Wait until a group is as wanted; raises NotConverged with the reasons when the time is
        up.

        Raises it early, with what overtook the wait, when the group is freed, destroyed or paused
        meanwhile.
        """
        deadline, seen, why = time.monotonic() + timeout, -1, ["it was not asked"]
        waiting, mark = ConvergenceWait(group), self._record.mark
        while time.monotonic() < deadline:
            seen = self._record.mark
            try:
                described = self._described(group)
                if described.converged:
                    self._catch_up(group, described)
                    return Words(
                        f"{group} is as wanted: {len(described.instances or [])} instances"
                    )
                reasons = self._reasons(group)
                waiting.on_reasons(reasons)
                why = list(sentences(reasons))
            except PluginNotFound:
                raise  # nobody starts it while this cell waits
            except (PluginUnavailable, OutcomeUnknown) as error:
                why = [str(error)]
            except PluginFailure as error:
                waiting.on_events(
                    event.kind for event in self._record.since(mark)[0] if event.group == group
                )
                raise waiting.on_error(error) from None
            left = min(0.25, max(0.0, deadline - time.monotonic()))
            self._record.wait_for(lambda: self._record.mark > seen, left)  # noqa: B023
        raise NotConverged(f"{group} is not as wanted after {timeout:g} s", tuple(why))

    def instances(self, plugin: str = "instance-file") -> Table:
        """List all instances of one instance plugin, of whichever group."""
        return self._instance_table(self._call(self._instances(plugin)))

    def health(self, group: str) -> Table:
        """Ask the group's flavor what it thinks of each instance."""
        rows = self._call(
            self._opinions(group, decode(self._spec(group).properties, GroupProperties))
        )
        return Table(["slot", "instance", "health"], rows, empty="There is no instance.")

    async def _with(self, plugin: str, question: Callable[[GroupPlugin], Awaitable[T]]) -> T:
        return await question((await self._peers.group(plugin)).plugin)

    def _ask(self, group: str, question: Callable[[GroupPlugin], Awaitable[T]]) -> T:
        """Ask the group plugin to which the group was committed."""
        return self._call(self._with(self._homes.get(group, "group"), question))

    def _described(self, group: str) -> GroupDescription:
        return self._ask(group, lambda plugin: plugin.describe_group(group))

    def _reasons(self, group: str) -> list[Reason]:
        return self._call(self._why(group))

    def _why(self, group: str) -> Coroutine[Any, Any, list[Reason]]:
        return self._with(self._homes.get(group, "group"), lambda plugin: plugin.why_group(group))

    def _spec(self, group: str) -> GroupSpec:
        async def committed(plugin: GroupPlugin) -> GroupSpec:
            for spec in await plugin.inspect_groups():
                if spec.id == group:
                    return spec
            raise UnknownGroup(group)

        return self._ask(group, committed)

    def _instance_plugin(self, group: str) -> str:
        """Return the plugin that makes a group's instances; remembered, so that it is known while
        the group plugin is away.
        """
        if group not in self._makers:
            self._makers[group] = decode(
                self._spec(group).properties, GroupProperties
            ).instance.plugin
        return self._makers[group]

    async def _instances(self, plugin: str, group: str = "") -> list[Description]:
        tags = {GROUP_TAG: group} if group else {}
        return await (await self._peers.instance(plugin)).plugin.describe_instances(
            tags, slots=True
        )

    async def _opinions(self, group: str, spec: GroupProperties) -> list[tuple[str, str, str]]:
        flavor = (await self._peers.flavor(spec.flavor.plugin)).plugin
        living = await self._instances(spec.instance.plugin, group)
        said = [
            (slot_of(one) or "-", one.id, await flavor.healthy(spec.flavor.properties, one))
            for one in living
        ]
        return sorted((slot, name, health.name.lower()) for slot, name, health in said)

    def _instance_table(self, described: list[Description]) -> Table:
        slots = {name: event.slot for name, event in self._record.living().items()}
        rows = []
        for one in described:
            tags = one.tags or {}
            slot = slot_of(one) or slots.get(one.id, "")
            shown = ", ".join(
                f"{key}={value}" for key, value in sorted(tags.items()) if key != SHA_TAG
            )
            rows.append((slot or "-", one.id, tags.get(SHA_TAG, "-")[:7], shown))
        rows.sort(key=lambda row: (row[0].zfill(9), row[1]))
        return Table(["slot", "instance", "config", "tags"], rows, empty="There is no instance.")

    def _catch_up(self, group: str, described: GroupDescription) -> None:
        """Wait until the record holds what the description shows; what no plugin told is added by
        looking.
        """
        living = {one.id for one in described.instances or []}
        if not self._record.wait_for(
            lambda: self._record.living(group=group).keys() == living, LAG
        ):
            plugin = self._instance_plugin(group)
            # a mute plugin tells nothing: the one behind it does
            plugin = self._files.get(plugin, plugin)
            # anew: what was described before the wait is old news by now
            at, again = self._record.now(), self._described(group)
            self._record.agree(plugin, again.instances or [], at, group)
        if described.converged:
            self._record.wait_for(lambda: self._last_said(group) in ("converged", ""), LAG)

    def _last_said(self, group: str) -> str:
        return self._record.last_kind(group, SAYS_CONVERGED)


def slot_of(described: Description) -> str:
    """Return the slot an instance plugin named, or nothing."""
    return described.slot if isinstance(described.slot, str) else ""
