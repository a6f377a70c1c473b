"""Faults in a lab: instances are ended or stopped past all plugins, and the moment is recorded.

Only here does a lab touch instances.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ...instance.container_labels import ADDRESS_TAG, PORT_TAG
from ...instance.process.process_record import ProcessRecord
from ...reconcile.analysis.service import GONE
from ...spi.errors import IkdemoError
from ...spi.events import Event
from ..host.group_commands import GroupCommands
from ..host.plugin_commands import PluginCommands
from ..show.step_view import told_slot
from ..show.tables import Table
from .targets import (
    DOCKER_EFFECTS,
    choose,
    command_of,
    effect_of,
    number_of,
    record_of,
    send,
    send_command,
)

Target = tuple[str, str]
"""The slot and the ID of an instance."""


class FaultInjection:
    """The means to break the instances of groups, and to see where they are."""

    def __init__(self, plugins: PluginCommands, groups: GroupCommands) -> None:
        self._plugins, self._groups = plugins, groups

    def kill(self, group: str, n: int = 1, *, seed: int | None = None) -> Table:
        """End ``n`` instances of a group: remove their files, as ``rm`` would, ``kill -9`` their
        processes, or ``docker kill``.

        The plugins are not told; the moment is recorded.
        """
        if self._is_made_by("instance-process", group):
            return self.signal(group, "KILL", n, seed=seed)
        if self._is_made_by("instance-docker", group):
            return self.docker(group, "kill", n, seed=seed)
        return self._remove(group, n, seed)

    def signal(
        self, group: str, name: str, n: int = 1, *, slot: str = "", seed: int | None = None
    ) -> Table:
        """Send a signal, such as KILL or STOP, to the processes of ``n`` instances of a group; the
        moment is recorded.

        With ``slot``, only the instance in that slot is chosen from.
        """
        possible = [row for row in self._records(group) if slot in ("", row[0])]
        number, chosen = number_of(name), choose(group, possible, n, seed)
        targets = [(slot, record.id) for slot, record in chosen]
        with self._recorded(group, f"kill -{name} of", targets, *effect_of(number)):
            for _, record in chosen:
                send(record, number)
        return _process_table(chosen)

    def docker(
        self, group: str, command: str, n: int = 1, *, slot: str = "", seed: int | None = None
    ) -> Table:
        """Do ``docker kill``, ``rm -f``, ``stop`` or ``pause`` to the containers of ``n``
        instances; the moment is recorded.

        With ``slot``, only the instance in that slot is chosen from.
        """
        sent = command_of(command)
        if not self._is_made_by("instance-docker", group):
            raise IkdemoError(
                f"{self._groups.instance_plugin(group)!r} makes no containers, so docker {command} "
                "finds none; lab.kill takes what there is"
            )
        possible = [row for row in self._targets(group) if slot in ("", row[0])]
        chosen = choose(group, possible, n, seed)
        with self._recorded(group, f"docker {command} of", chosen, code=DOCKER_EFFECTS[command]):
            send_command(sent, [instance for _, instance in chosen])
        return Table(
            ["slot", f"docker {command}"], [(slot or "-", instance) for slot, instance in chosen]
        )

    def servers(self, group: str) -> Table:
        """List where the instances of a group answer: containers at an address, processes on this
        machine, with their pid.
        """
        columns = ["slot", "instance", "address", "port"]
        if not self._is_made_by("instance-docker", group):
            rows = [
                (slot, name, "127.0.0.1", port, pid)
                for slot, name, port, pid in self.processes(group)
            ]
            return Table([*columns, "pid"], rows)
        described = [
            (told_slot(one) or "-", one.id, one.tags or {}) for one in self._groups.living(group)
        ]
        found = [
            (slot, name, tags.get(ADDRESS_TAG, ""), tags.get(PORT_TAG, ""))
            for slot, name, tags in described
        ]
        found.sort(key=lambda row: (row[0].zfill(9), row[1]))
        return Table(columns, found)

    def processes(self, group: str) -> Table:
        """List the processes of a group whose instances are processes: where they answer, and who
        they are.
        """
        return _process_table(self._records(group))

    def _remove(self, group: str, n: int, seed: int | None) -> Table:
        """Remove the files of ``n`` instances of a file plugin."""
        directory = self._plugins.directory(self._groups.instance_plugin(group))
        chosen = choose(group, self._targets(group), n, seed)
        with self._recorded(group, "removed the file of", chosen):
            for _, instance in chosen:
                (directory / instance).unlink(missing_ok=True)
        return Table(["slot", "removed"], [(slot or "-", instance) for slot, instance in chosen])

    def _is_made_by(self, kind: str, group: str) -> bool:
        """Say whether a group's instances are made by a plugin of this kind of our lab."""
        return self._groups.instance_plugin(group) in self._plugins.of_kind(kind)

    def _targets(self, group: str) -> list[Target]:
        """Return every instance of a group that lives now, in the order of slots."""
        return [(told_slot(one), one.id) for one in self._groups.living(group)]

    def _records(self, group: str) -> list[tuple[str, ProcessRecord]]:
        """Return slot and record of every process of a group, in the order of slots; what has just
        ended is left out.
        """
        state_dir = self._plugins.plugin_dir / f"{self._groups.instance_plugin(group)}.instances"
        return [
            (slot, record)
            for slot, instance in self._targets(group)
            if (record := record_of(state_dir, instance)) is not None
        ]

    @contextmanager
    def _recorded(
        self,
        group: str,
        text: str,
        targets: Sequence[Target],
        kind: str = "fault",
        code: str = GONE,
    ) -> Iterator[None]:
        """Record what is about to be done to these instances; what cannot be done is recorded as
        mended.

        ``kind`` and ``code`` say what it does to them, as ``reconcile.analysis.service`` reads it.
        """
        self._record(kind, code, group, text, targets)
        try:
            yield
        except Exception:
            if kind == "fault":
                self._record("mended", code, group, f"could not: {text}", targets)
            raise

    def _record(
        self, kind: str, code: str, group: str, text: str, targets: Sequence[Target]
    ) -> None:
        now = time.time()
        self._plugins.session.record.add(
            Event(kind, now, "lab", group, instance, slot, code, text) for slot, instance in targets
        )


def _process_table(records: Sequence[tuple[str, ProcessRecord]]) -> Table:
    rows = [(slot or "-", record.id, record.port, record.pid) for slot, record in records]
    return Table(["slot", "instance", "port", "pid"], rows, empty="There is no process.")
