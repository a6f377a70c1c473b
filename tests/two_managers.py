"""Two managers with a group plugin behind each, on machines with sockets of their own, over one
instance plugin that both reach; the old one's calls go through gates.
"""

from __future__ import annotations

import signal
from typing import Any

from asking import Refused, ask, until
from desk import Desk
from gate import Gate
from two_leaders import TwoLeaders, web

BEHIND = "group-stateless"
POLL = ("--poll-interval", "50ms")


class TwoManagers(TwoLeaders):
    """The managers ``old``, which leads, and ``new``; their group plugins are ``old-group`` and
    ``new-group``. ``actions`` is the gate between the old group plugin and the instance plugin,
    ``commits`` the one between the old manager and its group plugin.
    """

    def __init__(self, desk: Desk, program: str, flags: tuple[str, ...], **properties: Any) -> None:
        self._leader, store = desk.root / "leader", desk.root / "store"
        store.mkdir()
        self._store = store
        self.machines: dict[str, Desk] = {}
        super().__init__(desk, program, flags, **properties)
        old, new = self.machines.values()
        self.actions = Gate(old.plugins / "instances", desk.plugins / "instances")
        self.commits = Gate(old.plugins / "gated", old.plugins / BEHIND)
        (new.plugins / "instances").hardlink_to(desk.plugins / "instances")
        self.elect("old")
        for name, machine in self.machines.items():
            machine.start("infrakit-group-default", BEHIND, "--store", "none", *POLL)
            behind = "gated" if name == "old" else BEHIND
            files = ("--leader-file", str(self._leader), "--store-dir", str(store), *POLL)
            machine.start("infrakit-manager", name, "--proxy-for-group", behind, "os", *files)
        until(lambda: self.ask("old", "Manager.Leader")["Leads"])

    def start_leaders(self) -> None:
        for name in ("old", "new"):
            root = self.desk.root / name
            root.mkdir()
            machine = self.machines[name] = Desk(root)
            machine.environment = {
                **self.desk.environment,
                "INFRAKIT_PLUGINS_DIR": str(machine.plugins),
            }
            machine.plugins.mkdir(mode=0o700)
            (machine.plugins / "flavor-vanilla").hardlink_to(self.desk.plugins / "flavor-vanilla")

    def close(self) -> None:
        for gate in (self.actions, self.commits):
            gate.close()
        for machine in self.machines.values():
            for process in machine.processes.values():
                process.send_signal(signal.SIGCONT)
            machine.close()

    def elect(self, name: str) -> None:
        """Write the leader file."""
        self._leader.write_text(name)

    def signal(self, name: str, number: signal.Signals) -> None:
        machine, _, group = name.partition("-")
        process = BEHIND if group else machine
        self.machines[machine].processes[process].send_signal(number)

    def ask(self, plugin: str, method: str, **params: Any) -> Any:
        machine, _, group = plugin.partition("-")
        if machine not in self.machines:
            return super().ask(plugin, method, **params)
        socket = BEHIND if group else machine
        return ask(self.machines[machine].plugins / socket, method, params)

    def commit_led(self, leader: str, size: int) -> None:
        """Commit the group through a manager as soon as it leads."""

        def committed() -> bool:
            try:
                spec = web(size, self.properties)
                self.ask(leader, "Group.CommitGroup", Spec=spec, Pretend=False)
            except Refused as refused:
                assert str(refused) == "not-a-leader"
                return False
            return True

        until(committed)

    def take_over(self, size: int) -> dict[str, str]:
        """Have the new manager lead and want another size; return the instances once that is so."""
        self.elect("new")
        self.commit_led("new", size)
        return self.whole("new", size)

    def edit_stored_size(self, before: int, after: int) -> None:
        """Change what is stored by hand, while nobody leads."""
        file = self._store / "global.config"
        text = file.read_text()
        assert text.count(f'"Size": {before}') == 1
        file.write_text(text.replace(f'"Size": {before}', f'"Size": {after}'))

    def log(self, name: str) -> str:
        machine, _, group = name.partition("-")
        return self.machines[machine].log(BEHIND if group else machine)

    def freed(self, name: str) -> bool:
        """Say whether a group plugin keeps nothing."""
        return not self.ask(name, "Group.InspectGroups")["Groups"]
