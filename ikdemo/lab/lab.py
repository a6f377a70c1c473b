"""The lab: what a notebook imports to start plugins, commit groups, break them and look at what happened.

Every call is synchronous, has a deadline and answers with a sentence or a table. The lab decides nothing about groups: it asks
the group plugin over its socket, as any client does.
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ..instance.register import Record
from ..reconcile.plan import sentences
from ..spi.contracts import GroupPlugin
from ..spi.decode import decode
from ..spi.documents import GROUP_TAG, SHA_TAG, Description, GroupDescription, GroupProperties, GroupSpec
from ..spi.errors import IkdemoError, NotConverged, OutcomeUnknown, PluginUnavailable
from ..spi.events import Event
from ..spi.plans import Reason
from ..spi.text import indent
from .bench import PROGRAMS, Bench
from .check import Check, Point
from .live import LiveView
from .passes import Pass, reasons
from .recovery import Recovery
from .rollout import Rollout
from .shell import run
from .specs import text_of
from .table import Table
from .victims import choose, number_of, record_of, send

T = TypeVar("T")
LAG = 1.0
"""Seconds that the record may be behind the world before it is made to agree by looking."""
SAYS_CONVERGED = ("committed", "drifted", "planned", "acted", "converged")


class Words(str):
    """A sentence that shows itself without quotes."""

    def __repr__(self) -> str:
        return str(self)


class Lab(Bench):
    """A place of your own with real plugin processes. ``with Lab() as lab:`` closes it for you; so does the end of Python."""

    def __init__(self) -> None:
        super().__init__()
        self._homes: dict[str, str] = {}
        self._makers: dict[str, str] = {}

    def commit(self, spec: Mapping[str, Any] | str | Path, *, pretend: bool = False, plugin: str = "group") -> Words:
        """Commit a group: a dict, JSON text, or the name of a file. With ``pretend``, only say what would happen."""
        document = decode(text_of(spec).encode(), GroupSpec)
        details = self._call(self._with(plugin, lambda group: group.commit_group(document, pretend)))
        if pretend:
            return Words(f"Committing {document.id} would involve: {details}")
        self._homes[document.id] = plugin
        self._makers[document.id] = decode(document.properties, GroupProperties).instance.plugin
        return Words(f"Committed {document.id}: {details}")

    def scale(self, group: str, size: int) -> Words:
        """Commit another size of a group, 0 included."""
        return Words(f"Committed {group}: {self._ask(group, lambda plugin: plugin.scale_group(group, size))}")

    def describe(self, group: str) -> Table:
        """List the living instances of a group, asked for now."""
        return self._instance_table(self._described(group).instances or [])

    def inspect(self, group: str) -> Words:
        """Return the committed spec as JSON text."""
        return Words(indent(bytes(self._spec(group).properties)))

    def free(self, group: str) -> Words:
        """Let go of a group: nobody watches it any more, its instances stay."""
        self._ask(group, lambda plugin: plugin.free_group(group))
        return Words(f"Freed {group}")

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

    def plan(self, group: str) -> Pass:
        """Observe and plan, and do nothing."""
        return Pass(self._ask(group, lambda plugin: plugin.plan_group(group)))

    def step(self, group: str) -> Pass:
        """Let a paused loop make exactly one pass: observe, plan and act."""
        return Pass(self._ask(group, lambda plugin: plugin.step_group(group)))

    def wait(self, group: str, timeout: float = 30.0) -> Words:
        """Wait until a group is as wanted; raises NotConverged with the reasons when the time is up."""
        deadline, seen, why = time.monotonic() + timeout, -1, ["it was not asked"]
        while time.monotonic() < deadline:
            seen = len(self._record)
            try:
                described = self._described(group)
                if described.converged:
                    self._catch_up(group, described)
                    return Words(f"{group} is as wanted: {len(described.instances or [])} instances")
                why = list(sentences(self._reasons(group)))
            except (PluginUnavailable, OutcomeUnknown) as error:
                why = [str(error)]
            self._record.wait_for(lambda: len(self._record) > seen, min(0.25, max(0.0, deadline - time.monotonic())))  # noqa: B023
        raise NotConverged(f"{group} is not as wanted after {timeout:g} s", tuple(why))

    def instances(self, plugin: str = "instance-file") -> Table:
        """List all instances of one instance plugin, of whichever group."""
        return self._instance_table(self._call(self._instances(plugin)))

    def processes(self, group: str) -> Table:
        """List the processes of a group whose instances are processes: where they answer, and who they are."""
        return _process_table(self._records(group))

    def health(self, group: str) -> Table:
        """Ask the group's flavor what it thinks of each instance."""
        rows = self._call(self._opinions(group, decode(self._spec(group).properties, GroupProperties)))
        return Table(["slot", "instance", "health"], rows, empty="There is no instance.")

    def kill(self, group: str, n: int = 1, *, seed: int | None = None) -> Table:
        """End ``n`` instances of a group: remove their files, as ``rm`` would, or ``kill -9`` their processes.

        The plugins are not told; the moment is recorded.
        """
        plugin = self._instance_plugin(group)
        if self._programs.get(plugin) == PROGRAMS["instance-process"]:
            return self.signal(group, "KILL", n, seed=seed)
        directory = self.directory(plugin)
        living = sorted((_slot(one).zfill(9), one.id, _slot(one)) for one in self._call(self._instances(plugin, group)))
        chosen = [(slot, instance) for _, instance, slot in choose(group, living, n, seed)]
        self._strike(group, "removed the file of", chosen)
        for _, instance in chosen:
            (directory / instance).unlink(missing_ok=True)
        return Table(["slot", "removed"], [(slot or "-", instance) for slot, instance in chosen])

    def signal(self, group: str, name: str, n: int = 1, *, slot: str = "", seed: int | None = None) -> Table:
        """Send a signal, such as KILL or STOP, to the processes of ``n`` instances of a group; the moment is recorded.

        With ``slot``, only the instance in that slot is chosen from.
        """
        living = [row for row in self._records(group) if slot in ("", row[0])]
        number, chosen = number_of(name), choose(group, living, n, seed)
        self._strike(group, f"kill -{name} of", [(slot, record.id) for slot, record in chosen])
        for _, record in chosen:
            send(record, number)
        return _process_table(chosen)

    def timeline(self, group: str | None = None, *, last: int | None = None, since_fault: bool = False) -> Table:
        """Tell in words what happened: everything, the ``last`` few lines, or what followed the last recorded fault."""
        return self._record.table(group, last, since_fault=since_fault)

    def watch(self, group: str) -> LiveView:
        """Return a live view of a group; in a notebook, it is shown when it is the last thing in a cell, or by ``display``."""
        return LiveView(group, self._record, lambda: self._background is not None)

    def rollout(self, group: str) -> Rollout:
        """Return the record of a group's latest rolling update, to its end or to now."""
        self._catch_up(group, self._described(group))
        return Rollout(group, self._record.events(group), time.time())

    def recovery(self, group: str, since: float = 0.0) -> Recovery:
        """Return the record of a group's falls and recoveries up to now; with ``since``, of the falls after that time."""
        try:
            self._catch_up(group, self._described(group))
        except IkdemoError:
            pass  # the group plugin is away or the group is gone: the record is all there is
        return Recovery(group, self._record.events(group), time.time(), since)

    def measure(self, group: str, kills: int, *, within: float, seed: int = 1) -> Recovery:
        """Remove one instance after the other, each at a random moment ``within`` so many seconds, and wait for each recovery."""
        chance, began = random.Random(seed), time.time()
        for _ in range(kills):
            time.sleep(0.3 + chance.uniform(0.0, within))
            self.kill(group, 1, seed=chance.getrandbits(32))
            self.wait(group)
        return self.recovery(group, since=began)

    def check(self, group: str = "", *, size: int | None = None, fell: bool = False, plugins: Sequence[str] = ()) -> Check:
        """Check that plugins run, that a group is as wanted, of this size, and fell and came back; say what to do if not."""
        points = [
            Point(
                name in self._programs and self._state(name) == "running",
                f"{name} is running",
                f"start it: lab.start_plugin(..., name={name!r})",
            )
            for name in plugins
        ]
        if group:
            points += self._check_group(group, size, fell)
        return Check(points)

    def _check_group(self, group: str, size: int | None, fell: bool) -> list[Point]:
        try:
            described, why = self._described(group), sentences(self._reasons(group))
        except IkdemoError as error:
            return [Point(False, f"group {group} is committed", f"{error}; commit it: lab.commit(...)")]
        count, recovery = len(described.instances or []), self.recovery(group)
        points = [
            Point(described.converged, f"group {group} is as wanted", f"{'; '.join(why)}; wait for it: lab.wait({group!r})")
        ]
        if size is not None:
            points.append(Point(count == size, f"it has {size} instances", f"it has {count}; commit another Size"))
        if fell:
            points.append(Point(bool(recovery.falls), "something was lost", f"remove something: lab.kill({group!r}, 2)"))
            points.append(Point(recovery.healed, "all that was lost came back", f"wait for it: lab.wait({group!r})"))
        return points

    def run(self, command: str) -> Words:
        """Run a shell command in the lab's directory, where ``infrakit`` sees this lab's plugins, and return what it printed."""
        return Words(run(command, self.root, self.plugin_dir))

    def __repr__(self) -> str:
        running = [name for name in self._programs if self._state(name) == "running"]
        return f"Lab with {', '.join(sorted(running)) or 'no plugin running'}" if self._background else "Lab, closed"

    async def _with(self, plugin: str, question: Callable[[GroupPlugin], Awaitable[T]]) -> T:
        return await question((await self._peers.group(plugin)).plugin)

    def _ask(self, group: str, question: Callable[[GroupPlugin], Awaitable[T]]) -> T:
        """Ask the group plugin to which the group was committed."""
        return self._call(self._with(self._homes.get(group, "group"), question))

    def _described(self, group: str) -> GroupDescription:
        return self._ask(group, lambda plugin: plugin.describe_group(group))

    def _reasons(self, group: str) -> list[Reason]:
        return self._ask(group, lambda plugin: plugin.why_group(group))

    def _spec(self, group: str) -> GroupSpec:
        specs = self._ask(group, lambda plugin: plugin.inspect_groups())
        found = next((spec for spec in specs if spec.id == group), None)
        if found is None:
            raise IkdemoError(f"Group {group!r} is not being watched")
        return found

    def _instance_plugin(self, group: str) -> str:
        """Return the plugin that makes a group's instances; remembered, so that it is known while the group plugin is away."""
        if group not in self._makers:
            self._makers[group] = decode(self._spec(group).properties, GroupProperties).instance.plugin
        return self._makers[group]

    async def _instances(self, plugin: str, group: str = "") -> list[Description]:
        tags = {GROUP_TAG: group} if group else {}
        return await (await self._peers.instance(plugin)).plugin.describe_instances(tags, slots=True)

    def _records(self, group: str) -> list[tuple[str, Record]]:
        """Return slot and record of every process of a group, in the order of slots; what has just ended is left out."""
        plugin = self._instance_plugin(group)
        register = self.plugin_dir / f"{plugin}.instances"
        living = self._call(self._instances(plugin, group))
        found = [(_slot(one), record) for one in living if (record := record_of(register, one.id)) is not None]
        return sorted(found, key=lambda row: (row[0].zfill(9), row[1].id))

    def _strike(self, group: str, text: str, victims: Sequence[tuple[str, str]]) -> None:
        """Write down what is about to be done to these instances, each a slot and an ID."""
        now = time.time()
        self._record.add(Event("fault", now, "lab", group, instance, slot, text=text) for slot, instance in victims)

    async def _opinions(self, group: str, spec: GroupProperties) -> list[tuple[str, str, str]]:
        flavor = (await self._peers.flavor(spec.flavor.plugin)).plugin
        living = await self._instances(spec.instance.plugin, group)
        said = [(_slot(one) or "-", one.id, await flavor.healthy(spec.flavor.properties, one)) for one in living]
        return sorted((slot, name, health.name.lower()) for slot, name, health in said)

    def _slots(self) -> dict[str, str]:
        return {name: event.slot for name, event in self._record.living().items()}

    def _instance_table(self, described: list[Description]) -> Table:
        slots = self._slots()
        rows = []
        for one in described:
            tags = one.tags or {}
            slot = _slot(one) or slots.get(one.id, "")
            shown = ", ".join(f"{key}={value}" for key, value in sorted(tags.items()) if key != SHA_TAG)
            rows.append((slot or "-", one.id, tags.get(SHA_TAG, "-")[:7], shown))
        rows.sort(key=lambda row: (row[0].zfill(9), row[1]))
        return Table(["slot", "instance", "config", "tags"], rows, empty="There is no instance.")

    def _catch_up(self, group: str, described: GroupDescription) -> None:
        """Wait until the record holds what the description shows; what no plugin told is added by looking."""
        living = {one.id for one in described.instances or []}
        if not self._record.wait_for(lambda: self._record.living(group=group).keys() == living, LAG):
            plugin = self._instance_plugin(group)
            plugin = self._files.get(plugin, plugin)  # a mute plugin tells nothing: the one behind it does
            self._record.agree(plugin, described.instances or [], time.time(), group)
        if described.converged:
            self._record.wait_for(lambda: self._last_said(group) in ("converged", ""), LAG)

    def _last_said(self, group: str) -> str:
        return next((event.kind for event in reversed(self._record.events(group)) if event.kind in SAYS_CONVERGED), "")


def _process_table(records: Sequence[tuple[str, Record]]) -> Table:
    rows = [(slot or "-", record.id, record.port, record.pid) for slot, record in records]
    return Table(["slot", "instance", "port", "pid"], rows, empty="There is no process.")


def _slot(described: Description) -> str:
    return described.slot if isinstance(described.slot, str) else ""
