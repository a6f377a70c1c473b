"""Breaking things in a lab: instances are ended behind the backs of all plugins, and the moment is
written down.

Only here does a lab lay hands on instances; whom it meets is chosen in ``victims``. ``Lab`` builds
on it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ...instance.docker.labels import ADDRESS_TAG, PORT_TAG
from ...instance.process.state_files import ProcessRecord
from ...reconcile.analysis.service import GONE
from ...spi.errors import IkdemoError
from ...spi.events import Event
from ..host.groups import GroupCommands, slot_of
from ..host.plugin_process import PROGRAMS
from ..show.tables import Table
from .containers import EFFECTS, command_of, send_command
from .targets import choose, effect_of, number_of, record_of, send


class FaultInjection(GroupCommands):
    """Groups, and the means to break them."""

    def kill(self, group: str, n: int = 1, *, seed: int | None = None) -> Table:
        """End ``n`` instances of a group: remove their files, as ``rm`` would, ``kill -9`` their
        processes, or ``docker kill``.

        The plugins are not told; the moment is recorded.
        """
        plugin = self._instance_plugin(group)
        match self._programs.get(plugin):
            case "ikdemo-instance-process":
                return self.signal(group, "KILL", n, seed=seed)
            case "ikdemo-instance-docker":
                return self.docker(group, "kill", n, seed=seed)
            case _:
                return self._remove(group, plugin, n, seed)

    def signal(
        self, group: str, name: str, n: int = 1, *, slot: str = "", seed: int | None = None
    ) -> Table:
        """Send a signal, such as KILL or STOP, to the processes of ``n`` instances of a group; the
        moment is recorded.

        With ``slot``, only the instance in that slot is chosen from.
        """
        living = [row for row in self._records(group) if slot in ("", row[0])]
        number, chosen = number_of(name), choose(group, living, n, seed)
        victims = [(slot, record.id) for slot, record in chosen]
        with self._striking(group, f"kill -{name} of", victims, *effect_of(number)):
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
        plugin, blow = self._instance_plugin(group), command_of(command)
        if not self._makes_containers(plugin):
            raise IkdemoError(
                f"{plugin!r} makes no containers, so docker {command} finds none; lab.kill takes "
                "what there is"
            )
        living = [row for row in self._living(group, plugin) if slot in ("", row[0])]
        chosen = choose(group, living, n, seed)
        with self._striking(group, f"docker {command} of", chosen, code=EFFECTS[command]):
            send_command(blow, [instance for _, instance in chosen])
        return Table(
            ["slot", f"docker {command}"], [(slot or "-", instance) for slot, instance in chosen]
        )

    def servers(self, group: str) -> Table:
        """List where the instances of a group answer: containers at an address, processes on this
        machine, with their pid.
        """
        plugin, columns = self._instance_plugin(group), ["slot", "instance", "address", "port"]
        if not self._makes_containers(plugin):
            rows = [
                (slot, name, "127.0.0.1", port, pid)
                for slot, name, port, pid in self.processes(group)
            ]
            return Table([*columns, "pid"], rows)
        described = [
            (slot_of(one) or "-", one.id, one.tags or {})
            for one in self._call(self._instances(plugin, group))
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

    def _remove(self, group: str, plugin: str, n: int, seed: int | None) -> Table:
        """Remove the files of ``n`` instances of a file plugin."""
        directory, chosen = (
            self.directory(plugin),
            choose(group, self._living(group, plugin), n, seed),
        )
        with self._striking(group, "removed the file of", chosen):
            for _, instance in chosen:
                (directory / instance).unlink(missing_ok=True)
        return Table(["slot", "removed"], [(slot or "-", instance) for slot, instance in chosen])

    def _makes_containers(self, plugin: str) -> bool:
        return self._programs.get(plugin) == PROGRAMS["instance-docker"]

    def _living(self, group: str, plugin: str) -> list[tuple[str, str]]:
        """Return slot and ID of every instance of a group that lives now, in the order of slots."""
        found = [(slot_of(one), one.id) for one in self._call(self._instances(plugin, group))]
        return sorted(found, key=lambda row: (row[0].zfill(9), row[1]))

    def _records(self, group: str) -> list[tuple[str, ProcessRecord]]:
        """Return slot and record of every process of a group, in the order of slots; what has just
        ended is left out.
        """
        plugin = self._instance_plugin(group)
        register = self.plugin_dir / f"{plugin}.instances"
        living = self._living(group, plugin)
        return [
            (slot, record)
            for slot, instance in living
            if (record := record_of(register, instance)) is not None
        ]

    @contextmanager
    def _striking(
        self,
        group: str,
        text: str,
        victims: Sequence[tuple[str, str]],
        kind: str = "fault",
        code: str = GONE,
    ) -> Iterator[None]:
        """Write down what is about to be done to these instances, each a slot and an ID; what
        cannot be done is written back.

        ``kind`` and ``code`` say what it does to them, as ``reconcile.analysis.service`` reads it.
        """
        self._write(kind, code, group, text, victims)
        try:
            yield
        except Exception:
            if kind == "fault":
                self._write("mended", code, group, f"could not: {text}", victims)
            raise

    def _write(
        self, kind: str, code: str, group: str, text: str, victims: Sequence[tuple[str, str]]
    ) -> None:
        now = time.time()
        self._record.add(
            Event(kind, now, "lab", group, instance, slot, code, text) for slot, instance in victims
        )


def _process_table(records: Sequence[tuple[str, ProcessRecord]]) -> Table:
    rows = [(slot or "-", record.id, record.port, record.pid) for slot, record in records]
    return Table(["slot", "instance", "port", "pid"], rows, empty="There is no process.")
