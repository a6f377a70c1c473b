"""The managers of a lab: several stand before a group plugin each, and a file of the lab says which
of them leads.

What a manager does when it leads or does not is decided in the manager itself; here is only what a
person would do: start it, write the leader file, ask who leads.
"""

from __future__ import annotations

import asyncio

from ...rpc.proxies import as_manager
from ...spi.decode import decode
from ...spi.documents import Document, GroupProperties, GroupSpec, LeaderReport
from ...spi.errors import IkdemoError
from ..show.tables import Table, Words
from .plugin_commands import PluginCommands

LEADER_FILE, STORE_DIR = "leader", "manager-store"
"""In the lab's directory: the file that names the manager that leads, and the folder with what is
committed, which all managers share.
"""
LOOK_AGAIN = 0.05
"""Seconds between two questions to a manager that is to lead."""
HANDOVER_WITHIN = 20.0
"""Seconds in which a manager that was elected has to lead."""


class _Entry(Document, frozen=True):
    properties: GroupSpec


class _Stored(Document, frozen=True):
    """What a manager has stored, as far as it matters here."""

    groups: dict[str, _Entry]


class ManagerCommands:
    """The managers that run in a lab."""

    def __init__(self, plugins: PluginCommands) -> None:
        self._plugins = plugins

    def start_manager(self, name: str = "group", *, poll_interval: float = 0.5) -> Table:
        """Start a manager, and behind it a group plugin called ``NAME-stateless``; the first
        manager of a lab leads.

        ``poll_interval``: seconds between two looks at the leader file. What is committed is kept
        in the lab's directory; each group is kept by the group plugin of the manager that leads.
        """
        behind = f"{name}-stateless"
        # the manager passes its events on
        self._plugins.start_plugin("group", behind, {"store": "none"}, recorded=False)
        root = self._plugins.root
        (root / STORE_DIR).mkdir(exist_ok=True)
        if not (root / LEADER_FILE).exists():
            self._write(name)
        flags = {
            "proxy_for_group": behind,
            "leader_file": root / LEADER_FILE,
            "store_dir": root / STORE_DIR,
            "poll_interval": poll_interval,
        }
        return self._plugins.start_plugin("manager", name, flags)

    def elect(self, name: str) -> Words:
        """Write into the leader file that this manager leads, and wait until it does and keeps what
        was committed; from then on it is asked about the groups of every manager.

        Raises IkdemoError when no manager of this name runs, or it does not lead in time.
        """
        managers = self._plugins.of_kind("manager")
        if name not in managers or self._plugins.state(name) != "running":
            there = ", ".join(managers) or "none; lab.start_manager() starts one"
            raise IkdemoError(f"There is no manager {name!r} that runs; there are: {there}")
        self._write(name)
        report = self._plugins.session.call(self._until_it_leads(name))
        self._plugins.leading = name
        return Words(f"{name} leads, epoch {report.epoch}")

    def leader(self) -> Table:
        """List the managers, with what each of them knows of who leads."""
        rows = list[tuple[str, str, str, str]]()
        for name in self._plugins.of_kind("manager"):
            try:
                report = self._plugins.session.call(self._ask(name))
            except IkdemoError as error:
                rows.append((name, "", "", str(error)))
                continue
            why = "" if report.leads else report.why
            rows.append((name, report.name, str(report.epoch or ""), why))
        return Table(
            ["manager", "who leads", "epoch", "why it does not lead itself"],
            rows,
            empty="No manager was started yet: lab.start_manager() starts one.",
        )

    def _write(self, name: str) -> None:
        """Replace the leader file as a whole: a manager may read it at any moment."""
        file = self._plugins.root / LEADER_FILE
        new = file.with_suffix(".new")
        new.write_text(f"{name}\n")
        new.replace(file)

    async def _ask(self, name: str) -> LeaderReport:
        manager = as_manager((await self._plugins.session.peers.group(name)).plugin)
        if manager is None:
            raise IkdemoError(f"{name} is a group plugin, and no manager")
        return await manager.leader()

    async def _until_it_leads(self, name: str) -> LeaderReport:
        try:
            async with asyncio.timeout(HANDOVER_WITHIN):
                while True:
                    report = await self._ask(name)
                    if report.leads and await self._keeps(name):
                        return report
                    await asyncio.sleep(LOOK_AGAIN)  # it looks by itself, and then hands over
        except TimeoutError:
            raise IkdemoError(
                f"{name} does not lead after {HANDOVER_WITHIN:.0f} s: {report.why}"
            ) from None

    async def _keeps(self, name: str) -> bool:
        """Say whether a manager keeps every group that is stored and wants instances."""
        group = (await self._plugins.session.peers.group(name)).plugin
        kept = {spec.id for spec in await group.inspect_groups()}
        try:
            text = (self._plugins.root / STORE_DIR / "global.config").read_bytes()
        except FileNotFoundError:
            return True
        stored = (entry.properties for entry in decode(text, _Stored).groups.values())
        wanting = {spec.id for spec in stored if _wants_instances(spec)}
        return wanting <= kept


def _wants_instances(spec: GroupSpec) -> bool:
    wanted = decode(spec.properties, GroupProperties).allocation
    return bool(wanted.size or wanted.logical_ids)
