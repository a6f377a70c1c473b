"""A machine of a benchmark of managers: a manager and the group plugin behind it, with sockets of
their own, and the group that is committed through it.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Sequence
from pathlib import Path

import ikdemo
from ikdemo.rpc.proxies import GroupClient
from ikdemo.spi.errors import NotLeader, RemoteFailure

from .plugins import environment, group_spec, ours, stop, until_all_answer

BEHIND, GROUP, SIZE = "group-stateless", "benchmark", 2
SHARED = {
    "instance-file": ours("infrakit-instance-file", "--dir", "{root}/i"),
    "flavor-vanilla": ours("infrakit-flavor-vanilla"),
}


class Machine:
    """A manager and its group plugin, with sockets of their own; the other plugins are shared."""

    def __init__(self, root: Path, shared: Path, name: str, manager: Sequence[str]) -> None:
        """``manager``: the command of the manager."""
        self.name, self.plugins = name, root / name
        self.plugins.mkdir(mode=0o700)
        for plugin in SHARED:
            (self.plugins / plugin).hardlink_to(shared / plugin)
        self._commands = (
            ours("infrakit-group-default", "--name", BEHIND, "--store", "none"),
            list(manager),
        )
        self._processes: list[subprocess.Popen[bytes]] = []
        self.start()

    def start(self) -> None:
        """Start both, one after the other."""
        for name, command in zip((BEHIND, self.name), self._commands, strict=True):
            with (self.plugins / f".{name}.log").open("ab") as log:
                pipe = subprocess.PIPE
                self._processes.append(
                    subprocess.Popen(
                        command,
                        env=environment(self.plugins),
                        stdin=pipe,
                        stdout=pipe,
                        stderr=log,
                    )
                )
            asyncio.run(until_all_answer(self.plugins, [name]))

    def kill(self) -> None:
        """Kill both at the same moment."""
        killed, self._processes = self._processes, []
        for process in killed:
            process.kill()
        for process in killed:
            process.communicate()

    def close(self) -> None:
        stop(self._processes)


async def commit(machine: Machine) -> bool:
    """Commit the group through the manager of a machine; say whether it leads."""
    properties = {
        "Allocation": {"Size": SIZE},
        "Instance": {"Plugin": "instance-file", "Properties": {}},
        "Flavor": {"Plugin": "flavor-vanilla", "Properties": {}},
    }
    manager = await ikdemo.connect(machine.name, directory=machine.plugins)
    assert isinstance(manager, GroupClient)
    try:
        await manager.commit_group(group_spec(GROUP, properties))
    except RemoteFailure as refused:
        if str(refused) != str(NotLeader()):
            raise
        return False
    finally:
        manager.close()
    return True
